//! Says how proposals are decided.

use synod_kv::Tx;

use super::{ActionKind, PolicyKey, Rule, Scene};
use crate::bounded::Name;
use crate::execute::Env;
use crate::macros::record;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::tables::{POLICIES, POLICY_DEFAULT, Read};

record! {
    /// Says how one kind of action is decided; without kind, how every kind is that has no policy of its own.
    /// Without value: back to the default policy, or for the default policy back to majority.
    ///
    /// It is decided under the old policy, that of the kind (or the default) included.
    pub struct SetPolicy {
        /// The kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub kind: Option<ActionKind>,
        /// The policy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<Policy>,
    }
}

impl SetPolicy {
    fn key(&self) -> u8 {
        self.kind.map_or(POLICY_DEFAULT, ActionKind::tag)
    }
}

impl Rule for SetPolicy {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if POLICIES.get(scene.tables.0, &self.key())? == self.value {
            reasons.push(Reason::NothingChanges);
        }
        if let Some(Err(why)) = self.value.as_ref().map(Policy::check) {
            reasons.push(Reason::PolicyMalformed { of: key_name(self.key()), why });
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        match &self.value {
            Some(policy) => POLICIES.put(tx, &self.key(), policy),
            None => POLICIES.remove(tx, &self.key()),
        }
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        let of = self.kind.map_or_else(|| "everything else".to_owned(), |kind| kind.to_string());
        match &self.value {
            Some(policy) => format!("decide {of} by {policy}"),
            None => format!("decide {of} by the default"),
        }
    }

    fn also_decided_by(&self) -> Option<PolicyKey> {
        Some(self.kind.map_or(PolicyKey::Default, PolicyKey::Kind))
    }
}

/// What the policy under this key is for.
pub(crate) fn key_name(key: u8) -> Name {
    let name = ActionKind::from_tag(key).map_or("default", ActionKind::name);
    Name::new(name).expect("names of kinds are names")
}
