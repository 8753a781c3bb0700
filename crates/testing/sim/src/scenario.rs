//! Handles for scenarios: clusters in which one thing goes wrong, at a moment that a test chooses.

use synod_node::{Answer, Status, StopReason};
use synod_types::{LogIndex, NodeId, TxId, View};

use crate::check::Checked;
use crate::check::history::Call;
use crate::consortium::RESERVE;
use crate::disk::Ending;
use crate::medium::Image;
use crate::sabotage::Sabotage;
use crate::swarm::{Delay, Swarm, Workload};
use crate::world::{Local, Question, World};

/// A cluster of `nodes` in which nothing goes wrong by itself, and whose clients do only what they are told.
pub fn calm(nodes: u64) -> World {
    sabotaged(nodes, None)
}

/// The same, with machines that members may add.
pub fn calm_with_newcomers(nodes: u64) -> World {
    world(Swarm { newcomers: RESERVE, ..Swarm::calm(nodes) })
}

/// A calm cluster in which something breaks its contract.
pub fn sabotaged(nodes: u64, sabotage: Option<Sabotage>) -> World {
    world(Swarm { sabotage, ..Swarm::calm(nodes) })
}

fn world(swarm: Swarm) -> World {
    let never = Delay { min: 600_000_000, max: 600_000_000 };
    let workload = Workload { patience: never, ..Workload::none() };
    let swarm = Swarm { workload, ..swarm };
    World::new(swarm.nodes, swarm, std::env::var_os(LOG_VARIABLE).is_some())
}

/// Set in the environment, this prints what happens in scenarios.
const LOG_VARIABLE: &str = "SYNOD_SIM_LOG";

/// A step of a scenario, in microseconds: as long as any step of these may take.
const STEP_MAX: u64 = 15_000_000;

impl World {
    /// Goes on for a while.
    ///
    /// # Panics
    /// If a claim does not hold.
    pub fn run_for(&mut self, micros: u64) {
        let until = self.now().plus(micros);
        let checked = self.run_until(until);
        self.must(checked);
    }

    /// Goes on until `holds` holds.
    ///
    /// # Panics
    /// If it does not come to hold, or a claim does not.
    pub fn run_to(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let checked = self.run_while_not(STEP_MAX, holds);
        assert!(self.must(checked), "it never came that {what}");
    }

    fn must<T>(&self, checked: Checked<T>) -> T {
        checked.unwrap_or_else(|violation| panic!("at {} s: {violation}", self.now()))
    }

    /// Goes on until a node leads, all that run know it, and its first block is on their disks; returns it.
    pub fn await_leader(&mut self) -> NodeId {
        self.run_to("all follow one leader", |world| {
            let leader = world.leader();
            let running = world.running();
            leader.is_some()
                && running.iter().all(|node| world.status(*node).is_some_and(|status| status.leader == leader))
        });
        self.run_for(100_000);
        self.leader().expect("just waited for")
    }

    /// Goes on until a listed node leads, whoever else runs; those that were removed follow nobody. Returns it.
    pub fn await_listed_leader(&mut self) -> NodeId {
        let leads = |world: &Self| world.leader().filter(|leader| world.truth.listed().contains(leader));
        self.run_to("a listed node leads", |world| leads(world).is_some());
        leads(self).expect("just waited for")
    }

    /// Goes on until a node other than `before` leads a later view; returns it.
    pub fn await_successor(&mut self, before: NodeId) -> NodeId {
        self.run_to("another node leads", |world| world.leader().is_some_and(|leader| leader != before));
        self.leader().expect("just waited for")
    }

    /// Goes on until nothing is being decided any more, and consensus has followed.
    pub fn await_decisions(&mut self) {
        self.run_to("what is to be decided is decided and followed", Self::is_followed);
    }

    /// Switches on the machines of all slots that were ever listed.
    pub fn start_newcomers(&mut self) {
        let last = self.truth.last_listed();
        let slots: Vec<_> = self.slots.iter().copied().filter(|slot| slot.0 <= last.0 + 1).collect();
        for node in slots {
            if self.sites[&node].process.is_none() {
                self.start(node);
            }
        }
    }

    /// All nodes that run crash together, and start again after a while.
    pub fn crash_all_for(&mut self, micros: u64) {
        for node in self.running() {
            self.crash_for(node, micros);
        }
    }

    /// The nodes that are listed.
    pub fn listed(&self) -> Vec<NodeId> {
        self.truth.listed().into_iter().collect()
    }

    /// How a node is, if it runs.
    pub fn status(&self, node: NodeId) -> Option<Status> {
        self.sites[&node].process.as_ref().map(|process| process.node.status())
    }

    /// The other nodes.
    pub fn others(&self, node: NodeId) -> Vec<NodeId> {
        self.nodes().iter().copied().filter(|other| *other != node).collect()
    }

    /// A client makes a new request at a node, which writes one message; returns its number.
    pub fn ask_at(&mut self, client: usize, node: NodeId) -> usize {
        let request = self.new_write(client);
        self.ask_again_at(client, request, node);
        request
    }

    /// The same, with a message of the largest size.
    pub fn ask_large_at(&mut self, client: usize, node: NodeId) -> usize {
        let request = self.new_write_of(client, Call::put_large);
        self.ask_again_at(client, request, node);
        request
    }

    /// Somebody asks a node for a linearizable read; whether it sees what was told before is checked when it answers.
    pub fn read_index_at(&mut self, node: NodeId) {
        self.plan(100, node, Local::Question(Question::ReadIndex(0)));
    }

    /// Somebody asks a node for the receipt of a transaction; what it is worth is checked when the scenario ends.
    pub fn receipt_at(&mut self, node: NodeId, txid: TxId) {
        self.plan(100, node, Local::Question(Question::Receipt(txid)));
    }

    /// A client makes a request once more, at a node.
    pub fn ask_again_at(&mut self, client: usize, request: usize, node: NodeId) {
        self.plan(100, node, Local::Ask { client, request });
    }

    /// What a request was answered with.
    pub fn answer(&self, request: usize) -> Option<&Answer> {
        self.history().asked()[request].answer.as_ref()
    }

    /// Goes on until a request is answered.
    pub fn await_answer(&mut self, request: usize) -> Answer {
        self.run_to("the request is answered", |world| world.answer(request).is_some());
        self.answer(request).expect("just waited for").clone()
    }

    /// The last entry on a node's disk.
    pub fn synced(&self, node: NodeId) -> LogIndex {
        self.sites[&node].disk.durable().last().expect("a disk holds the genesis block").index
    }

    /// The view of the last entry on a node's disk.
    pub fn synced_view(&self, node: NodeId) -> View {
        self.sites[&node].disk.durable().last().expect("a disk holds the genesis block").view
    }

    /// Blocks, or opens again, all links between some nodes and some others.
    pub fn part(&mut self, some: &[NodeId], others: &[NodeId], is_parted: bool) {
        let pairs: Vec<_> = some.iter().flat_map(|a| others.iter().flat_map(|b| [(*a, *b), (*b, *a)])).collect();
        if is_parted { self.block(&pairs) } else { self.unblock(&pairs) }
    }

    /// How many bytes a node's disk has written and not synced.
    pub fn unsynced(&self, node: NodeId) -> usize {
        self.sites[&node].disk.unsynced()
    }

    /// Whether a node's disk has cut records off and not yet written others in their place.
    pub fn has_just_cut(&self, node: NodeId) -> bool {
        self.sites[&node].disk.has_just_cut()
    }

    /// A node crashes while its disk writes: of what was not synced, the first `kept` bytes are there.
    pub fn crash_keeping(&mut self, node: NodeId, kept: usize) {
        self.switch_off(node, Ending::PowerKeeping(kept));
    }

    /// A node's machine loses power, and of what its disk had not synced nothing is left.
    pub fn lose_power_of(&mut self, node: NodeId) {
        self.switch_off(node, Ending::PowerKeeping(0));
    }

    /// The process of a node dies; the machine runs on.
    pub fn kill(&mut self, node: NodeId) {
        self.switch_off(node, Ending::Process);
    }

    /// From now on a node's host hands over something else than what it was asked to read, so often in a million times.
    pub fn let_host_lie(&mut self, node: NodeId, per_million: u32) {
        self.site(node).disk.lie(per_million);
    }

    /// From now on a node's disk takes so long to sync.
    pub fn slow_syncs(&mut self, node: NodeId, micros: u64) {
        self.site(node).disk.slow_syncs(micros);
    }

    /// Switches a machine on.
    pub fn start(&mut self, node: NodeId) {
        self.plan_start(1, node);
    }

    /// A copy of what a node's disk holds.
    pub fn disk_image(&self, node: NodeId) -> Image {
        self.sites[&node].disk.image()
    }

    /// Crashes a node, puts its disk back to an image, and starts it again.
    pub fn put_disk_back(&mut self, node: NodeId, image: Image) {
        self.roll_back_to(node, image);
    }

    /// Why a node was refused because of its disk.
    pub fn refusal(&self, node: NodeId) -> Option<StopReason> {
        self.sites[&node].refusal
    }

    /// Blocks both directions between a node and all others.
    pub fn isolate(&mut self, node: NodeId) {
        let pairs = self.pairs_around(node);
        self.block(&pairs);
    }

    /// Opens both directions between a node and all others.
    pub fn rejoin(&mut self, node: NodeId) {
        let pairs = self.pairs_around(node);
        self.unblock(&pairs);
    }

    fn pairs_around(&self, node: NodeId) -> Vec<(NodeId, NodeId)> {
        self.others(node).into_iter().flat_map(|other| [(node, other), (other, node)]).collect()
    }

    /// Ends the scenario as every run ends: all serve, all agree, and the audit finds everything in order.
    ///
    /// # Panics
    /// If a claim does not hold.
    pub fn end_well(mut self) {
        let recovered = self.recover();
        self.must(recovered);
        let outlasted = self.outlast_patience();
        self.must(outlasted);
        let audited = self.audit(0);
        self.must(audited);
    }
}
