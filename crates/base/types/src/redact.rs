//! What stands for private content where a type is printed.

use std::fmt;

/// Prints as `<5 bytes>` in `Debug`: content may be private, its size is shown to the host anyway.
///
/// ```
/// use synod_types::ByteCount;
///
/// assert_eq!(format!("{:?}", ByteCount::of(b"hello")), "<5 bytes>");
/// ```
pub struct ByteCount(usize);

impl ByteCount {
    /// Stands for `content`.
    pub fn of(content: impl AsRef<[u8]>) -> Self {
        Self(content.as_ref().len())
    }

    /// Stands for each of several contents.
    pub fn of_each<'a>(contents: impl IntoIterator<Item = &'a (impl AsRef<[u8]> + ?Sized + 'a)>) -> Vec<Self> {
        contents.into_iter().map(Self::of).collect()
    }
}

impl fmt::Debug for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0)
    }
}
