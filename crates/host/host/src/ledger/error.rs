//! What goes wrong with the ledger's files.

use std::io;
use std::path::{Path, PathBuf};

use synod_types::chunk::Damage;
use synod_types::{Digest, LogIndex, Seqno};

/// Why the ledger's files cannot be used, or an operation on them failed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The operating system refused.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file or a directory could not be synced: what of it is on disk is not known, and a second try would not tell.
    #[error("cannot sync {path}")]
    SyncFailed {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error("{path} is in use by another process")]
    DirectoryInUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file was changed after it was written, or is not ours.
    #[error("{path} is {damage}")]
    FileDamaged {
        /// The file.
        path: PathBuf,
        /// Where and how.
        damage: Damage,
    },
    /// A file ends early, although a later one exists, so no crash explains it.
    #[error("{path} ends early at byte {offset}, but a later file exists")]
    FileCutShort {
        /// The file.
        path: PathBuf,
        /// Where its last whole record ends.
        offset: usize,
    },
    /// A file does not begin with the record that its name or its place asks for.
    #[error("{path} begins with record {found} where {expected} belongs")]
    FileOutOfOrder {
        /// The file.
        path: PathBuf,
        /// The index that belongs there.
        expected: LogIndex,
        /// The index found.
        found: LogIndex,
    },
    /// A file belongs to another network.
    #[error("{path} belongs to network {found}, this node to {expected}")]
    NetworkDiffers {
        /// The file.
        path: PathBuf,
        /// The network of `node.toml`.
        expected: Digest,
        /// The network of the file.
        found: Digest,
    },
    /// The enclave asked for a record to be filed that does not continue the ledger.
    #[error("record {found} does not continue the ledger, which goes on at {expected:?}")]
    RecordOutOfOrder {
        /// The index that comes next.
        expected: Option<LogIndex>,
        /// The index of the record.
        found: LogIndex,
    },
    /// There is no such record.
    #[error("the ledger has no record {0}")]
    NoSuchRecord(LogIndex),
    /// No block holds this transaction.
    #[error("no block in the ledger holds transaction {0}")]
    NoSuchTransaction(Seqno),
}

/// Says what was being done to what when the operating system refused.
pub(crate) fn doing(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
    move |source| LedgerError::Io { doing, path: path.into(), source }
}
