//! A restarted node resumes its slot only if its disk still holds what its peers saw it acknowledge.
//!
//! A node's word (an acknowledged entry, a vote) counts in quorums, so a disk that the host rolled
//! back must not speak again under the same slot. A starting node therefore tells its peers where
//! its log ends and hears what they remember. A peer that has been up saw acknowledgements and
//! votes and tells them; a peer that is itself starting remembers nothing and says so. The node
//! resumes once all have answered, or once so many have that they and itself are a quorum and
//! [`LAST_ANSWERS_WAIT`] has passed; and if nobody saw more than the disk holds. Whoever has not
//! answered by then is asked again when its channel stands: better late than never.
//!
//! Who "all" are may have changed while the node was away, so each answer names those whom its sender knows of, and the
//! answer that knows most of the ledger counts.
//!
//! It takes all, not a quorum, because an acknowledgement is seen by the leader at once and by the others only a
//! little later. If all start together, nobody remembers anything and they simply elect: SECURITY.md states
//! what a quorum of rolled-back disks could do.
//!
//! A crash must not make an honest disk look like one that was rolled back: see [`Promise`] for what is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use synod_consensus::{Broken, Promise, Vote};
use synod_types::{LogIndex, NodeId, Time, View};

use crate::event::StopReason;
use crate::synced::LogEnd;

/// How often a starting node asks again: a question may be lost with its channel.
pub const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How long a starting node waits for the last answers, once it has heard from a quorum: a channel is made
/// within this time if the peer is there, and a start while a peer is down takes this much longer.
pub const LAST_ANSWERS_WAIT: Duration = Duration::from_secs(1);

/// What this node saw the others promise, since it started.
#[derive(Debug, Default)]
pub struct Memory(BTreeMap<NodeId, Promise>);

impl Memory {
    /// What `node` promised.
    pub fn of(&self, node: NodeId) -> Promise {
        self.0.get(&node).copied().unwrap_or_default()
    }

    /// Notes what `node` promised besides.
    pub fn note(&mut self, node: NodeId, promise: Promise) {
        self.0.entry(node).or_default().add(promise);
    }
}

/// The vote and the log that a node can be held to: its disk's at a start, its own while it runs.
pub struct Standing<'a> {
    /// This node.
    pub node: NodeId,
    /// Its vote.
    pub vote: Vote,
    /// The end of its log.
    pub last: LogEnd,
    /// The views of its log's entries.
    pub view_at: &'a dyn Fn(LogIndex) -> Option<View>,
}

impl Standing<'_> {
    /// Compares what this node holds with what `witness` saw it promise.
    ///
    /// # Errors
    /// If it does not hold what it promised.
    pub fn check(&self, witness: NodeId, seen: Promise) -> Result<(), StopReason> {
        let (node, own_view) = (self.node, self.vote.view.0);
        match seen.broken_by(witness, self.vote, self.view_at) {
            None => Ok(()),
            Some(Broken::Entry) => Err(StopReason::DiskRolledBack {
                node,
                witness,
                seen_view: seen.entry_view.0,
                seen_index: seen.index.0,
                own_view: self.last.1.0,
                own_index: self.last.0.0,
            }),
            Some(Broken::View) => Err(StopReason::VoteRolledBack { node, witness, seen_view: seen.view.0, own_view }),
            Some(Broken::Vote) => Err(StopReason::VoteRolledBack { node, witness, seen_view: seen.voted.0, own_view }),
        }
    }
}

/// What a disk held at a start.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The vote.
    pub vote: Vote,
    /// From which entry on the log is of which view.
    runs: Vec<(LogIndex, View)>,
    last: LogIndex,
}

impl Disk {
    /// A disk with a log of one entry.
    pub fn new((index, view): LogEnd) -> Self {
        Self { vote: Vote::default(), runs: vec![(index, view)], last: index }
    }

    /// The next entry of the log.
    pub fn push(&mut self, (index, view): LogEnd) {
        self.last = index;
        if self.last().1 != view {
            self.runs.push((index, view));
        }
    }

    /// The end of the log.
    pub fn last(&self) -> LogEnd {
        (self.last, self.runs.last().expect("a log holds at least the genesis block").1)
    }

    /// The view of entry `index`, if the log reaches there.
    pub fn view_at(&self, index: LogIndex) -> Option<View> {
        let after = self.runs.partition_point(|(first, _)| *first <= index);
        after.checked_sub(1).filter(|_| index <= self.last).map(|run| self.runs[run].1)
    }

    /// Compares the disk of `node` with what `witness` saw that node promise.
    ///
    /// # Errors
    /// If the disk does not hold what was promised.
    pub fn check(&self, node: NodeId, witness: NodeId, seen: Promise) -> Result<(), StopReason> {
        let view_at = |index| self.view_at(index);
        Standing { node, vote: self.vote, last: self.last(), view_at: &view_at }.check(witness, seen)
    }
}

/// Those whose word a start waits for, as somebody knows them who has committed the log up to some entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circle {
    /// The last entry that is known to be committed.
    pub known_at: LogIndex,
    /// The nodes whose majority decides.
    pub voters: BTreeSet<NodeId>,
    /// More nodes that are listed, or that consensus has not left out: they are asked, and nobody waits for them long.
    pub others: BTreeSet<NodeId>,
}

impl Circle {
    /// All of them.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.union(&self.others).copied()
    }
}

/// A start in progress.
#[derive(Debug)]
pub struct Resuming {
    node: NodeId,
    disk: Disk,
    circle: Circle,
    heard: BTreeSet<NodeId>,
    /// Those of them that spoke under keys which no list in force here names.
    strangers: BTreeSet<NodeId>,
    /// When those heard and this node became a quorum.
    quorum_at: Option<Time>,
    ask_at: Time,
}

impl Resuming {
    /// A start of `node` from `disk`, which knows of `circle`.
    pub fn new(now: Time, node: NodeId, circle: Circle, disk: Disk) -> Self {
        let mut resuming = Self {
            node,
            disk,
            circle,
            heard: BTreeSet::new(),
            strangers: BTreeSet::new(),
            quorum_at: None,
            ask_at: now,
        };
        // A sole voter is a quorum before anybody answers.
        resuming.note_quorum(now);
        resuming
    }

    /// The other nodes, as far as known.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.circle.nodes().filter(|peer| *peer != self.node)
    }

    /// Those whose word this start waits for, as this node knows them.
    pub const fn circle(&self) -> &Circle {
        &self.circle
    }

    /// Takes in what `peer` remembers, and of whom it knows.
    ///
    /// # Errors
    /// If the peer saw more than the disk holds.
    pub fn heard(&mut self, now: Time, peer: NodeId, seen: Promise, circle: Circle) -> Result<(), StopReason> {
        self.disk.check(self.node, peer, seen)?;
        self.heard.insert(peer);
        if circle.known_at > self.circle.known_at {
            self.circle = circle;
        }
        self.note_quorum(now);
        Ok(())
    }

    fn note_quorum(&mut self, now: Time) {
        if self.is_quorum() {
            self.quorum_at.get_or_insert(now);
        } else {
            self.quorum_at = None;
        }
    }

    /// Whether those heard are a majority, with this node if it is one of the voters.
    fn is_quorum(&self) -> bool {
        let voters = &self.circle.voters;
        voters.iter().filter(|voter| **voter == self.node || self.heard.contains(voter)).count() > voters.len() / 2
    }

    /// Whether all peers were heard, or enough and there was time for the others.
    pub fn is_confirmed(&self, now: Time) -> bool {
        self.peers().all(|peer| self.heard.contains(&peer))
            || self.quorum_at.is_some_and(|at| now >= at.after(LAST_ANSWERS_WAIT))
    }

    /// Notes under which key `peer` speaks. Who got another key while this node was away helps it to start; but as
    /// anybody with a certificate may say so, whoever is listed is asked again when it comes.
    pub fn is_stranger(&mut self, peer: NodeId, is_stranger: bool) {
        if is_stranger {
            self.strangers.insert(peer);
        } else {
            self.strangers.remove(&peer);
        }
    }

    /// What the disk held, and which peers have confirmed it.
    pub fn confirmed(&self) -> (Disk, BTreeSet<NodeId>) {
        (self.disk.clone(), self.heard.difference(&self.strangers).copied().collect())
    }

    /// Whether it is time to ask; if so, the next time is set.
    pub fn is_time_to_ask(&mut self, now: Time) -> bool {
        let due = now >= self.ask_at;
        if due {
            self.ask_at = now.after(ASK_AGAIN_AFTER);
        }
        due
    }

    /// When to look again: to ask once more, or to go on without the last answers.
    pub fn wakes_at(&self) -> Time {
        self.quorum_at.map_or(self.ask_at, |at| self.ask_at.min(at.after(LAST_ANSWERS_WAIT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk whose log holds entries up to `index` of view 2, and whose vote is of view 3.
    fn disk(index: u64) -> Disk {
        let mut disk = Disk::new((LogIndex(1), View(1)));
        (2..=index).for_each(|index| disk.push((LogIndex(index), View(2))));
        disk.vote = Vote { view: View(3), voted_for: Some(NodeId(3)) };
        disk
    }

    fn circle(known_at: u64, nodes: std::ops::RangeInclusive<u64>) -> Circle {
        Circle { known_at: LogIndex(known_at), voters: nodes.map(NodeId).collect(), others: BTreeSet::new() }
    }

    const fn acknowledged(view: u64, index: u64) -> Promise {
        Promise::acknowledged(View(view), LogIndex(index), View(2))
    }

    #[test]
    fn a_node_resumes_when_all_have_spoken_or_a_quorum_has_and_time_passed() {
        let later = Time(0).after(LAST_ANSWERS_WAIT);
        for (nodes, quorum) in [(1_u64, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
            let mut resuming = Resuming::new(Time(0), NodeId(1), circle(1, 1..=nodes), disk(9));
            for peers in 0..nodes {
                let all = peers + 1 == nodes;
                assert_eq!(resuming.is_confirmed(Time(1)), all, "{nodes} nodes, {peers} peers");
                assert_eq!(resuming.is_confirmed(later), all || peers >= quorum, "{nodes} nodes, {peers} peers");
                let peer = NodeId(2 + peers);
                resuming.heard(Time(0), peer, acknowledged(3, 9), circle(1, 1..=nodes)).unwrap();
                resuming.heard(Time(0), peer, Promise::default(), Circle::default()).unwrap();
            }
        }
    }

    #[test]
    fn who_must_be_heard_is_told_by_whoever_knows_most() {
        let later = Time(0).after(LAST_ANSWERS_WAIT);
        let mut resuming = Resuming::new(Time(0), NodeId(3), circle(4, 1..=3), disk(9));
        resuming.heard(Time(0), NodeId(1), Promise::default(), circle(4, 1..=3)).unwrap();
        assert!(resuming.is_confirmed(later) && !resuming.is_confirmed(Time(1)));
        // The network went on without the first two.
        resuming.heard(Time(0), NodeId(5), Promise::default(), circle(40, 3..=7)).unwrap();
        assert!(!resuming.is_confirmed(later), "two of five");
        assert!(resuming.peers().eq([4, 5, 6, 7].map(NodeId)));
        resuming.heard(Time(0), NodeId(2), Promise::default(), circle(4, 1..=3)).unwrap();
        assert!(!resuming.is_confirmed(later), "what it knows is older");
        resuming.heard(Time(0), NodeId(6), Promise::default(), circle(39, 3..=6)).unwrap();
        assert!(resuming.is_confirmed(later), "three of five");
    }

    #[test]
    fn a_node_that_joins_and_is_not_there_yet_is_not_needed() {
        let mut resuming = Resuming::new(Time(0), NodeId(1), circle(1, 1..=3), disk(9));
        let known = Circle { others: [NodeId(4)].into(), ..circle(2, 1..=3) };
        resuming.heard(Time(0), NodeId(2), Promise::default(), known).unwrap();
        assert!(resuming.is_confirmed(Time(0).after(LAST_ANSWERS_WAIT)));
        resuming.heard(Time(0), NodeId(3), Promise::default(), Circle::default()).unwrap();
        assert!(!resuming.is_confirmed(Time(1)) && resuming.peers().any(|peer| peer == NodeId(4)));
        resuming.heard(Time(0), NodeId(4), Promise::default(), Circle::default()).unwrap();
        assert!(resuming.is_confirmed(Time(1)));
    }

    #[test]
    fn a_sole_voter_waits_no_longer_than_others_for_one_that_joins_and_is_not_there_yet() {
        let circle = Circle { others: [NodeId(2)].into(), ..circle(2, 1..=1) };
        let mut resuming = Resuming::new(Time(0), NodeId(1), circle, disk(9));
        assert!(!resuming.is_confirmed(Time(1)) && resuming.is_time_to_ask(Time(0).after(LAST_ANSWERS_WAIT)));
        assert_eq!(resuming.wakes_at(), Time(0).after(LAST_ANSWERS_WAIT));
        assert!(resuming.is_confirmed(Time(0).after(LAST_ANSWERS_WAIT)));
    }

    #[test]
    fn a_node_that_is_not_listed_yet_does_not_count_itself() {
        let later = Time(0).after(LAST_ANSWERS_WAIT);
        let mut resuming = Resuming::new(Time(0), NodeId(4), circle(1, 1..=3), disk(1));
        resuming.heard(Time(0), NodeId(1), Promise::default(), circle(1, 1..=3)).unwrap();
        assert!(!resuming.is_confirmed(later));
        resuming.heard(Time(0), NodeId(2), Promise::default(), circle(1, 1..=3)).unwrap();
        assert!(resuming.is_confirmed(later));
    }

    #[test]
    fn a_node_wakes_to_ask_and_to_go_on_without_the_last_answers() {
        let mut resuming = Resuming::new(Time(0), NodeId(1), circle(1, 1..=3), disk(9));
        assert_eq!(resuming.wakes_at(), Time(0));
        assert!(resuming.is_time_to_ask(Time(0)) && !resuming.is_time_to_ask(Time(1)));
        resuming.heard(Time(5), NodeId(2), Promise::default(), Circle::default()).unwrap();
        assert_eq!(resuming.wakes_at(), Time(0).after(ASK_AGAIN_AFTER));
        assert!(resuming.is_time_to_ask(Time(4).after(LAST_ANSWERS_WAIT)));
        assert_eq!(resuming.wakes_at(), Time(5).after(LAST_ANSWERS_WAIT));
    }

    #[test]
    fn a_disk_knows_the_view_of_each_entry() {
        let mut disk = disk(3);
        disk.push((LogIndex(4), View(5)));
        let views: Vec<_> = (0..=5).map(|index| disk.view_at(LogIndex(index)).map(|view| view.0)).collect();
        assert_eq!(views, [None, Some(1), Some(2), Some(2), Some(5), None]);
        assert_eq!(disk.last(), (LogIndex(4), View(5)));
    }

    #[test]
    fn a_disk_that_holds_less_than_a_peer_saw_is_refused_by_name() {
        let mut resuming = Resuming::new(Time(0), NodeId(1), circle(1, 1..=3), disk(9));
        assert!(matches!(
            resuming.heard(Time(0), NodeId(2), acknowledged(3, 10), Circle::default()),
            Err(StopReason::DiskRolledBack { node: NodeId(1), witness: NodeId(2), seen_index: 10, own_index: 9, .. })
        ));
        for (witness, seen) in [(2, Promise::seen_in(View(4))), (2, acknowledged(4, 3)), (2, Promise::voted(View(3)))] {
            assert!(
                matches!(
                    resuming.heard(Time(0), NodeId(witness), seen, Circle::default()),
                    Err(StopReason::VoteRolledBack { witness: NodeId(2), own_view: 3, .. })
                ),
                "{seen:?}"
            );
        }
        assert!(!resuming.is_confirmed(Time(u64::MAX)));
    }
}
