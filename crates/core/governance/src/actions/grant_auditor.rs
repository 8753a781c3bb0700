//! Lets an auditor read a part of the ledger.

use synod_kv::Tx;

use super::{ActionKind, Rule, Scene};
use crate::document::short;
use crate::entries::AuditorEntry;
use crate::execute::Env;
use crate::identity::check_actor_certificate;
use crate::limits::AUDITORS_MAX;
use crate::reason::Reason;
use crate::standing::Subject;
use crate::tables::{AUDITORS, Read, Tables};

/// Lets the holder of a certificate read a part of the ledger; a new grant replaces an old one of the same key.
pub type GrantAuditor = AuditorEntry;

impl Rule for GrantAuditor {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if let Err(why) = check_actor_certificate(&self.certificate, scene.env.time) {
            reasons.push(Reason::CertificateUnusable { name: self.name.clone(), why });
            return Ok(());
        }
        let key = self.certificate.actor_id().expect("checked above");
        let auditors = scene.tables.auditors()?;
        let known = auditors.get(&synod_types::Digest(key.0));
        if known == Some(self) {
            reasons.push(Reason::NothingChanges);
        }
        if known.is_none() && auditors.len() >= AUDITORS_MAX {
            reasons.push(Reason::TooManyEntries { what: "auditors" });
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        let key = self.certificate.actor_id().expect("checked: the certificate can be read");
        AUDITORS.put(tx, &synod_types::Digest(key.0), self);
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        let key = self.certificate.actor_id().map_or_else(String::new, |id| id.to_hex());
        format!("let auditor {:?} ({key}) read: {}", self.name.as_str(), short(&self.part))
    }

    fn subject(&self, _tables: Tables<'_>) -> Read<Subject> {
        Ok(Subject { name: Some(self.name.clone()), ..Subject::default() })
    }
}
