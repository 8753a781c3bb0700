//! Changes an adapter's settings.

use synod_kv::Tx;

use super::{ActionKind, Rule, Scene};
use crate::entries::AdapterEntry;
use crate::execute::Env;
use crate::reason::Reason;
use crate::standing::Subject;
use crate::tables::{ADAPTERS, Read, Tables};

/// Changes the settings of an adapter of genesis. Governance does not read them: whether they make sense is the adapter's
/// to say, which is asked before a proposal is ordered, and is handed them once they are decided. So an audit comes
/// to the same tables whatever adapters there are by then.
pub type SetAdapter = AdapterEntry;

impl Rule for SetAdapter {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        match scene.tables.adapters()?.iter().find(|adapter| adapter.name == self.name) {
            None => reasons.push(Reason::NoSuchAdapter { name: self.name.clone() }),
            Some(known) if known == self => reasons.push(Reason::NothingChanges),
            Some(_) => {}
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        let adapters = Tables(tx).adapters()?;
        let place =
            adapters.iter().position(|adapter| adapter.name == self.name).expect("checked: there is this adapter");
        ADAPTERS.put(tx, &u8::try_from(place).expect("adapters' ids are bytes"), self);
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        let digest = synod_crypto::sha256(&[&self.settings]);
        format!("set adapter {:?}: {} bytes, SHA-256 {digest}", self.name.as_str(), self.settings.len())
    }

    fn subject(&self, _tables: Tables<'_>) -> Read<Subject> {
        Ok(Subject { name: Some(self.name.clone()), ..Subject::default() })
    }
}
