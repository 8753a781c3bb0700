//! What a node keeps beside its log, sealed: its vote, and what a crash or the host could make its log seem to be.
//!
//! The host replaces the record as a whole, and before the records of the same append: see
//! [`synod_types::boundary::Append`]. So whatever state a crash leaves the log in, the record speaks of it.
//!
//! Blocks are signed, and so are, by the next block's chain digest, the engine entries before them. Engine
//! entries at the end of the log are not, and a log that ends in a later view wins elections: a host could
//! lend its node a log by adding one. So a node counts on such an entry only if its record names it.
//!
//! Which changes of the configuration are committed no block tells: they are no transactions. Without that a node would
//! count, after a start, on the word of one that has left, and that may be gone. So the record tells. What it tells so is
//! synced, and it says that too: a log that fits the record holds what was committed, and nothing else in its place.
//!
//! The host could also put back an old log beside a new record, or an old record beside a new log. Each record
//! tells up to where the log was synced, and is replaced before anything before that is cut off: so a log that
//! does not reach there is older than its record. And each entry is filed after a record of its view.

use bytes::Bytes;
use synod_consensus::Vote;
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::codec::DecodeReason;
use synod_types::{CONFIGURATION_CHANGE_SIZE, Decode, DecodeError, Decoder, Encode, Encoder, LogIndex, View};

use crate::synced::LogEnd;

/// The record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoteRecord {
    /// The vote.
    pub vote: Vote,
    /// The last entry that was synced, and was not about to be cut off, when this record was sealed.
    pub synced: LogEnd,
    /// The last entry known to be committed when a change of the configuration was.
    pub committed: LogIndex,
    /// The engine's entries, changes of configuration among them, that no committed block of this log follows.
    pub engine_entries: Vec<EngineEntry>,
}

/// An entry without a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineEntry {
    /// Its place.
    pub index: LogIndex,
    /// Its view.
    pub view: View,
    /// What it holds: a change of the configuration, or nothing.
    pub payload: Bytes,
}

impl From<&LogRecord> for EngineEntry {
    fn from(record: &LogRecord) -> Self {
        Self { index: record.index, view: record.view, payload: record.payload.clone() }
    }
}

/// Which of log and record is older than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfStep {
    /// The log lacks what the record says was synced.
    Log,
    /// The log holds what was filed after a later record.
    Record,
}

/// The most engine entries in a record. There is one for each change of leader since a block committed, and each
/// leader's first entry after its own is a block.
const ENGINE_ENTRIES_MAX: usize = 1 << 16;

impl VoteRecord {
    /// Whether a log that ends at `last` and whose entries are of the views that `view_at` tells is of this record's
    /// time, or of a later one.
    pub fn fits(&self, last: LogEnd, view_at: impl Fn(LogIndex) -> Option<View>) -> Result<(), OutOfStep> {
        let (index, view) = self.synced;
        if index > LogIndex(0) && view_at(index) != Some(view) {
            return Err(OutOfStep::Log);
        }
        // The genesis block is there from the beginning; everything else was filed after a vote record of its view.
        if last.0 > LogIndex(1) && last.1 > self.vote.view {
            return Err(OutOfStep::Record);
        }
        Ok(())
    }

    /// The first engine entry at the end of a log that the record does not name. `log` is given from its end.
    pub fn stranger<'l>(&self, log: impl Iterator<Item = &'l LogRecord>) -> Option<LogIndex> {
        let trailing = log.take_while(|record| record.kind != EntryKind::Block);
        let unknown = |record: &&LogRecord| !self.engine_entries.contains(&EngineEntry::from(*record));
        trailing.filter(unknown).last().map(|record| record.index)
    }

    /// Entries are appended. Engine entries that they replace stay named: those may still be on their way to the disk,
    /// and a crash may leave the log with them.
    pub fn appended(&mut self, records: &[LogRecord]) {
        let engine_entries = records.iter().filter(|record| record.kind != EntryKind::Block);
        self.engine_entries.extend(engine_entries.map(EngineEntry::from));
    }

    /// A block is committed, and on this disk: nothing before it can be cut off or torn any more.
    pub fn committed(&mut self, block: LogIndex) {
        self.engine_entries.retain(|entry| entry.index > block);
    }
}

impl Encode for VoteRecord {
    fn encode(&self, out: &mut Encoder) {
        self.vote.view.encode(out);
        self.vote.voted_for.encode(out);
        self.synced.0.encode(out);
        self.synced.1.encode(out);
        self.committed.encode(out);
        let first = self.engine_entries.len().saturating_sub(ENGINE_ENTRIES_MAX);
        out.count(self.engine_entries.len() - first);
        for entry in &self.engine_entries[first..] {
            entry.index.encode(out);
            entry.view.encode(out);
            out.bytes(&entry.payload);
        }
    }
}

impl Decode for VoteRecord {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let view = View::decode(input.reading("vote"))?;
        let vote = Vote { view, voted_for: Option::decode(input)? };
        let synced = (LogIndex::decode(input.reading("synced log end"))?, View::decode(input)?);
        let committed = LogIndex::decode(input.reading("committed entry"))?;
        if committed > synced.0 {
            return Err(input.error(DecodeReason::ValueNotAllowed));
        }
        let count = input.reading("engine entries beside a vote").count(ENGINE_ENTRIES_MAX)?;
        let entry = |_| {
            let (index, view) = (LogIndex::decode(input)?, View::decode(input)?);
            let payload = Bytes::copy_from_slice(input.bytes(CONFIGURATION_CHANGE_SIZE)?);
            Ok(EngineEntry { index, view, payload })
        };
        Ok(Self { vote, synced, committed, engine_entries: (0..count).map(entry).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use synod_types::{ConfigurationChange, ConfigurationStep, NodeId, Seqno};

    use super::*;

    fn record(index: u64, view: u64, kind: EntryKind) -> LogRecord {
        let (index, view) = (LogIndex(index), View(view));
        LogRecord { index, view, kind, first_seqno: Seqno(2), count: 0, payload: Bytes::new() }
    }

    #[test]
    fn an_engine_entry_at_the_end_of_the_log_counts_only_if_this_node_filed_it() {
        let log = [record(2, 2, EntryKind::Engine), record(3, 2, EntryKind::Block), record(4, 3, EntryKind::Engine)];
        let mut kept = VoteRecord::default();
        kept.appended(&log);
        assert_eq!(kept.stranger(log.iter().rev()), None);
        let lent = [&log[..], &[record(5, 9, EntryKind::Engine)]].concat();
        assert_eq!(kept.stranger(lent.iter().rev()), Some(LogIndex(5)));
        let lent = [&log[..2], &[record(4, 9, EntryKind::Engine), record(5, 9, EntryKind::Engine)]].concat();
        assert_eq!(kept.stranger(lent.iter().rev()), Some(LogIndex(4)));
        let covered = [&lent[..], &[record(6, 9, EntryKind::Block)]].concat();
        assert_eq!(kept.stranger(covered.iter().rev()), None, "the block after them vouches for them");

        kept.appended(&[record(4, 4, EntryKind::Engine)]);
        for last in [log[2].clone(), record(4, 4, EntryKind::Engine)] {
            assert_eq!(kept.stranger([&last, &log[1]].into_iter()), None, "either may be what a crash leaves");
        }
        kept.committed(LogIndex(3));
        assert!(kept.engine_entries.iter().map(|entry| (entry.index.0, entry.view.0)).eq([(4, 3), (4, 4)]));
    }

    #[test]
    fn another_change_of_the_configuration_in_the_place_of_the_one_that_was_filed_is_a_stranger() {
        let change = |node| ConfigurationChange { step: ConfigurationStep::Remove, node: NodeId(node) };
        let entry = |node| {
            let payload = Bytes::from(change(node).to_bytes());
            LogRecord { payload, ..record(4, 2, EntryKind::Configuration) }
        };
        let mut kept = VoteRecord::default();
        kept.appended(&[entry(3)]);
        assert_eq!(kept.stranger([&entry(3)].into_iter()), None);
        for other in [entry(2), record(4, 2, EntryKind::Engine)] {
            assert_eq!(kept.stranger([&other].into_iter()), Some(LogIndex(4)));
        }
    }

    #[test]
    fn a_log_and_a_record_of_different_times_are_told_apart() {
        let vote = Vote { view: View(4), voted_for: None };
        let record = VoteRecord { vote, synced: (LogIndex(3), View(2)), ..VoteRecord::default() };
        for (views, fits) in [
            (&[1, 2, 2][..], Ok(())),
            (&[1, 2, 2, 2, 4], Ok(())),
            (&[1, 2], Err(OutOfStep::Log)),
            (&[1, 1, 1, 1], Err(OutOfStep::Log)),
            (&[1, 2, 2, 5], Err(OutOfStep::Record)),
        ] {
            let view_at = |index: LogIndex| views.get(index.0 as usize - 1).map(|view| View(*view));
            let last = (LogIndex(views.len() as u64), View(*views.last().unwrap()));
            assert_eq!(record.fits(last, view_at), fits, "{views:?}");
        }
        let none = VoteRecord::default();
        assert_eq!(none.fits((LogIndex(1), View(1)), |_| None), Ok(()), "a new network");
        assert_eq!(none.fits((LogIndex(2), View(2)), |_| None), Err(OutOfStep::Record));
    }

    #[test]
    fn a_record_reads_back_as_written_and_its_beginnings_do_not() {
        let full = VoteRecord {
            vote: Vote { view: View(7), voted_for: Some(NodeId(3)) },
            synced: (LogIndex(9), View(6)),
            committed: LogIndex(4),
            engine_entries: [(8, 7, &b""[..]), (9, 8, b"\x02\x03\0\0\0\0\0\0\0")]
                .map(|(index, view, payload)| EngineEntry {
                    index: LogIndex(index),
                    view: View(view),
                    payload: Bytes::from_static(payload),
                })
                .to_vec(),
        };
        for record in [VoteRecord::default(), full] {
            let bytes = record.to_bytes();
            assert_eq!(VoteRecord::from_bytes(&bytes).as_ref(), Ok(&record));
            assert!((0..bytes.len()).all(|end| VoteRecord::from_bytes(&bytes[..end]).is_err()));
        }
    }

    /// No node seals one: a log that fits what was synced would be believed beyond it.
    #[test]
    fn a_record_that_tells_of_more_committed_than_it_says_was_synced_is_refused() {
        for (committed, is_read) in [(8, true), (9, true), (10, false), (u64::MAX, false)] {
            let synced = (LogIndex(9), View(6));
            let record = VoteRecord { synced, committed: LogIndex(committed), ..VoteRecord::default() };
            assert_eq!(VoteRecord::from_bytes(&record.to_bytes()).is_ok(), is_read, "{committed}");
        }
    }
}
