//! A value that nobody has checked yet.

use std::fmt;

/// A value from outside the enclave (client, peer, host, disk, evidence) that nothing has checked.
///
/// The only way to the value is [`Untrusted::check`], whose argument is the one function that
/// decides what a valid value looks like. `Debug` prints no content: unchecked bytes may be private.
///
/// ```
/// use synod_types::Untrusted;
///
/// let port = Untrusted::new("8545").check(|text| text.parse::<u16>());
/// assert_eq!(port, Ok(8545));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Untrusted<T>(T);

impl<T> Untrusted<T> {
    /// Marks `value` as unchecked.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Hands the value to `check`, which returns the trusted form or says why there is none.
    ///
    /// # Errors
    /// Whatever `check` refuses with.
    pub fn check<U, E>(self, check: impl FnOnce(T) -> Result<U, E>) -> Result<U, E> {
        check(self.0)
    }
}

impl<T: AsRef<[u8]>> Untrusted<T> {
    /// The size in bytes, which may be capped before anything is parsed.
    pub fn size(&self) -> usize {
        self.0.as_ref().len()
    }
}

impl<T> fmt::Debug for Untrusted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Untrusted(..)")
    }
}
