//! Whether consensus can go on with those alone whom a new node list keeps.
//!
//! Governance refuses a list that keeps too few nodes, but counts those that it lists: one may be down, or may never have
//! come, and then nobody could take the decision back. The leader hears who is there, and seals no such decision. Nobody
//! else can check that, and nobody has to: it is no part of what a decision means, but of when it is carried
//! out. Whoever votes last may send the ballot again.

use std::collections::BTreeMap;

use synod_crypto::VerifyingKey;
use synod_types::{NodeId, Time};

use crate::node::{Engine, Node};

/// Too few of the voters that stay are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFewAnswer {
    /// How many stay.
    pub stay: usize,
    /// How many of these answer, under the key that they have now.
    pub there: usize,
}

impl Node {
    /// As leader, looks whether those who decide now and are named in `listed` as well are a majority of themselves that is
    /// there. A newcomer is none of them until it has caught up.
    ///
    /// # Errors
    /// If they are not, and the list takes anybody out or gives one another key.
    pub(crate) fn check_stay(&self, now: Time, listed: &BTreeMap<NodeId, VerifyingKey>) -> Result<(), TooFewAnswer> {
        let Engine::Running(consensus) = &self.engine else { unreachable!("a leader's engine runs") };
        let keys = self.chain.last().tip.signers.keys();
        let voters = &consensus.configuration().voters;
        let stays_as_it_is = |node: &NodeId| listed.get(node).is_some_and(|key| keys.node(*node) == Some(key));
        if voters.iter().all(stays_as_it_is) {
            return Ok(());
        }
        let presences = self.presences(now);
        let is_there = |node: &NodeId| *node == self.id || presences.get(node).is_some_and(|of| of.is_there);
        let stay = voters.iter().filter(|node| listed.contains_key(node));
        let (stay, there) = stay.fold((0, 0), |(stay, there), node| {
            (stay + 1, there + usize::from(stays_as_it_is(node) && is_there(node)))
        });
        if 2 * there > stay { Ok(()) } else { Err(TooFewAnswer { stay, there }) }
    }
}
