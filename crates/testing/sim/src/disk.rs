//! One node's disk and the host's disk thread, as far as a crash can tell them apart.
//!
//! The thread works in steps, in the order in which the host's does: the vote is replaced, records
//! are cut off, files are begun, records are written, and one sync makes them last. A crash may come
//! before any step; what it leaves is for [`crate::medium`] to say. A disk that is opened again syncs what it reads,
//! as the host must: the node counts on it.
//!
//! Files hold the real bytes of [`synod_types::chunk`], and are read with the real scan.

use std::collections::VecDeque;

use bytes::Bytes;
use synod_types::boundary::{Append, EntryKind, LedgerRange, LogRecord, Ticket};
use synod_types::chunk::{Damage, FileHeader, RECORD_OVERHEAD, Scan, Tail, append_record};
use synod_types::{Digest, LogIndex, Seqno, View};

mod reads;

use crate::medium::{Image, Medium};
use crate::prng::Prng;
use crate::sabotage::Sabotage;
use crate::swarm::{Delay, DiskFaults};

/// A disk and the thread that works on it.
#[derive(Debug)]
pub struct Disk {
    network: Digest,
    faults: DiskFaults,
    prng: Prng,
    medium: Medium,
    /// The records on the medium, from index 1 on.
    durable: Vec<Filed>,
    /// The records written since the last sync.
    written: Vec<Filed>,
    /// What was durable until the disk was put back.
    lost: Vec<Filed>,
    sabotage: Option<Sabotage>,
    jobs: VecDeque<Job>,
    steps: VecDeque<Step>,
    has_just_cut: bool,
}

/// How a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its process dies; the machine runs on.
    Process,
    /// The same, in the middle of a write.
    ProcessMidWrite,
    /// The machine loses power.
    Power,
    /// The same, and of what was appended and not synced the first so many bytes are left.
    PowerKeeping(usize),
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
    /// The directory, or the file that was cut, is synced.
    Settle,
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
            sabotage: None,
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
            Step::Vote(_) | Step::Truncate(_) | Step::Begin(_) | Step::Write(_) => faults.write.draw(&mut self.prng),
            Step::Read(..) => 4 * faults.write.draw(&mut self.prng),
            Step::Settle | Step::Sync if self.prng.chance(faults.slow_ppm) => faults.slow.draw(&mut self.prng),
            Step::Settle | Step::Sync => faults.sync.draw(&mut self.prng),
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
        let vote = group.iter().rev().find_map(|append| append.vote.clone()).map(Step::Vote);
        let (late, vote) = match self.sabotage {
            Some(Sabotage::FilesVotesLate) => (vote, None),
            Some(Sabotage::ForgetsVotes) => (None, None),
            _ => (None, vote),
        };
        self.steps.extend(vote);
        let writes = group.iter().any(|append| !append.records.is_empty());
        for append in group {
            self.steps.extend(append.truncate_from.map(Step::Truncate));
            self.steps.extend(append.records.into_iter().map(Step::Write));
        }
        let early = self.sabotage == Some(Sabotage::TellsBeforeSync);
        self.steps.extend(early.then_some(Step::Tell(last)));
        self.steps.extend(writes.then_some(Step::Sync));
        self.steps.extend((!early).then_some(Step::Tell(last)));
        self.steps.extend(late);
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
            Some(Step::Settle) => "disk syncs that",
            Some(Step::Write(_)) => "disk writes",
            Some(Step::Sync) => "disk syncs",
            Some(Step::Tell(_)) => "disk tells",
            Some(Step::Read(..)) => "disk reads",
            None => "disk rests",
        }
    }

    /// Carries out the next step.
    pub fn step(&mut self) -> Option<Done> {
        let settles_cut = self.has_just_cut && matches!(self.steps.front(), Some(Step::Settle));
        self.has_just_cut = settles_cut || matches!(self.steps.front(), Some(Step::Truncate(_)));
        match self.steps.pop_front()? {
            Step::Vote(vote) => {
                self.medium.replace_vote(vote);
                self.steps.push_front(Step::Settle);
            }
            Step::Truncate(from) => {
                self.truncate(from);
                self.steps.push_front(Step::Settle);
            }
            Step::Begin(first) => {
                self.begin(first);
                self.steps.push_front(Step::Settle);
            }
            Step::Settle => self.sync(),
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
        self.medium.last_file().is_none() || self.medium.last_file_size() >= self.faults.chunk_bytes_max
    }

    fn begin(&mut self, first_index: LogIndex) {
        self.sync();
        let header = FileHeader { network: self.network, first_index };
        self.medium.begin(first_index, &header.to_bytes());
    }

    fn write(&mut self, record: LogRecord) {
        assert_eq!(record.index, self.end().next(), "records are filed in order");
        let file = self.medium.last_file().expect("a file was begun");
        let filed = Filed { file, offset: self.medium.last_file_size(), record };
        append_record(&filed.record, self.medium.end());
        self.written.push(filed);
    }

    fn sync(&mut self) {
        self.medium.sync();
        self.durable.append(&mut self.written);
    }

    fn truncate(&mut self, from: LogIndex) {
        self.durable.append(&mut self.written);
        let keep = usize::try_from(from.0 - 1).expect("logs of the simulation are short");
        let Some(first_cut) = self.durable.get(keep).cloned() else { return self.medium.sync() };
        self.durable.truncate(keep);
        self.medium.cut(first_cut.file, first_cut.offset);
        // A file of which only the header is left goes too, unless it is the first.
        if self.durable.last().is_some_and(|last| last.file != first_cut.file) {
            self.medium.drop_last_file();
        }
    }

    /// Whether the last step cut records off.
    pub const fn has_just_cut(&self) -> bool {
        self.has_just_cut
    }

    /// How many bytes were written since the last sync.
    pub const fn unsynced(&self) -> usize {
        self.medium.unsynced()
    }

    /// The node ends; what it had the thread do and what was not done yet is forgotten.
    ///
    /// # Panics
    /// If more bytes are to be kept than were written.
    pub fn end_with(&mut self, ending: Ending) {
        self.jobs.clear();
        self.steps.clear();
        self.has_just_cut = false;
        self.written.clear();
        match ending {
            Ending::Process => {}
            Ending::ProcessMidWrite => self.medium.lose_process(&mut self.prng),
            Ending::Power => self.medium.lose_power(&mut self.prng),
            Ending::PowerKeeping(kept) => self.medium.lose_power_keeping(kept, &mut self.prng),
        }
    }

    /// Reads the medium as a host does that starts: an incomplete write at the end is cut off, and what is left is
    /// synced, because the node will count on it. Also says whether there was one.
    ///
    /// # Errors
    /// If anything but the end of the last file is not as it was written.
    pub fn open(&mut self) -> Result<bool, Damage> {
        let mut found = Vec::new();
        let mut torn = None;
        for (first, bytes) in self.medium.files() {
            let mut scan = Scan::new(bytes)?;
            for placed in &mut scan {
                let placed = placed?;
                found.push(Filed { record: placed.record, file: first, offset: placed.offset });
            }
            if let Tail::Torn { offset } = scan.tail() {
                torn = Some((first, offset));
            }
        }
        if let Some((file, offset)) = torn {
            assert_eq!(self.medium.last_file(), Some(file), "only the last is torn");
            self.medium.cut(file, offset);
        }
        let kept = found.len() >= self.durable.len()
            && self.durable.iter().zip(&found).all(|(before, now)| before.record == now.record);
        assert!(kept, "a crash leaves all that was synced");
        if self.sabotage == Some(Sabotage::SyncsNothingAtStart) {
            self.written = found.split_off(self.count_synced(&found));
            self.durable = found;
        } else {
            self.medium.sync();
            self.durable = found;
        }
        Ok(torn.is_some())
    }

    /// How many of the records found are on the medium.
    fn count_synced(&self, found: &[Filed]) -> usize {
        let end = |filed: &Filed| filed.offset + RECORD_OVERHEAD + filed.record.payload.len();
        let (last, synced) = (self.medium.last_file(), self.medium.synced_size());
        found.partition_point(|filed| Some(filed.file) != last || end(filed) <= synced)
    }

    /// Has the disk or its thread break their contract.
    pub const fn set_sabotage(&mut self, sabotage: Option<Sabotage>) {
        self.sabotage = sabotage;
    }

    /// A copy of all that would survive a crash now.
    pub fn image(&self) -> Image {
        self.medium.image()
    }

    /// Whether records were synced since `image` was taken.
    pub fn went_on_since(&self, image: &Image) -> bool {
        self.medium.differs_from(image)
    }

    /// Puts the medium back to an earlier image; the node is down.
    pub fn put_back(&mut self, image: Image) {
        assert!(self.jobs.is_empty() && self.steps.is_empty(), "disks are exchanged while the node is down");
        self.medium.put_back(image);
        self.lost = std::mem::take(&mut self.durable);
        self.written.clear();
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

    /// From now on a sync takes so long.
    pub const fn slow_syncs(&mut self, micros: u64) {
        self.faults.sync = Delay { min: micros, max: micros };
    }

    /// From now on nothing is slow, crashes or lies.
    pub fn heal(&mut self) {
        self.faults = DiskFaults { chunk_bytes_max: self.faults.chunk_bytes_max, ..DiskFaults::none() };
    }

    /// The vote record.
    pub fn vote(&self) -> Option<Bytes> {
        self.medium.vote().cloned()
    }

    /// The records that a process reads when it starts.
    pub fn readable(&self) -> impl Iterator<Item = &LogRecord> {
        self.records()
    }

    /// The records that a loss of power would leave, at least.
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
        self.medium.named_files()
    }

    fn records(&self) -> impl Iterator<Item = &LogRecord> {
        self.durable.iter().chain(&self.written).map(|filed| &filed.record)
    }

    fn end(&self) -> LogIndex {
        LogIndex((self.durable.len() + self.written.len()) as u64)
    }
}
