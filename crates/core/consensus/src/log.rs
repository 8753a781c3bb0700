//! This node's log as the engine reads it: every entry's view, the recent entries themselves.
//!
//! Views of all entries are kept as runs, since a view spans many entries. Entries are kept in a
//! window that ends at the last one and begins at or before the first that is not applied yet;
//! older ones stay within a bound on bytes, for followers that lag. What lies before the window
//! comes from the ledger, through [`Log::want`] and [`Log::fetched`].

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType};
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::{Configuration, ConfigurationChange, Decode, LogIndex, Seqno, View};

/// See the module's documentation. Indexes run from 1, the genesis block, without gaps.
#[derive(Debug)]
pub(crate) struct Log {
    runs: Vec<Run>,
    window: VecDeque<Slot>,
    window_first: u64,
    window_bytes: usize,
    /// The seqno that follows the entry before the window.
    window_seqno: u64,
    applied: u64,
    /// The changes of the configuration along the log, with their indexes. They are few.
    changes: Vec<(u64, ConfigurationChange)>,
    bytes_max: usize,
    /// Entries from the ledger for lagging followers, oldest fetch first.
    segments: VecDeque<Vec<Entry>>,
    /// What the engine asked for and nobody was asked for yet. Behind a cell because the engine
    /// reads through a shared reference.
    wanted: RefCell<BTreeSet<(u64, u64)>>,
    /// The first indexes of reads that were asked for and not answered.
    reading: BTreeSet<u64>,
}

/// From entry `first` on, up to the next run, entries are of `view`. Runs rise in both.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    view: u64,
}

/// An entry and what a block's header says of its transactions.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub entry: Entry,
    pub first_seqno: u64,
    pub count: u32,
}

impl Slot {
    /// The seqno after the entry's last transaction.
    pub fn next_seqno(&self) -> u64 {
        self.first_seqno + u64::from(self.count)
    }

    /// What `entry` is as a record, given the seqno that comes next where it stands.
    pub fn of(entry: Entry, next_seqno: u64) -> Self {
        let (first_seqno, count) = facts(&entry).unwrap_or((next_seqno, 0));
        Self { entry, first_seqno, count }
    }

    pub fn record(&self) -> LogRecord {
        LogRecord {
            index: LogIndex(self.entry.index),
            view: View(self.entry.term),
            kind: kind(&self.entry),
            first_seqno: Seqno(self.first_seqno),
            count: self.count,
            payload: self.entry.data.clone(),
        }
    }

    fn bytes(&self) -> usize {
        entry_bytes(&self.entry)
    }
}

/// Why records read from the ledger are no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordsRefused {
    /// Nobody waits for records from there.
    #[error("records from entry {from} were not asked for")]
    NotAskedFor {
        /// Where they begin.
        from: LogIndex,
    },
    /// They are not the entries that this log holds there: the host's files are not ours.
    #[error("record {index} of view {view} read from the ledger is not our entry there")]
    NotOurs {
        /// The first record that differs.
        index: LogIndex,
        /// Its view.
        view: View,
    },
}

impl Log {
    /// A log that holds the genesis block, committed and applied.
    pub fn new(genesis: &LogRecord) -> Self {
        let mut log = Self {
            runs: Vec::new(),
            window: VecDeque::new(),
            window_first: 1,
            window_bytes: 0,
            window_seqno: genesis.first_seqno.0,
            applied: 0,
            changes: Vec::new(),
            bytes_max: crate::config::RETAINED_BYTES_MAX,
            segments: VecDeque::new(),
            wanted: RefCell::default(),
            reading: BTreeSet::new(),
        };
        log.append(vec![entry_of(genesis)]);
        log.release(1);
        log
    }

    pub fn last(&self) -> u64 {
        self.window_first + self.window.len() as u64 - 1
    }

    pub fn applied(&self) -> u64 {
        self.applied
    }

    pub fn last_view(&self) -> u64 {
        self.runs.last().expect("the log holds at least the genesis block").view
    }

    /// The view of entry `index`, if the log reaches there.
    pub fn view(&self, index: u64) -> Option<u64> {
        if index > self.last() {
            return None;
        }
        let after = self.runs.partition_point(|run| run.first <= index);
        after.checked_sub(1).map(|run| self.runs[run].view)
    }

    /// The greatest index up to `index` whose view is at most `view`; 0 if there is none.
    ///
    /// What the engine's `find_conflict_by_term` finds by counting down.
    pub fn last_up_to_view(&self, index: u64, view: u64) -> u64 {
        let after = self.runs.partition_point(|run| run.view <= view);
        match (after, self.runs.get(after)) {
            (0, _) => 0,
            (_, Some(next)) => index.min(next.first - 1),
            (_, None) => index,
        }
    }

    /// The entry at `index`, if it is in the window.
    pub fn slot(&self, index: u64) -> Option<&Slot> {
        let place = index.checked_sub(self.window_first)?;
        self.window.get(usize::try_from(place).ok()?)
    }

    /// The seqno that follows entry `index`, for the entry before the window and those in it.
    pub fn next_seqno_after(&self, index: u64) -> Option<u64> {
        if index + 1 == self.window_first { Some(self.window_seqno) } else { self.slot(index).map(Slot::next_seqno) }
    }

    /// The records of `from ..= to`, which lie in the window.
    pub fn records(&self, from: u64, to: u64) -> Vec<LogRecord> {
        (from..=to).map(|i| self.slot(i).expect("entries not applied yet are in the window").record()).collect()
    }

    /// Appends `entries`, which are contiguous, in place of what stands from their first index on.
    /// Returns the first index that was replaced, if any was.
    pub fn append(&mut self, entries: Vec<Entry>) -> Option<u64> {
        let first = entries.first()?.index;
        assert!(first > self.applied, "entry {first} replaces an applied one (applied up to {})", self.applied);
        assert!(first <= self.last() + 1, "entry {first} leaves a gap after {}", self.last());
        let truncated = (first <= self.last()).then_some(first);
        if truncated.is_some() {
            self.truncate(first);
        }
        for entry in entries {
            assert_eq!(entry.index, self.last() + 1, "entries are contiguous");
            self.push(entry);
        }
        truncated
    }

    fn truncate(&mut self, from: u64) {
        while self.last() >= from {
            let slot = self.window.pop_back().expect("entries after the applied ones are in the window");
            self.window_bytes -= slot.bytes();
        }
        while self.runs.last().is_some_and(|run| run.first >= from) {
            self.runs.pop();
        }
        while self.changes.last().is_some_and(|(index, _)| *index >= from) {
            self.changes.pop();
        }
    }

    fn push(&mut self, entry: Entry) {
        if self.runs.last().is_none_or(|run| run.view != entry.term) {
            assert!(self.runs.last().is_none_or(|run| run.view < entry.term), "views rise along the log");
            self.runs.push(Run { first: entry.index, view: entry.term });
        }
        self.changes.extend(change_of(&entry).map(|change| (entry.index, change)));
        let next_seqno = self.window.back().map_or(self.window_seqno, Slot::next_seqno);
        let slot = Slot::of(entry, next_seqno);
        self.window_bytes += slot.bytes();
        self.window.push_back(slot);
    }

    /// What `start`, the configuration that the network began with, has become at entry `index`; `None` if a change
    /// up to there is no step from where it stands.
    pub fn configuration_at(&self, start: &Configuration, index: u64) -> Option<Configuration> {
        let changes = self.changes.iter().take_while(|(at, _)| *at <= index);
        changes.map(|(_, change)| *change).try_fold(start.clone(), |now, change| now.after(change))
    }

    /// The index of the last change but one.
    pub fn change_before_last(&self) -> Option<u64> {
        self.changes.iter().rev().nth(1).map(|(index, _)| *index)
    }

    /// The change of the configuration at entry `index`, if that is one.
    pub fn change_at(&self, index: u64) -> Option<ConfigurationChange> {
        let place = self.changes.binary_search_by_key(&index, |(at, _)| *at).ok()?;
        Some(self.changes[place].1)
    }

    /// The changes of the configuration that are in the log and not applied.
    pub fn changes_under_way(&self) -> impl Iterator<Item = ConfigurationChange> + '_ {
        let under_way = self.changes.iter().rev().take_while(|(index, _)| *index > self.applied);
        under_way.map(|(_, change)| *change)
    }

    /// Whether a change of the configuration is in the log and not applied.
    pub fn is_changing(&self) -> bool {
        self.changes.last().is_some_and(|(index, _)| *index > self.applied)
    }

    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Entries up to `applied` are on disk and the application has them: those that exceed the
    /// bound on bytes leave memory, oldest first.
    pub fn release(&mut self, applied: u64) {
        self.applied = self.applied.max(applied);
        while self.window_bytes > self.bytes_max && self.window_first <= self.applied {
            let slot = self.window.pop_front().expect("window_first <= applied <= last");
            self.window_bytes -= slot.bytes();
            self.window_seqno = slot.next_seqno();
            self.window_first += 1;
        }
    }

    /// Entries `low .. high` from memory, as many as fit `bytes_max` and at least one. `None` if
    /// entry `low` is not in memory.
    pub fn read(&self, low: u64, high: u64, bytes_max: u64) -> Option<Vec<Entry>> {
        if low >= self.window_first {
            let place = usize::try_from(low - self.window_first).ok()?;
            let count = usize::try_from(high.saturating_sub(low)).ok()?;
            return Some(fitting(self.window.range(place..).take(count).map(|slot| &slot.entry), bytes_max));
        }
        let segment = self.segments.iter().find(|segment| covers(segment, low))?;
        let entries = segment.iter().skip_while(|entry| entry.index < low).take_while(|entry| entry.index < high);
        Some(fitting(entries, bytes_max))
    }

    /// Notes that the engine needs entries from `low` on, up to before `high`, from the ledger.
    pub fn want(&self, low: u64, high: u64) {
        if !self.reading.contains(&low) {
            let to = (high - 1).min(low + FETCH_ENTRIES_MAX - 1).min(self.window_first - 1);
            self.wanted.borrow_mut().insert((low, to));
        }
    }

    /// Takes what [`Log::want`] noted; from here on it counts as asked for.
    pub fn take_wanted(&mut self) -> Vec<(u64, u64)> {
        let wanted: Vec<_> = std::mem::take(self.wanted.get_mut()).into_iter().collect();
        let new = wanted.into_iter().filter(|(low, _)| self.reading.insert(*low));
        new.collect()
    }

    /// Whether the engine's next read at `low` finds something in memory.
    pub fn holds(&self, low: u64) -> bool {
        low <= self.last() && (low >= self.window_first || self.segments.iter().any(|segment| covers(segment, low)))
    }

    /// Takes records read from the ledger. None means that they could not be read; the engine asks
    /// again in its own time.
    pub fn fetched(&mut self, from: u64, records: &[LogRecord]) -> Result<(), RecordsRefused> {
        if !self.reading.remove(&from) {
            return Err(RecordsRefused::NotAskedFor { from: LogIndex(from) });
        }
        for (expected, record) in (from..).zip(records) {
            let ours = record.index.0 == expected && self.view(expected) == Some(record.view.0);
            let sound = match record.kind {
                EntryKind::Block => true,
                EntryKind::Engine => record.payload.is_empty(),
                EntryKind::Configuration => ConfigurationChange::from_bytes(&record.payload).is_ok(),
            };
            if !ours || !sound {
                return Err(RecordsRefused::NotOurs { index: record.index, view: record.view });
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        if self.segments.len() == SEGMENTS_MAX {
            self.segments.pop_front();
        }
        self.segments.push_back(records.iter().map(entry_of).collect());
        Ok(())
    }

    /// Drops what was fetched: this node leads no longer.
    pub fn forget_fetched(&mut self) {
        self.segments.clear();
        self.wanted.get_mut().clear();
    }
}

/// The engine's form of `record`.
pub(crate) fn entry_of(record: &LogRecord) -> Entry {
    let mut entry = Entry { term: record.view.0, index: record.index.0, ..Entry::default() };
    match record.kind {
        EntryKind::Engine => {}
        EntryKind::Block => {
            entry.data = record.payload.clone();
            entry.context = context(record.first_seqno.0, record.count);
        }
        EntryKind::Configuration => {
            entry.set_entry_type(EntryType::EntryConfChangeV2);
            entry.data = record.payload.clone();
        }
    }
    entry
}

/// A block's facts as they travel in the engine's entry. An engine entry has none.
pub(crate) fn context(first_seqno: u64, count: u32) -> Bytes {
    let mut context = [0; CONTEXT_BYTES];
    context[..8].copy_from_slice(&first_seqno.to_le_bytes());
    context[8..].copy_from_slice(&count.to_le_bytes());
    Bytes::copy_from_slice(&context)
}

/// First seqno and count of a block; `None` for an engine entry.
pub(crate) fn facts(entry: &Entry) -> Option<(u64, u32)> {
    let context: [u8; CONTEXT_BYTES] = entry.context.as_ref().try_into().ok()?;
    let (first_seqno, count) = context.split_at(8);
    let first_seqno = u64::from_le_bytes(first_seqno.try_into().expect("split at 8"));
    Some((first_seqno, u32::from_le_bytes(count.try_into().expect("four of twelve bytes are left"))))
}

fn kind(entry: &Entry) -> EntryKind {
    if entry.get_entry_type() == EntryType::EntryConfChangeV2 {
        EntryKind::Configuration
    } else if entry.context.len() == CONTEXT_BYTES {
        EntryKind::Block
    } else {
        EntryKind::Engine
    }
}

/// The change that a configuration entry makes; `None` for any other entry.
///
/// The engine looks at such an entry's type and never at its data, which is ours.
pub(crate) fn change_of(entry: &Entry) -> Option<ConfigurationChange> {
    let is_change = kind(entry) == EntryKind::Configuration;
    is_change.then(|| ConfigurationChange::from_bytes(&entry.data).expect("it was checked when it was appended"))
}

fn covers(segment: &[Entry], index: u64) -> bool {
    matches!((segment.first(), segment.last()), (Some(a), Some(b)) if (a.index..=b.index).contains(&index))
}

/// As many of `entries` as fit `bytes_max`, and at least one. After an entry that is no block the next one comes with it:
/// a follower that does not know its leader takes such an entry only with the signed block that follows.
fn fitting<'a>(entries: impl Iterator<Item = &'a Entry>, bytes_max: u64) -> Vec<Entry> {
    let mut taken: Vec<Entry> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        bytes += entry_bytes(entry) as u64;
        if bytes > bytes_max && taken.last().is_some_and(|last| kind(last) == EntryKind::Block) {
            break;
        }
        taken.push(entry.clone());
    }
    taken
}

/// What an entry takes in memory, about.
fn entry_bytes(entry: &Entry) -> usize {
    entry.data.len() + ENTRY_OVERHEAD_BYTES
}

/// A block's first seqno and its count.
const CONTEXT_BYTES: usize = 12;

/// An entry beside its payload: its fields here, and the header of its allocation.
const ENTRY_OVERHEAD_BYTES: usize = 200;

/// The most entries asked of the ledger at once: the reader bounds the bytes, this bounds the rest.
const FETCH_ENTRIES_MAX: u64 = 4_096;

/// How many reads from the ledger are kept: as many followers can lag far behind at once without
/// one's read pushing out another's before it is used.
const SEGMENTS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn block(index: u64, view: u64, first_seqno: u64, count: u32) -> LogRecord {
        LogRecord {
            index: LogIndex(index),
            view: View(view),
            kind: EntryKind::Block,
            first_seqno: Seqno(first_seqno),
            count,
            payload: Bytes::from(vec![index as u8; 1_000]),
        }
    }

    fn engine(index: u64, view: u64, first_seqno: u64) -> LogRecord {
        let kind = EntryKind::Engine;
        LogRecord { kind, payload: Bytes::new(), ..block(index, view, first_seqno, 0) }
    }

    /// Genesis; view 2: engine, blocks of 3 and 1 transactions; view 5: engine, a view's start, a block of 2.
    fn records() -> Vec<LogRecord> {
        vec![
            block(1, 1, 1, 1),
            engine(2, 2, 2),
            block(3, 2, 2, 3),
            block(4, 2, 5, 1),
            engine(5, 5, 6),
            block(6, 5, 6, 0),
            block(7, 5, 6, 2),
        ]
    }

    fn log() -> Log {
        let records = records();
        let mut log = Log::new(&records[0]);
        assert_eq!(log.append(records[1..].iter().map(entry_of).collect()), None);
        log
    }

    #[test]
    fn records_come_back_as_they_went_in_with_seqnos_of_engine_entries_filled_in() {
        let log = log();
        assert_eq!(log.records(1, 7), records());
        assert_eq!((log.last(), log.last_view(), log.applied()), (7, 5, 1));
        assert_eq!(
            (0..=8).map(|i| log.view(i)).collect::<Vec<_>>(),
            [None, Some(1), Some(2), Some(2), Some(2), Some(5), Some(5), Some(5), None]
        );
        assert_eq!((1..=7).map(|i| log.next_seqno_after(i).unwrap()).collect::<Vec<_>>(), [2, 2, 5, 6, 6, 6, 8]);
    }

    #[test]
    fn replacing_entries_says_from_where_and_forgets_their_views() {
        let mut log = log();
        assert_eq!(log.append(vec![entry_of(&engine(4, 6, 5))]), Some(4));
        assert_eq!((log.last(), log.last_view(), log.view(5)), (4, 6, None));
        assert_eq!(log.next_seqno_after(4), Some(5));
        assert_eq!(log.append(vec![entry_of(&block(5, 6, 5, 4))]), None);
        assert_eq!(log.records(3, 5), [block(3, 2, 2, 3), engine(4, 6, 5), block(5, 6, 5, 4)]);
    }

    #[test]
    #[should_panic(expected = "replaces an applied one")]
    fn an_applied_entry_is_never_replaced() {
        let mut log = log();
        log.release(4);
        log.append(vec![entry_of(&engine(4, 6, 5))]);
    }

    #[test]
    fn only_applied_entries_leave_memory_and_only_beyond_the_bound() {
        let mut log = log();
        log.set_bytes_max(3_000);
        log.release(1);
        assert_eq!(log.window_first, 2, "the rest is not applied");
        log.release(6);
        assert!(log.window_bytes <= 3_000);
        assert_eq!((log.window_first, log.window_seqno), (5, 6));
        assert_eq!((log.view(3), log.last(), log.next_seqno_after(4)), (Some(2), 7, Some(6)));
        assert_eq!(log.records(5, 7), records()[4..]);
        log.set_bytes_max(0);
        log.release(7);
        assert_eq!((log.window_first, log.last(), log.last_view()), (8, 7, 5));
        assert_eq!(log.append(vec![entry_of(&block(8, 5, 8, 1))]), None, "an empty window goes on where it ended");
    }

    #[test]
    fn the_last_entry_up_to_a_view_is_what_counting_down_finds() {
        let log = log();
        for index in 0..=7 {
            for view in 0..=6 {
                let counted = (0..=index).rev().find(|i| log.view(*i).unwrap_or(0) <= view).unwrap();
                assert_eq!(log.last_up_to_view(index, view), counted, "{index} {view}");
            }
        }
    }

    #[test]
    fn a_read_takes_at_least_one_entry_and_no_more_than_fit() {
        let log = log();
        let read =
            |low, high, bytes| log.read(low, high, bytes).unwrap().iter().map(|entry| entry.index).collect::<Vec<_>>();
        assert_eq!(read(3, 8, 0), [3]);
        assert_eq!(read(3, 8, 2_400), [3, 4]);
        assert_eq!(read(3, 5, u64::MAX), [3, 4]);
        assert_eq!(read(2, 8, u64::MAX), [2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn entries_that_left_memory_are_asked_for_once_and_served_when_they_come() {
        let mut log = log();
        log.set_bytes_max(0);
        log.release(5);
        assert_eq!(log.read(2, 8, u64::MAX), None);
        log.want(2, 8);
        log.want(2, 8);
        assert_eq!(log.take_wanted(), [(2, 5)]);
        log.want(2, 8);
        assert_eq!(log.take_wanted(), []);
        assert_eq!(log.fetched(3, &records()[2..4]), Err(RecordsRefused::NotAskedFor { from: LogIndex(3) }));
        assert_eq!(log.fetched(2, &records()[1..4]), Ok(()));
        assert!(log.holds(2) && log.holds(4) && !log.holds(5) && log.holds(6) && !log.holds(8));
        let read = log.read(3, 8, u64::MAX).unwrap();
        assert_eq!(read, records()[2..4].iter().map(entry_of).collect::<Vec<_>>());
    }

    #[test]
    fn an_entry_that_nobody_signs_is_read_with_the_block_after_it() {
        let log = log();
        for (place, record) in records().iter().enumerate().skip(1) {
            let read = log.read(record.index.0, 9, 1).unwrap();
            let last = read.last().unwrap();
            assert!(facts(last).is_some() || last.index == log.last(), "from entry {place}");
            assert!(read[..read.len() - 1].iter().all(|entry| facts(entry).is_none()));
        }
    }

    #[test]
    fn records_from_the_ledger_that_are_not_ours_are_refused() {
        let cases = [
            block(3, 2, 2, 3),                                          // another index
            engine(2, 3, 2),                                            // another view
            LogRecord { payload: Bytes::from("x"), ..engine(2, 2, 2) }, // an engine entry with content
        ];
        for record in cases {
            let mut log = log();
            log.set_bytes_max(0);
            log.release(5);
            log.want(2, 8);
            log.take_wanted();
            let refused = RecordsRefused::NotOurs { index: record.index, view: record.view };
            assert_eq!(log.fetched(2, &[record]), Err(refused));
            assert!(!log.holds(2));
        }
    }
}
