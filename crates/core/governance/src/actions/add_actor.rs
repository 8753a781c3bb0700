//! Adds a member or a participant.

use synod_kv::Tx;
use synod_types::ActorId;

use super::{ActionKind, Rule, Scene};
use crate::bounded::Name;
use crate::entries::{ActorEntry, CertificateDer, Pins};
use crate::execute::Env;
use crate::identity::check_actor_certificate;
use crate::limits::ACTORS_MAX;
use crate::macros::record;
use crate::reason::Reason;
use crate::standing::Subject;
use crate::tables::{ACTORS, Read, Tables};

record! {
    /// Adds a member or a participant.
    pub struct AddActor {
        /// What people call it.
        pub name: Name,
        /// Its certificate: an organisation's own CA, one of its intermediates, or a single key's.
        pub certificate: CertificateDer,
        /// What a leaf under it must show besides.
        #[serde(default, skip_serializing_if = "Pins::is_empty")]
        pub pins: Pins,
    }
}

impl Rule for AddActor {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        check_pins(&self.pins, reasons);
        if let Err(why) = check_actor_certificate(&self.certificate, scene.env.time) {
            reasons.push(Reason::CertificateUnusable { name: self.name.clone(), why });
        }
        if scene.roster.len() >= ACTORS_MAX {
            reasons.push(Reason::TooManyActors);
        }
        if let Some(known) = self.certificate.actor_id().and_then(|id| scene.roster.name_of(&id)) {
            reasons.push(Reason::ActorExists { name: known.clone() });
        }
        if scene.roster.named(&self.name).is_some() {
            reasons.push(Reason::NameTaken { name: self.name.clone() });
        }
        Ok(())
    }

    fn apply(&self, kind: ActionKind, env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        let id = self.certificate.actor_id().expect("checked: the certificate can be read");
        let entry = ActorEntry {
            role: kind.role(),
            name: self.name.clone(),
            certificate: self.certificate.clone(),
            pins: self.pins.clone(),
            since: env.seqno.0,
        };
        ACTORS.put(tx, &id, &entry);
        Ok(())
    }

    fn summary(&self, kind: ActionKind) -> String {
        let id = self.certificate.actor_id().map_or_else(String::new, |id| id.to_hex());
        format!("add {} {:?} ({id})", kind.role(), self.name.as_str())
    }

    fn subject(&self, _tables: Tables<'_>) -> Read<Subject> {
        Ok(Subject { name: Some(self.name.clone()), ..Subject::default() })
    }

    fn actors(&self) -> Vec<ActorId> {
        self.certificate.actor_id().into_iter().collect()
    }
}

/// Adds a reason for each pin that can never fit.
pub(super) fn check_pins(pins: &Pins, reasons: &mut Vec<Reason>) {
    let mut refuse = |pin: &str, form| reasons.push(Reason::PinMalformed { pin: pin.to_owned(), form });
    for san in pins.san.iter().map(Name::as_str) {
        if !["dns:", "email:", "uri:"].iter().any(|kind| san.len() > kind.len() && san.starts_with(kind)) {
            refuse(san, "dns:NAME, email:NAME or uri:NAME");
        }
    }
    for oid in pins.policy_oid.iter().map(Name::as_str) {
        if oid.split('.').count() < 2
            || oid.split('.').any(|arc| arc.parse::<u64>().map(|n| n.to_string()) != Ok(arc.into()))
        {
            refuse(oid, "dotted numbers, such as 1.3.6.1.4.1.99999.1");
        }
    }
    for digest in pins.sub_ca.iter().filter(|digest| digest.len() != 32) {
        refuse(&digest.to_hex(), "64 hexadecimal digits");
    }
}
