//! A whole cluster in one value: machines, network, clients and the checkers, moved on by one queue of events.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_node::{Answer, Event, Refusal, Role};
use synod_types::boundary::LogRecord;
use synod_types::{NodeId, RequestId, Time, TxId};

use crate::check::history::History;
use crate::check::truth::Truth;
use crate::check::{Checked, Violation};
use crate::client::Client;
use crate::clock::{Clock, Instant};
use crate::consortium::Consortium;
use crate::disk::Disk;
use crate::governor::Governor;
use crate::network::{Network, Parcel};
use crate::prng::Prng;
use crate::queue::Queue;
use crate::report::Probes;
use crate::site::{Fate, Process, Site};
use crate::swarm::{Decision, Swarm, Trouble};
use crate::trace::Trace;

/// A cluster and its surroundings.
#[derive(Debug)]
pub struct World {
    pub(crate) swarm: Swarm,
    pub(crate) consortium: Arc<Consortium>,
    /// The slots that have a machine.
    pub(crate) slots: Vec<NodeId>,
    pub(crate) governor: Governor,
    pub(crate) now: Instant,
    pub(crate) queue: Queue<Happening>,
    pub(crate) trace: Trace,
    pub(crate) network: Network,
    pub(crate) sites: BTreeMap<NodeId, Site>,
    pub(crate) clients: Vec<Client>,
    pub(crate) truth: Truth,
    pub(crate) history: History,
    pub(crate) probes: Probes,
    pub(crate) chance: Prng,
    pub(crate) node_seeds: Prng,
    pub(crate) tokens: u64,
    pub(crate) healed_at: Option<Instant>,
    /// The latest time of any block that a node has filed.
    pub(crate) latest_block: Time,
}

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Happening {
    /// To a machine.
    At { node: NodeId, incarnation: u64, what: Local },
    /// A message reaches its receiver.
    Arrival(Parcel),
    /// Two nodes try to make a channel.
    Dial(NodeId, NodeId),
    /// A machine is switched on, unless it was meanwhile.
    Start { node: NodeId, incarnation: u64 },
    /// A client does what comes next, unless it did something else meanwhile.
    ClientTurn { client: usize, turn: u64 },
    /// A client hears of its request.
    Told { client: usize, request: usize, result: Result<Answer, Refusal> },
    /// A client's connection is refused or breaks.
    Broken { client: usize, request: usize },
    /// The members do what comes next, unless they did something else meanwhile.
    GovernorTurn { turn: u64 },
    /// Members decide something.
    Decide(Decision),
    /// Something goes wrong.
    Trouble(Trouble),
    /// A partition ends.
    Unblock(Vec<(NodeId, NodeId)>),
    /// A machine loses power.
    PowerFails(NodeId),
    /// The second half of a roll-back.
    RollBack(NodeId),
}

/// Something that happens to a process, and not to a later one on the same machine.
#[derive(Debug)]
pub(crate) enum Local {
    /// A channel stands.
    PeerUp(NodeId),
    /// A channel broke.
    PeerGone(NodeId),
    /// The node asked to be woken.
    Wake(Instant),
    /// The disk ends a step.
    DiskStep,
    /// The worker ends a message.
    WorkerTurn,
    /// A client's request arrives.
    Ask { client: usize, request: usize },
    /// A request of the members arrives.
    Govern { request_id: RequestId },
    /// A client reads at a node, from a snapshot that holds a transaction.
    Look { key: u64, at_least: TxId, patience: u32 },
    /// A client asks a question.
    Question(Question),
}

/// What clients ask besides reads and writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    /// A linearizable read of a key.
    ReadIndex(u64),
    /// What became of a transaction?
    Status(TxId),
    /// The receipt of a transaction.
    Receipt(TxId),
}

impl World {
    /// The cluster of `seed`, as it is before anything happens. `prints`: each event becomes a line on stdout.
    pub fn new(seed: u64, swarm: Swarm, prints: bool) -> Self {
        let consortium = Consortium::of(swarm.nodes, swarm.rules);
        let mut clocks = Prng::new(seed, "clocks");
        let site = |node: &NodeId| {
            let disk_chance = Prng::new(seed ^ (node.0 << 48), "disk");
            let mut disk = Disk::new(consortium.network, &consortium.genesis, swarm.disks, disk_chance);
            disk.set_sabotage(swarm.sabotage);
            (*node, Site::new(*node, clock(&swarm, &mut clocks), disk))
        };
        let newcomers = consortium.reserve.iter().take(usize::try_from(swarm.newcomers).expect("a few"));
        let slots: Vec<_> = consortium.nodes.iter().chain(newcomers).copied().collect();
        let sites: BTreeMap<_, _> = slots.iter().map(site).collect();
        let clients = (0..=swarm.workload.clients)
            .map(|number| {
                Client::new(number, &consortium, &swarm.workload, Prng::new(seed ^ ((number as u64) << 40), "client"))
            })
            .collect();
        let mut world = Self {
            now: Instant(0),
            queue: Queue::default(),
            trace: Trace::new(prints),
            network: Network::new(&slots, swarm.links, Prng::new(seed, "network")),
            sites,
            clients,
            truth: Truth::new(&consortium),
            governor: Governor::new(Prng::new(seed, "governor")),
            history: History::default(),
            probes: Probes::default(),
            chance: Prng::new(seed, "chance"),
            node_seeds: Prng::new(seed, "nodes"),
            tokens: 0,
            healed_at: None,
            latest_block: Time(0),
            slots,
            consortium,
            swarm,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for node in self.consortium.nodes.clone() {
            let at = self.now.plus(self.chance.below(20_000));
            self.queue.push(at, Happening::Start { node, incarnation: 0 });
        }
        for client in 0..self.clients.len() {
            self.queue.push(self.now.plus(self.chance.below(500_000)), Happening::ClientTurn { client, turn: 0 });
        }
        for (at, trouble) in self.swarm.troubles.clone() {
            self.queue.push(Instant(at), Happening::Trouble(trouble));
        }
        for (at, decision) in self.swarm.decisions.clone() {
            self.queue.push(Instant(at), Happening::Decide(decision));
        }
    }

    /// Goes on until `until`.
    ///
    /// # Errors
    /// The first claim that does not hold.
    pub fn run_until(&mut self, until: Instant) -> Checked {
        while self.queue.next_at().is_some_and(|at| at <= until) {
            self.step()?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Goes on until `holds` holds, for `micros` at most; says whether it came to hold.
    ///
    /// # Errors
    /// The first claim that does not hold.
    pub fn run_while_not(&mut self, micros: u64, holds: impl Fn(&Self) -> bool) -> Checked<bool> {
        let until = self.now.plus(micros);
        while !holds(self) {
            if self.queue.next_at().is_none_or(|at| at > until) {
                return Ok(false);
            }
            self.step()?;
        }
        Ok(true)
    }

    /// Lets the next thing happen.
    pub(crate) fn step(&mut self) -> Checked {
        let Some((at, happening)) = self.queue.pop() else { return Ok(()) };
        self.now = at;
        self.probes.events += 1;
        match happening {
            Happening::At { node, incarnation, what } => self.at(node, incarnation, what),
            Happening::Arrival(parcel) => self.arrival(parcel),
            Happening::Dial(a, b) => {
                self.dial(a, b);
                Ok(())
            }
            Happening::Start { node, incarnation } => self.start_if_down(node, incarnation),
            Happening::ClientTurn { client, turn } => {
                self.client_turn(client, turn);
                Ok(())
            }
            Happening::Told { client, request, result } => {
                self.client_told(client, request, &result);
                Ok(())
            }
            Happening::Broken { client, request } => {
                self.client_lost(client, request);
                Ok(())
            }
            Happening::GovernorTurn { turn } => {
                self.governor_turn(turn);
                Ok(())
            }
            Happening::Decide(decision) => {
                if self.healed_at.is_none() {
                    self.decide(decision);
                }
                Ok(())
            }
            Happening::Trouble(trouble) => self.trouble(trouble),
            Happening::Unblock(pairs) => {
                self.unblock(&pairs);
                Ok(())
            }
            Happening::PowerFails(node) => {
                self.lose_power(node);
                Ok(())
            }
            Happening::RollBack(node) => {
                self.roll_back(node);
                Ok(())
            }
        }
    }

    fn at(&mut self, node: NodeId, incarnation: u64, what: Local) -> Checked {
        let site = &self.sites[&node];
        if site.incarnation != incarnation || site.process.is_none() {
            if let Local::Ask { client, request } = what {
                self.break_connection(client, request);
            }
            if let Local::Govern { .. } = what {
                self.break_from_members();
            }
            return Ok(());
        }
        if site.paused_until > self.now {
            let at = site.paused_until;
            self.queue.push(at, Happening::At { node, incarnation, what });
            return Ok(());
        }
        match what {
            Local::PeerUp(peer) => self.event(node, Event::PeerConnected(peer)),
            // What replaced the channel told by itself that the one before is gone.
            Local::PeerGone(peer) if self.network.stands(node, peer) => Ok(()),
            Local::PeerGone(peer) => self.event(node, Event::PeerClosed(peer)),
            Local::Wake(at) => self.wake(node, at),
            Local::DiskStep => self.disk_step(node),
            Local::WorkerTurn => self.worker_turn(node),
            Local::Ask { client, request } => self.ask_arrives(node, client, request),
            Local::Govern { request_id } => self.govern_arrives(node, request_id),
            Local::Look { key, at_least, patience } => self.look(node, key, at_least, patience),
            Local::Question(question) => self.question_arrives(node, question),
        }
    }

    fn arrival(&mut self, parcel: Parcel) -> Checked {
        let site = &self.sites[&parcel.to];
        if site.paused_until > self.now && site.process.is_some() {
            self.queue.push(site.paused_until, Happening::Arrival(parcel));
            return Ok(());
        }
        let Some(parcel) = self.network.arrive(parcel) else { return Ok(()) };
        if let Some(process) = self.process(parcel.to) {
            process.heard.insert(parcel.from, parcel.sent_at);
        }
        let bytes = synod_types::Untrusted::new(parcel.bytes);
        self.event(parcel.to, Event::PeerMessage { from: parcel.from, bytes })
    }

    /// Plans something for the process that runs at `node` now.
    pub(crate) fn plan(&mut self, after: u64, node: NodeId, what: Local) {
        let incarnation = self.sites[&node].incarnation;
        self.queue.push(self.now.plus(after), Happening::At { node, incarnation, what });
    }

    /// The machine of a slot.
    ///
    /// # Panics
    /// If the cluster has no such slot.
    pub(crate) fn site(&mut self, node: NodeId) -> &mut Site {
        self.sites.get_mut(&node).expect("the cluster has this slot")
    }

    pub(crate) fn process(&mut self, node: NodeId) -> Option<&mut Process> {
        self.site(node).process.as_mut()
    }

    /// The instant it is.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The slots that have a machine.
    pub fn nodes(&self) -> &[NodeId] {
        &self.slots
    }

    /// The slots whose node runs.
    pub fn running(&self) -> Vec<NodeId> {
        self.sites.iter().filter(|(_, site)| site.process.is_some()).map(|(node, _)| *node).collect()
    }

    /// The node that leads in the highest view, if any does.
    pub fn leader(&self) -> Option<NodeId> {
        let statuses =
            self.sites.values().filter_map(|site| site.process.as_ref()).map(|process| process.node.status());
        statuses.filter(|status| status.role == Role::Leader).max_by_key(|status| status.view).map(|status| status.id)
    }

    /// The entries that are committed, from index 1 on.
    pub fn committed(&self) -> &[LogRecord] {
        self.truth.committed()
    }

    /// What was asked and told.
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// What happened how often.
    pub const fn probes(&self) -> &Probes {
        &self.probes
    }

    /// The digest of the event log so far.
    pub const fn trace_digest(&self) -> u64 {
        self.trace.digest()
    }

    /// Whether the node of a slot was refused because its disk was rolled back.
    pub fn is_refused(&self, node: NodeId) -> bool {
        matches!(self.sites[&node].fate, Fate::Refused)
    }

    /// Prints a violation into the log, if one is printed.
    pub(crate) fn remark_violation(&self, violation: &Violation) {
        self.trace.remark(self.now, NodeId(0), || violation.to_string());
    }
}

/// A clock within what the swarm allows.
pub(crate) fn clock(swarm: &Swarm, prng: &mut Prng) -> Clock {
    // Often as far as allowed: two such clocks, one each way, are where the most can go wrong.
    let both_ways = |max: u64, prng: &mut Prng| match prng.below(4) {
        0 => -(max as i64),
        1 => max as i64,
        _ => prng.below(2 * max + 1) as i64 - max as i64,
    };
    Clock { ahead: both_ways(swarm.skew_max, prng), gains_ppm: both_ways(swarm.drift_max_ppm, prng) }
}
