//! Names and notes: bounded texts in which nothing hides.

use std::fmt;

use serde::{Deserialize, Serialize};
use synod_types::codec::DecodeReason;
use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder};

use crate::bounded::BoundRefused;
use crate::limits::{NAME_BYTES_MAX, NOTE_BYTES_MAX};

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
pub(crate) fn is_unseen(c: char) -> bool {
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
}
