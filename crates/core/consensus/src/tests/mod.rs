//! Tests of the whole value.

use bytes::Bytes;
use synod_types::{LogIndex, NodeId, Seqno, Time, Untrusted, View};

use crate::{Config, Consensus, Effect, EntryKind, LogRecord, Restored, Role};

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

pub(crate) fn voters(count: u64) -> impl Iterator<Item = NodeId> {
    (1..=count).map(NodeId)
}

pub(crate) fn fresh(id: u64, count: u64) -> Consensus {
    let config = Config::new(NodeId(id), voters(count), 42);
    Consensus::new(&config, Restored::new(&genesis()).unwrap(), Time(0)).unwrap()
}

/// Nodes joined by a perfect network and disks that sync at once.
pub(crate) struct Joined {
    pub nodes: Vec<Consensus>,
    pub committed: Vec<Vec<LogRecord>>,
    pub now: Time,
}

impl Joined {
    pub fn new(count: u64) -> Self {
        let nodes = (1..=count).map(|id| fresh(id, count)).collect();
        Self { nodes, committed: vec![vec![genesis()]; count as usize], now: Time(0) }
    }

    /// Carries out effects until there are none.
    pub fn run(&mut self) {
        let mut busy = true;
        while std::mem::take(&mut busy) {
            for i in 0..self.nodes.len() {
                while let Some(effect) = self.nodes[i].poll_effect() {
                    busy = true;
                    match effect {
                        Effect::Send { to, bytes } => {
                            let from = self.nodes[i].id();
                            let peer = &mut self.nodes[to.0 as usize - 1];
                            let admitted = peer.admit(from, Untrusted::new(bytes)).unwrap();
                            peer.step(admitted).unwrap();
                        }
                        Effect::Append(append) => self.nodes[i].persisted(append.number),
                        Effect::Committed { records } => self.committed[i].extend(records),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Lets time pass until one node leads and the others follow it.
    pub fn elect(&mut self) -> usize {
        for _ in 0..1_000 {
            self.now = self.nodes.iter().filter_map(Consensus::poll_timeout).min().unwrap();
            self.nodes.iter_mut().for_each(|node| node.handle_timeout(self.now));
            self.run();
            let leader = self.nodes.iter().position(|node| node.role() == Role::Leader);
            if let Some(leader) = leader
                && self.nodes.iter().all(|node| node.leader() == Some(self.nodes[leader].id()))
            {
                return leader;
            }
        }
        panic!("no leader");
    }

    pub fn propose(&mut self, node: usize, payload: &'static [u8]) -> LogRecord {
        let place = self.nodes[node].place().unwrap();
        let record = LogRecord {
            index: place.index,
            view: place.view,
            kind: EntryKind::Block,
            first_seqno: place.first_seqno,
            count: 2,
            payload: Bytes::from_static(payload),
        };
        self.nodes[node].propose(&record).unwrap();
        record
    }
}

#[test]
fn three_nodes_elect_a_leader_and_commit_what_it_proposes() {
    let mut joined = Joined::new(3);
    let leader = joined.elect();
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
