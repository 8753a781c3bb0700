//! Leaders and candidates that stand in no node list in force, as far as this node knows.
//!
//! Such a one may be a node that was let in while this one was away: it is followed, since this node can learn of it only
//! from what it brings. It may as well be anyone with a certificate of the service, whom no list will ever name. So
//! it is believed nothing but signed blocks, which lead to where the leader is listed:
//!
//! - No request is sent to it, and no answer, no read and no commit is taken from it. What is committed is told by the
//!   blocks that it brings.
//! - It is not heard while a listed leader is: whoever is elected by a quorum has first silenced its predecessor.
//! - Nor is it for longer than [`PATIENCE_TIMEOUTS`] without a block that is new here. Then no stranger is heard for
//!   [`DEAF_TIMEOUTS`], so that those who are listed elect one of them.

use std::time::Duration;

use synod_types::{LogIndex, NodeId, Time};

use crate::node::{Engine, Node};

/// For how many of the longest election timeouts strangers are heard that bring no block: one that was elected sends
/// blocks as soon as it knows where the logs agree, a candidate may need some rounds.
const PATIENCE_TIMEOUTS: u32 = 4;

/// For how many they are not heard then: an election takes one and, if votes split, two.
const DEAF_TIMEOUTS: u32 = 4;

/// How strangers are heard.
#[derive(Debug, Default)]
pub struct Strangers {
    election_timeout_max: Duration,
    /// Since when they were heard without a block, and the last time.
    heard: Option<(Time, Time)>,
    deaf_until: Time,
}

impl Strangers {
    /// None was heard; the longest election timeout is `election_timeout_max`.
    pub fn new(election_timeout_max: Duration) -> Self {
        Self { election_timeout_max, ..Self::default() }
    }

    /// Whether one is heard that speaks `now`.
    fn speaks(&mut self, now: Time) -> bool {
        if now < self.deaf_until {
            return false;
        }
        let patience = self.election_timeout_max * PATIENCE_TIMEOUTS;
        let since = self.heard.filter(|(_, last)| now.since(*last) <= patience).map_or(now, |(since, _)| since);
        self.heard = Some((since, now));
        if now.since(since) > patience {
            self.deaf_until = now.after(self.election_timeout_max * DEAF_TIMEOUTS);
            self.heard = None;
            return false;
        }
        true
    }

    /// One brought a block that is new and right.
    pub const fn brought_a_block(&mut self) {
        self.heard = None;
    }
}

impl Node {
    /// Whether `peer` stands in no list in force here, or speaks under another key. One that was taken out may lead until
    /// it has handed over: the ledger says for how long.
    pub(crate) fn is_stranger(&self, peer: NodeId) -> bool {
        let proved = self.proved.get(&peer).copied();
        [self.chain.last(), self.chain.committed()].iter().all(|position| !position.tip.signers.may_lead(peer, proved))
    }

    /// The leader, if it is another node that is listed: with it clients' requests are in good hands.
    pub(crate) fn listed_leader(&self) -> Option<NodeId> {
        let Engine::Running(consensus) = &self.engine else { return None };
        consensus.leader().filter(|leader| *leader != self.id && !self.is_stranger(*leader))
    }

    /// Whether a stranger is heard that says that it leads, or asks to.
    pub(crate) fn hears_strangers(&mut self, now: Time) -> bool {
        let Engine::Running(consensus) = &self.engine else { return false };
        if consensus.leader() == Some(self.id) {
            return false;
        }
        let within = self.strangers.election_timeout_max;
        let is_heard = |leader| self.heard.get(&leader).is_some_and(|at| now.since(*at) < within);
        !self.listed_leader().is_some_and(is_heard) && self.strangers.speaks(now)
    }

    /// Up to which entry the blocks in this log say that it is committed. Their signers knew.
    pub(crate) fn committed_by_blocks(&self) -> LogIndex {
        let committed = self.chain.last().tip.committed;
        let told = self.chain.uncommitted().take_while(|position| position.tip.seqno <= committed);
        // An entry without transactions is told to be committed only if a later one with some is.
        let last = told.filter(|position| position.record.count > 0).last();
        last.unwrap_or_else(|| self.chain.committed()).record.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_heard_for_some_time_without_a_block_and_then_not_for_some() {
        let mut strangers = Strangers::new(Duration::from_micros(10));
        assert!((1..=41).all(|at| strangers.speaks(Time(at))));
        strangers.brought_a_block();
        assert!((42..=82).all(|at| strangers.speaks(Time(at))));
        assert!(!(83..=122).any(|at| strangers.speaks(Time(at))));
        assert!((123..=163).all(|at| strangers.speaks(Time(at))));
        assert!(strangers.speaks(Time(1_000)), "that was long ago");
    }
}
