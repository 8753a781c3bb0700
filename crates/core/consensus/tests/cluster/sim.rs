//! The simulation: one queue of events in time, and nodes that carry out effects.

use std::collections::BTreeMap;

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use synod_consensus::{Append, Config, Consensus, Effect, EntryKind, LogRecord, Promise, Restored, Role};
use synod_types::{ConfigurationChange, ConfigurationStep, LogIndex, NodeId, Seqno, Time, Untrusted, View};

use crate::checks::{Chain, Promises, fnv, known_committed};
use crate::disk::Disk;
use crate::faults::Faults;

pub struct Sim {
    /// How many of the nodes the network begins with.
    voters: u64,
    rng: ChaCha8Rng,
    faults: Faults,
    now: Time,
    events: BTreeMap<(Time, u64), Event>,
    event_count: u64,
    nodes: Vec<Node>,
    /// Which directed links carry nothing.
    cut: Vec<(NodeId, NodeId)>,
    promises: Promises,
    trace: u64,
    tally: Tally,
}

/// How often what happened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub events: u64,
    pub elections: u64,
    pub committed: u64,
    pub truncations: u64,
    pub crashes: u64,
    pub ledger_reads: u64,
    pub reads_answered: u64,
    pub transfers: u64,
    pub changes: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.elections += other.elections;
        self.committed += other.committed;
        self.truncations += other.truncations;
        self.crashes += other.crashes;
        self.ledger_reads += other.ledger_reads;
        self.reads_answered += other.reads_answered;
        self.transfers += other.transfers;
        self.changes += other.changes;
    }
}

struct Node {
    id: NodeId,
    disk: Disk,
    /// Counts starts; events of an earlier life are void.
    life: u64,
    running: Option<Running>,
    paused_until: Time,
    last_sync: Time,
}

struct Running {
    consensus: Consensus,
    chain: Chain,
    /// What each other node promised since this one runs.
    promises: BTreeMap<NodeId, Promise>,
    /// Reads asked for, and what had been committed then.
    reads: BTreeMap<u64, u64>,
}

#[derive(Debug)]
enum Event {
    Deliver { from: NodeId, to: NodeId, bytes: Bytes },
    Synced { node: NodeId, life: u64, number: u64 },
    LedgerRead { node: NodeId, life: u64, from: LogIndex, to: LogIndex },
    Work { node: NodeId },
    Start { node: NodeId },
    Crash,
    Cut,
    Pause,
    Transfer,
    Change,
}

impl Sim {
    pub fn new((voters, nodes): (u64, u64), seed: u64, faults: Faults) -> Self {
        let node = |id| Node {
            id: NodeId(id),
            disk: Disk::new(genesis()),
            life: 0,
            running: None,
            paused_until: Time(0),
            last_sync: Time(0),
        };
        let mut sim = Self {
            voters,
            rng: ChaCha8Rng::seed_from_u64(seed),
            faults,
            now: Time(1_000_000),
            events: BTreeMap::new(),
            event_count: 0,
            nodes: (1..=nodes).map(node).collect(),
            cut: Vec::new(),
            promises: Promises::new(voters, genesis()),
            trace: fnv(0, seed.to_le_bytes()),
            tally: Tally::default(),
        };
        for id in 1..=nodes {
            sim.start(NodeId(id));
            sim.after(id * 1_000, Event::Work { node: NodeId(id) });
        }
        let Faults { crash_every, cut_every, pause_every, transfer_every, change_every, .. } = sim.faults;
        sim.repeat(crash_every, Event::Crash);
        sim.repeat(cut_every, Event::Cut);
        sim.repeat(pause_every, Event::Pause);
        sim.repeat(transfer_every, Event::Transfer);
        sim.repeat(change_every, Event::Change);
        sim
    }

    pub fn trace(&self) -> u64 {
        self.trace
    }

    pub fn tally(mut self) -> Tally {
        self.tally.elections = self.promises.elections() as u64;
        self.tally.committed = self.promises.committed.len() as u64;
        self.tally.events = self.event_count;
        self.tally
    }

    pub fn run_with_faults(&mut self) {
        self.run_until(self.now.after(FAULTY), |_| false);
    }

    /// Faults stop; then everyone must run, agree, and commit more.
    pub fn heal_and_agree(&mut self) {
        self.faults = self.faults.none();
        self.cut.clear();
        let fault =
            |event: &Event| matches!(event, Event::Crash | Event::Cut | Event::Pause | Event::Transfer | Event::Change);
        self.events.retain(|_, event| !fault(event));
        for node in self.nodes.iter_mut() {
            node.paused_until = self.now;
        }
        for id in (1..=self.nodes.len() as u64).map(NodeId) {
            if self.node(id).running.is_none() {
                self.start(id);
            }
        }
        let goal = self.promises.committed.len() as u64 + 20;
        let agreed = |sim: &Self| sim.members().all(|running| running.chain.committed >= goal);
        self.run_until(self.now.after(HEALING), agreed);
        let committed: Vec<_> = self.running().map(|running| running.chain.committed).collect();
        let configuration = &self.promises.configuration;
        assert!(agreed(self), "not all of {configuration:?} committed entry {goal} in {HEALING:?}: {committed:?}");
    }

    fn run_until(&mut self, end: Time, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let event = self.events.first_key_value().map(|((time, _), _)| *time);
            let wake = self.nodes.iter().filter_map(Node::wake).min();
            let Some(next) = [event, wake].into_iter().flatten().min().filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if wake == Some(next) {
                let node = self.nodes.iter().find(|node| node.wake() == wake).expect("somebody wakes").id;
                self.at(node, |_| ());
            } else {
                let (_, event) = self.events.pop_first().expect("an event comes first");
                self.event_count += 1;
                self.note(1, &[]);
                self.happen(event);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, bytes } => self.deliver(from, to, bytes),
            Event::Synced { node, life, number } => {
                if self.node(node).life == life && self.node(node).running.is_some() {
                    self.node_mut(node).disk.sync(number);
                    self.at(node, |running| running.consensus.persisted(number));
                }
            }
            Event::LedgerRead { node, life, from, to } => self.ledger_read(node, life, from, to),
            Event::Work { node } => {
                let again = 5_000 + self.draw(30_000);
                self.after(again, Event::Work { node });
                self.work(node);
            }
            Event::Start { node } => {
                if self.node(node).running.is_none() {
                    self.start(node);
                }
            }
            Event::Crash => {
                self.repeat(self.faults.crash_every, Event::Crash);
                self.crash();
            }
            Event::Cut => {
                self.repeat(self.faults.cut_every, Event::Cut);
                self.cut();
            }
            Event::Pause => {
                self.repeat(self.faults.pause_every, Event::Pause);
                let until = self.now.after(micros(self.draw(1_500_000)));
                let node = self.any_node();
                self.node_mut(node).paused_until = until;
            }
            Event::Change => {
                self.repeat(self.faults.change_every, Event::Change);
                self.change();
            }
            Event::Transfer => {
                self.repeat(self.faults.transfer_every, Event::Transfer);
                let (node, to) = (self.any_node(), self.any_node());
                if self.at(node, |running| running.consensus.transfer_leadership(to).is_ok()) == Some(true) {
                    self.tally.transfers += 1;
                }
            }
        }
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, bytes: Bytes) {
        if self.node(to).paused_until > self.now {
            let wait = self.node(to).paused_until.since(self.now).as_micros() as u64;
            return self.after(wait, Event::Deliver { from, to, bytes });
        }
        self.at(to, |running| {
            let admitted = running.consensus.admit(from, Untrusted::new(bytes));
            let admitted = admitted.unwrap_or_else(|refused| panic!("{to} refuses {from}: {refused}"));
            running.promises.entry(from).or_default().add(admitted.promise());
            running.chain.verify(admitted.entries());
            running.consensus.step(admitted).unwrap();
        });
    }

    /// Whoever leads adds, promotes or removes a node.
    fn change(&mut self) {
        let (step, node, seen) = (self.draw(5), self.any_node(), self.draw(2) == 0);
        for leader in (1..=self.nodes.len() as u64).map(NodeId) {
            let changed = self.at(leader, |running| {
                let consensus = &mut running.consensus;
                let has_log = consensus.peers().iter().any(|peer| peer.node == node && peer.matched > LogIndex(1));
                let step = match step {
                    0 | 1 if consensus.configuration().voters.len() > 1 => ConfigurationStep::Remove,
                    // A learner that has nothing yet may be promoted too: that only costs time.
                    _ if consensus.configuration().contains(node) && (has_log || seen) => ConfigurationStep::Promote,
                    _ => ConfigurationStep::AddLearner,
                };
                consensus.change_configuration(ConfigurationChange { step, node }).is_ok()
            });
            if changed == Some(true) {
                self.tally.changes += 1;
            }
        }
    }

    /// What the application does from time to time: a leader orders, everyone reads.
    fn work(&mut self, node: NodeId) {
        for _ in 0..self.draw(3) {
            let (count, filler) = (self.draw(4) as u32, self.draw(600) as usize);
            self.at(node, |running| running.order(count, filler));
        }
        if self.draw(3) == 0 {
            let (number, committed) = (self.event_count, self.promises.committed.len() as u64);
            self.at(node, |running| {
                running.reads.insert(number, committed);
                running.consensus.read_index(number).unwrap();
            });
        }
    }

    fn ledger_read(&mut self, node: NodeId, life: u64, from: LogIndex, to: LogIndex) {
        if self.node(node).life != life {
            return;
        }
        self.tally.ledger_reads += 1;
        let (fails, bytes) = (self.draw(10) == 0, 1 + self.draw(3_000) as usize);
        let disk = &self.node(node).disk;
        let mut left = bytes;
        let fits = |record: &&LogRecord| {
            let fits = left > 0 && !fails;
            left = left.saturating_sub(record.payload.len() + 1);
            fits
        };
        let range = &disk.records[from.0 as usize - 1..to.0 as usize];
        let records: Vec<LogRecord> = range.iter().take_while(fits).cloned().collect();
        self.at(node, |running| running.consensus.records_read(from, &records).unwrap());
    }

    /// Has `node` do `what` now, then carries out its effects. `None` if it does not run.
    fn at<T>(&mut self, node: NodeId, what: impl FnOnce(&mut Running) -> T) -> Option<T> {
        let now = self.now;
        let running = self.node_mut(node).running.as_mut()?;
        running.consensus.handle_timeout(now);
        self.carry_out(node);
        let done = what(self.node_mut(node).running.as_mut()?);
        self.carry_out(node);
        Some(done)
    }

    fn carry_out(&mut self, node: NodeId) {
        let mut truncated = None;
        while let Some(effect) = self.node_mut(node).running.as_mut().and_then(|r| r.consensus.poll_effect()) {
            match &effect {
                Effect::Send { to, bytes } => self.note(node.0 << 32 | to.0, bytes),
                other => self.note(node.0, format!("{other:?}").as_bytes()),
            }
            match effect {
                Effect::Send { to, bytes } => self.send(node, to, bytes),
                Effect::Truncated { from } => {
                    self.tally.truncations += 1;
                    truncated = Some(from);
                    self.chain(node).truncate(from);
                }
                Effect::Append(append) => {
                    assert_eq!(append.truncate_from, truncated.take(), "a truncation is told before its append");
                    self.append(node, append);
                }
                Effect::RoleChanged { role: Role::Leader, view, leader } => {
                    assert_eq!(leader, Some(node));
                    self.promises.leads(view, node);
                }
                Effect::RoleChanged { .. } => {}
                Effect::Committed { records } => records.iter().for_each(|record| self.commit(node, record)),
                Effect::ReadReady { context, index } => {
                    self.tally.reads_answered += 1;
                    let committed = self.node_mut(node).running.as_mut().and_then(|r| r.reads.remove(&context));
                    assert!(index.0 >= committed.expect("a read is answered once"), "a stale read");
                }
                Effect::NeedRecords { from, to } => {
                    let (life, wait) = (self.node(node).life, self.draw(20_000));
                    self.after(wait, Event::LedgerRead { node, life, from, to });
                }
            }
        }
    }

    fn append(&mut self, node: NodeId, append: Append) {
        for record in &append.records {
            self.chain(node).push(record.clone());
        }
        let (number, life) = (append.number, self.node(node).life);
        let sync = self.now.after(micros(100 + self.draw(self.faults.sync_max)));
        let this = self.node_mut(node);
        this.disk.write(append);
        this.last_sync = this.last_sync.max(sync);
        let wait = this.last_sync.since(self.now).as_micros() as u64;
        self.after(wait, Event::Synced { node, life, number });
    }

    fn commit(&mut self, node: NodeId, record: &LogRecord) {
        assert!(self.node(node).disk.holds(record), "committed before the own sync");
        self.promises.commits(record);
        let is_safe = self.promises.deciding(record.index).iter().any(|configuration| {
            let voters = || configuration.voters.iter().map(|id| self.node(*id));
            2 * voters().filter(|node| node.disk.holds(record)).count() > voters().count()
        });
        assert!(is_safe, "entry {} is committed and not on a majority's disks", record.index);
        self.chain(node).commits(record);
    }

    fn send(&mut self, from: NodeId, to: NodeId, bytes: Bytes) {
        self.check_synced(from, to, &bytes);
        if self.cut.contains(&(from, to)) || self.draw(1_000) < u64::from(self.faults.lost) {
            return;
        }
        let copies = if self.draw(1_000) < u64::from(self.faults.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let wait = 50 + self.draw(self.faults.delay_max);
            self.after(wait, Event::Deliver { from, to, bytes: bytes.clone() });
        }
    }

    /// An acknowledgement and a vote speak of what is on disk. Offsets: the format's vectors.
    fn check_synced(&mut self, from: NodeId, to: NodeId, bytes: &[u8]) {
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let disk = &self.node(from).disk;
        match bytes[1] {
            2 => assert!(number(10) <= disk.records.len() as u64, "{from} acknowledges what it has not synced"),
            5 if bytes[26..] == [1, 1] => self.check_vote(from, View(number(2)), to),
            // Whoever asks for votes has given itself its own.
            4 if bytes[42] != 0 => self.check_vote(from, View(number(2)), from),
            _ => {}
        }
    }

    fn check_vote(&mut self, node: NodeId, view: View, candidate: NodeId) {
        let vote = self.node(node).disk.vote.expect("a vote is on disk before it is given");
        assert_eq!((vote.view, vote.voted_for), (view, Some(candidate)));
        self.promises.votes(node, view, candidate);
    }

    fn start(&mut self, node: NodeId) {
        let voters = (1..=self.voters).map(NodeId);
        let mut config = Config::new(node, voters, self.rng.next_u64());
        config.retained_bytes_max = self.faults.retained_bytes_max;
        let now = self.now;
        let promises: Vec<_> =
            self.running().filter_map(|peer| Some((peer.consensus.id(), *peer.promises.get(&node)?))).collect();
        let this = self.node_mut(node);
        let mut restored = Restored::new(&this.disk.records[0]).unwrap();
        for record in &this.disk.records[1..] {
            restored.push(record).unwrap();
            if let Some(seqno) = known_committed(record) {
                restored.committed_up_to(seqno);
            }
        }
        this.disk.vote.into_iter().for_each(|vote| restored.set_vote(vote));
        for (witness, promise) in promises {
            let broken = promise.broken_by(witness, restored.vote(), |index| restored.view(index));
            assert_eq!(broken, None, "a sound disk breaks {promise:?} to {witness}");
        }
        this.life += 1;
        this.last_sync = now;
        let chain = Chain::new(this.disk.records.clone(), restored.committed());
        let consensus = Consensus::new(&config, restored, now).unwrap();
        this.running = Some(Running { consensus, chain, promises: BTreeMap::new(), reads: BTreeMap::new() });
        self.carry_out(node);
    }

    fn crash(&mut self) {
        let all = self.draw(8) == 0;
        let chosen = self.any_node();
        let mut rng = self.rng.clone();
        for i in 0..self.nodes.len() {
            let node = &mut self.nodes[i];
            if node.running.is_some() && (all || node.id == chosen) {
                node.running = None;
                node.disk.crash(&mut rng);
                self.tally.crashes += 1;
                let wait = 1_000 + rng.next_u64() % 1_500_000;
                self.after(wait, Event::Start { node: NodeId(i as u64 + 1) });
            }
        }
        self.rng = rng;
    }

    /// Draws new cuts: none, one direction of one link, or the nodes in two parts.
    fn cut(&mut self) {
        self.cut.clear();
        let (kind, a, b, sides) = (self.draw(3), self.any_node(), self.any_node(), self.rng.next_u32());
        let side = |node: NodeId| sides >> node.0 & 1;
        let nodes: Vec<_> = self.nodes.iter().map(|node| node.id).collect();
        match kind {
            0 => {}
            1 => self.cut.push((a, b)),
            _ => {
                let links = nodes.iter().flat_map(|from| nodes.iter().map(move |to| (*from, *to)));
                self.cut.extend(links.filter(|(from, to)| side(*from) != side(*to)));
            }
        }
    }

    fn chain(&mut self, node: NodeId) -> &mut Chain {
        &mut self.node_mut(node).running.as_mut().expect("it runs: it has effects").chain
    }

    /// Those that run and have a part, as far as anyone was told.
    fn members(&self) -> impl Iterator<Item = &Running> {
        let configuration = &self.promises.configuration;
        let members = self.nodes.iter().filter(|node| configuration.contains(node.id));
        members.filter_map(|node| node.running.as_ref())
    }

    fn running(&self) -> impl Iterator<Item = &Running> {
        self.nodes.iter().filter_map(|node| node.running.as_ref())
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize - 1]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize - 1]
    }

    fn any_node(&mut self) -> NodeId {
        NodeId(1 + self.draw(self.nodes.len() as u64))
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.rng.next_u64() % below.max(1)
    }

    fn repeat(&mut self, every: u64, event: Event) {
        if every > 0 {
            let wait = every / 2 + self.draw(every);
            self.after(wait, event);
        }
    }

    fn after(&mut self, wait: u64, event: Event) {
        self.event_count += 1;
        self.events.insert((self.now.after(micros(wait)), self.event_count), event);
    }

    fn note(&mut self, who: u64, what: &[u8]) {
        self.trace = fnv(self.trace, self.now.0.to_le_bytes().into_iter().chain(who.to_le_bytes()));
        self.trace = fnv(self.trace, what.iter().copied());
    }
}

impl Running {
    /// Seals a block for where it goes, if this node leads.
    fn order(&mut self, count: u32, filler: usize) {
        let Ok(place) = self.consensus.place() else { return };
        let record = LogRecord {
            index: place.index,
            view: place.view,
            kind: EntryKind::Block,
            first_seqno: place.first_seqno,
            count,
            payload: self.chain.payload(self.chain.committed_seqno(), filler),
        };
        self.consensus.propose(&record).unwrap();
    }
}

impl Node {
    fn wake(&self) -> Option<Time> {
        let timeout = self.running.as_ref()?.consensus.poll_timeout()?;
        Some(timeout.max(self.paused_until))
    }
}

fn micros(micros: u64) -> std::time::Duration {
    std::time::Duration::from_micros(micros)
}

fn genesis() -> LogRecord {
    LogRecord {
        index: LogIndex(1),
        view: View(1),
        kind: EntryKind::Block,
        first_seqno: Seqno(1),
        count: 1,
        payload: Bytes::from_static(b"genesis"),
    }
}

/// How long a run has faults, and how long it may take to agree after them.
const FAULTY: std::time::Duration = std::time::Duration::from_secs(8);
const HEALING: std::time::Duration = std::time::Duration::from_secs(20);
