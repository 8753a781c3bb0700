//! In which order consensus follows the node list: one step at a time, and never to a configuration that cannot go on.
//!
//! ```text
//!  1. who is not listed any more is left out, whoever answers least first; a leader hands leadership over before
//!  2. who is listed is sent the log as a learner, which counts for no quorum
//!  3. a learner that has caught up becomes a voter
//! ```
//! The first comes first because nothing but views is sealed until it is done. But a voter stays until newcomers have
//! become voters, if without it
//!
//! - those left that answer would be no majority: nothing could commit any more, the newcomers' part included;
//! - there would be fewer voters than a majority of the list, while a newcomer answers that may become one: what is
//!   acknowledged would lie on fewer disks than the list promises.

use std::collections::{BTreeMap, BTreeSet};

use synod_types::{Configuration, ConfigurationChange, ConfigurationStep, LogIndex, NodeId};

/// How many entries behind the last committed one a learner may be to become a voter: it is then as far as any
/// follower may be that a leader waits for.
const CAUGHT_UP_WITHIN: u64 = 64;

/// What a leader does next so that consensus follows the node list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Change who takes part.
    Change(ConfigurationChange),
    /// Hand leadership to a node that stays.
    HandOver,
}

/// What a leader knows of another node that takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Presence {
    /// Whether it answers, or has just been added and may yet.
    pub is_there: bool,
    /// How much of the log it has acknowledged.
    pub matched: LogIndex,
}

/// Where a leader stands.
#[derive(Debug)]
pub struct Scene<'s> {
    /// The leader.
    pub own: NodeId,
    /// Whether it may lead on: it is listed, under its own key.
    pub may_lead: bool,
    /// The node list.
    pub listed: &'s BTreeSet<NodeId>,
    /// Who takes part.
    pub configuration: &'s Configuration,
    /// The last committed entry.
    pub committed: LogIndex,
    /// The others.
    pub peers: BTreeMap<NodeId, Presence>,
}

impl Scene<'_> {
    /// The next step towards the list.
    pub fn next_step(&self) -> Option<Step> {
        let (listed, configuration) = (self.listed, self.configuration);
        if configuration.learners.is_empty() && configuration.voters == *listed && self.may_lead {
            return None;
        }
        let change = |step, node| Some(Step::Change(ConfigurationChange { step, node }));
        let leaving = configuration.members().filter(|node| !listed.contains(node) && *node != self.own);
        if let Some(node) = leaving.filter(|node| self.may_go(*node)).min_by_key(|node| self.of(*node)) {
            return change(ConfigurationStep::Remove, node);
        }
        if !self.may_lead && configuration.voters.intersection(listed).any(|node| self.is_there(*node)) {
            return Some(Step::HandOver);
        }
        if let Some(node) = listed.iter().find(|node| !configuration.contains(**node)) {
            return change(ConfigurationStep::AddLearner, *node);
        }
        let learner = configuration.learners.intersection(listed).find(|node| self.has_caught_up(**node))?;
        change(ConfigurationStep::Promote, *learner)
    }

    fn of(&self, node: NodeId) -> Presence {
        self.peers.get(&node).copied().unwrap_or_default()
    }

    fn is_there(&self, node: NodeId) -> bool {
        node == self.own || self.of(node).is_there
    }

    /// Whether consensus can do without `node`, which is not listed.
    fn may_go(&self, node: NodeId) -> bool {
        let voters = &self.configuration.voters;
        if !voters.contains(&node) {
            return true;
        }
        let stay = || voters.iter().filter(|voter| **voter != node);
        let (count, there) = (stay().count(), stay().filter(|voter| self.is_there(**voter)).count());
        let may_become_voter = |newcomer: &NodeId| match self.configuration.learners.contains(newcomer) {
            true => self.is_there(*newcomer),
            // It has not been asked yet.
            false => !voters.contains(newcomer),
        };
        stay().any(|voter| self.listed.contains(voter))
            && there > count / 2
            && (count > self.listed.len() / 2 || !self.listed.iter().any(may_become_voter))
    }

    fn has_caught_up(&self, learner: NodeId) -> bool {
        // The engine takes a learner for active as it is added: only an acknowledgement shows that it is there.
        let Presence { is_there, matched } = self.of(learner);
        is_there && matched > LogIndex(0) && matched.0 + CAUGHT_UP_WITHIN >= self.committed.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(ids: &[u64]) -> BTreeSet<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    /// The step of leader `own`, from voters and learners to a list, when these answer and have all of the log.
    fn step(own: u64, (voters, learners): (&[u64], &[u64]), listed: &[u64], there: &[u64]) -> Option<Step> {
        let (listed, configuration) =
            (nodes(listed), Configuration { voters: nodes(voters), learners: nodes(learners) });
        let presence = |node: NodeId| match there.contains(&node.0) {
            true => Presence { is_there: true, matched: LogIndex(100) },
            false => Presence { is_there: false, matched: LogIndex(90) },
        };
        let peers = configuration.members().map(|node| (node, presence(node))).collect();
        let (own, committed, configuration) = (NodeId(own), LogIndex(100), &configuration);
        let may_lead = listed.contains(&own);
        Scene { own, may_lead, listed: &listed, configuration, committed, peers }.next_step()
    }

    #[expect(clippy::unnecessary_wraps, reason = "as what it is compared with")]
    fn change(step: ConfigurationStep, node: u64) -> Option<Step> {
        Some(Step::Change(ConfigurationChange { step, node: NodeId(node) }))
    }

    use ConfigurationStep::{AddLearner, Promote, Remove};

    #[test]
    fn who_is_not_listed_leaves_first_and_whoever_answers_least_before_the_others() {
        let all = &[1, 2, 3, 4][..];
        assert_eq!(step(2, (&[1, 2, 3], &[]), &[2, 3, 4], all), change(Remove, 1));
        assert_eq!(step(1, (&[1, 2, 3, 4, 5], &[]), &[1, 2, 3], &[1, 2, 3, 4]), change(Remove, 5));
        assert_eq!(step(1, (&[1, 2, 3], &[4]), &[1, 2, 3], &[1, 2]), change(Remove, 4), "a learner may always go");
        assert_eq!(step(1, (&[1, 2, 3], &[]), &[2, 3], all), Some(Step::HandOver));
        assert_eq!(step(1, (&[1, 2, 3], &[]), &[1, 2, 3], all), None);
        assert_eq!(step(1, (&[1, 2], &[]), &[1], &[1, 2]), change(Remove, 2));
    }

    #[test]
    fn nobody_leaves_whom_those_that_answer_need_for_a_majority() {
        // Node 3 does not answer.
        assert_eq!(step(1, (&[1, 2, 3], &[]), &[2, 3, 4], &[1, 2]), Some(Step::HandOver));
        assert_eq!(step(2, (&[1, 2, 3], &[]), &[2, 3, 4], &[1, 2]), change(AddLearner, 4));
        assert_eq!(step(2, (&[1, 2, 3], &[4]), &[2, 3, 4], &[1, 2]), None, "it has not come yet");
        assert_eq!(step(2, (&[1, 2, 3], &[4]), &[2, 3, 4], &[1, 2, 4]), change(Promote, 4));
        assert_eq!(step(2, (&[1, 2, 3, 4], &[]), &[2, 3, 4], &[1, 2, 4]), change(Remove, 1));
        assert_eq!(step(2, (&[2, 3, 4], &[]), &[2, 3, 4], &[2, 4]), None);
    }

    #[test]
    fn while_newcomers_answer_there_are_as_many_voters_as_a_majority_of_the_list() {
        assert_eq!(step(1, (&[1, 2, 3], &[]), &[1, 2, 4, 5, 6], &[1, 2, 3]), change(AddLearner, 4));
        assert_eq!(step(1, (&[1, 2, 3], &[4, 5, 6]), &[1, 2, 4, 5, 6], &[1, 2, 3, 5]), change(Promote, 5));
        assert_eq!(step(1, (&[1, 2, 3, 5], &[4, 6]), &[1, 2, 4, 5, 6], &[1, 2, 3, 5]), change(Remove, 3));
        assert_eq!(step(1, (&[1, 2, 3], &[4, 5, 6]), &[1, 2, 4, 5, 6], &[1, 2, 3]), change(Remove, 3), "none has come");
    }

    #[test]
    fn if_no_voter_stays_they_all_wait_until_a_newcomer_is_one() {
        assert_eq!(step(1, (&[1], &[]), &[2], &[1]), change(AddLearner, 2));
        assert_eq!(step(1, (&[1], &[2]), &[2], &[1]), None);
        assert_eq!(step(1, (&[1], &[2]), &[2], &[1, 2]), change(Promote, 2));
        assert_eq!(step(1, (&[1, 2], &[]), &[2], &[1, 2]), Some(Step::HandOver));
        assert_eq!(step(2, (&[1, 2], &[]), &[2], &[1, 2]), change(Remove, 1));
        // One that stays and is not there is handed nothing.
        assert_eq!(step(1, (&[1, 2, 3], &[]), &[3, 4], &[1, 2]), change(AddLearner, 4));
    }
}
