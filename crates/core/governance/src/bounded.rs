//! Bounded texts, bytes and lists: what a record may be made of.
//!
//! Each is bounded wherever it is made: decoded, read from a document, or built by code.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use synod_types::codec::DecodeReason;
use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder};

use crate::limits::{NAME_BYTES_MAX, NOTE_BYTES_MAX};

/// A value that is too long, or of characters that are not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct BoundRefused {
    /// What is wrong.
    pub what: &'static str,
}

/// A name: one line of 1 to 256 bytes, not surrounded by space, without characters that do not show or turn the
/// direction of text (they would let one name pass for another on a screen).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name with this text.
    ///
    /// # Errors
    /// If it is not of the form above.
    pub fn new(text: impl Into<String>) -> Result<Self, BoundRefused> {
        let text = text.into();
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(BoundRefused { what: "a name has 1 to 256 bytes" });
        }
        if text.trim() != text || text.chars().any(is_unseen) {
            return Err(BoundRefused { what: "a name has no unseen characters and no space around it" });
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A note: up to 8 KiB of lines, without characters that do not show.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Note(String);

impl Note {
    /// The note with this text.
    ///
    /// # Errors
    /// If it is too long or has other characters.
    pub fn new(text: impl Into<String>) -> Result<Self, BoundRefused> {
        let text = text.into();
        if text.len() > NOTE_BYTES_MAX {
            return Err(BoundRefused { what: "a note has at most 8 KiB" });
        }
        if text.chars().any(|c| c != '\n' && is_unseen(c)) {
            return Err(BoundRefused { what: "a note has no unseen characters" });
        }
        Ok(Self(text))
    }

    /// The note with as much of this text as a note holds, unseen characters escaped.
    pub fn lossy(text: &str) -> Self {
        let mut kept = String::new();
        for c in text.chars() {
            let shown = if c != '\n' && is_unseen(c) { c.escape_default().to_string() } else { c.to_string() };
            if kept.len() + shown.len() > NOTE_BYTES_MAX {
                break;
            }
            kept.push_str(&shown);
        }
        Self(kept)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, and those of Unicode that are invisible or turn the direction of text.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

macro_rules! text_forms {
    ($name:ident, $bytes_max:expr) => {
        impl TryFrom<String> for $name {
            type Error = BoundRefused;

            fn try_from(text: String) -> Result<Self, BoundRefused> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        /// Prints the size only: who takes part, and what is proposed, is private.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({} bytes)", stringify!($name), self.0.len())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Encoder) {
                out.bytes(self.0.as_bytes());
            }
        }

        impl Decode for $name {
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let at = input.clone();
                let bytes = input.bytes($bytes_max)?.to_vec();
                let text = String::from_utf8(bytes).map_err(|_| at.error(DecodeReason::ValueNotAllowed))?;
                Self::new(text).map_err(|_| at.error(DecodeReason::ValueNotAllowed))
            }
        }
    };
}

text_forms!(Name, NAME_BYTES_MAX);
text_forms!(Note, NOTE_BYTES_MAX);

/// Up to `MAX` bytes, written in hexadecimal for people.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blob<const MAX: usize>(Bytes);

impl<const MAX: usize> Blob<MAX> {
    /// These bytes.
    ///
    /// # Errors
    /// If they are too many.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, BoundRefused> {
        let bytes = bytes.into();
        if bytes.len() > MAX { Err(BoundRefused { what: "too many bytes" }) } else { Ok(Self(bytes)) }
    }

    /// The bytes as [`Bytes`].
    pub fn to_shared(&self) -> Bytes {
        self.0.clone()
    }

    /// The bytes as lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads hexadecimal digits; `None` for anything else, or for too many.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = text.as_bytes().chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return None;
        }
        let bytes: Option<Vec<u8>> = pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
        Self::new(bytes?).ok()
    }
}

impl<const MAX: usize> Deref for Blob<MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Blob<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl<const MAX: usize> Encode for Blob<MAX> {
    fn encode(&self, out: &mut Encoder) {
        out.bytes(&self.0);
    }
}

impl<const MAX: usize> Decode for Blob<MAX> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.bytes(MAX).map(|bytes| Self(Bytes::copy_from_slice(bytes)))
    }
}

impl<const MAX: usize> Serialize for Blob<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Blob<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| D::Error::custom(format!("not up to {MAX} bytes in hexadecimal digits")))
    }
}

/// Up to `MAX` bytes that are usually text: for people as that text, or `hex:` and digits if they are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextBlob<const MAX: usize>(Blob<MAX>);

impl<const MAX: usize> TextBlob<MAX> {
    /// These bytes.
    ///
    /// # Errors
    /// If they are too many.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, BoundRefused> {
        Blob::new(bytes).map(Self)
    }

    /// The bytes as [`Bytes`].
    pub fn to_shared(&self) -> Bytes {
        self.0.to_shared()
    }

    fn to_text(&self) -> String {
        match std::str::from_utf8(&self.0) {
            Ok(text) if !text.starts_with(HEX) && !text.chars().any(|c| c != '\n' && is_unseen(c)) => text.to_owned(),
            _ => format!("{HEX}{}", self.0.to_hex()),
        }
    }

    fn from_text(text: String) -> Option<Self> {
        match text.strip_prefix(HEX) {
            Some(digits) => Blob::from_hex(digits).map(Self),
            None => Self::new(text).ok(),
        }
    }
}

const HEX: &str = "hex:";

impl<const MAX: usize> Deref for TextBlob<MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> Encode for TextBlob<MAX> {
    fn encode(&self, out: &mut Encoder) {
        self.0.encode(out);
    }
}

impl<const MAX: usize> Decode for TextBlob<MAX> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Blob::decode(input).map(Self)
    }
}

impl<const MAX: usize> Serialize for TextBlob<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for TextBlob<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(text)
            .ok_or_else(|| D::Error::custom(format!("not up to {MAX} bytes of text, or hex: and digits")))
    }
}

/// Up to `MAX` items, in an order that means something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// These items.
    ///
    /// # Errors
    /// If they are too many.
    pub fn new(items: Vec<T>) -> Result<Self, BoundRefused> {
        if items.len() > MAX { Err(BoundRefused { what: "too many items" }) } else { Ok(Self(items)) }
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Encode, const MAX: usize> Encode for List<T, MAX> {
    fn encode(&self, out: &mut Encoder) {
        out.list(&self.0);
    }
}

impl<T: Decode, const MAX: usize> Decode for List<T, MAX> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.list(MAX).map(Self)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(|_| D::Error::custom(format!("more than {MAX} items")))
    }
}

/// Up to `MAX` different items, ascending.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Set<T: Ord, const MAX: usize>(BTreeSet<T>);

impl<T: Ord, const MAX: usize> Set<T, MAX> {
    /// These items.
    ///
    /// # Errors
    /// If they are too many.
    pub fn new(items: impl IntoIterator<Item = T>) -> Result<Self, BoundRefused> {
        let items: BTreeSet<T> = items.into_iter().collect();
        if items.len() > MAX { Err(BoundRefused { what: "too many items" }) } else { Ok(Self(items)) }
    }
}

impl<T: Ord, const MAX: usize> Default for Set<T, MAX> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<T: Ord, const MAX: usize> Deref for Set<T, MAX> {
    type Target = BTreeSet<T>;

    fn deref(&self) -> &BTreeSet<T> {
        &self.0
    }
}

impl<T: Ord + Encode, const MAX: usize> Encode for Set<T, MAX> {
    fn encode(&self, out: &mut Encoder) {
        out.count(self.0.len());
        self.0.iter().for_each(|item| item.encode(out));
    }
}

impl<T: Ord + Decode, const MAX: usize> Decode for Set<T, MAX> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut items = BTreeSet::new();
        for _ in 0..input.count(MAX)? {
            let at = input.clone();
            let item = T::decode(input)?;
            if items.last().is_some_and(|last| *last >= item) {
                return Err(at.error(DecodeReason::ValueNotAllowed));
            }
            items.insert(item);
        }
        Ok(Self(items))
    }
}

impl<'de, T: Ord + Deserialize<'de>, const MAX: usize> Deserialize<'de> for Set<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items: Vec<T> = Vec::deserialize(deserializer)?;
        Self::new(items).map_err(|_| D::Error::custom(format!("more than {MAX} items")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_pass_for_another_is_refused() {
        for text in ["Port of Antwerp", "Ω-1", "a", &"x".repeat(256)] {
            assert_eq!(Name::new(text).unwrap().as_str(), text);
            assert_eq!(
                Name::from_bytes(&Name::new(text).unwrap().to_bytes()),
                Name::new(text).map_err(|_| unreachable!())
            );
        }
        for text in ["", " a", "a ", "a\nb", "a\u{202e}b", "a\u{200b}b", "\u{feff}a", "a\0", &"x".repeat(257)] {
            assert!(Name::new(text).is_err(), "{text:?}");
        }
        let mut bytes = Encoder::default();
        bytes.bytes(b"a\x00");
        assert!(Name::from_bytes(&bytes.finish()).is_err());
    }

    #[test]
    fn a_note_may_have_lines_and_a_lossy_one_always_fits() {
        assert!(Note::new("one\ntwo").is_ok());
        assert!(Note::new("one\ttwo").is_err());
        let lossy = Note::lossy(&"ä\u{202e}".repeat(5_000));
        assert!(Note::new(lossy.as_str()).is_ok());
        assert!(lossy.as_str().starts_with("ä\\u{202e}ä"));
    }

    #[test]
    fn what_is_private_is_not_printed() {
        let printed = format!("{:?} {:?}", Name::new("planted").unwrap(), Note::new("planted").unwrap());
        assert_eq!(printed, "Name(7 bytes) Note(7 bytes)");
        assert!(!format!("{:?}", TextBlob::<9>::new("planted").unwrap()).contains("planted"));
    }

    #[test]
    fn bytes_that_are_text_look_like_it_and_others_are_digits() {
        for (bytes, text) in
            [(&b"a = 1\nb"[..], "a = 1\nb"), (b"\xff", "hex:ff"), (b"hex:", "hex:6865783a"), (b"\0", "hex:00")]
        {
            let blob = TextBlob::<8>::new(bytes.to_vec()).unwrap();
            assert_eq!(blob.to_text(), text);
            assert_eq!(TextBlob::from_text(text.to_owned()), Some(blob));
        }
        assert_eq!(TextBlob::<8>::from_text("123456789".to_owned()), None);
    }

    #[test]
    fn lists_sets_and_blobs_are_bounded_and_sets_have_one_encoding() {
        type Numbers = Set<u8, 3>;
        assert!(Numbers::new([1, 2, 3, 4]).is_err());
        assert!(List::<u8, 1>::new(vec![1, 2]).is_err());
        assert!(Blob::<1>::new(vec![1, 2]).is_err());
        let set = Numbers::new([3, 1]).unwrap();
        assert_eq!(Numbers::from_bytes(&set.to_bytes()), Ok(set));
        for bytes in [[2, 0, 0, 0, 3, 1], [2, 0, 0, 0, 1, 1]] {
            assert!(Numbers::from_bytes(&bytes).is_err());
        }
        assert_eq!(Blob::<2>::from_hex("0aFF").unwrap().to_hex(), "0aff");
        for text in ["0", "zz", "000000", "é"] {
            assert_eq!(Blob::<2>::from_hex(text), None, "{text}");
        }
    }
}
