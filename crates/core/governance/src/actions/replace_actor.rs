//! Gives an actor another certificate, name or pins: what a leaf's roll-over does not need, and its CA's does.

use synod_kv::Tx;
use synod_types::ActorId;

use super::add_actor::check_pins;
use super::remove_actor::forget;
use super::{ActionKind, Rule, Scene};
use crate::bounded::{List, Name};
use crate::entries::{ActorEntry, AutoVote, CertificateDer, Pins};
use crate::execute::Env;
use crate::identity::check_actor_certificate;
use crate::macros::record;
use crate::reason::Reason;
use crate::standing::Subject;
use crate::tables::{ACTORS, AUTO_VOTES, NODES, POLICIES, Read, Tables};

record! {
    /// Replaces what is said of an actor; what is left out stays.
    ///
    /// A certificate with another key gives the actor another id: its nodes follow it, and so does its place in
    /// policies that require it and in limits of automatic votes. Its open proposals, its ballots and its standing
    /// rules do not: the old key signed them. Nor do other members' rules that name it.
    pub struct ReplaceActor {
        /// Whom.
        #[serde(with = "crate::shape::actor")]
        pub id: ActorId,
        /// Its new name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<Name>,
        /// Its new certificate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub certificate: Option<CertificateDer>,
        /// Its new pins, in the place of all old ones.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub pins: Option<Pins>,
    }
}

impl ReplaceActor {
    fn entry(&self, old: &ActorEntry) -> ActorEntry {
        ActorEntry {
            name: self.name.clone().unwrap_or_else(|| old.name.clone()),
            certificate: self.certificate.clone().unwrap_or_else(|| old.certificate.clone()),
            pins: self.pins.clone().unwrap_or_else(|| old.pins.clone()),
            ..old.clone()
        }
    }
}

impl Rule for ReplaceActor {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        let role = scene.kind.role();
        let Some(old) = scene.tables.actor(&self.id)?.filter(|actor| actor.role == role) else {
            reasons.push(Reason::NoSuchActor { role: role.name(), id: self.id });
            return Ok(());
        };
        let new = self.entry(&old);
        if new == old {
            reasons.push(Reason::NothingChanges);
        }
        check_pins(&new.pins, reasons);
        if let Some(certificate) = &self.certificate {
            if let Err(why) = check_actor_certificate(certificate, scene.env.time) {
                reasons.push(Reason::CertificateUnusable { name: new.name.clone(), why });
            }
            let known = certificate.actor_id().filter(|id| *id != self.id);
            let known = known.and_then(|id| scene.roster.name_of(&id));
            reasons.extend(known.map(|known| Reason::ActorExists { name: known.clone() }));
        }
        if scene.roster.named(&new.name).is_some_and(|id| *id != self.id) {
            reasons.push(Reason::NameTaken { name: new.name });
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        let old = Tables(tx).actor(&self.id)?.expect("checked: there is this actor");
        let mut new = self.entry(&old);
        let id = new.certificate.actor_id().expect("checked: the certificate can be read");
        if id != self.id {
            forget(&self.id, tx)?;
            new.since = env.seqno.0;
            self.follow(&id, tx)?;
        }
        ACTORS.put(tx, &id, &new);
        Ok(())
    }

    fn summary(&self, kind: ActionKind) -> String {
        let mut text = format!("replace {} {}", kind.role(), self.id);
        if let Some(name) = &self.name {
            text.push_str(&format!(": name {:?}", name.as_str()));
        }
        if let Some(id) = self.certificate.as_ref().and_then(CertificateDer::actor_id) {
            text.push_str(&format!(": certificate of key {id}"));
        }
        if self.pins.is_some() {
            text.push_str(": pins");
        }
        text
    }

    fn subject(&self, _tables: Tables<'_>) -> Read<Subject> {
        Ok(Subject { name: self.name.clone(), ..Subject::default() })
    }

    fn actors(&self) -> Vec<ActorId> {
        let new = self.certificate.as_ref().and_then(CertificateDer::actor_id);
        std::iter::once(self.id).chain(new.filter(|id| *id != self.id)).collect()
    }

    fn is_about(&self, actor: &ActorId, _tables: Tables<'_>) -> Read<bool> {
        Ok(self.id == *actor)
    }
}

impl ReplaceActor {
    /// Moves nodes, required votes and what limits of automatic votes say of the actor to the new id. Members' rules
    /// stay as their members signed them: what they say of the old id, they say of nobody.
    fn follow(&self, id: &ActorId, tx: &mut Tx<'_>) -> Read<()> {
        for (slot, mut node) in Tables(tx).nodes()? {
            if node.owner == self.id {
                node.owner = *id;
                NODES.put(tx, &slot, &node);
            }
        }
        let policies: Vec<_> = POLICIES.range(&*tx, ..).collect::<Result<_, _>>()?;
        for (key, policy) in policies {
            let renamed = policy.with_member_replaced(&self.id, id);
            if renamed != policy {
                POLICIES.put(tx, &key, &renamed);
            }
        }
        for (kind, limit) in Tables(tx).auto_votes()? {
            let require = limit.require.iter().map(|predicate| predicate.with_actor_replaced(&self.id, id)).collect();
            let renamed = AutoVote { require: List::new(require).expect("as many as there were") };
            if renamed != limit {
                AUTO_VOTES.put(tx, &kind, &renamed);
            }
        }
        Ok(())
    }
}
