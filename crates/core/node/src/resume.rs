//! A restarted node resumes its slot only if its disk still holds what its peers saw it acknowledge.
//!
//! A node's word (an acknowledged entry, a vote) counts in quorums, so a disk that the host rolled
//! back must not speak again under the same slot. A starting node therefore tells its peers where
//! its log ends and hears what they remember. A peer that has been up saw acknowledgements and
//! votes and tells them; a peer that is itself starting remembers nothing and says so. The node
//! resumes once it has heard from so many that they and itself are a quorum, and nobody saw more
//! than the disk holds. If all start together, nobody remembers anything and they simply elect:
//! SECURITY.md states what a quorum of rolled-back disks could do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use synod_types::{NodeId, Time};

use crate::event::StopReason;
use crate::peer::Held;

/// How often a starting node asks again: a question may be lost with its channel.
pub const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What this node saw of the others, since it started.
#[derive(Debug, Default)]
pub struct Memory(BTreeMap<NodeId, Held>);

impl Memory {
    /// What was seen of `node`, to be added to.
    pub fn of(&mut self, node: NodeId) -> &mut Held {
        self.0.entry(node).or_default()
    }
}

/// A start in progress.
#[derive(Debug)]
pub struct Resuming {
    node: NodeId,
    held: Held,
    quorum: usize,
    heard: BTreeSet<NodeId>,
    ask_at: Time,
}

impl Resuming {
    /// A start of `node`, one of `nodes`, whose disk holds `held`.
    pub fn new(now: Time, node: NodeId, nodes: usize, held: Held) -> Self {
        Self { node, held, quorum: nodes / 2 + 1, heard: BTreeSet::new(), ask_at: now }
    }

    /// What the disk holds.
    pub const fn held(&self) -> Held {
        self.held
    }

    /// Takes in what `peer` remembers.
    ///
    /// # Errors
    /// If the peer saw more than the disk holds.
    pub fn heard(&mut self, peer: NodeId, seen: Held) -> Result<(), StopReason> {
        if seen.log_end() > self.held.log_end() {
            return Err(StopReason::DiskRolledBack {
                node: self.node,
                witness: peer,
                seen_view: seen.view.0,
                seen_index: seen.index.0,
                own_view: self.held.view.0,
                own_index: self.held.index.0,
            });
        }
        if seen.voted > self.held.voted {
            return Err(StopReason::VoteRolledBack {
                node: self.node,
                witness: peer,
                seen_view: seen.voted.0,
                own_view: self.held.voted.0,
            });
        }
        self.heard.insert(peer);
        Ok(())
    }

    /// Whether enough peers were heard.
    pub fn is_confirmed(&self) -> bool {
        self.heard.len() + 1 >= self.quorum
    }

    /// Whether it is time to ask; if so, the next time is set.
    pub fn is_time_to_ask(&mut self, now: Time) -> bool {
        let due = now >= self.ask_at;
        if due {
            self.ask_at = now.after(ASK_AGAIN_AFTER);
        }
        due
    }

    /// When to ask next.
    pub const fn ask_at(&self) -> Time {
        self.ask_at
    }
}

#[cfg(test)]
mod tests {
    use synod_types::{LogIndex, View};

    use super::*;

    const fn held(view: u64, index: u64, voted: u64) -> Held {
        Held { view: View(view), index: LogIndex(index), voted: View(voted) }
    }

    #[test]
    fn a_node_resumes_when_a_quorum_with_itself_has_spoken() {
        for (nodes, peers_needed) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
            let mut resuming = Resuming::new(Time(0), NodeId(1), nodes, held(2, 9, 3));
            for peer in 0..peers_needed {
                assert!(!resuming.is_confirmed(), "{nodes} nodes, {peer} peers");
                resuming.heard(NodeId(2 + peer), held(2, 9, 3)).unwrap();
                resuming.heard(NodeId(2 + peer), held(0, 0, 0)).unwrap();
            }
            assert!(resuming.is_confirmed(), "{nodes} nodes");
        }
    }

    #[test]
    fn a_disk_that_holds_less_than_a_peer_saw_is_refused_by_name() {
        let mut resuming = Resuming::new(Time(0), NodeId(1), 3, held(2, 9, 3));
        assert!(matches!(
            resuming.heard(NodeId(2), held(2, 10, 3)),
            Err(StopReason::DiskRolledBack { node: NodeId(1), witness: NodeId(2), seen_index: 10, own_index: 9, .. })
        ));
        assert!(matches!(
            resuming.heard(NodeId(3), held(1, 30, 4)),
            Err(StopReason::VoteRolledBack { witness: NodeId(3), seen_view: 4, own_view: 3, .. })
        ));
        assert!(!resuming.is_confirmed());
    }
}
