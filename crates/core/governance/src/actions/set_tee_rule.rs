//! Says whether, and from which version on, a platform is trusted.

use synod_kv::Tx;

use super::{ActionKind, Rule, Scene};
use crate::document::short;
use crate::entries::{Platform, TeeRule};
use crate::execute::Env;
use crate::macros::record;
use crate::reason::Reason;
use crate::tables::{Read, TEES};

record! {
    /// Sets the rule for a platform; without value there is none, and the platform is not trusted.
    pub struct SetTeeRule {
        /// The platform.
        pub platform: Platform,
        /// The rule.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<TeeRule>,
    }
}

impl Rule for SetTeeRule {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if scene.tables.tee_rule(self.platform)? == self.value {
            reasons.push(Reason::NothingChanges);
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        match &self.value {
            Some(rule) => TEES.put(tx, &(self.platform as u8), rule),
            None => TEES.remove(tx, &(self.platform as u8)),
        }
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        match &self.value {
            Some(rule) if rule.allowed => {
                let tcb: Vec<_> = rule
                    .tcb_min
                    .iter()
                    .map(|part| format!("{:?} {}", part.component.as_str(), part.version_min))
                    .collect();
                format!("trust platform {} from [{}] on", short(&self.platform), tcb.join(", "))
            }
            _ => format!("do not trust platform {}", short(&self.platform)),
        }
    }
}
