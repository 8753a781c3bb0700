//! Names of maps.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use synod_types::limits::MAP_NAME_BYTES_MAX;

/// The name of a map: 1 to 64 lower-case ASCII letters, digits, dots, hyphens and underscores.
///
/// The first segment says whose map it is: `gov.members`, `log.messages`. Names are ordered by
/// their text, and a clone costs nothing worth saving.
///
/// ```
/// use synod_kv::MapName;
///
/// const MESSAGES: MapName = MapName::from_static("log.messages");
/// assert_eq!(MapName::new("log.messages"), Ok(MESSAGES));
/// assert!(MapName::new("Log messages").is_err());
/// ```
#[derive(Clone)]
pub struct MapName(Text);

#[derive(Clone)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
}

/// A text that is not a map's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a map name is 1 to 64 characters of a-z, 0-9, dot, hyphen and underscore")]
pub struct MapNameRefused;

impl MapName {
    /// The name with this text.
    ///
    /// # Errors
    /// If the text is empty, too long, or has other characters.
    pub fn new(text: &str) -> Result<Self, MapNameRefused> {
        if is_name(text.as_bytes()) { Ok(Self(Text::Shared(text.into()))) } else { Err(MapNameRefused) }
    }

    /// The name with this text, for constants.
    ///
    /// # Panics
    /// If the text is not a name: at compile time where the value is a constant.
    pub const fn from_static(text: &'static str) -> Self {
        assert!(is_name(text.as_bytes()), "not a map name");
        Self(Text::Static(text))
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(text) => text,
            Text::Shared(text) => text,
        }
    }
}

const fn is_name(text: &[u8]) -> bool {
    let mut at = 0;
    while at < text.len() {
        if !matches!(text[at], b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_') {
            return false;
        }
        at += 1;
    }
    !text.is_empty() && text.len() <= MAP_NAME_BYTES_MAX
}

impl PartialEq for MapName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for MapName {}

impl PartialOrd for MapName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MapName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Display for MapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for MapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapName({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_names_of_the_allowed_characters_are_names() {
        for text in ["a", "log.messages", "evm.main-2.block_9", &"x".repeat(64)] {
            assert_eq!(MapName::new(text).unwrap().as_str(), text);
        }
        for text in ["", "A", "a b", "a/b", "é", "a\0", &"x".repeat(65)] {
            assert_eq!(MapName::new(text), Err(MapNameRefused), "{text}");
        }
    }

    #[test]
    fn names_are_equal_and_ordered_by_text_however_they_were_made() {
        assert_eq!(MapName::from_static("a.b"), MapName::new("a.b").unwrap());
        assert!(MapName::from_static("a.b") < MapName::new("a.c").unwrap());
        assert!(MapName::new("a-").unwrap() < MapName::from_static("a.b"));
    }
}
