//! What a node keeps beside its log, sealed: its vote, and what a crash or the host could make its log seem to be.
//!
//! The host replaces the record as a whole, and before the records of the same append: see
//! [`synod_types::boundary::Append`]. So whatever state a crash leaves the log in, the record speaks of it.
//!
//! Blocks are signed, and so are, by the next block's chain digest, the engine entries before them. Engine
//! entries at the end of the log are not, and a log that ends in a later view wins elections: a host could
//! lend its node a log by adding one. So a node counts on such an entry only if its record names it.

use synod_consensus::Vote;
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder, LogIndex, View};

use crate::resume::Cut;

/// The record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoteRecord {
    /// The vote.
    pub vote: Vote,
    /// What is being cut off the log.
    pub cut: Option<Cut>,
    /// The engine entries that no committed block of this log follows.
    pub engine_entries: Vec<(LogIndex, View)>,
}

/// The most engine entries in a record. There is one for each change of leader since a block committed, and each
/// leader's first entry after its own is a block.
const ENGINE_ENTRIES_MAX: usize = 1 << 16;

impl VoteRecord {
    /// The first engine entry at the end of a log that the record does not name. `log` is given from its end.
    pub fn stranger<'l>(&self, log: impl Iterator<Item = &'l LogRecord>) -> Option<LogIndex> {
        let trailing = log.take_while(|record| record.kind == EntryKind::Engine);
        let unknown = |record: &&LogRecord| !self.engine_entries.contains(&(record.index, record.view));
        trailing.filter(unknown).last().map(|record| record.index)
    }

    /// Entries are appended.
    pub fn appended(&mut self, records: &[LogRecord]) {
        let engine_entries = records.iter().filter(|record| record.kind == EntryKind::Engine);
        self.engine_entries.extend(engine_entries.map(|record| (record.index, record.view)));
    }

    /// Entries from `from` on, up to the last one of `view` at `index`, are about to be cut off. Engine entries among
    /// them stay named: they may still be on their way to the disk, and a crash may leave the log with them.
    pub fn cuts(&mut self, from: LogIndex, view: View, index: LogIndex) {
        self.cut = Some(Cut { from, view, index }.after(self.cut));
    }

    /// A block is committed, and on this disk: nothing before it can be cut off or torn any more.
    pub fn committed(&mut self, block: LogIndex) {
        self.engine_entries.retain(|(entry, _)| *entry > block);
    }
}

impl Encode for VoteRecord {
    fn encode(&self, out: &mut Encoder) {
        self.vote.view.encode(out);
        self.vote.voted_for.encode(out);
        self.cut.encode(out);
        let first = self.engine_entries.len().saturating_sub(ENGINE_ENTRIES_MAX);
        out.count(self.engine_entries.len() - first);
        for (index, view) in &self.engine_entries[first..] {
            index.encode(out);
            view.encode(out);
        }
    }
}

impl Decode for VoteRecord {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let view = View::decode(input.reading("vote"))?;
        let vote = Vote { view, voted_for: Option::decode(input)? };
        let cut = Option::decode(input)?;
        let count = input.reading("engine entries beside a vote").count(ENGINE_ENTRIES_MAX)?;
        let entry = |_| Ok((LogIndex::decode(input)?, View::decode(input)?));
        Ok(Self { vote, cut, engine_entries: (0..count).map(entry).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use synod_types::{NodeId, Seqno};

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

        kept.cuts(LogIndex(4), View(3), LogIndex(4));
        kept.appended(&[record(4, 4, EntryKind::Engine)]);
        for last in [log[2].clone(), record(4, 4, EntryKind::Engine)] {
            assert_eq!(kept.stranger([&last, &log[1]].into_iter()), None, "either may be what a crash leaves");
        }
        kept.committed(LogIndex(3));
        assert_eq!(kept.engine_entries, [(LogIndex(4), View(3)), (LogIndex(4), View(4))]);
    }

    #[test]
    fn a_record_reads_back_as_written_and_its_beginnings_do_not() {
        let full = VoteRecord {
            vote: Vote { view: View(7), voted_for: Some(NodeId(3)) },
            cut: Some(Cut { from: LogIndex(8), view: View(6), index: LogIndex(9) }),
            engine_entries: vec![(LogIndex(8), View(7)), (LogIndex(9), View(8))],
        };
        for record in [VoteRecord::default(), full] {
            let bytes = record.to_bytes();
            assert_eq!(VoteRecord::from_bytes(&bytes).as_ref(), Ok(&record));
            assert!((0..bytes.len()).all(|end| VoteRecord::from_bytes(&bytes[..end]).is_err()));
        }
    }
}
