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
//! It takes all, not a quorum, because an acknowledgement is seen by the leader only: any other peer
//! would let a rolled-back disk in. If all start together, nobody remembers anything and they simply
//! elect: SECURITY.md states what a quorum of rolled-back disks could do.
//!
//! A crash must not make an honest disk look like one that was rolled back. Everything acknowledged is
//! synced before, and only one thing ever takes it away: a newer leader's entries replace it. If the
//! node crashes after the old entries were cut off and before the new ones are there, its log ends
//! earlier than peers saw. So what is about to be cut is noted first, in the vote record, see [`Cut`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder, LogIndex, NodeId, Time, View};

use crate::event::StopReason;
use crate::peer::Held;

/// How often a starting node asks again: a question may be lost with its channel.
pub const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How long a starting node waits for the last answers, once it has heard from a quorum: a channel is made
/// within this time if the peer is there, and a start while a peer is down takes this much longer.
pub const LAST_ANSWERS_WAIT: Duration = Duration::from_secs(1);

/// What this node saw of the others, since it started.
#[derive(Debug, Default)]
pub struct Memory(BTreeMap<NodeId, Held>);

impl Memory {
    /// What was seen of `node`, to be added to.
    pub fn of(&mut self, node: NodeId) -> &mut Held {
        self.0.entry(node).or_default()
    }
}

/// A part of the log that a newer leader's entries replace, noted before it is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The first entry that is replaced.
    pub from: LogIndex,
    /// The view of the last one.
    pub view: View,
    /// The index of the last one.
    pub index: LogIndex,
}

impl Cut {
    /// This cut and one before it that may not be on disk yet, as one.
    #[must_use]
    pub fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        let end = |cut: &Self| (cut.view, cut.index);
        let (view, index) = end(&self).max(end(&before));
        Self { from: self.from.min(before.from), view, index }
    }

    /// What a disk counts as holding: if its log still reaches up to the cut, also what was cut off.
    #[must_use]
    pub fn excuse(self, mut held: Held) -> Held {
        if held.index.next() >= self.from {
            held.saw_log_end(self.view, self.index);
        }
        held
    }
}

impl Encode for Cut {
    fn encode(&self, out: &mut Encoder) {
        self.from.encode(out);
        self.view.encode(out);
        self.index.encode(out);
    }
}

impl Decode for Cut {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.reading("cut of a log");
        Ok(Self { from: LogIndex::decode(input)?, view: View::decode(input)?, index: LogIndex::decode(input)? })
    }
}

/// A start in progress.
#[derive(Debug)]
pub struct Resuming {
    node: NodeId,
    held: Held,
    nodes: usize,
    heard: BTreeSet<NodeId>,
    /// When those heard and this node became a quorum.
    quorum_at: Option<Time>,
    ask_at: Time,
}

impl Resuming {
    /// A start of `node`, one of `nodes`, whose disk holds `held`.
    pub fn new(now: Time, node: NodeId, nodes: usize, held: Held) -> Self {
        Self { node, held, nodes, heard: BTreeSet::new(), quorum_at: None, ask_at: now }
    }

    /// What the disk holds.
    pub const fn held(&self) -> Held {
        self.held
    }

    /// Takes in what `peer` remembers.
    ///
    /// # Errors
    /// If the peer saw more than the disk holds.
    pub fn heard(&mut self, now: Time, peer: NodeId, seen: Held) -> Result<(), StopReason> {
        check_held(self.node, self.held, peer, seen)?;
        self.heard.insert(peer);
        if self.heard.len() + 1 > self.nodes / 2 {
            self.quorum_at.get_or_insert(now);
        }
        Ok(())
    }

    /// Whether all peers were heard, or enough and there was time for the others.
    pub fn is_confirmed(&self, now: Time) -> bool {
        self.heard.len() + 1 == self.nodes || self.quorum_at.is_some_and(|at| now >= at.after(LAST_ANSWERS_WAIT))
    }

    /// The peers that have answered.
    pub const fn answered(&self) -> &BTreeSet<NodeId> {
        &self.heard
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

/// Compares what `node` holds with what `witness` saw of it.
///
/// # Errors
/// If the witness saw more.
pub fn check_held(node: NodeId, own: Held, witness: NodeId, seen: Held) -> Result<(), StopReason> {
    if seen.log_end() > own.log_end() {
        return Err(StopReason::DiskRolledBack {
            node,
            witness,
            seen_view: seen.view.0,
            seen_index: seen.index.0,
            own_view: own.view.0,
            own_index: own.index.0,
        });
    }
    if seen.voted > own.voted {
        return Err(StopReason::VoteRolledBack { node, witness, seen_view: seen.voted.0, own_view: own.voted.0 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn held(view: u64, index: u64, voted: u64) -> Held {
        Held { view: View(view), index: LogIndex(index), voted: View(voted) }
    }

    #[test]
    fn a_node_resumes_when_all_have_spoken_or_a_quorum_has_and_time_passed() {
        let later = Time(0).after(LAST_ANSWERS_WAIT);
        for (nodes, quorum) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
            let mut resuming = Resuming::new(Time(0), NodeId(1), nodes, held(2, 9, 3));
            for peers in 0..nodes {
                let all = peers + 1 == nodes;
                assert_eq!(resuming.is_confirmed(Time(1)), all, "{nodes} nodes, {peers} peers");
                assert_eq!(resuming.is_confirmed(later), all || peers >= quorum, "{nodes} nodes, {peers} peers");
                let peer = NodeId(2 + peers as u64);
                resuming.heard(Time(0), peer, held(2, 9, 3)).unwrap();
                resuming.heard(Time(0), peer, held(0, 0, 0)).unwrap();
            }
        }
    }

    #[test]
    fn a_node_wakes_to_ask_and_to_go_on_without_the_last_answers() {
        let mut resuming = Resuming::new(Time(0), NodeId(1), 3, held(2, 9, 3));
        assert_eq!(resuming.wakes_at(), Time(0));
        assert!(resuming.is_time_to_ask(Time(0)) && !resuming.is_time_to_ask(Time(1)));
        resuming.heard(Time(5), NodeId(2), held(0, 0, 0)).unwrap();
        assert_eq!(resuming.wakes_at(), Time(0).after(ASK_AGAIN_AFTER));
        assert!(resuming.is_time_to_ask(Time(4).after(LAST_ANSWERS_WAIT)));
        assert_eq!(resuming.wakes_at(), Time(5).after(LAST_ANSWERS_WAIT));
    }

    #[test]
    fn a_crash_between_cut_and_write_is_no_roll_back_and_no_excuse_for_one() {
        let cut = Cut { from: LogIndex(8), view: View(2), index: LogIndex(9) };
        assert_eq!(cut.excuse(held(2, 7, 3)), held(2, 9, 3), "cut, and nothing written");
        assert_eq!(cut.excuse(held(3, 8, 3)), held(3, 8, 3), "the first of the new entries is there");
        assert_eq!(cut.excuse(held(2, 6, 3)), held(2, 6, 3), "more is missing than was cut");
        let second = Cut { from: LogIndex(5), view: View(3), index: LogIndex(8) };
        let both = Cut { from: LogIndex(5), view: View(3), index: LogIndex(8) };
        assert_eq!(second.after(Some(cut)), both);
        assert_eq!(cut.after(None), cut);
    }

    #[test]
    fn a_disk_that_holds_less_than_a_peer_saw_is_refused_by_name() {
        let mut resuming = Resuming::new(Time(0), NodeId(1), 3, held(2, 9, 3));
        assert!(matches!(
            resuming.heard(Time(0), NodeId(2), held(2, 10, 3)),
            Err(StopReason::DiskRolledBack { node: NodeId(1), witness: NodeId(2), seen_index: 10, own_index: 9, .. })
        ));
        assert!(matches!(
            resuming.heard(Time(0), NodeId(3), held(1, 30, 4)),
            Err(StopReason::VoteRolledBack { witness: NodeId(3), seen_view: 4, own_view: 3, .. })
        ));
        assert!(!resuming.is_confirmed(Time(u64::MAX)));
    }
}
