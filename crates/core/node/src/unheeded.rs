//! What a follower does about a leader whose blocks it cannot acknowledge.
//!
//! A leader that goes on to be heard goes on to lead, and if a quorum acknowledges nothing, nobody writes any more. So
//! a follower that refuses a block also goes deaf to the leader, heartbeats included. If a quorum does so, the
//! leader hears from no quorum and steps down, and an election follows sooner than it could win one itself: it
//! counts the silence from later on than the others. If few do, the fault is theirs, and only they are left behind.
//!
//! - A block that does not check, or that does not open: the leader's memory or its keys are not what they should be.
//!   It is not heeded in its view any more.
//! - A block whose time is too far ahead, since block time decides what contracts do and never runs backwards. The
//!   leader is not heeded until this node's clock has come to where it would take the block.

use std::time::Duration;

use synod_types::{NodeId, Time, View};

/// How far ahead of this node's clock a block's time may be before the block is not acknowledged.
/// Generous beside what clocks differ by, small beside what contracts and epochs care about.
pub const BLOCK_TIME_AHEAD_MAX: Duration = Duration::from_secs(60);

/// A leader that is not heeded in its view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheeded {
    leader: NodeId,
    view: Option<View>,
    /// The refused block's time, if it was refused for that alone.
    block_time: Option<Time>,
}

impl Unheeded {
    /// The leader of `view`, which sent a block that was refused.
    pub const fn for_block(leader: NodeId, view: Option<View>) -> Self {
        Self { leader, view, block_time: None }
    }

    /// The leader of `view`, if `block_time`, of a block that it sent, is too far ahead of `now`.
    pub fn for_time(now: Time, leader: NodeId, view: Option<View>, block_time: Time) -> Option<Self> {
        is_too_far_ahead(now, block_time).then_some(Self { leader, view, block_time: Some(block_time) })
    }

    /// Whether a message of `view` from `from` is one of this leader that must not be heeded `now`.
    pub fn said(&self, now: Time, from: NodeId, view: Option<View>) -> bool {
        (self.leader, self.view) == (from, view) && self.block_time.is_none_or(|time| is_too_far_ahead(now, time))
    }
}

fn is_too_far_ahead(now: Time, block_time: Time) -> bool {
    block_time > now.after(BLOCK_TIME_AHEAD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_not_heeded_in_its_view_until_the_clock_has_come_to_its_block() {
        let (leader, view) = (NodeId(1), Some(View(3)));
        let block_time = Time(1).after(BLOCK_TIME_AHEAD_MAX);
        assert_eq!(Unheeded::for_time(Time(1), leader, view, block_time), None);
        let unheeded = Unheeded::for_time(Time(0), leader, view, block_time).unwrap();
        for (now, from, view, expected) in [
            (Time(0), leader, view, true),
            (Time(1), leader, view, false),
            (Time(0), NodeId(2), view, false),
            (Time(0), leader, Some(View(4)), false),
        ] {
            assert_eq!(unheeded.said(now, from, view), expected, "{from} in {view:?} at {now:?}");
        }
        let unheeded = Unheeded::for_block(leader, view);
        assert!(unheeded.said(Time(u64::MAX), leader, view) && !unheeded.said(Time(0), leader, Some(View(4))));
    }
}
