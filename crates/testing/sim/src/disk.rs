//! One node's disk and the host's disk thread, as far as a crash can tell them apart.
//!
//! The thread works in steps, in the order in which the host's does: the vote is replaced, records
//! are cut off, files are begun, records are written, and one sync makes them last. A crash may come
//! before any step. What was written and not synced is then there from its front up to some byte,
//! perhaps followed by zeros; everything else is as the steps before left it.
//!
//! Files hold the real bytes of [`synod_types::chunk`], and are read with the real scan.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use synod_types::boundary::{Append, EntryKind, LedgerRange, LogRecord, Ticket};
use synod_types::chunk::{Damage, FileHeader, Scan, Tail, append_record, file_name};
use synod_types::{Digest, LogIndex, Seqno, View};

use crate::prng::Prng;
use crate::swarm::DiskFaults;

/// A disk and the thread that works on it.
#[derive(Debug)]
pub struct Disk {
    network: Digest,
    faults: DiskFaults,
    prng: Prng,
    medium: Medium,
    /// The records on the medium, from index 1 on.
    durable: Vec<Filed>,
    /// The records written since the last sync, and their bytes.
    written: Vec<Filed>,
    /// What was durable until the disk was put back.
    lost: Vec<Filed>,
    unsynced: Vec<u8>,
    jobs: VecDeque<Job>,
    steps: VecDeque<Step>,
    has_just_cut: bool,
}

/// What survives a crash.
#[derive(Clone, Debug, Default)]
pub struct Medium {
    files: BTreeMap<LogIndex, Vec<u8>>,
    vote: Option<Bytes>,
}

/// Work for the disk thread.
#[derive(Debug)]
pub enum Job {
    /// File records and the vote.
    Append(Append),
    /// Read records back.
    Read(Ticket, LedgerRange),
}

/// What the disk thread tells the node.
#[derive(Debug)]
pub enum Done {
    /// This append and all before it are on the medium.
    Persisted(Ticket),
    /// What was read.
    Read(Ticket, Result<Vec<LogRecord>, String>),
}

#[derive(Clone, Debug)]
struct Filed {
    record: LogRecord,
    file: LogIndex,
    offset: usize,
}

#[derive(Debug)]
enum Step {
    Vote(Bytes),
    Truncate(LogIndex),
    Begin(LogIndex),
    Write(LogRecord),
    Sync,
    Tell(Ticket),
    Read(Ticket, LedgerRange),
}

impl Disk {
    /// An empty disk with the genesis block on it.
    pub fn new(network: Digest, genesis: &LogRecord, faults: DiskFaults, prng: Prng) -> Self {
        let mut disk = Self {
            network,
            faults,
            prng,
            medium: Medium::default(),
            durable: Vec::new(),
            written: Vec::new(),
            lost: Vec::new(),
            unsynced: Vec::new(),
            jobs: VecDeque::new(),
            steps: VecDeque::new(),
            has_just_cut: false,
        };
        disk.begin(genesis.index);
        disk.write(genesis.clone());
        disk.sync();
        disk
    }

    /// Queues work. True if the thread was idle, and is to be woken after [`Disk::next_step_takes`].
    pub fn submit(&mut self, job: Job) -> bool {
        let was_idle = self.jobs.is_empty() && self.steps.is_empty();
        self.jobs.push_back(job);
        was_idle
    }

    /// How long the next step takes; `None` if there is nothing to do.
    pub fn next_step_takes(&mut self) -> Option<u64> {
        if self.steps.is_empty() {
            self.form_group();
        }
        let faults = self.faults;
        Some(match self.steps.front()? {
            Step::Tell(_) => 0,
            Step::Write(_) => faults.write.draw(&mut self.prng),
            Step::Read(..) => 4 * faults.write.draw(&mut self.prng),
            Step::Vote(_) | Step::Truncate(_) | Step::Begin(_) | Step::Sync if self.prng.chance(faults.slow_ppm) => {
                faults.slow.draw(&mut self.prng)
            }
            Step::Vote(_) | Step::Truncate(_) | Step::Begin(_) | Step::Sync => faults.sync.draw(&mut self.prng),
        })
    }

    /// Everything queued up to the next read becomes one group with one sync.
    fn form_group(&mut self) {
        let mut group = Vec::new();
        while let Some(Job::Append(append)) = self.jobs.pop_front_if(|job| matches!(job, Job::Append(_))) {
            group.push(append);
        }
        let Some(last) = group.last().map(|append| append.ticket) else {
            if let Some(Job::Read(ticket, range)) = self.jobs.pop_front() {
                self.steps.push_back(Step::Read(ticket, range));
            }
            return;
        };
        self.steps.extend(group.iter().rev().find_map(|append| append.vote.clone()).map(Step::Vote));
        let writes = group.iter().any(|append| !append.records.is_empty());
        for append in group {
            self.steps.extend(append.truncate_from.map(Step::Truncate));
            self.steps.extend(append.records.into_iter().map(Step::Write));
        }
        self.steps.extend(writes.then_some(Step::Sync));
        self.steps.push_back(Step::Tell(last));
    }

    /// Whether the node crashes before the next step.
    pub fn draws_crash(&mut self) -> bool {
        // Cutting is rare, and the moment after it is where the most can go wrong.
        let weight = if self.has_just_cut { 100 } else { 1 };
        self.prng.chance(self.faults.crash_ppm * weight)
    }

    /// The next step, in a word.
    pub fn next_step_name(&self) -> &'static str {
        match self.steps.front() {
            Some(Step::Vote(_)) => "disk replaces the vote",
            Some(Step::Truncate(_)) => "disk cuts records off",
            Some(Step::Begin(_)) => "disk begins a file",
            Some(Step::Write(_)) => "disk writes",
            Some(Step::Sync) => "disk syncs",
            Some(Step::Tell(_)) => "disk tells",
            Some(Step::Read(..)) => "disk reads",
            None => "disk rests",
        }
    }

    /// Carries out the next step.
    pub fn step(&mut self) -> Option<Done> {
        self.has_just_cut = matches!(self.steps.front(), Some(Step::Truncate(_)));
        match self.steps.pop_front()? {
            Step::Vote(vote) => self.medium.vote = Some(vote),
            Step::Truncate(from) => self.truncate(from),
            Step::Begin(first) => self.begin(first),
            Step::Write(record) if self.is_full() => {
                self.steps.push_front(Step::Write(record.clone()));
                self.steps.push_front(Step::Begin(record.index));
            }
            Step::Write(record) => self.write(record),
            Step::Sync => self.sync(),
            Step::Tell(ticket) => return Some(Done::Persisted(ticket)),
            Step::Read(ticket, range) => return Some(Done::Read(ticket, self.read(range))),
        }
        None
    }

    fn is_full(&self) -> bool {
        self.medium
            .files
            .last_key_value()
            .is_none_or(|(_, file)| file.len() + self.unsynced.len() >= self.faults.chunk_bytes_max)
    }

    fn begin(&mut self, first_index: LogIndex) {
        self.sync();
        let header = FileHeader { network: self.network, first_index };
        self.medium.files.insert(first_index, header.to_bytes().to_vec());
    }

    fn write(&mut self, record: LogRecord) {
        assert_eq!(record.index, self.end().next(), "records are filed in order");
        let (file, bytes) = self.medium.files.last_key_value().expect("a file was begun");
        let filed = Filed { file: *file, offset: bytes.len() + self.unsynced.len(), record };
        append_record(&filed.record, &mut self.unsynced);
        self.written.push(filed);
    }

    fn sync(&mut self) {
        if let Some(mut file) = self.medium.files.last_entry() {
            file.get_mut().append(&mut self.unsynced);
        }
        self.durable.append(&mut self.written);
    }

    fn truncate(&mut self, from: LogIndex) {
        self.sync();
        let keep = usize::try_from(from.0 - 1).expect("logs of the simulation are short");
        let Some(first_cut) = self.durable.get(keep).cloned() else { return };
        self.durable.truncate(keep);
        self.medium.files.retain(|first, _| *first <= first_cut.file);
        self.medium.files.get_mut(&first_cut.file).expect("records lie in files").truncate(first_cut.offset);
        // A file of which only the header is left goes too, unless it is the first.
        if self.medium.files.len() > 1 && self.durable.last().is_some_and(|last| last.file != first_cut.file) {
            self.medium.files.remove(&first_cut.file);
        }
    }

    fn read(&mut self, range: LedgerRange) -> Result<Vec<LogRecord>, String> {
        if self.prng.chance(self.faults.read_fails_ppm) {
            return Err("the disk could not be read".into());
        }
        let mut records = self.find(range);
        if self.prng.chance(self.faults.read_lies_ppm) {
            self.falsify(&mut records);
        }
        if records.is_empty() { Err("there is no such record".into()) } else { Ok(records) }
    }

    fn find(&self, range: LedgerRange) -> Vec<LogRecord> {
        let records = self.records().cloned();
        match range {
            LedgerRange::Indexes { from, to, bytes_max } => {
                let mut size = 0;
                let fits = |record: &LogRecord| {
                    size += record.payload.len();
                    record.index == from || size <= bytes_max
                };
                records.filter(|record| (from..=to).contains(&record.index)).take_while(fits).collect()
            }
            LedgerRange::Covering(seqno) => records.filter(|record| covers(record, seqno)).collect(),
        }
    }

    /// What a host hands over that means harm: another record, fewer, an entry without content, or one changed byte.
    fn falsify(&mut self, records: &mut Vec<LogRecord>) {
        match self.prng.below(4) {
            2 => {
                let Some(record) = records.last_mut() else { return };
                (record.kind, record.count, record.payload) = (EntryKind::Engine, 0, Bytes::new());
            }
            0 => {
                let all: Vec<_> = self.records().cloned().collect();
                *records = vec![self.prng.pick(&all).clone()];
            }
            1 => drop(records.pop()),
            _ => {
                let Some(record) = records.last_mut().filter(|record| !record.payload.is_empty()) else { return };
                let mut payload = record.payload.to_vec();
                let at = self.prng.index(payload.len());
                payload[at] ^= 1 << self.prng.below(8);
                record.payload = payload.into();
            }
        }
    }

    /// The node crashes: what was not synced is there in part.
    pub fn crash(&mut self) {
        let unsynced = self.unsynced.len();
        let kept = match self.prng.below(4) {
            0 => 0,
            1 => unsynced,
            _ => self.prng.index(unsynced + 1),
        };
        self.crash_keeping(kept);
    }

    /// Whether the last step cut records off.
    pub const fn has_just_cut(&self) -> bool {
        self.has_just_cut
    }

    /// How many bytes were written since the last sync.
    pub const fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// The node crashes: of what was not synced the first `kept` bytes are there.
    ///
    /// # Panics
    /// If fewer were written.
    pub fn crash_keeping(&mut self, kept: usize) {
        self.jobs.clear();
        self.steps.clear();
        self.has_just_cut = false;
        self.written.clear();
        let unsynced = std::mem::take(&mut self.unsynced);
        let zeros = if self.prng.chance(250_000) { self.prng.index(unsynced.len() - kept + 1) } else { 0 };
        // A single zero in place of the very last byte reads as one changed byte, which is damage by definition. It
        // takes a file whose last byte begins a sector.
        let zeros = if kept + zeros == unsynced.len() && zeros == 1 { 0 } else { zeros };
        if let Some(mut file) = self.medium.files.last_entry() {
            file.get_mut().extend_from_slice(&unsynced[..kept]);
            file.get_mut().extend(std::iter::repeat_n(0, zeros));
        }
    }

    /// Reads the medium as a host does that starts: an incomplete write at the end is cut off. Also says
    /// whether there was one.
    ///
    /// # Errors
    /// If anything but the end of the last file is not as it was written.
    pub fn open(&mut self) -> Result<bool, Damage> {
        let mut durable = Vec::new();
        let mut torn = None;
        for (first, bytes) in &self.medium.files {
            let mut scan = Scan::new(Bytes::copy_from_slice(bytes))?;
            for placed in &mut scan {
                let placed = placed?;
                durable.push(Filed { record: placed.record, file: *first, offset: placed.offset });
            }
            if let Tail::Torn { offset } = scan.tail() {
                torn = Some((*first, offset));
            }
        }
        if let Some((file, offset)) = torn {
            assert_eq!(
                self.medium.files.last_key_value().map(|(first, _)| *first),
                Some(file),
                "only the last is torn"
            );
            self.medium.files.get_mut(&file).expect("just read").truncate(offset);
        }
        let kept = durable.len() >= self.durable.len()
            && self.durable.iter().zip(&durable).all(|(before, now)| before.record == now.record);
        assert!(kept, "a crash leaves all that was synced");
        self.durable = durable;
        Ok(torn.is_some())
    }

    /// A copy of all that would survive a crash now.
    pub fn image(&self) -> Medium {
        self.medium.clone()
    }

    /// Whether records were synced since `image` was taken.
    pub fn went_on_since(&self, image: &Medium) -> bool {
        self.medium.files != image.files
    }

    /// Puts the medium back to an earlier image; the node is down.
    pub fn put_back(&mut self, image: Medium) {
        assert!(self.jobs.is_empty() && self.steps.is_empty(), "disks are exchanged while the node is down");
        self.medium = image;
        self.lost = std::mem::take(&mut self.durable);
        self.written.clear();
        self.unsynced.clear();
    }

    /// The host adds an engine entry to the log; the node is down.
    pub fn forge_engine_entry(&mut self, view: View) {
        self.open().expect("the disk is as a crash left it");
        let last = self.durable.last().expect("a disk holds the genesis block").record.clone();
        self.write(LogRecord {
            index: last.index.next(),
            view,
            kind: EntryKind::Engine,
            first_seqno: Seqno(last.first_seqno.0 + u64::from(last.count)),
            count: 0,
            payload: Bytes::new(),
        });
        self.sync();
    }

    /// From now on so many reads in a million give something else.
    pub const fn lie(&mut self, per_million: u32) {
        self.faults.read_lies_ppm = per_million;
    }

    /// From now on nothing is slow, crashes or lies.
    pub fn heal(&mut self) {
        self.faults = DiskFaults { chunk_bytes_max: self.faults.chunk_bytes_max, ..DiskFaults::none() };
    }

    /// The vote record.
    pub fn vote(&self) -> Option<Bytes> {
        self.medium.vote.clone()
    }

    /// The records that a crash would leave, at least.
    pub fn durable(&self) -> impl Iterator<Item = &LogRecord> {
        self.durable.iter().map(|filed| &filed.record)
    }

    /// The durable record at `index`.
    pub fn durable_at(&self, index: LogIndex) -> Option<&LogRecord> {
        let place = usize::try_from(index.0.checked_sub(1)?).ok()?;
        self.durable.get(place).map(|filed| &filed.record)
    }

    /// Whether the entry at `index` of `view` is durable, or was until the disk was put back.
    pub fn has_held(&self, index: LogIndex, view: View) -> bool {
        [&self.durable, &self.lost].into_iter().any(|records| {
            let place = usize::try_from(index.0.saturating_sub(1)).unwrap_or(usize::MAX);
            records.get(place).is_some_and(|filed| filed.record.view == view)
        })
    }

    /// The files, by name and in order.
    pub fn files(&self) -> impl Iterator<Item = (String, Bytes)> {
        self.medium.files.iter().map(|(first, bytes)| (file_name(*first), Bytes::copy_from_slice(bytes)))
    }

    fn records(&self) -> impl Iterator<Item = &LogRecord> {
        self.durable.iter().chain(&self.written).map(|filed| &filed.record)
    }

    fn end(&self) -> LogIndex {
        LogIndex((self.durable.len() + self.written.len()) as u64)
    }
}

fn covers(record: &LogRecord, seqno: Seqno) -> bool {
    record.first_seqno <= seqno && seqno.0 < record.first_seqno.0 + u64::from(record.count)
}
