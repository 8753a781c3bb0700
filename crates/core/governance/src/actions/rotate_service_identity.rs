//! Has the service make itself a new identity.

use synod_kv::Tx;

use super::{ActionKind, Rule, Scene};
use crate::entries::ServiceEntry;
use crate::execute::Env;
use crate::macros::record;
use crate::reason::Reason;
use crate::tables::{Read, SERVICE, Tables};

record! {
    /// Asks for a new key of the service. The tables count how often it was asked for; the nodes make a key where a
    /// transaction changes the count.
    pub struct RotateServiceIdentity {}
}

impl Rule for RotateServiceIdentity {
    fn check(&self, _scene: &Scene<'_>, _reasons: &mut Vec<Reason>) -> Read<()> {
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        let rotations = Tables(tx).service()?.rotations + 1;
        SERVICE.put(tx, &(), &ServiceEntry { rotations });
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        "rotate the service's identity".into()
    }
}
