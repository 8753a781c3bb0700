//! Ends an auditor's grant.

use synod_kv::Tx;
use synod_types::Digest;

use super::{ActionKind, Rule, Scene};
use crate::execute::Env;
use crate::macros::record;
use crate::reason::Reason;
use crate::tables::{AUDITORS, Read};

record! {
    /// Ends an auditor's grant.
    pub struct RevokeAuditor {
        /// SHA-256 of the auditor's public key (SubjectPublicKeyInfo).
        #[serde(with = "crate::shape::digest")]
        pub key: Digest,
    }
}

impl Rule for RevokeAuditor {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if !AUDITORS.has(scene.tables.0, &self.key) {
            reasons.push(Reason::NoSuchEntry { what: "auditor" });
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        AUDITORS.remove(tx, &self.key);
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        format!("end the grant of auditor {}", self.key)
    }
}
