//! How commands fail: an error that says what was being done, and a hint what to do next.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// Why a command failed, for the user.
#[derive(Debug)]
pub struct Failure {
    error: Box<dyn Error + Send + Sync>,
    hint: String,
    exit: u8,
}

impl Failure {
    /// An error and what to do next, in the form that follows `hint:`.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>, hint: impl Into<String>) -> Self {
        Self { error: error.into(), hint: hint.into(), exit: 1 }
    }

    /// The same, with an exit status of its own.
    #[must_use]
    pub fn with_exit(self, exit: u8) -> Self {
        Self { exit, ..self }
    }

    /// Writes the error, its causes and the hint to standard error.
    pub fn report(&self) -> ExitCode {
        eprint!("{self}");
        ExitCode::from(self.exit)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.error)?;
        let (mut cause, mut last) = (self.error.source(), self.error.to_string());
        while let Some(error) = cause {
            // A transparent wrapper says the same as what it wraps.
            if error.to_string() != last {
                writeln!(f, "  because: {error}")?;
            }
            last = error.to_string();
            cause = error.source();
        }
        writeln!(f, "hint: {}", self.hint)
    }
}

impl From<synod_client::ClientError> for Failure {
    fn from(error: synod_client::ClientError) -> Self {
        let hint = error.hint().to_owned();
        Self::new(error, hint)
    }
}

/// Gives an error its hint.
pub trait Hint<T> {
    /// The same value, or a failure with this hint.
    ///
    /// # Errors
    /// If `self` is an error.
    fn hint(self, hint: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Hint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(error, hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read x")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_failure_shows_the_error_its_causes_and_the_hint_last() {
        let failure = Failure::new(Outer(std::io::Error::other("disk on fire")), "call the brigade");
        assert_eq!(failure.to_string(), "error: cannot read x\n  because: disk on fire\nhint: call the brigade\n");
    }

    #[test]
    fn a_cause_that_only_repeats_is_left_out() {
        #[derive(Debug, thiserror::Error)]
        #[error(transparent)]
        struct Transparent(#[from] Outer);
        let failure = Failure::new(Transparent(Outer(std::io::Error::other("x"))), "h");
        assert_eq!(failure.to_string(), "error: cannot read x\n  because: x\nhint: h\n");
    }
}
