//! Sets the limits of automatic votes on one kind of action.

use synod_kv::Tx;

use super::{ActionKind, PolicyKey, Rule, Scene};
use crate::document::short;
use crate::entries::AutoVote;
use crate::execute::Env;
use crate::macros::record;
use crate::reason::Reason;
use crate::tables::{AUTO_VOTES, Read};

record! {
    /// Sets the limits of automatic votes on one kind of action; without value there are none.
    pub struct SetAutoVote {
        /// The kind.
        pub kind: ActionKind,
        /// The limits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<AutoVote>,
    }
}

impl Rule for SetAutoVote {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if scene.tables.auto_vote(self.kind)? == self.value {
            reasons.push(Reason::NothingChanges);
        }
        if self.value.as_ref().is_some_and(|limit| limit.require.iter().any(|predicate| predicate.never_holds())) {
            reasons.push(Reason::AutoVoteMalformed { kind: self.kind });
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        match &self.value {
            Some(limit) => AUTO_VOTES.put(tx, &self.kind.tag(), limit),
            None => AUTO_VOTES.remove(tx, &self.kind.tag()),
        }
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        match &self.value {
            Some(limit) => format!("allow automatic votes on {} that require {}", self.kind, short(&limit.require)),
            None => format!("allow no automatic votes on {}", self.kind),
        }
    }

    fn also_decided_by(&self) -> Option<PolicyKey> {
        Some(PolicyKey::Kind(self.kind))
    }
}
