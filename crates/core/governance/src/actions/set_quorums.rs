//! Sets how many nodes decide. Whether the numbers fit the nodes is looked at when the whole proposal has been carried out.

use synod_kv::Tx;

use super::{ActionKind, Rule, Scene};
use crate::document::short;
use crate::entries::Quorums;
use crate::execute::Env;
use crate::macros::record;
use crate::reason::Reason;
use crate::tables::{QUORUMS, Read};

record! {
    /// Sets how many nodes decide; without value to the default.
    pub struct SetQuorums {
        /// The value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<Quorums>,
    }
}

impl Rule for SetQuorums {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if QUORUMS.get(scene.tables.0, &())? == self.value {
            reasons.push(Reason::NothingChanges);
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        match &self.value {
            Some(value) => QUORUMS.put(tx, &(), value),
            None => QUORUMS.remove(tx, &()),
        }
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        match &self.value {
            Some(value) => format!("set quorums: {}", short(value)),
            None => "set quorums to the default".into(),
        }
    }
}
