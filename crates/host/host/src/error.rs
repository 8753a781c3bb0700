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
    /// The network, or what else is on the disk, has shown that this node's disk was rolled back.
    #[error("this node is refused: {reason}")]
    SlotRefused {
        /// What was shown.
        reason: String,
    },
    /// An earlier run left the mark that forbids a start, and nobody has removed it.
    #[error("{path} forbids a start: {text}")]
    StartForbidden {
        /// The mark.
        path: PathBuf,
        /// What it says.
        text: String,
    },
    /// The ledger's files cannot be used, or a write to them failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl HostError {
    /// Whether the node must not be started from this directory again until an operator has looked: a supervisor
    /// that tries again could do harm.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::SlotRefused { .. } | Self::StartForbidden { .. } => true,
            Self::Ledger(error) => matches!(error, LedgerError::SyncFailed { .. }),
            Self::ConfigUnreadable { .. }
            | Self::ConfigNotValid { .. }
            | Self::AddressNotAvailable { .. }
            | Self::SetupFailed { .. } => false,
        }
    }
}
