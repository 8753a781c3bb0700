//! Removes a member or a participant. What it left behind (nodes, a policy that requires it) is looked at when the
//! whole proposal has been carried out, so that one proposal can remove both.

use synod_kv::Tx;
use synod_types::ActorId;

use super::{ActionKind, Rule, Scene};
use crate::execute::Env;
use crate::macros::record;
use crate::reason::Reason;
use crate::tables::{ACTORS, Read, STANDING, Tables};

record! {
    /// Removes a member or a participant.
    pub struct RemoveActor {
        /// Whom.
        #[serde(with = "crate::shape::actor")]
        pub id: ActorId,
    }
}

impl Rule for RemoveActor {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        let role = scene.kind.role();
        if scene.tables.actor(&self.id)?.is_none_or(|actor| actor.role != role) {
            reasons.push(Reason::NoSuchActor { role: role.name(), id: self.id });
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        forget(&self.id, tx)
    }

    fn summary(&self, kind: ActionKind) -> String {
        format!("remove {} {}", kind.role(), self.id)
    }

    fn actors(&self) -> Vec<ActorId> {
        vec![self.id]
    }

    fn is_about(&self, actor: &ActorId, _tables: Tables<'_>) -> Read<bool> {
        Ok(self.id == *actor)
    }
}

/// Removes an actor and what is its own. The counter of its statements and its revocation list stay: should it come
/// back under the same key, in whatever role, nothing that it signed before is good again, and no leaf that it revoked.
pub(super) fn forget(id: &ActorId, tx: &mut Tx<'_>) -> Read<()> {
    ACTORS.remove(tx, id);
    let rules: Vec<_> = Tables(tx).standing_rules_of(id)?.into_keys().collect();
    rules.iter().for_each(|rule| STANDING.remove(tx, &(*id, *rule)));
    Ok(())
}
