//! Standing rules: votes that a member gives in advance.
//!
//! A member registers a rule: for these kinds of actions, under this condition, I accept. When a proposal is
//! submitted later, each member's rules are looked at, in the order of member ids; a rule that covers *every* action
//! of the proposal votes as that member, on the record, naming the rule. Proposals that were open already when
//! a rule was registered are not touched: a rule is a promise about the future, not a ballot.
//!
//! The constitution says for each kind of action whether rules may vote at all, and what they have to demand at
//! least. A rule beyond these limits is refused; one that is beyond limits changed since votes no more.

use std::collections::BTreeMap;

use synod_types::codec::DecodeReason;
use synod_types::{ActorId, Decode, DecodeError, Decoder, Encode, Encoder};

use crate::actions::ActionKind;
use crate::bounded::{List, Name, Set};
use crate::document::short;
use crate::entries::{AutoVote, Measurement, Platform};
use crate::facts::Case;
use crate::level::{Level, all, below};
use crate::limits::{DEPTH_MAX, LIST_MAX, PARTS_MAX};
use crate::macros::{record, tagged};
use crate::policy::Members;

record! {
    /// A member's standing rule: it accepts.
    pub struct StandingRule {
        /// The kinds of actions that it covers.
        pub kinds: Set<ActionKind, LIST_MAX>,
        /// What must hold of each action.
        pub condition: Condition,
    }
}

tagged! {
    /// What can be asked about an action, its proposer and the tables.
    pub enum Predicate {
        /// One of these proposed it.
        0 => ProposerIs(Members),
        /// A member proposed it.
        1 => ProposerIsMember,
        /// The node's owner proposed it; not of a node that would change hands.
        2 => OwnerIsProposer,
        /// The node's owner is an actor already; if it would change hands, the new one, too.
        3 => OwnerIsActor,
        /// The node's owner, the new one if it would change hands, has fewer nodes than this, counting those of earlier open proposals.
        4 => ActorNodesFewerThan(u32),
        /// The node's code is named and approved.
        5 => CodeIsApproved,
        /// The node's platform is named and allowed.
        6 => TeeIsAllowed,
        /// The action is of one of these kinds.
        7 => KindIs(Set<ActionKind, LIST_MAX>),
        /// The name that the action gives ends so.
        8 => NameEndsWith(Name),
        /// The node's host is this domain, or lies within it.
        9 => HostWithin(Name),
    }
}

/// What must hold of an action.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// This.
    Is(Predicate),
    /// All of these.
    AllOf(List<Condition, LIST_MAX>),
    /// One of these.
    AnyOf(List<Condition, LIST_MAX>),
    /// At least `k` of these.
    AtLeast {
        /// How many.
        k: u32,
        /// Of which.
        of: List<Condition, LIST_MAX>,
    },
}

/// What an action is about, as far as predicates ask.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The owner of the node, once the action has been carried out.
    pub owner: Option<ActorId>,
    /// Whose node it is until then, if it is taken from somebody else.
    pub taken_from: Option<ActorId>,
    /// Whether the action gives the owner one more node.
    pub adds_node: bool,
    /// The node's code.
    pub code: Option<Measurement>,
    /// The node's platform.
    pub platform: Option<Platform>,
    /// The name that the action gives to somebody or something.
    pub name: Option<Name>,
    /// The node's host.
    pub host: Option<String>,
}

/// Why a standing rule is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleRefused {
    /// It covers nothing, combines nothing, or has a threshold that is always or never met.
    #[error("the rule covers no kind of action, or its condition is empty or has a threshold that makes no sense")]
    Empty,
    /// It nests too deeply or has too many parts.
    #[error("the condition is nested deeper than {DEPTH_MAX} or has more than {PARTS_MAX} parts")]
    TooLarge,
    /// The constitution has no automatic votes on this kind of action.
    #[error("the constitution allows no automatic votes on {kind}")]
    KindNotAllowed {
        /// The kind.
        kind: ActionKind,
    },
    /// The rule does not demand what the constitution requires.
    #[error("for {kind} the constitution requires that a rule demands {required} at least")]
    BeyondLimit {
        /// The kind.
        kind: ActionKind,
        /// What the rule would have to demand.
        required: Predicate,
    },
}

impl StandingRule {
    /// Checks the rule by itself and against the limits of each kind that it covers.
    ///
    /// # Errors
    /// The first reason against it.
    pub(crate) fn check(&self, limits: &BTreeMap<u8, AutoVote>) -> Result<(), RuleRefused> {
        if self.kinds.is_empty() {
            return Err(RuleRefused::Empty);
        }
        self.condition.check_level(1, &mut 0)?;
        for kind in self.kinds.iter() {
            let limit = limits.get(&kind.tag()).ok_or(RuleRefused::KindNotAllowed { kind: *kind })?;
            if let Some(required) = self.missing(limit) {
                return Err(RuleRefused::BeyondLimit { kind: *kind, required });
            }
        }
        Ok(())
    }

    fn missing(&self, limit: &AutoVote) -> Option<Predicate> {
        limit.require.iter().find(|required| !self.condition.implies(required)).cloned()
    }

    /// Whether the rule, registered at `seqno`, covers this action and its condition holds. It takes from `steps`.
    pub(crate) fn accepts(&self, case: &Case<'_>, seqno: u64, steps: &mut usize) -> bool {
        self.kinds.contains(&case.kind) && self.condition.holds(case, seqno, steps)
    }
}

impl Condition {
    /// Whether the condition holds. Nothing in it says no, so that what is not looked at for want of `steps` can only
    /// make a rule abstain.
    fn holds(&self, case: &Case<'_>, seqno: u64, steps: &mut usize) -> bool {
        if *steps == 0 {
            return false;
        }
        *steps -= 1;
        match self {
            Self::Is(predicate) => predicate.holds(case, seqno),
            Self::AllOf(of) => of.iter().all(|condition| condition.holds(case, seqno, steps)),
            Self::AnyOf(of) => of.iter().any(|condition| condition.holds(case, seqno, steps)),
            Self::AtLeast { k, of } => {
                let mut holding = 0;
                of.iter().any(|condition| {
                    holding += u32::from(condition.holds(case, seqno, steps));
                    holding >= *k
                })
            }
        }
    }

    /// Whether the condition can only hold where `required` does. By structure, so it may say no where a
    /// cleverer proof would say yes, and never the other way round.
    pub fn implies(&self, required: &Predicate) -> bool {
        let implying = |of: &[Self]| of.iter().filter(|condition| condition.implies(required)).count();
        match self {
            Self::Is(predicate) => predicate.implies(required),
            Self::AllOf(of) => implying(of) >= 1,
            Self::AnyOf(of) => implying(of) == of.len(),
            // Any `k` parts that hold must have an implying one among them.
            Self::AtLeast { k, of } => of.len() - implying(of) < *k as usize,
        }
    }

    fn check_level(&self, depth: usize, parts: &mut usize) -> Result<(), RuleRefused> {
        *parts += 1;
        if depth > DEPTH_MAX || *parts > PARTS_MAX {
            return Err(RuleRefused::TooLarge);
        }
        match self {
            Self::Is(_) => Ok(()),
            Self::AtLeast { k, of } if *k == 0 || *k as usize > of.len() => Err(RuleRefused::Empty),
            Self::AllOf(of) | Self::AnyOf(of) | Self::AtLeast { of, .. } => {
                if of.is_empty() {
                    return Err(RuleRefused::Empty);
                }
                of.iter().try_for_each(|condition| condition.check_level(depth + 1, parts))
            }
        }
    }
}

impl Predicate {
    fn holds(&self, case: &Case<'_>, seqno: u64) -> bool {
        let Case { facts, subject, .. } = case;
        match self {
            // Who came in after the rule was made, under a key that somebody had before, is not whom it means.
            Self::ProposerIs(Members(ids)) => {
                ids.contains(&case.proposer) && facts.since(&case.proposer).is_some_and(|since| since < seqno)
            }
            Self::ProposerIsMember => facts.is_member(&case.proposer),
            // Who takes another's node would be its owner, and looks after it no more than anybody else.
            Self::OwnerIsProposer => subject.owner == Some(case.proposer) && subject.taken_from.is_none(),
            Self::OwnerIsActor => {
                subject.owner.is_some() && subject.owner.iter().chain(&subject.taken_from).all(|id| facts.is_actor(id))
            }
            Self::ActorNodesFewerThan(k) => {
                subject.owner.is_some_and(|owner| facts.node_count_of(&owner) + case.nodes_pending < *k)
            }
            Self::CodeIsApproved => case.code_is_approved,
            Self::TeeIsAllowed => case.tee_is_allowed,
            Self::KindIs(kinds) => kinds.contains(&case.kind),
            Self::NameEndsWith(end) => subject.name.as_ref().is_some_and(|name| name.as_str().ends_with(end.as_str())),
            Self::HostWithin(domain) => subject.host.as_ref().is_some_and(|host| is_within(host, domain.as_str())),
        }
    }

    /// The predicate with the actor `from` replaced by `to` wherever it is named.
    pub(crate) fn with_actor_replaced(&self, from: &ActorId, to: &ActorId) -> Self {
        match self {
            Self::ProposerIs(Members(ids)) => {
                let renamed = ids.iter().map(|id| if id == from { *to } else { *id });
                Self::ProposerIs(Members(Set::new(renamed).expect("at most as many as there were")))
            }
            other => other.clone(),
        }
    }

    /// Whether this can only hold where `other` does.
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ProposerIs(Members(some)), Self::ProposerIs(Members(all))) => some.is_subset(all),
            (Self::ActorNodesFewerThan(k), Self::ActorNodesFewerThan(limit)) => k <= limit,
            (Self::KindIs(some), Self::KindIs(all)) => some.is_subset(all),
            (Self::NameEndsWith(end), Self::NameEndsWith(limit)) => end.as_str().ends_with(limit.as_str()),
            (Self::HostWithin(domain), Self::HostWithin(limit)) => is_within(domain.as_str(), limit.as_str()),
            // Who proposes is an actor.
            (Self::OwnerIsProposer, Self::OwnerIsActor) => true,
            (this, other) => this == other,
        }
    }
}

/// As in documents.
impl std::fmt::Display for Predicate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&short(self))
    }
}

/// Whether `host` is `domain` or ends with it after a dot: `vn1.example.org` lies within `example.org`, and
/// `elsewhere-example.org` does not.
fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// The encoding: a byte that names the variant, then its fields.
impl Encode for Condition {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Is(predicate) => all(out, &[&0u8, predicate]),
            Self::AllOf(of) => all(out, &[&1u8, of]),
            Self::AnyOf(of) => all(out, &[&2u8, of]),
            Self::AtLeast { k, of } => all(out, &[&3u8, k, of]),
        }
    }
}

impl Decode for Condition {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::decode_level(input, 1)
    }
}

impl Level for Condition {
    fn decode_level(input: &mut Decoder<'_>, depth: usize) -> Result<Self, DecodeError> {
        let at = input.reading("condition").clone();
        Ok(match u8::decode(input)? {
            0 => Self::Is(Predicate::decode(input)?),
            1 => Self::AllOf(below(input, depth)?),
            2 => Self::AnyOf(below(input, depth)?),
            3 => Self::AtLeast { k: u32::decode(input)?, of: below(input, depth)? },
            _ => return Err(at.error(DecodeReason::ValueNotAllowed)),
        })
    }
}

impl Predicate {
    /// Whether nothing can fulfil it.
    pub(crate) fn never_holds(&self) -> bool {
        match self {
            Self::ProposerIs(Members(ids)) => ids.is_empty(),
            Self::ActorNodesFewerThan(k) => *k == 0,
            Self::KindIs(kinds) => kinds.is_empty(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(predicate: Predicate) -> Condition {
        Condition::Is(predicate)
    }

    fn list(conditions: &[Condition]) -> List<Condition, LIST_MAX> {
        List::new(conditions.to_vec()).unwrap()
    }

    fn ids(ids: &[u8]) -> Predicate {
        Predicate::ProposerIs(Members(Set::new(ids.iter().map(|id| ActorId([*id; 32]))).unwrap()))
    }

    #[test]
    fn a_stricter_predicate_implies_a_looser_one_and_never_the_other_way_round() {
        let name = |text: &str| Name::new(text).unwrap();
        let kinds = |kinds: &[ActionKind]| Predicate::KindIs(Set::new(kinds.iter().copied()).unwrap());
        let rows = [
            (Predicate::ActorNodesFewerThan(2), Predicate::ActorNodesFewerThan(3)),
            (ids(&[1]), ids(&[1, 2])),
            (kinds(&[ActionKind::AddNode]), kinds(&[ActionKind::AddNode, ActionKind::RemoveNode])),
            (Predicate::NameEndsWith(name("-eu-west")), Predicate::NameEndsWith(name("-west"))),
            (Predicate::HostWithin(name("eu.example.org")), Predicate::HostWithin(name("example.org"))),
            (Predicate::OwnerIsProposer, Predicate::OwnerIsActor),
        ];
        for (strict, loose) in rows {
            assert!(strict.implies(&loose) && strict.implies(&strict) && loose.implies(&loose), "{strict} and {loose}");
            assert!(!loose.implies(&strict), "{loose} and {strict}");
        }
        let host = Predicate::HostWithin(name("elsewhere-example.org"));
        assert!(!host.implies(&Predicate::HostWithin(name("example.org"))));
    }

    #[test]
    fn a_condition_implies_what_holds_in_every_way_in_which_it_can_hold() {
        let (code, tee) = (is(Predicate::CodeIsApproved), is(Predicate::TeeIsAllowed));
        let member = is(Predicate::ProposerIsMember);
        let rows = [
            (code.clone(), true),
            (tee.clone(), false),
            (Condition::AllOf(list(&[tee.clone(), code.clone()])), true),
            (Condition::AnyOf(list(&[tee.clone(), code.clone()])), false),
            (Condition::AnyOf(list(&[code.clone(), Condition::AllOf(list(&[code.clone(), tee.clone()]))])), true),
            // Of three, of which two imply it, any two have one that does; any one may not.
            (Condition::AtLeast { k: 2, of: list(&[code.clone(), code.clone(), tee.clone()]) }, true),
            (Condition::AtLeast { k: 1, of: list(&[code.clone(), code.clone(), tee.clone()]) }, false),
            (Condition::AtLeast { k: 2, of: list(&[code.clone(), member.clone(), tee.clone()]) }, false),
            (Condition::AtLeast { k: 3, of: list(&[code, member, tee]) }, true),
        ];
        for (condition, expected) in rows {
            assert_eq!(condition.implies(&Predicate::CodeIsApproved), expected, "{condition:?}");
            assert_eq!(Condition::from_bytes(&condition.to_bytes()), Ok(condition));
        }
    }

    #[test]
    fn a_condition_without_parts_or_too_large_is_refused() {
        let one = || is(Predicate::OwnerIsActor);
        let nested = (0..DEPTH_MAX).fold(one(), |inner, _| Condition::AllOf(list(&[inner])));
        let rows = [
            (Condition::AllOf(list(&[])), RuleRefused::Empty),
            (Condition::AnyOf(list(&[])), RuleRefused::Empty),
            (Condition::AtLeast { k: 0, of: list(&[one()]) }, RuleRefused::Empty),
            (Condition::AtLeast { k: 2, of: list(&[one()]) }, RuleRefused::Empty),
            (Condition::AllOf(list(&vec![one(); LIST_MAX])), RuleRefused::TooLarge),
            (nested, RuleRefused::TooLarge),
        ];
        for (condition, expected) in rows {
            assert_eq!(condition.check_level(1, &mut 0), Err(expected), "{condition:?}");
        }
        let mut bytes = [1, 1, 0, 0, 0].repeat(1_000_000);
        bytes.extend([0, 1]);
        assert!(Condition::from_bytes(&bytes).is_err());
    }
}
