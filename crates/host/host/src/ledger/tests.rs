use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use synod_types::boundary::{Append, EntryKind, LedgerRange, LogRecord, Ticket};
use synod_types::{Digest, LogIndex, Seqno, Untrusted, View};
use tempfile::TempDir;

use super::*;

const NETWORK: Digest = Digest([7; 32]);

/// Record `index` of view `view`; every third one is the engine's own and holds no transaction.
fn record(index: u64, view: u64) -> LogRecord {
    let engine = index.is_multiple_of(3);
    LogRecord {
        index: LogIndex(index),
        view: View(view),
        kind: if engine { EntryKind::Engine } else { EntryKind::Block },
        first_seqno: Seqno(1 + 2 * (index - 1 - (index - 1) / 3)),
        count: if engine { 0 } else { 2 },
        payload: if engine { Bytes::new() } else { Bytes::from(vec![index as u8; 100 + index as usize]) },
    }
}

fn records(range: std::ops::RangeInclusive<u64>, view: u64) -> Append {
    Append { records: range.map(|index| record(index, view)).collect(), ..Append::default() }
}

struct World {
    directory: TempDir,
    ledger: Option<Ledger>,
}

impl World {
    /// A ledger whose files hold a few records each.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut world = Self { directory, ledger: None };
        world.reopen().unwrap();
        world
    }

    fn reopen(&mut self) -> Result<(), LedgerError> {
        drop(self.ledger.take());
        let mut ledger = Ledger::open(self.directory.path(), NETWORK, Durability::Disk)?;
        ledger.chunk_bytes_max = 1_000;
        self.ledger = Some(ledger);
        Ok(())
    }

    fn ledger(&mut self) -> &mut Ledger {
        self.ledger.as_mut().unwrap()
    }

    fn write(&mut self, append: Append) {
        self.ledger().write(&[append]).unwrap();
    }

    fn all(&mut self) -> Vec<LogRecord> {
        self.ledger().records().map(|record| open(record.unwrap())).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        let paths = fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "chunk")).collect();
        paths.sort();
        paths
    }

    /// Changes the bytes of file `place`, then opens the directory again.
    fn change(&mut self, place: usize, change: impl FnOnce(&mut Vec<u8>)) -> Result<(), LedgerError> {
        drop(self.ledger.take());
        let path = &self.files()[place];
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
        self.reopen()
    }
}

fn open(record: Untrusted<LogRecord>) -> LogRecord {
    record.check(Ok::<_, ()>).unwrap()
}

fn indexes(from: u64, to: u64, bytes_max: usize) -> LedgerRange {
    LedgerRange::Indexes { from: LogIndex(from), to: LogIndex(to), bytes_max }
}

#[test]
fn records_read_back_across_files_and_restarts() {
    let mut world = World::new();
    for index in 1..=40 {
        world.write(records(index..=index, 1));
    }
    assert!(world.files().len() > 3, "{:?}", world.files());
    for _ in 0..2 {
        assert_eq!(world.all(), records(1..=40, 1).records);
        for (from, to) in [(1, 40), (1, 1), (40, 40), (7, 23), (9, 10)] {
            let read = world.ledger().read(indexes(from, to, usize::MAX)).unwrap();
            assert_eq!(read, records(from..=to, 1).records, "{from}..={to}");
        }
        world.reopen().unwrap();
    }
}

#[test]
fn a_read_gives_at_least_one_record_and_then_what_fits() {
    let mut world = World::new();
    world.write(records(1..=20, 1));
    let count = |world: &mut World, bytes_max| world.ledger().read(indexes(4, 20, bytes_max)).unwrap().len();
    assert_eq!(count(&mut world, 0), 1);
    assert_eq!(count(&mut world, 104 + 105), 3, "the engine's record between them takes nothing");
    assert!(matches!(world.ledger().read(indexes(21, 22, 1)), Err(LedgerError::NoSuchRecord(LogIndex(21)))));
}

#[test]
fn the_block_that_holds_a_transaction_is_found_wherever_it_lies() {
    let mut world = World::new();
    world.write(records(1..=40, 1));
    for record in records(1..=40, 1).records {
        for seqno in record.first_seqno.0..record.first_seqno.plus(record.count.into()).0 {
            let read = world.ledger().read(LedgerRange::Covering(Seqno(seqno))).unwrap();
            assert_eq!(read, std::slice::from_ref(&record), "{seqno}");
        }
    }
    for seqno in [0, 1_000] {
        let result = world.ledger().read(LedgerRange::Covering(Seqno(seqno)));
        assert!(matches!(result, Err(LedgerError::NoSuchTransaction(Seqno(found))) if found == seqno));
    }
}

#[test]
fn regions_of_a_large_file_are_read_alone() {
    let mut world = World::new();
    world.ledger().chunk_bytes_max = usize::MAX;
    let large = |index| LogRecord {
        payload: Bytes::from(vec![index as u8; 30_000]),
        kind: EntryKind::Block,
        ..record(index, 1)
    };
    let all: Vec<_> = (1..=30).map(large).collect();
    world.write(Append { records: all.clone(), ..Append::default() });
    for record in &all {
        let read = world.ledger().read(indexes(record.index.0, record.index.0, 1)).unwrap();
        assert_eq!(read, std::slice::from_ref(record));
    }
    assert_eq!(world.ledger().read(indexes(1, 30, usize::MAX)).unwrap(), all);
}

#[test]
fn truncation_drops_records_across_files_and_new_ones_follow() {
    for from in [2, 7, 8, 9, 19, 20] {
        let mut world = World::new();
        world.write(records(1..=20, 1));
        world.write(Append { truncate_from: Some(LogIndex(from)), ..records(from..=25, 2) });
        let mut expected = records(1..=from - 1, 1).records;
        expected.extend(records(from..=25, 2).records);
        assert_eq!(world.all(), expected, "from {from}");
        let read = world.ledger().read(indexes(1, 25, usize::MAX)).unwrap();
        assert_eq!(read, expected, "from {from}");
        world.reopen().unwrap();
        assert_eq!(world.all(), expected, "from {from}, opened again");
        assert_eq!(world.ledger().next_index(), Some(LogIndex(26)));
    }
}

#[test]
fn one_group_may_append_truncate_and_append_again() {
    let mut world = World::new();
    let last = Append { truncate_from: Some(LogIndex(4)), vote: Some(Bytes::from_static(b"new")), ..records(4..=6, 2) };
    let first = Append { vote: Some(Bytes::from_static(b"old")), ..records(1..=5, 1) };
    world.ledger().write(&[first, records(6..=9, 1), last]).unwrap();
    let expected = [records(1..=3, 1).records, records(4..=6, 2).records].concat();
    assert_eq!(world.all(), expected);
    assert_eq!(world.ledger().vote().unwrap().as_deref(), Some(&b"new"[..]));
}

#[test]
fn a_record_that_does_not_continue_the_ledger_is_refused() {
    let mut world = World::new();
    world.write(records(1..=3, 1));
    for index in [1, 3, 5] {
        let result = world.ledger().write(&[records(index..=index, 1)]);
        assert!(matches!(result, Err(LedgerError::RecordOutOfOrder { .. })), "{index}");
    }
}

#[test]
fn a_torn_tail_is_cut_wherever_the_crash_came_and_nothing_before_it() {
    let mut world = World::new();
    world.write(records(1..=5, 1));
    assert_eq!(world.files().len(), 1);
    let whole = fs::read(&world.files()[0]).unwrap();
    let mut end = whole.len();
    while end > 0 {
        end -= 37.min(end);
        world.change(0, |bytes| *bytes = whole[..end].to_vec()).unwrap();
        let kept = world.all();
        assert_eq!(kept, records(1..=5, 1).records[..kept.len()], "cut at {end}");
        // What comes next continues where the cut was made, and all of it is there after another start.
        let next = kept.len() as u64 + 1;
        world.write(records(next..=6, 2));
        world.reopen().unwrap();
        assert_eq!(world.all().len(), 6, "cut at {end}");
        for file in world.files() {
            fs::remove_file(file).unwrap();
        }
        fs::write(world.directory.path().join(synod_types::chunk::file_name(LogIndex(1))), &whole).unwrap();
    }
}

#[test]
fn damage_is_refused_with_file_and_offset_and_nothing_is_cut() {
    let mut world = World::new();
    world.write(records(1..=20, 1));
    let last = world.files().len() - 1;
    for place in [0, last] {
        let before = fs::metadata(&world.files()[place]).unwrap().len();
        let at = before as usize - 10;
        let error = world.change(place, |bytes| bytes[at] ^= 1).unwrap_err();
        let LedgerError::FileDamaged { path, damage } = &error else { panic!("{error}") };
        assert_eq!(path, &world.files()[place]);
        assert!((damage.offset..damage.offset + damage.size).contains(&at), "{error}");
        assert_eq!(fs::metadata(path).unwrap().len(), before);
        world.change(place, |bytes| bytes[at] ^= 1).unwrap();
    }
}

/// What the operators' guide says to do about it.
#[test]
fn a_last_byte_that_did_not_reach_the_disk_is_damage_until_it_is_cut_off_by_hand() {
    let mut world = World::new();
    world.write(records(1..=5, 1));
    let error = world.change(0, |bytes| *bytes.last_mut().unwrap() = 0).unwrap_err();
    assert!(matches!(error, LedgerError::FileDamaged { .. }), "{error}");
    world.change(0, |bytes| bytes.truncate(bytes.len() - 1)).unwrap();
    assert_eq!(world.all(), records(1..=4, 1).records);
}

#[test]
fn a_file_that_ends_early_before_another_one_is_not_a_torn_tail() {
    let mut world = World::new();
    world.write(records(1..=20, 1));
    let error = world.change(0, |bytes| bytes.truncate(bytes.len() - 1)).unwrap_err();
    assert!(matches!(error, LedgerError::FileCutShort { .. }), "{error}");
}

#[test]
fn a_missing_file_is_noticed() {
    let mut world = World::new();
    world.write(records(1..=40, 1));
    fs::remove_file(&world.files()[1]).unwrap();
    assert!(matches!(world.reopen(), Err(LedgerError::FileOutOfOrder { .. })));
}

#[test]
fn files_of_another_network_are_refused() {
    let mut world = World::new();
    world.write(records(1..=2, 1));
    drop(world.ledger.take());
    let result = Ledger::open(world.directory.path(), Digest([8; 32]), Durability::Disk);
    assert!(matches!(result, Err(LedgerError::NetworkDiffers { .. })));
}

#[test]
fn a_directory_is_used_by_one_process_at_a_time() {
    let mut world = World::new();
    let again = Ledger::open(world.directory.path(), NETWORK, Durability::Disk);
    assert!(matches!(again, Err(LedgerError::DirectoryInUse { .. })));
    world.reopen().unwrap();
}

#[test]
fn what_a_crash_left_of_a_file_being_begun_is_removed() {
    let mut world = World::new();
    world.write(records(1..=2, 1));
    let left = world.directory.path().join("ledger_00000000000000000003.chunk.new");
    fs::write(&left, b"SYN").unwrap();
    world.reopen().unwrap();
    assert!(!left.exists());
    assert_eq!(world.all().len(), 2);
}

#[test]
fn one_group_is_one_ticket() {
    // Shown on the disk thread: three appends and a stop are queued before it starts.
    let mut world = World::new();
    let (jobs, receiver) = std::sync::mpsc::channel();
    for ticket in 1..=3 {
        let append = Append { ticket: Ticket(ticket), ..records(ticket..=ticket, 1) };
        jobs.send(crate::disk::Job::Append(append)).unwrap();
    }
    jobs.send(crate::disk::Job::Read(Ticket(9), indexes(3, 3, 1))).unwrap();
    jobs.send(crate::disk::Job::Stop).unwrap();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink_seen = std::sync::Arc::clone(&seen);
    let sink: crate::network::Sink = std::sync::Arc::new(move |message| sink_seen.lock().unwrap().push(message));
    crate::disk::run(world.ledger.take().unwrap(), &receiver, &sink).unwrap();
    let seen = seen.lock().unwrap();
    use synod_types::boundary::ToEnclave::{LedgerRead, Persisted};
    assert!(
        matches!(&seen[..], [Persisted { ticket: Ticket(3) }, LedgerRead { ticket: Ticket(9), records: Ok(read) }] if read.len() == 1),
        "{seen:?}"
    );
}

#[test]
fn a_failed_write_ends_the_disk_thread_without_a_word_of_success() {
    let mut world = World::new();
    world.write(records(1..=1, 1));
    let (jobs, receiver) = std::sync::mpsc::channel();
    jobs.send(crate::disk::Job::Append(records(2..=2, 1))).unwrap();
    drop(jobs);
    // The file is replaced by a directory, so that it cannot be opened for appending.
    world.reopen().unwrap();
    let path = world.files()[0].clone();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let sink: crate::network::Sink = std::sync::Arc::new(|message| panic!("{message:?}"));
    assert!(matches!(crate::disk::run(world.ledger.take().unwrap(), &receiver, &sink), Err(LedgerError::Io { .. })));
}

#[test]
fn what_a_dead_process_left_unsynced_survives_a_loss_of_power_once_a_start_counts_on_it() {
    // Each row leaves bytes that no sync has covered, as a killed process does; then comes a start, then a loss of power.
    type Leave = fn(&mut Ledger);
    let rows: [(&str, u64, Leave); 4] = [
        ("records at the end of the last file", 7, |ledger| {
            records(6..=7, 1).records.iter().for_each(|record| ledger.append(record).unwrap());
            ledger.flush().unwrap();
        }),
        ("files that are all new", 40, |ledger| {
            ledger.durability = Durability::Memory;
            ledger.write(&[records(6..=40, 1)]).unwrap();
        }),
        ("a vote", 5, |ledger| vote::replace(&ledger.directory, b"second", Durability::Memory).unwrap()),
        ("a cut", 3, |ledger| {
            ledger.durability = Durability::Memory;
            ledger.truncate(LogIndex(4)).unwrap();
        }),
    ];
    for (name, last, leave) in rows {
        let mut world = World::new();
        world.write(Append { vote: Some(Bytes::from_static(b"first")), ..records(1..=5, 1) });
        leave(world.ledger());
        world.reopen().unwrap();
        let (found, vote) = (world.all(), world.ledger().vote().unwrap());
        assert_eq!(found.len() as u64, last, "{name}");
        drop(world.ledger.take());
        sync::safe::lose_power(world.directory.path());
        world.reopen().unwrap();
        assert_eq!((world.all(), world.ledger().vote().unwrap()), (found, vote), "{name}");
    }
}

#[test]
fn the_disk_of_these_tests_forgets_what_was_not_synced() {
    let mut world = World::new();
    world.write(records(1..=5, 1));
    records(6..=7, 1).records.iter().for_each(|record| world.ledger().append(record).unwrap());
    world.ledger().flush().unwrap();
    drop(world.ledger.take());
    sync::safe::lose_power(world.directory.path());
    world.reopen().unwrap();
    assert_eq!(world.all(), records(1..=5, 1).records);
}
