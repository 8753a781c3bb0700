//! What a follower does about a leader whose blocks it cannot acknowledge.
//!
//! A leader that goes on to be heard goes on to lead, and if a quorum acknowledges nothing, nobody writes any more. So
//! a follower that cannot take what the leader sends goes deaf to it, heartbeats included. If a quorum does so,
//! the leader hears from no quorum and steps down, and an election follows sooner than it could win one itself:
//! it counts the silence from later on than the others. If few do, the fault is theirs, and only they are left behind.
//!
//! - A block that does not check, or that does not open, twice at one place: the leader's memory or its keys are not
//!   what they should be. It is not heeded for longer than an election takes. Once may be a fault that has
//!   passed, and the leader sends the block again after the next heartbeat.
//! - A block whose time is too far ahead, since block time decides what contracts do and never runs backwards. The
//!   leader is not heeded until this node's clock has come to where it would take the block.

use std::time::Duration;

use synod_types::{LogIndex, NodeId, Time, View};

/// How far ahead of this node's clock a block's time may be before the block is not acknowledged.
/// Generous beside what clocks differ by, small beside what contracts and epochs care about.
pub const BLOCK_TIME_AHEAD_MAX: Duration = Duration::from_secs(60);

/// How many of the longest election timeouts a leader of refused blocks is not heeded: it needs two of the shortest to
/// step down, its successor one or, if votes split, two.
const UNHEEDED_TIMEOUTS: u32 = 3;

/// Whom a follower does not heed.
#[derive(Debug, Default)]
pub struct Unheeded {
    leader: Option<(NodeId, View)>,
    until: Time,
    /// The last block that was refused for what it is.
    refused: Option<(NodeId, View, LogIndex)>,
    deaf_for: Duration,
}

impl Unheeded {
    /// Nobody yet; the longest election timeout is `election_timeout_max`.
    pub fn new(election_timeout_max: Duration) -> Self {
        Self { deaf_for: election_timeout_max * UNHEEDED_TIMEOUTS, ..Self::default() }
    }

    /// The block at `index`, from the leader of `view`, was refused.
    pub fn refuse(&mut self, now: Time, leader: NodeId, view: View, index: LogIndex) {
        let refused = Some((leader, view, index));
        if self.refused == refused {
            (self.leader, self.until) = (Some((leader, view)), now.after(self.deaf_for));
            self.refused = None;
        } else {
            self.refused = refused;
        }
    }

    /// Whether `block_time`, of a block from the leader of `view`, is too far ahead of `now`.
    pub fn refuses_time(&mut self, now: Time, leader: NodeId, view: View, block_time: Time) -> bool {
        let is_too_far_ahead = block_time > now.after(BLOCK_TIME_AHEAD_MAX);
        if is_too_far_ahead {
            let until = Time(block_time.0 - BLOCK_TIME_AHEAD_MAX.as_micros() as u64);
            (self.leader, self.until) = (Some((leader, view)), until);
        }
        is_too_far_ahead
    }

    /// Whether a message of `view` from `from` is one that must not be heeded `now`.
    pub fn said(&self, now: Time, from: NodeId, view: View) -> bool {
        self.leader == Some((from, view)) && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEADER: NodeId = NodeId(1);
    const VIEW: View = View(3);

    fn check(unheeded: &Unheeded, rows: &[(Time, NodeId, View, bool)]) {
        for (now, from, view, expected) in rows {
            assert_eq!(unheeded.said(*now, *from, *view), *expected, "{from} in {view} at {now:?}");
        }
    }

    #[test]
    fn a_leader_is_not_heeded_in_its_view_until_the_clock_has_come_to_its_block() {
        let mut unheeded = Unheeded::default();
        let block_time = Time(1).after(BLOCK_TIME_AHEAD_MAX);
        assert!(!unheeded.refuses_time(Time(1), LEADER, VIEW, block_time));
        check(&unheeded, &[(Time(0), LEADER, VIEW, false)]);
        assert!(unheeded.refuses_time(Time(0), LEADER, VIEW, block_time));
        check(
            &unheeded,
            &[
                (Time(0), LEADER, VIEW, true),
                (Time(1), LEADER, VIEW, false),
                (Time(0), NodeId(2), VIEW, false),
                (Time(0), LEADER, View(4), false),
            ],
        );
    }

    #[test]
    fn a_leader_is_not_heeded_for_some_election_timeouts_once_the_same_block_was_refused_twice() {
        let mut unheeded = Unheeded::new(Duration::from_micros(10));
        for (at, index) in [(0, 7), (1, 8), (2, 7)] {
            unheeded.refuse(Time(at), LEADER, VIEW, LogIndex(index));
            check(&unheeded, &[(Time(at), LEADER, VIEW, false)]);
        }
        unheeded.refuse(Time(3), LEADER, VIEW, LogIndex(7));
        check(&unheeded, &[(Time(32), LEADER, VIEW, true), (Time(33), LEADER, VIEW, false)]);
    }
}
