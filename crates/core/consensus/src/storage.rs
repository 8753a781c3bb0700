//! The engine's view of the log: its `Storage` trait over [`Log`].

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use crate::log::Log;

/// The log, and what the engine starts from.
pub(crate) struct LogStorage {
    pub log: Log,
    pub hard_state: HardState,
    pub configuration: ConfState,
}

impl Storage for LogStorage {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.configuration.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low < self.first_index()? {
            return Err(Error::Store(StorageError::Compacted));
        }
        if let Some(entries) = self.log.read(low, high, max_size.into().unwrap_or(u64::MAX)) {
            return Ok(entries);
        }
        // The engine waits only where it sends to a follower. Everywhere else it asks for entries
        // that are not applied yet (`hup`, `maybe_commit_by_vote`, `next_entries_since`), and
        // those are in memory: an error there would be fatal.
        assert!(context.can_async(), "entries {low}..{high} are not applied yet and not in memory");
        self.log.want(low, high);
        Err(Error::Store(StorageError::LogTemporarilyUnavailable))
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        self.log.view(index).ok_or(Error::Store(StorageError::Unavailable))
    }

    /// The genesis block at index 1 is every node's beginning, as a snapshot would be: the first
    /// index that is ever sent is 2.
    fn first_index(&self) -> raft::Result<u64> {
        Ok(2)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.log.last())
    }

    /// There are no snapshots: the whole log can be read. The engine asks for one only if a
    /// follower would need the genesis block, which no node does.
    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
