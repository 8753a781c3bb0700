//! Peers that had not answered when this node began to take part: better late than never.
//!
//! What such a peer saw may be from before this node's start, and then the disk of that time must hold it; or from
//! since, and then this node must. A node promises in views that it entered since its start, or in which it
//! knew a leader; in any other view it cannot have spoken since.

use std::collections::BTreeSet;

use synod_consensus::Promise;
use synod_types::{NodeId, View};

use crate::event::StopReason;
use crate::resume::{Disk, Standing};

/// See the module's documentation.
#[derive(Debug)]
pub struct Latecomers {
    /// Whoever is not one of these may come late: this node need not know of it yet.
    heard: BTreeSet<NodeId>,
    is_over: bool,
    at_start: Disk,
    spoke_in: BTreeSet<View>,
}

/// In how many views a node goes on waiting for peers that do not answer: one that is away for so many elections
/// has long been given up.
const VIEWS_MAX: usize = 4_096;

impl Latecomers {
    /// Peers other than `heard` may have seen what `at_start` does not hold.
    pub const fn new(heard: BTreeSet<NodeId>, at_start: Disk) -> Self {
        Self { heard, is_over: false, at_start, spoke_in: BTreeSet::new() }
    }

    /// Whether `peer` is still to be asked.
    pub fn includes(&self, peer: NodeId) -> bool {
        !self.is_over && !self.heard.contains(&peer)
    }

    /// This node may have spoken in `view`.
    pub fn spoke_in(&mut self, view: View) {
        if !self.is_over {
            self.spoke_in.insert(view);
        }
        if self.spoke_in.len() > VIEWS_MAX {
            self.is_over = true;
            self.spoke_in.clear();
        }
    }

    /// Takes in what `peer` remembers, beside what this node holds `now`. One that is not `listed` is asked again.
    ///
    /// # Errors
    /// If the peer saw more than the disk held, or than this node holds.
    pub fn heard(&mut self, now: &Standing<'_>, peer: NodeId, seen: Promise, listed: bool) -> Result<(), StopReason> {
        if !self.includes(peer) {
            return Ok(());
        }
        if listed {
            self.heard.insert(peer);
        }
        let check = |view: View, seen: Promise| {
            if self.spoke_in.contains(&view) {
                now.check(peer, seen)
            } else {
                self.at_start.check(now.node, peer, seen)
            }
        };
        check(seen.view, Promise { voted: View(0), ..seen })?;
        check(seen.voted, Promise { voted: seen.voted, ..Promise::default() })
    }
}

#[cfg(test)]
mod tests {
    use synod_consensus::Vote;
    use synod_types::LogIndex;

    use super::*;

    const PEER: NodeId = NodeId(2);

    /// A node that started in view 3 with entries 1 to 4, the last of view 3, and has now entries 1 to 9.
    fn heard(spoke_in: &[u64], view: u64, seen: Promise) -> Result<(), StopReason> {
        let mut at_start = Disk::new((LogIndex(1), View(1)));
        (2..=4).for_each(|index| at_start.push((LogIndex(index), View(3))));
        at_start.vote = Vote { view: View(3), voted_for: Some(PEER) };
        let mut late = Latecomers::new(BTreeSet::new(), at_start);
        spoke_in.iter().for_each(|view| late.spoke_in(View(*view)));
        let view_at = |index: LogIndex| (index <= LogIndex(9)).then_some(View(3));
        let vote = Vote { view: View(view), voted_for: None };
        let now = Standing { node: NodeId(1), vote, last: (LogIndex(9), View(3)), view_at: &view_at };
        late.heard(&now, PEER, seen, true)
    }

    fn acknowledged(view: u64, index: u64) -> Promise {
        Promise::acknowledged(View(view), LogIndex(index), View(3))
    }

    #[test]
    fn what_was_said_since_the_start_is_no_roll_back() {
        assert_eq!(heard(&[3], 3, acknowledged(3, 9)), Ok(()));
        assert_eq!(heard(&[3, 5], 6, acknowledged(5, 20)), Ok(()), "replaced in view 6");
        assert_eq!(heard(&[5], 6, Promise::voted(View(5))), Ok(()));
    }

    #[test]
    fn what_cannot_have_been_said_since_the_start_is_compared_with_the_disk_of_that_time() {
        assert_eq!(heard(&[], 3, acknowledged(3, 4)), Ok(()));
        assert!(heard(&[], 3, acknowledged(3, 9)).is_err());
        assert!(heard(&[6], 6, acknowledged(3, 9)).is_err(), "however far it has come since");
        assert!(heard(&[6], 6, acknowledged(5, 3)).is_err());
        assert!(heard(&[6], 6, Promise::voted(View(5))).is_err());
        assert_eq!(heard(&[6], 6, Promise::voted(View(3))), Ok(()));
    }

    #[test]
    fn a_peer_is_heard_once_and_not_waited_for_for_ever() {
        let mut late = Latecomers::new([NodeId(3)].into(), Disk::new((LogIndex(1), View(1))));
        assert!(late.includes(PEER) && !late.includes(NodeId(3)));
        (0..=VIEWS_MAX as u64).for_each(|view| late.spoke_in(View(view)));
        assert!(!late.includes(PEER));
    }
}
