//! A claim that does not hold.

use std::fmt;

/// A claim that did not hold in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What should hold, as a sentence.
    pub claim: &'static str,
    /// What was seen instead.
    pub seen: String,
}

/// The result of a check.
pub type Checked<T = ()> = Result<T, Violation>;

/// The violation of `claim` by what was `seen`.
pub fn violated<T>(claim: &'static str, seen: impl Into<String>) -> Checked<T> {
    Err(Violation { claim, seen: seen.into() })
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it does not hold that {}: {}", self.claim, self.seen)
    }
}

impl std::error::Error for Violation {}
