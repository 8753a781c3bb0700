//! Voting policies: which ballots accept a proposal.
//!
//! Policies are closed data and not a language: an audit years later must mean the same. Each is monotone (one more
//! acceptance never harms), so a policy that even all open ballots could not fulfil any more is decided.

use synod_types::codec::DecodeReason;
use synod_types::{ActorId, Decode, DecodeError, Decoder, Encode, Encoder};

use crate::bounded::{List, Set};
use crate::level::{Level, all, below};
use crate::limits::{DEPTH_MAX, LIST_MAX, PARTS_MAX};
use crate::macros::tagged;
use crate::tally::{Choice, Tally};

/// Which ballots accept a proposal. `n` is the number of current members.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Policy {
    /// All `n` accept.
    Unanimous,
    /// More than half of `n` accept. The default.
    Majority,
    /// At least this many accept.
    MOfN(u32),
    /// One accepts.
    OneOfN,
    /// At least this part of `n`, rounded up, accepts.
    Fraction {
        /// The numerator, at least 1.
        num: u32,
        /// The denominator, at least the numerator.
        den: u32,
    },
    /// Each of these members accepts.
    Required(Members),
    /// All of these accept.
    AllOf(List<Policy, LIST_MAX>),
    /// One of these accepts.
    AnyOf(List<Policy, LIST_MAX>),
    /// At least `k` of these accept.
    AtLeast {
        /// How many.
        k: u32,
        /// Of which.
        of: List<Policy, LIST_MAX>,
    },
}

/// The encoding: a byte that names the variant, then its fields.
impl Encode for Policy {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Unanimous => 0u8.encode(out),
            Self::Majority => 1u8.encode(out),
            Self::MOfN(m) => all(out, &[&2u8, m]),
            Self::OneOfN => 3u8.encode(out),
            Self::Fraction { num, den } => all(out, &[&4u8, num, den]),
            Self::Required(members) => all(out, &[&5u8, members]),
            Self::AllOf(of) => all(out, &[&6u8, of]),
            Self::AnyOf(of) => all(out, &[&7u8, of]),
            Self::AtLeast { k, of } => all(out, &[&8u8, k, of]),
        }
    }
}

impl Decode for Policy {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::decode_level(input, 1)
    }
}

impl Level for Policy {
    fn decode_level(input: &mut Decoder<'_>, depth: usize) -> Result<Self, DecodeError> {
        let at = input.reading("policy").clone();
        Ok(match u8::decode(input)? {
            0 => Self::Unanimous,
            1 => Self::Majority,
            2 => Self::MOfN(u32::decode(input)?),
            3 => Self::OneOfN,
            4 => Self::Fraction { num: u32::decode(input)?, den: u32::decode(input)? },
            5 => Self::Required(Members::decode(input)?),
            6 => Self::AllOf(below(input, depth)?),
            7 => Self::AnyOf(below(input, depth)?),
            8 => Self::AtLeast { k: u32::decode(input)?, of: below(input, depth)? },
            _ => return Err(at.error(DecodeReason::ValueNotAllowed)),
        })
    }
}

/// Members by their ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Members(#[serde(with = "crate::shape::actors")] pub Set<ActorId, LIST_MAX>);

impl Encode for Members {
    fn encode(&self, out: &mut Encoder) {
        self.0.encode(out);
    }
}

impl Decode for Members {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Set::decode(input).map(Self)
    }
}

tagged! {
    /// What a policy makes of a tally.
    #[derive(Copy)]
    pub enum Verdict {
        /// It is fulfilled.
        0 => Accepted,
        /// It can no longer be fulfilled.
        1 => Rejected,
        /// Further ballots decide.
        2 => Open,
    }
}

/// Why something is no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefused {
    /// It would be fulfilled without any ballot, or never.
    #[error("a threshold is between 1 and the number of what it counts")]
    Threshold,
    /// It combines or requires nothing.
    #[error("a combination has at least one part")]
    Empty,
    /// It nests too deeply or has too many parts.
    #[error("nested deeper than {DEPTH_MAX} or of more than {PARTS_MAX} parts")]
    TooLarge,
}

impl Policy {
    /// What this policy makes of `tally`.
    ///
    /// ```
    /// use synod_governance::{Choice, Policy, Tally, Verdict};
    /// use synod_types::ActorId;
    ///
    /// let tally = Tally::new([
    ///     (ActorId([1; 32]), Some(Choice::Accept)),
    ///     (ActorId([2; 32]), None),
    ///     (ActorId([3; 32]), Some(Choice::Reject)),
    /// ]);
    /// assert_eq!(Policy::OneOfN.judge(&tally), Verdict::Accepted);
    /// assert_eq!(Policy::Majority.judge(&tally), Verdict::Open);
    /// assert_eq!(Policy::Unanimous.judge(&tally), Verdict::Rejected);
    /// ```
    pub fn judge(&self, tally: &Tally) -> Verdict {
        let members = tally.members();
        match self {
            Self::Unanimous => counted(members, tally),
            Self::Majority => counted(members / 2 + 1, tally),
            Self::MOfN(m) => counted(u64::from(*m), tally),
            Self::OneOfN => counted(1, tally),
            Self::Fraction { num, den } => counted((members * u64::from(*num)).div_ceil(u64::from(*den).max(1)), tally),
            Self::Required(Members(required)) => at_least(required.len(), required.iter().map(|id| said(tally.of(id)))),
            Self::AllOf(of) => at_least(of.len(), of.iter().map(|policy| policy.judge(tally))),
            Self::AnyOf(of) => at_least(1, of.iter().map(|policy| policy.judge(tally))),
            Self::AtLeast { k, of } => at_least(*k as usize, of.iter().map(|policy| policy.judge(tally))),
        }
    }

    /// Whether this could be fulfilled at all if `members` are the members.
    pub fn is_reachable(&self, members: impl IntoIterator<Item = ActorId>) -> bool {
        self.judge(&Tally::of_all_accepting(members)) == Verdict::Accepted
    }

    /// Checks what does not depend on who the members are.
    ///
    /// # Errors
    /// If a threshold could be met by nobody or without a ballot, or the policy is too large to be read.
    pub fn check(&self) -> Result<(), PolicyRefused> {
        let mut parts = 0;
        self.check_level(1, &mut parts)
    }

    /// The policy with the member `from` replaced by `to` wherever it is required.
    #[must_use]
    pub fn with_member_replaced(&self, from: &ActorId, to: &ActorId) -> Self {
        let each = |of: &List<Self, LIST_MAX>| {
            List::new(of.iter().map(|policy| policy.with_member_replaced(from, to)).collect())
                .expect("as many as there were")
        };
        match self {
            Self::Required(Members(required)) => {
                let renamed = required.iter().map(|id| if id == from { *to } else { *id });
                Self::Required(Members(Set::new(renamed).expect("at most as many as there were")))
            }
            Self::AllOf(of) => Self::AllOf(each(of)),
            Self::AnyOf(of) => Self::AnyOf(each(of)),
            Self::AtLeast { k, of } => Self::AtLeast { k: *k, of: each(of) },
            other => other.clone(),
        }
    }

    fn check_level(&self, depth: usize, parts: &mut usize) -> Result<(), PolicyRefused> {
        *parts += 1;
        if depth > DEPTH_MAX || *parts > PARTS_MAX {
            return Err(PolicyRefused::TooLarge);
        }
        match self {
            Self::Unanimous | Self::Majority | Self::OneOfN => Ok(()),
            Self::MOfN(0) => Err(PolicyRefused::Threshold),
            Self::MOfN(_) => Ok(()),
            Self::Fraction { num, den } if *num == 0 || num > den => Err(PolicyRefused::Threshold),
            Self::Fraction { .. } => Ok(()),
            Self::Required(Members(required)) if required.is_empty() => Err(PolicyRefused::Empty),
            Self::Required(_) => Ok(()),
            Self::AtLeast { k, of } if *k == 0 || *k as usize > of.len() => Err(PolicyRefused::Threshold),
            Self::AllOf(of) | Self::AnyOf(of) | Self::AtLeast { of, .. } => {
                if of.is_empty() {
                    return Err(PolicyRefused::Empty);
                }
                of.iter().try_for_each(|policy| policy.check_level(depth + 1, parts))
            }
        }
    }
}

impl Default for Policy {
    /// Majority: the documented default wherever nothing else was set.
    fn default() -> Self {
        Self::Majority
    }
}

/// `needed` acceptances, whoever gives them.
fn counted(needed: u64, tally: &Tally) -> Verdict {
    let (accepting, possible) = (tally.accepting(), tally.members() - tally.rejecting());
    verdict(needed, accepting, possible)
}

fn at_least(needed: usize, verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let (mut accepted, mut possible) = (0, 0);
    for verdict in verdicts {
        accepted += u64::from(verdict == Verdict::Accepted);
        possible += u64::from(verdict != Verdict::Rejected);
    }
    verdict(needed as u64, accepted, possible)
}

fn verdict(needed: u64, accepted: u64, possible: u64) -> Verdict {
    if accepted >= needed {
        Verdict::Accepted
    } else if possible < needed {
        Verdict::Rejected
    } else {
        Verdict::Open
    }
}

/// Who is no member cannot accept.
fn said(choice: Option<Option<Choice>>) -> Verdict {
    match choice {
        Some(Some(Choice::Accept)) => Verdict::Accepted,
        Some(None) => Verdict::Open,
        Some(Some(Choice::Reject)) | None => Verdict::Rejected,
    }
}

/// A policy in a few words, as people see it.
impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = |f: &mut std::fmt::Formatter<'_>, of: &[Self]| {
            for (place, policy) in of.iter().enumerate() {
                write!(f, "{}{policy}", if place == 0 { "" } else { ", " })?;
            }
            f.write_str(")")
        };
        match self {
            Self::Unanimous => f.write_str("unanimous"),
            Self::Majority => f.write_str("majority"),
            Self::MOfN(m) => write!(f, "{m} of all members"),
            Self::OneOfN => f.write_str("one of all members"),
            Self::Fraction { num, den } => write!(f, "{num}/{den} of all members"),
            Self::Required(Members(required)) => {
                f.write_str("required(")?;
                for (place, id) in required.iter().enumerate() {
                    write!(f, "{}{}", if place == 0 { "" } else { ", " }, &id.to_hex()[..16])?;
                }
                f.write_str(")")
            }
            Self::AllOf(of) => f.write_str("all of (").and_then(|()| each(f, of)),
            Self::AnyOf(of) => f.write_str("any of (").and_then(|()| each(f, of)),
            Self::AtLeast { k, of } => write!(f, "at least {k} of (").and_then(|()| each(f, of)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> ActorId {
        ActorId([n; 32])
    }

    /// A tally of as many members as there are letters: a accepts, r rejects, anything else is silent.
    fn tally(said: &str) -> Tally {
        Tally::new((1..).zip(said.chars()).map(|(n, c)| {
            (
                id(n),
                match c {
                    'a' => Some(Choice::Accept),
                    'r' => Some(Choice::Reject),
                    _ => None,
                },
            )
        }))
    }

    fn required(ids: &[u8]) -> Policy {
        Policy::Required(Members(Set::new(ids.iter().map(|n| id(*n))).unwrap()))
    }

    fn list(policies: Vec<Policy>) -> List<Policy, LIST_MAX> {
        List::new(policies).unwrap()
    }

    #[test]
    fn each_policy_judges_as_its_name_says() {
        use Policy::*;
        use Verdict::{Accepted, Open, Rejected};
        let both = || list(vec![OneOfN, required(&[3])]);
        let rows = [
            (Unanimous, "aaa", Accepted),
            (Unanimous, "aa-", Open),
            (Unanimous, "aar", Rejected),
            (Majority, "aa-", Accepted),
            (Majority, "aa--", Open),
            (Majority, "aarr", Rejected),
            (Majority, "a-rr", Rejected),
            (MOfN(3), "aaa-", Accepted),
            (MOfN(3), "aar-", Open),
            (MOfN(3), "aarr", Rejected),
            (MOfN(3), "aa", Rejected),
            (OneOfN, "a---", Accepted),
            (OneOfN, "rrr-", Open),
            (OneOfN, "rrrr", Rejected),
            (Fraction { num: 2, den: 3 }, "aa-", Accepted),
            (Fraction { num: 2, den: 3 }, "aa--", Open),
            (Fraction { num: 2, den: 3 }, "aaa-", Accepted),
            (Fraction { num: 1, den: 1 }, "aa-", Open),
            (required(&[1, 3]), "a-a", Accepted),
            (required(&[1, 3]), "aa-", Open),
            (required(&[1, 3]), "aar", Rejected),
            (required(&[9]), "aaa", Rejected),
            (AllOf(both()), "--a", Accepted),
            (AllOf(both()), "a--", Open),
            (AllOf(both()), "a-r", Rejected),
            (AnyOf(both()), "a-r", Accepted),
            (AnyOf(both()), "r-r", Open),
            (AnyOf(both()), "rrr", Rejected),
            (AtLeast { k: 2, of: list(vec![required(&[1]), required(&[2]), required(&[3])]) }, "a-a", Accepted),
            (AtLeast { k: 2, of: list(vec![required(&[1]), required(&[2]), required(&[3])]) }, "r-a", Open),
            (AtLeast { k: 2, of: list(vec![required(&[1]), required(&[2]), required(&[3])]) }, "r-r", Rejected),
        ];
        for (policy, said, expected) in rows {
            assert_eq!(policy.judge(&tally(said)), expected, "{policy} on {said}");
            assert_eq!(Policy::from_bytes(&policy.to_bytes()), Ok(policy));
        }
    }

    #[test]
    fn a_policy_that_nobody_or_everybody_fulfils_is_refused() {
        use PolicyRefused::{Empty, Threshold, TooLarge};
        let nested = (0..DEPTH_MAX).fold(Policy::OneOfN, |inner, _| Policy::AllOf(list(vec![inner])));
        let rows = [
            (Policy::MOfN(0), Threshold),
            (Policy::Fraction { num: 0, den: 2 }, Threshold),
            (Policy::Fraction { num: 3, den: 2 }, Threshold),
            (Policy::Fraction { num: 0, den: 0 }, Threshold),
            (required(&[]), Empty),
            (Policy::AllOf(list(vec![])), Empty),
            (Policy::AnyOf(list(vec![])), Empty),
            (Policy::AtLeast { k: 0, of: list(vec![Policy::OneOfN]) }, Threshold),
            (Policy::AtLeast { k: 2, of: list(vec![Policy::OneOfN]) }, Threshold),
            (Policy::AnyOf(list(vec![Policy::OneOfN; LIST_MAX])), TooLarge),
            (nested, TooLarge),
        ];
        for (policy, expected) in rows {
            assert_eq!(policy.check(), Err(expected), "{policy}");
        }
        assert_eq!(Policy::default().check(), Ok(()));
    }

    #[test]
    fn a_deeply_nested_encoding_is_refused_and_not_followed() {
        let mut bytes = [6, 1, 0, 0, 0].repeat(1_000_000);
        bytes.push(1);
        assert!(Policy::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_threshold_above_the_members_is_unreachable() {
        let members = || (1..=3).map(id);
        for (policy, reachable) in
            [(Policy::MOfN(3), true), (Policy::MOfN(4), false), (required(&[3]), true), (required(&[4]), false)]
        {
            assert_eq!(policy.is_reachable(members()), reachable, "{policy}");
        }
        assert!(!Policy::Majority.is_reachable([]));
    }

    #[test]
    fn a_replaced_member_is_required_under_its_new_id() {
        let policy = Policy::AllOf(list(vec![required(&[1, 2]), Policy::Majority]));
        let expected = Policy::AllOf(list(vec![required(&[2, 9]), Policy::Majority]));
        assert_eq!(policy.with_member_replaced(&id(1), &id(9)), expected);
    }
}
