//! What stops a host.

use std::io;
use std::path::PathBuf;

use crate::LedgerError;

/// Why a host did not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The settings could not be read.
    #[error("cannot read {path}")]
    ConfigUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The settings are not valid.
    #[error("{path} is not valid: {reason}")]
    ConfigNotValid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        reason: String,
    },
    /// A port could not be taken.
    #[error("cannot listen at {address}")]
    AddressNotAvailable {
        /// Which one.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The runtime, a thread or the boundary recording could not be set up.
    #[error("cannot set up {what}")]
    SetupFailed {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The ledger's files cannot be used, or a write to them failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}
