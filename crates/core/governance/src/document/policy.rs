//! Policies as documents have them: members by name.

use serde::{Deserialize, Serialize};
use synod_types::ActorId;

use crate::bounded::{List, Set};
use crate::policy::{Members, Policy};

/// A [`Policy`] that names members; an id in hexadecimal digits serves as well.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum NamedPolicy {
    Unanimous,
    Majority,
    MOfN(u32),
    OneOfN,
    Fraction { num: u32, den: u32 },
    Required(Vec<String>),
    AllOf(Vec<NamedPolicy>),
    AnyOf(Vec<NamedPolicy>),
    AtLeast { k: u32, of: Vec<NamedPolicy> },
}

impl NamedPolicy {
    /// The policy with names in the place of the ids that `name_of` knows.
    pub fn of(policy: &Policy, name_of: &dyn Fn(&ActorId) -> Option<String>) -> Self {
        let each = |of: &[Policy]| of.iter().map(|policy| Self::of(policy, name_of)).collect();
        match policy {
            Policy::Unanimous => Self::Unanimous,
            Policy::Majority => Self::Majority,
            Policy::MOfN(m) => Self::MOfN(*m),
            Policy::OneOfN => Self::OneOfN,
            Policy::Fraction { num, den } => Self::Fraction { num: *num, den: *den },
            Policy::Required(Members(ids)) => {
                Self::Required(ids.iter().map(|id| name_of(id).unwrap_or_else(|| id.to_hex())).collect())
            }
            Policy::AllOf(of) => Self::AllOf(each(of)),
            Policy::AnyOf(of) => Self::AnyOf(each(of)),
            Policy::AtLeast { k, of } => Self::AtLeast { k: *k, of: each(of) },
        }
    }

    /// The policy with ids in the place of names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn resolve(&self, id_of: &dyn Fn(&str) -> Option<ActorId>) -> Result<Policy, String> {
        let each = |of: &[Self]| -> Result<List<Policy, { crate::limits::LIST_MAX }>, String> {
            let policies = of.iter().map(|policy| policy.resolve(id_of)).collect::<Result<_, _>>()?;
            List::new(policies).map_err(|refused| refused.to_string())
        };
        Ok(match self {
            Self::Unanimous => Policy::Unanimous,
            Self::Majority => Policy::Majority,
            Self::MOfN(m) => Policy::MOfN(*m),
            Self::OneOfN => Policy::OneOfN,
            Self::Fraction { num, den } => Policy::Fraction { num: *num, den: *den },
            Self::Required(names) => {
                let id = |name: &String| id_of(name).ok_or_else(|| format!("there is no actor {name:?}"));
                let ids = names.iter().map(id).collect::<Result<Vec<_>, _>>()?;
                Policy::Required(Members(Set::new(ids).map_err(|refused| refused.to_string())?))
            }
            Self::AllOf(of) => Policy::AllOf(each(of)?),
            Self::AnyOf(of) => Policy::AnyOf(each(of)?),
            Self::AtLeast { k, of } => Policy::AtLeast { k: *k, of: each(of)? },
        })
    }
}
