//! Sets the rules for blocks. Whether they make sense is looked at when the whole proposal has been carried out.

use synod_kv::Tx;

use super::{ActionKind, Rule, Scene};
use crate::document::short;
use crate::entries::Rules;
use crate::execute::Env;
use crate::macros::record;
use crate::reason::Reason;
use crate::tables::{RULES, Read};

record! {
    /// Sets the rules for blocks; without value to the default.
    pub struct SetBlocks {
        /// The value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<Rules>,
    }
}

impl Rule for SetBlocks {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if RULES.get(scene.tables.0, &())? == self.value {
            reasons.push(Reason::NothingChanges);
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        match &self.value {
            Some(value) => RULES.put(tx, &(), value),
            None => RULES.remove(tx, &()),
        }
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        match &self.value {
            Some(value) => format!("set the rules for blocks: {}", short(value)),
            None => "set the rules for blocks to the default".into(),
        }
    }
}
