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

use crate::text::is_unseen;
pub use crate::text::{Name, Note};

/// A value that is too long, or of characters that are not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct BoundRefused {
    /// What is wrong.
    pub what: &'static str,
}

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
