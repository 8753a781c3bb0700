//! Sets when a node acknowledges a block.

use synod_kv::Tx;

use super::{ActionKind, Rule, Scene};
use crate::document::short;
use crate::entries::Durability;
use crate::execute::Env;
use crate::macros::record;
use crate::reason::Reason;
use crate::tables::{DURABILITY, Read};

record! {
    /// Sets when a node acknowledges a block; without value to the default.
    pub struct SetDurability {
        /// The value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<Durability>,
    }
}

impl Rule for SetDurability {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if DURABILITY.get(scene.tables.0, &())? == self.value {
            reasons.push(Reason::NothingChanges);
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        match &self.value {
            Some(value) => DURABILITY.put(tx, &(), value),
            None => DURABILITY.remove(tx, &()),
        }
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        match &self.value {
            Some(value) => format!("set durability: {}", short(value)),
            None => "set durability to the default".into(),
        }
    }
}
