//! The chain: one digest over every log entry, blocks and engine entries alike.

use synod_crypto::sha256;
use synod_types::boundary::EntryKind;
use synod_types::{ConfigurationChange, Digest, Encode, LogIndex, View};

/// The chain before the first entry.
pub const CHAIN_START: Digest = Digest([0; 32]);

/// The chain over an entry and all before it.
pub fn chain_next(chain: Digest, entry: Digest) -> Digest {
    sha256(&[&chain.0, &entry.0])
}

/// The digest of an engine entry, which carries nothing.
pub fn engine_entry_digest(index: LogIndex, view: View) -> Digest {
    entry_digest(EntryKind::Engine, index, view, Digest::default())
}

/// The digest of an entry that changes the configuration.
pub fn configuration_entry_digest(index: LogIndex, view: View, change: ConfigurationChange) -> Digest {
    entry_digest(EntryKind::Configuration, index, view, sha256(&[&change.to_bytes()]))
}

/// The digest of a block as a log entry. No signature bytes are in it.
pub(crate) fn block_entry_digest(index: LogIndex, view: View, header: Digest) -> Digest {
    entry_digest(EntryKind::Block, index, view, header)
}

fn entry_digest(kind: EntryKind, index: LogIndex, view: View, header: Digest) -> Digest {
    sha256(&[ENTRY_LABEL, &[kind as u8], &index.0.to_le_bytes(), &view.0.to_le_bytes(), &header.0])
}

const ENTRY_LABEL: &[u8] = b"synod log entry v1\0";
