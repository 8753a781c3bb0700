//! Who takes part in consensus, and how that changes: one node at a time.

use std::collections::BTreeSet;

use crate::codec::DecodeReason;
use crate::{Decode, DecodeError, Decoder, Encode, Encoder, NodeId};

/// The nodes that take part in consensus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The nodes whose majority decides.
    pub voters: BTreeSet<NodeId>,
    /// The nodes that are sent the log and do not count.
    pub learners: BTreeSet<NodeId>,
}

/// One step from a configuration to the next. Any majority of voters before a step shares a node with any after it
/// (Raft dissertation, section 4.1), which is why a step is one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigurationChange {
    /// What becomes of the node.
    pub step: ConfigurationStep,
    /// The node.
    pub node: NodeId,
}

/// What becomes of a node in a [`ConfigurationChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ConfigurationStep {
    /// A node that had no part is sent the log.
    AddLearner = 0,
    /// A learner becomes a voter.
    Promote = 1,
    /// A voter or a learner has no part any more.
    Remove = 2,
}

impl Configuration {
    /// A configuration without learners.
    pub fn of(voters: impl IntoIterator<Item = NodeId>) -> Self {
        Self { voters: voters.into_iter().collect(), learners: BTreeSet::new() }
    }

    /// Whether `node` has a part.
    pub fn contains(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.learners.contains(&node)
    }

    /// All nodes that have a part: voters, then learners.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.iter().chain(&self.learners).copied()
    }

    /// The configuration after `change`; `None` if the step is none from here: a node is added that is in, one is
    /// promoted that is no learner, one is removed that has no part or is the last voter.
    pub fn after(&self, change: ConfigurationChange) -> Option<Self> {
        let ConfigurationChange { step, node } = change;
        let mut next = self.clone();
        let is_step = match step {
            ConfigurationStep::AddLearner => node != NodeId(0) && !self.contains(node) && next.learners.insert(node),
            ConfigurationStep::Promote => next.learners.remove(&node) && next.voters.insert(node),
            ConfigurationStep::Remove => next.learners.remove(&node) || next.voters.remove(&node),
        };
        (is_step && !next.voters.is_empty()).then_some(next)
    }
}

/// The size of an encoded [`ConfigurationChange`].
pub const CONFIGURATION_CHANGE_SIZE: usize = 9;

impl Encode for ConfigurationChange {
    fn encode(&self, out: &mut Encoder) {
        (self.step as u8).encode(out);
        self.node.encode(out);
    }
}

impl Decode for ConfigurationChange {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.reading("configuration change").clone();
        let step = match u8::decode(input)? {
            0 => ConfigurationStep::AddLearner,
            1 => ConfigurationStep::Promote,
            2 => ConfigurationStep::Remove,
            _ => return Err(at.error(DecodeReason::ValueNotAllowed)),
        };
        Ok(Self { step, node: NodeId::decode(input)? })
    }
}

impl std::fmt::Display for ConfigurationChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let step = match self.step {
            ConfigurationStep::AddLearner => "add learner",
            ConfigurationStep::Promote => "promote",
            ConfigurationStep::Remove => "remove",
        };
        write!(f, "{step} {}", self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn change(step: ConfigurationStep, node: u64) -> ConfigurationChange {
        ConfigurationChange { step, node: NodeId(node) }
    }

    #[test]
    fn a_node_joins_as_a_learner_and_leaves_from_anywhere() {
        use ConfigurationStep::{AddLearner, Promote, Remove};
        let mut now = Configuration::of([1, 2].map(NodeId));
        for (step, node, voters, learners) in [
            (AddLearner, 3, &[1, 2][..], &[3][..]),
            (Promote, 3, &[1, 2, 3], &[]),
            (AddLearner, 4, &[1, 2, 3], &[4]),
            (Remove, 1, &[2, 3], &[4]),
            (Remove, 4, &[2, 3], &[]),
            (Remove, 2, &[3], &[]),
        ] {
            now = now.after(change(step, node)).unwrap();
            let ids = |nodes: &[u64]| nodes.iter().map(|node| NodeId(*node)).collect::<BTreeSet<_>>();
            assert_eq!((&now.voters, &now.learners), (&ids(voters), &ids(learners)));
        }
        for (step, node) in [(AddLearner, 3), (AddLearner, 0), (Promote, 3), (Promote, 9), (Remove, 9), (Remove, 3)] {
            assert_eq!(now.after(change(step, node)), None, "{}", change(step, node));
        }
    }

    #[test]
    fn a_change_is_nine_bytes_and_reads_back() {
        let bytes = change(ConfigurationStep::Promote, 0x0102).to_bytes();
        assert_eq!(bytes, [1, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes.len(), CONFIGURATION_CHANGE_SIZE);
        assert_eq!(ConfigurationChange::from_bytes(&bytes), Ok(change(ConfigurationStep::Promote, 0x0102)));
        assert!(ConfigurationChange::from_bytes(&[&[3], &bytes[1..]].concat()).is_err());
        assert!(ConfigurationChange::from_bytes(&bytes[..8]).is_err());
    }
}
