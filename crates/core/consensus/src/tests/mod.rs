//! Tests of the whole value: nodes joined by hand, so that each message and each sync can be held back.

mod catch_up;
mod configuration;
mod elections;
mod group_commit;
mod reads;
mod refusals;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use synod_types::{LogIndex, NodeId, Seqno, Time, Untrusted, View};

use crate::{Append, Config, Consensus, Effect, EntryKind, LogRecord, Promise, Restored, Role};

pub(crate) fn genesis() -> LogRecord {
    LogRecord {
        index: LogIndex(1),
        view: View(1),
        kind: EntryKind::Block,
        first_seqno: Seqno(1),
        count: 1,
        payload: Bytes::from_static(b"genesis"),
    }
}

pub(crate) fn config(id: u64, count: u64) -> Config {
    Config::new(NodeId(id), (1..=count).map(NodeId), 42)
}

pub(crate) fn fresh(config: &Config) -> Consensus {
    Consensus::new(config, Restored::new(&genesis()).unwrap(), Time(0)).unwrap()
}

/// Nodes whose network and disks do as told.
pub(crate) struct Joined {
    pub nodes: Vec<Consensus>,
    /// What each was told to be committed, and the log as its appends and truncations made it.
    pub committed: Vec<Vec<LogRecord>>,
    pub logs: Vec<Vec<LogRecord>>,
    pub now: Time,
    /// Nodes that no message reaches or leaves.
    pub cut: Vec<NodeId>,
    /// Nodes whose disks are stuck, and the appends that wait there.
    pub stuck: Vec<NodeId>,
    pub waiting: Vec<VecDeque<Append>>,
    /// What each (first) saw another (second) promise.
    pub promises: BTreeMap<(NodeId, NodeId), Promise>,
    /// Effects of other kinds than sends, appends and commits.
    pub told: Vec<(NodeId, Effect)>,
}

impl Joined {
    pub fn new(count: u64) -> Self {
        Self::with((1..=count).map(|id| config(id, count)))
    }

    pub fn with(configs: impl IntoIterator<Item = Config>) -> Self {
        let nodes: Vec<_> = configs.into_iter().map(|config| fresh(&config)).collect();
        let count = nodes.len();
        Self {
            nodes,
            committed: vec![vec![genesis()]; count],
            logs: vec![vec![genesis()]; count],
            now: Time(0),
            cut: vec![],
            stuck: vec![],
            waiting: vec![VecDeque::new(); count],
            promises: BTreeMap::new(),
            told: vec![],
        }
    }

    pub fn node(&mut self, id: NodeId) -> &mut Consensus {
        &mut self.nodes[id.0 as usize - 1]
    }

    /// All that `witness` saw `node` promise.
    pub fn promised(&self, witness: NodeId, node: NodeId) -> Promise {
        self.promises.get(&(witness, node)).copied().unwrap_or_default()
    }

    /// Carries out effects until there are none.
    pub fn run(&mut self) {
        while let Some(i) = (0..self.nodes.len()).find(|i| self.step(*i)) {
            while self.step(i) {}
        }
    }

    /// Carries out one effect of node `i + 1`.
    fn step(&mut self, i: usize) -> bool {
        let Some(effect) = self.nodes[i].poll_effect() else { return false };
        let from = self.nodes[i].id();
        match effect {
            Effect::Send { to, bytes } => {
                if !self.cut.contains(&from) && !self.cut.contains(&to) {
                    let peer = self.node(to);
                    let admitted = peer.admit(from, Untrusted::new(bytes)).unwrap();
                    let promise = admitted.promise();
                    peer.step(admitted).unwrap();
                    self.promises.entry((to, from)).or_default().add(promise);
                }
            }
            Effect::Append(append) => {
                if let Some(from) = append.truncate_from {
                    self.logs[i].truncate(from.0 as usize - 1);
                }
                self.logs[i].extend(append.records.iter().cloned());
                self.waiting[i].push_back(append);
                if !self.stuck.contains(&from) {
                    self.sync(from);
                }
            }
            Effect::Committed { records } => self.committed[i].extend(records),
            other => self.told.push((from, other)),
        }
        true
    }

    /// Syncs all that waits on `id`'s disk.
    pub fn sync(&mut self, id: NodeId) {
        let last = self.waiting[id.0 as usize - 1].drain(..).next_back();
        if let Some(last) = last {
            self.node(id).persisted(last.number);
        }
    }

    /// Lets time pass to the next timeout of a node that is not cut off, and carries out what follows.
    pub fn tick(&mut self) {
        self.now = self.nodes.iter().filter_map(Consensus::poll_timeout).min().unwrap().max(self.now);
        self.nodes.iter_mut().for_each(|node| node.handle_timeout(self.now));
        self.run();
    }

    pub fn pass(&mut self, millis: u64) {
        let end = self.now.after(std::time::Duration::from_millis(millis));
        while self.nodes.iter().filter_map(Consensus::poll_timeout).min().unwrap() <= end {
            self.tick();
        }
        self.now = end;
        self.nodes.iter_mut().for_each(|node| node.handle_timeout(end));
        self.run();
    }

    /// Lets time pass until one node leads and all that are not cut off follow it.
    pub fn elect(&mut self) -> NodeId {
        for _ in 0..1_000 {
            self.tick();
            let joined = |node: &&Consensus| !self.cut.contains(&node.id());
            let leader = self.nodes.iter().filter(joined).find(|node| node.role() == Role::Leader);
            if let Some(leader) = leader.map(Consensus::id)
                && self.nodes.iter().filter(joined).all(|node| node.leader() == Some(leader))
            {
                return leader;
            }
        }
        panic!("no leader");
    }

    /// A network whose leader is the node returned first; the others follow.
    pub fn elected(count: u64) -> (Self, NodeId, Vec<NodeId>) {
        let mut joined = Self::new(count);
        let leader = joined.elect();
        let others = (1..=count).map(NodeId).filter(|node| *node != leader).collect();
        (joined, leader, others)
    }

    pub fn propose(&mut self, node: NodeId, payload: &'static [u8]) -> LogRecord {
        let record = next_block(self.node(node), payload);
        self.node(node).propose(&record).unwrap();
        record
    }

    pub fn last_committed(&self, node: NodeId) -> &LogRecord {
        self.committed[node.0 as usize - 1].last().unwrap()
    }
}

/// A block of two transactions for where `leader` would take it.
pub(crate) fn next_block(leader: &Consensus, payload: &'static [u8]) -> LogRecord {
    let place = leader.place().unwrap();
    LogRecord {
        index: place.index,
        view: place.view,
        kind: EntryKind::Block,
        first_seqno: place.first_seqno,
        count: 2,
        payload: Bytes::from_static(payload),
    }
}

/// All effects that `node` has now.
pub(crate) fn effects(node: &mut Consensus) -> Vec<Effect> {
    std::iter::from_fn(|| node.poll_effect()).collect()
}

#[test]
fn three_nodes_elect_a_leader_and_commit_what_it_proposes() {
    let (mut joined, leader, _) = Joined::elected(3);
    let one = joined.propose(leader, b"one");
    let two = joined.propose(leader, b"two");
    joined.run();
    assert_eq!((one.first_seqno, two.first_seqno), (Seqno(2), Seqno(4)));
    for committed in &joined.committed {
        assert_eq!(committed.len(), 4, "genesis, the engine's entry, two blocks");
        assert_eq!(committed[1].kind, EntryKind::Engine);
        assert_eq!(committed[2..], [one.clone(), two.clone()]);
    }
}

#[test]
fn a_block_is_taken_only_by_the_leader_and_only_where_it_was_sealed_for() {
    use crate::ProposeError::{NotLeader, NotNext, TooLarge};
    let (mut joined, leader, others) = Joined::elected(3);
    let block = next_block(joined.node(leader), b"block");
    assert_eq!(joined.node(others[0]).propose(&block), Err(NotLeader { leader: Some(leader) }));

    let expected = joined.node(leader).place().unwrap();
    let elsewhere = [
        LogRecord { index: block.index.next(), ..block.clone() },
        LogRecord { view: View(block.view.0 + 1), ..block.clone() },
        LogRecord { first_seqno: block.first_seqno.next(), ..block.clone() },
        LogRecord { kind: EntryKind::Engine, ..block.clone() },
    ];
    for record in elsewhere {
        assert_eq!(joined.node(leader).propose(&record), Err(NotNext { expected }));
    }
    let crowded = LogRecord { count: 4_097, ..block.clone() };
    assert_eq!(joined.node(leader).propose(&crowded), Err(TooLarge { count: 4_097, size: 5 }));
    let large = LogRecord { payload: vec![0; (32 << 20) + 1].into(), ..block.clone() };
    assert!(matches!(joined.node(leader).propose(&large), Err(TooLarge { .. })));

    assert_eq!(joined.node(leader).propose(&block), Ok(()));
    assert!(matches!(joined.node(leader).propose(&block), Err(NotNext { .. })), "its place is taken");
}

#[test]
fn a_message_admitted_before_another_call_is_not_stepped() {
    let (mut joined, leader, others) = Joined::elected(3);
    joined.propose(leader, b"block");
    let sends = effects(joined.node(leader)).into_iter().filter_map(|effect| match effect {
        Effect::Send { to, bytes } if to == others[0] => Some(bytes),
        _ => None,
    });
    let bytes = sends.last().unwrap();
    let follower = joined.node(others[0]);
    let admitted = follower.admit(leader, Untrusted::new(bytes.clone())).unwrap();
    follower.read_index(1).unwrap();
    let last = follower.last();
    assert_eq!(follower.step(admitted), Err(crate::StaleAdmission));
    assert_eq!(follower.last(), last);
    let admitted = follower.admit(leader, Untrusted::new(bytes)).unwrap();
    assert_eq!(admitted.entries().records.len(), 1);
    assert_eq!(follower.step(admitted), Ok(()));
    assert_eq!(follower.last().0, last.0.next());
}

#[test]
fn the_value_can_move_to_another_thread() {
    fn moves<T: Send>() {}
    moves::<Consensus>();
}
