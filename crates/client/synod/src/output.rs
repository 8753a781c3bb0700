//! Data on standard output, progress on standard error.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// Prints `value` as one line of JSON.
///
/// # Errors
/// If standard output takes nothing more.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut line = serde_json::to_string(value).expect("what is printed has a JSON form");
    line.push('\n');
    text(&line)
}

/// Prints `text` as it is.
///
/// # Errors
/// If standard output takes nothing more.
pub fn text(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Prints `bytes` as they are.
///
/// # Errors
/// If standard output takes nothing more.
pub fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // Whoever read, as `head` does, has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Failure::new(error, "check where standard output goes")),
    }
}

/// Shows on a terminal that something is being done; elsewhere nothing.
pub fn spinner(what: impl Into<String>) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what.into());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// Shows on a terminal how much of `total` is done; elsewhere nothing.
pub fn progress(what: impl Into<String>, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}").expect("a constant template");
    ProgressBar::new(total).with_style(style).with_message(what.into())
}
