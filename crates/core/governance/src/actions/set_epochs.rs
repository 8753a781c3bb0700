//! Sets how long session keys are used and kept.

use synod_kv::Tx;

use super::{ActionKind, Rule, Scene};
use crate::document::short;
use crate::entries::Epochs;
use crate::execute::Env;
use crate::macros::record;
use crate::reason::Reason;
use crate::tables::{EPOCHS, Read};

record! {
    /// Sets how long session keys are used and kept; without value to the default.
    pub struct SetEpochs {
        /// The value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<Epochs>,
    }
}

impl Rule for SetEpochs {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if EPOCHS.get(scene.tables.0, &())? == self.value {
            reasons.push(Reason::NothingChanges);
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        match &self.value {
            Some(value) => EPOCHS.put(tx, &(), value),
            None => EPOCHS.remove(tx, &()),
        }
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        match &self.value {
            Some(value) => format!("set epochs: {}", short(value)),
            None => "set epochs to the default".into(),
        }
    }
}
