//! Says who may propose one kind of action.

use synod_kv::Tx;

use super::{ActionKind, PolicyKey, Rule, Scene};
use crate::document::short;
use crate::entries::Proposers;
use crate::execute::Env;
use crate::macros::record;
use crate::reason::Reason;
use crate::tables::{PROPOSERS, Read};

record! {
    /// Says who may propose one kind of action; without value whom the default says.
    pub struct SetProposers {
        /// The kind.
        pub kind: ActionKind,
        /// Who.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<Proposers>,
    }
}

impl Rule for SetProposers {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if PROPOSERS.get(scene.tables.0, &self.kind.tag())? == self.value {
            reasons.push(Reason::NothingChanges);
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        match &self.value {
            Some(proposers) => PROPOSERS.put(tx, &self.kind.tag(), proposers),
            None => PROPOSERS.remove(tx, &self.kind.tag()),
        }
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        let value = self.value.unwrap_or(self.kind.proposers_default());
        format!(
            "let {} propose {}{}",
            short(&value),
            self.kind,
            if self.value.is_none() { " (the default)" } else { "" }
        )
    }

    fn also_decided_by(&self) -> Option<PolicyKey> {
        Some(PolicyKey::Kind(self.kind))
    }
}
