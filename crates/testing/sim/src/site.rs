//! One machine: a clock, a disk, and the process that runs on it, if it runs.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use synod_node::{Action, Config, Event, Node, QueryAnswer, Refusal, Response, Start, StopReason};
use synod_types::{LogIndex, NodeId, RequestId, Seqno, Time, TxId, Untrusted, View};
use synod_worker::{BlockEnv, Executed, Reader, ToWorker, Worker};

use crate::check::{Checked, violated};
use crate::clock::{Clock, Instant};
use crate::consortium::{Consortium, kits, session_keys};
use crate::disk::{Disk, Ending};
use crate::medium::Image;

/// A machine.
#[derive(Debug)]
pub struct Site {
    /// The slot.
    pub id: NodeId,
    /// Its clock.
    pub clock: Clock,
    /// Its disk.
    pub disk: Disk,
    /// What runs on it.
    pub process: Option<Process>,
    /// Counts the starts, so that what was meant for one process does not reach the next.
    pub incarnation: u64,
    /// Until when the machine stands still.
    pub paused_until: Instant,
    /// What becomes of it.
    pub fate: Fate,
    /// Why it was refused.
    pub refusal: Option<StopReason>,
    last_shown: Time,
}

/// What a process is told at its start.
#[derive(Clone, Copy, Debug)]
pub struct StartFacts {
    /// Its randomness.
    pub seed: [u8; 32],
    /// How many bytes of committed entries it keeps in memory.
    pub retained_bytes_max: usize,
}

/// What becomes of a machine.
#[derive(Debug)]
pub enum Fate {
    /// It runs, or will run again.
    Honest,
    /// Its disk will be put back.
    ToBeRolledBack {
        /// To this image.
        image: Image,
        /// If these processes, of these incarnations, are there until then.
        witnesses: Vec<(NodeId, u64)>,
        /// When its disk first held more than the image.
        went_on_at: Option<Instant>,
    },
    /// Its disk was put back: it must be refused.
    RolledBack,
    /// Its host added to its log: it must not start.
    Forged,
    /// It was refused, as it should be, and stays down.
    Refused,
}

/// A running node with its worker.
pub struct Process {
    /// The node.
    pub node: Node,
    worker: Worker,
    /// What sessions read from.
    pub reader: Reader,
    /// What waits for the worker, and what waits behind that.
    pub queue: VecDeque<Item>,
    /// When the node will next be woken.
    pub wake_at: Option<Instant>,
    /// How often it was woken in a row and still wanted to be woken at once.
    pub spins: u32,
    /// The last entry that it said is committed.
    pub committed: LogIndex,
    /// Its log, as it has appended it, synced or not.
    pub log: BTreeMap<LogIndex, View>,
    /// The last transaction that it said is committed.
    pub told: Seqno,
    /// The facts of the block that the worker was last told to execute.
    pub executes: Option<BlockEnv>,
    /// When each peer sent what was last heard from it.
    pub heard: BTreeMap<NodeId, Instant>,
    /// Who waits for which token.
    pub sessions: BTreeMap<u64, Session>,
}

/// What goes to the worker, in order; what is not for it goes on to the sessions once all before it is handled.
#[derive(Debug)]
pub enum Item {
    /// For the worker.
    Message(ToWorker),
    /// For sessions: everything up to this transaction had been said to be committed before.
    Respond(Vec<Response>, Seqno),
    /// For a session.
    Answer(u64, Result<QueryAnswer, Refusal>),
    /// For those who wait for a commit.
    Committed(TxId),
}

/// Who waits behind a token.
#[derive(Clone, Copy, Debug)]
pub enum Session {
    /// A client, for its request.
    Write {
        /// Which client.
        client: usize,
        /// Which request.
        request: usize,
    },
    /// The members, for their request.
    Govern {
        /// Which.
        request_id: RequestId,
    },
    /// A client that wants to read what everyone was told.
    ReadIndex {
        /// The key to read.
        key: u64,
        /// The last transaction that anyone had been told of.
        floor: Seqno,
    },
    /// A client that asks what became of a transaction.
    Status(TxId),
    /// A client that wants a receipt.
    Receipt(TxId),
}

impl Site {
    /// A machine with only the genesis block on its disk, switched off.
    pub const fn new(id: NodeId, clock: Clock, disk: Disk) -> Self {
        Self {
            id,
            clock,
            disk,
            process: None,
            incarnation: 0,
            paused_until: Instant(0),
            fate: Fate::Honest,
            refusal: None,
            last_shown: Time(0),
        }
    }

    /// What the clock shows: never less than before.
    pub fn shows(&mut self, now: Instant) -> Time {
        self.last_shown = self.last_shown.max(self.clock.shows(now));
        self.last_shown
    }

    /// Whether it runs or will run again.
    pub const fn takes_part(&self) -> bool {
        !matches!(self.fate, Fate::Refused)
    }

    /// Reads the disk and starts a process; returns what the node wants done first, and whether the disk was torn.
    ///
    /// # Errors
    /// If the node does not start from what a crash left.
    pub fn start(&mut self, now: Instant, consortium: &Consortium, facts: StartFacts) -> Checked<(Vec<Action>, bool)> {
        let refused = |why: String| violated("a node starts from what a crash left", why);
        let torn = match self.disk.open() {
            Ok(torn) => torn,
            Err(damage) => return refused(format!("disk of node {}: {damage}", self.id)),
        };
        self.incarnation += 1;
        // A clock may be set back while the machine is off.
        self.last_shown = self.clock.shows(now);
        let shown = self.last_shown;
        let disk = &self.disk;
        let id = self.id;
        let started = caught(id, || start(id, shown, disk, consortium, facts))?;
        match started {
            Ok((process, actions)) => {
                self.process = Some(process);
                Ok((actions, torn))
            }
            Err(error) => refused(format!("node {id}: {error:?}")),
        }
    }

    /// The process ends at once; its disk keeps what such an end leaves. Returns who waited.
    pub fn end(&mut self, ending: Ending) -> Vec<Session> {
        self.disk.end_with(ending);
        let sessions = self.process.take().map(|process| process.sessions);
        sessions.into_iter().flatten().map(|(_, session)| session).collect()
    }

    /// The node handles one event.
    ///
    /// # Errors
    /// If it panics.
    pub fn handle(&mut self, now: Instant, event: Event) -> Checked {
        let shown = self.shows(now);
        let Some(process) = &mut self.process else { return Ok(()) };
        caught(self.id, || process.node.handle(shown, event))
    }

    /// The worker handles one message.
    ///
    /// # Errors
    /// If it panics.
    pub fn work(&mut self, message: ToWorker) -> Checked<Option<Executed>> {
        let Some(process) = &mut self.process else { return Ok(None) };
        caught(self.id, || process.worker.handle(message))
    }
}

fn start(
    id: NodeId,
    shown: Time,
    disk: &Disk,
    consortium: &Consortium,
    facts: StartFacts,
) -> Result<(Process, Vec<Action>), synod_node::StartError> {
    let config = Config {
        id,
        node_key: consortium.node_key(id),
        service_key: consortium.service_key(),
        session_keys: session_keys(),
        seed: facts.seed,
        times: None,
    };
    let mut records = disk.readable().cloned().map(Untrusted::new);
    let genesis = records.next().expect("a disk holds the genesis block");
    let mut start = Start::new(config, genesis)?;
    start.retain(facts.retained_bytes_max);
    for record in records {
        start.push(record)?;
    }
    let mut actions: Vec<_> = std::iter::from_fn(|| start.poll_action()).collect();
    let mut node = start.finish(shown, disk.vote().map(Untrusted::new))?;
    actions.extend(std::iter::from_fn(|| node.poll_action()));
    let worker = Worker::new(&kits());
    let process = Process {
        node,
        reader: worker.reader(),
        worker,
        queue: VecDeque::new(),
        wake_at: None,
        spins: 0,
        committed: LogIndex(0),
        log: disk.readable().map(|record| (record.index, record.view)).collect(),
        told: Seqno(0),
        executes: None,
        heard: BTreeMap::new(),
        sessions: BTreeMap::new(),
    };
    Ok((process, actions))
}

/// Runs code of the node: its panic is a finding, not the end of the simulation.
fn caught<T>(node: NodeId, run: impl FnOnce() -> T) -> Checked<T> {
    catch_unwind(AssertUnwindSafe(run)).or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        violated("no input stops a node", format!("node {node} panicked: {}", text.unwrap_or("without a word")))
    })
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("status", &self.node.status()).finish_non_exhaustive()
    }
}
