//! What a node starts from: its own synced log and vote.

use std::collections::BTreeSet;

use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::{Configuration, ConfigurationChange, Decode, LogIndex, NodeId, Seqno, View};

use crate::effect::Vote;
use crate::log::{Log, entry_of};

/// A node's log as read back from its own disk and verified, and its vote.
///
/// Push every record from 2 on, in order; [`Restored::committed_up_to`] between them, as headers
/// tell, lets old payloads leave memory. A node that must hold back (until its peers confirm that
/// its log reaches what they saw it acknowledge) keeps this value and gives it to
/// `Consensus::new` only when it is let in: without a `Consensus` there is no vote and no
/// acknowledgement.
#[derive(Debug)]
pub struct Restored {
    pub(crate) log: Log,
    pub(crate) vote: Option<Vote>,
}

/// Why a record does not continue a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The first record is not a genesis block: index 1, view 1, seqno 1.
    #[error("record {index} of view {view} is not a genesis block")]
    NotGenesis {
        /// Its index.
        index: LogIndex,
        /// Its view.
        view: View,
    },
    /// A record does not follow the one before it.
    #[error("record {index} of view {view} at seqno {first_seqno} does not follow record {last}")]
    DoesNotFollow {
        /// Its index.
        index: LogIndex,
        /// Its view.
        view: View,
        /// Its first seqno.
        first_seqno: Seqno,
        /// The record before.
        last: LogIndex,
    },
    /// An engine entry with content, or one that changes the configuration in no way that is known.
    #[error("record {index} is an entry of the engine and holds what it may not")]
    EngineEntryMalformed {
        /// Its index.
        index: LogIndex,
    },
}

impl Restored {
    /// A log that holds only the genesis block.
    ///
    /// # Errors
    /// If `genesis` is not a block at index 1, view 1, seqno 1.
    pub fn new(genesis: &LogRecord) -> Result<Self, RestoreError> {
        let first = (genesis.index, genesis.view, genesis.first_seqno, genesis.kind);
        if first != (LogIndex(1), View(1), Seqno(1), EntryKind::Block) {
            return Err(RestoreError::NotGenesis { index: genesis.index, view: genesis.view });
        }
        Ok(Self { log: Log::new(genesis), vote: None })
    }

    /// Appends the next record.
    ///
    /// # Errors
    /// If it does not follow the last one.
    pub fn push(&mut self, record: &LogRecord) -> Result<(), RestoreError> {
        let (last, last_view) = self.last();
        let expected = self.log.next_seqno_after(last.0).expect("the last entry is in the window or before it");
        if record.index != last.next() || record.view < last_view || record.first_seqno.0 != expected {
            let LogRecord { index, view, first_seqno, .. } = *record;
            return Err(RestoreError::DoesNotFollow { index, view, first_seqno, last });
        }
        let is_sound = match record.kind {
            EntryKind::Block => true,
            EntryKind::Engine => record.count == 0 && record.payload.is_empty(),
            EntryKind::Configuration => record.count == 0 && ConfigurationChange::from_bytes(&record.payload).is_ok(),
        };
        if !is_sound {
            return Err(RestoreError::EngineEntryMalformed { index: record.index });
        }
        self.log.append(vec![entry_of(record)]);
        // A leader proposes a change only when the one before is committed, and says so with it. Nobody may stand for
        // election under an older configuration than that: its majority need not meet one of the newest.
        if let Some(committed) = self.log.change_before_last() {
            self.log.release(committed);
        }
        Ok(())
    }

    /// Notes that transactions up to and including `seqno` are known to be committed, as a block's
    /// header says. The engine starts from there and learns the rest from its peers.
    pub fn committed_up_to(&mut self, seqno: Seqno) {
        let mut committed = self.log.applied();
        for index in committed + 1..=self.log.last() {
            let slot = self.log.slot(index).expect("entries not applied yet are in the window");
            if slot.next_seqno() > seqno.0 + 1 {
                break;
            }
            // An entry without transactions is known to be committed only if a later one with some is.
            if slot.count > 0 {
                committed = index;
            }
        }
        self.log.release(committed);
    }

    /// Notes that entry `index` is known to be committed, if the log reaches there.
    pub fn committed_through(&mut self, index: LogIndex) {
        self.log.release(index.0.min(self.log.last()));
    }

    /// Sets the vote as last persisted. A node that never persisted one has seen no view but the
    /// genesis block's.
    pub fn set_vote(&mut self, vote: Vote) {
        self.vote = Some(vote);
    }

    /// The last entry and its view.
    pub fn last(&self) -> (LogIndex, View) {
        (LogIndex(self.log.last()), View(self.log.last_view()))
    }

    /// The last entry known to be committed: `Consensus` tells the ones after it as committed.
    pub fn committed(&self) -> LogIndex {
        LogIndex(self.log.applied())
    }

    /// The vote to start from. Entries and vote are not one write on disk: after a crash between them the log can be
    /// of a view above the vote's. This node then acknowledged nothing in that view, so it is there without having
    /// voted.
    pub fn vote(&self) -> Vote {
        let (_, last_view) = self.last();
        match self.vote {
            Some(vote) if vote.view >= last_view => vote,
            _ => Vote { view: last_view, voted_for: None },
        }
    }

    /// Who takes part as far as the log is known to be committed, if `voters` began it; `None` if a change is no step
    /// from where it stands.
    pub fn configuration(&self, voters: impl IntoIterator<Item = NodeId>) -> Option<Configuration> {
        self.log.configuration_at(&Configuration::of(voters), self.log.applied())
    }

    /// Everyone who has a part in `configuration`, or had or has one at any entry that is not known to be committed.
    pub fn participants(&self, configuration: &Configuration) -> BTreeSet<NodeId> {
        let under_way = self.log.changes_under_way().map(|change| change.node);
        configuration.members().chain(under_way).collect()
    }

    /// The view of entry `index`, if the log reaches there.
    pub fn view(&self, index: LogIndex) -> Option<View> {
        self.log.view(index.0).map(View)
    }
}
