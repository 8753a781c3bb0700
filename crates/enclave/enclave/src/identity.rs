//! For whom a session speaks, and for how long.
//!
//! A client proves in the handshake that it holds the key of its leaf; the chain that it presented then has to lead to
//! an actor of the governance tables: see [`synod_governance::identity`]. That is worked out once for a session, and again only
//! when a governance transaction has written what it rests on. A session ends
//!
//! - when the first certificate between its leaf and its actor expires;
//! - at the governance transaction that removes the actor, or after which the chain speaks for it no longer: another
//!   certificate, other pins, a revocation, or a nearer certificate that is an actor's of its own.
//!
//! This node may be behind, so a request tells the node that orders it on which tables the session's word rests, and until
//! when ([`Proof`]). If that node knows of something later, the session looks again by tables that hold all that is
//! committed, and sends the request once more if its word still stands.
//!
//! # Time
//! What has expired is judged by the [`Calendar`]: by this enclave's clock or the latest block, whichever is later.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use synod_crypto::Certificate;
use synod_crypto::chain::ChainRefused;
use synod_governance::{Caller, Grounds, IdentityRefused, Tables, identify};
use synod_node::{Proof, Refusal};
use synod_types::{ActorId, Time};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::clock::Calendar;
use crate::government::Governing;
use crate::http::error::Failure;
use crate::service::Service;

/// A client that has proved for whom it speaks.
pub struct Identity {
    speaker: Arc<Speaker>,
    tables: watch::Receiver<Arc<Governing>>,
}

/// What a client has proved, as its requests rest on it.
pub struct Speaker {
    presented: Vec<Vec<u8>>,
    /// The ids that an actor with one of these certificates would have.
    ids: Vec<ActorId>,
    actor: ActorId,
    standing: Mutex<Standing>,
}

/// How it stood when it was last looked at.
struct Standing {
    grounds: Grounds,
    proof: Proof,
}

impl Identity {
    /// Finds the actor for whom `presented`, leaf first, speaks now.
    ///
    /// # Errors
    /// Why it speaks for nobody, as the client is told.
    pub fn prove(service: &Service, presented: Vec<Vec<u8>>) -> Result<Self, Failure> {
        let mut tables = service.government.subscribe();
        let governing = Arc::clone(&tables.borrow_and_update());
        let caller = look_up(&governing, &service.calendar, &presented)?;
        // All of them can be read, up to the actor's; what comes after that decides nothing.
        let id =
            |der: &Vec<u8>| Certificate::from_der(der.clone()).map_or_else(|_| ActorId::default(), |it| it.actor_id());
        let ids: Vec<_> = presented.iter().map(id).collect();
        let proof = Proof { seqno: governing.txid.seqno, valid_until: caller.valid_until };
        let standing = Mutex::new(Standing { grounds: Grounds::of(&governing.state, &ids), proof });
        Ok(Self { speaker: Arc::new(Speaker { presented, ids, actor: caller.actor, standing }), tables })
    }

    /// What the client has proved.
    pub const fn speaker(&self) -> &Arc<Speaker> {
        &self.speaker
    }

    /// Returns once the client speaks for its actor no longer, with the reason.
    pub async fn ended(mut self, service: &Service) -> &'static str {
        loop {
            let expired = expired(&service.calendar, self.speaker.proof().valid_until);
            tokio::select! {
                biased;
                changed = self.tables.changed() => {
                    if changed.is_err() || self.speaker.prove_anew(service).is_err() {
                        return "its certificates speak for its actor no longer";
                    }
                }
                () = expired => return "its certificates have expired",
            }
        }
    }
}

impl Speaker {
    /// The actor.
    pub const fn actor(&self) -> ActorId {
        self.actor
    }

    /// On what the client's word for its actor rests.
    pub fn proof(&self) -> Proof {
        self.lock().proof
    }

    /// Looks again, by the tables and at the time of now.
    ///
    /// # Errors
    /// Why the client speaks for its actor no longer.
    pub fn prove_anew(&self, service: &Service) -> Result<Proof, Failure> {
        let mut standing = self.lock();
        let governing = service.government.latest();
        let grounds = Grounds::of(&governing.state, &self.ids);
        // As long as the tables say the same of the chain, so would a look.
        if grounds != standing.grounds || standing.proof.valid_until < service.calendar.now() {
            let caller = look_up(&governing, &service.calendar, &self.presented)?;
            if caller.actor != self.actor {
                return Err(Refusal::NotAuthorized.into());
            }
            standing.proof.valid_until = caller.valid_until;
            standing.grounds = grounds;
        }
        standing.proof.seqno = governing.txid.seqno;
        Ok(standing.proof)
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody for whose word there is no need of certificates.
    #[cfg(test)]
    pub fn known(actor: ActorId) -> Arc<Self> {
        let proof = Proof { valid_until: Time(u64::MAX), ..Proof::default() };
        let grounds = Grounds::of(&synod_kv::State::default(), &[]);
        let standing = Mutex::new(Standing { grounds, proof });
        Arc::new(Self { presented: Vec::new(), ids: Vec::new(), actor, standing })
    }
}

fn look_up(governing: &Governing, calendar: &Calendar, presented: &[Vec<u8>]) -> Result<Caller, Failure> {
    let found = identify(Tables::new(&governing.state), presented, calendar.now());
    let unreadable = |_| Failure::new(500, "InternalError", "the governance tables cannot be read", "report this");
    found.map_err(unreadable)?.map_err(|refused| failure(&refused))
}

/// Returns after `until`; a little later if the clock is behind the ledger.
async fn expired(calendar: &Calendar, until: Time) {
    let left = until.since(calendar.now());
    let Some(end) = Instant::now().checked_add(left) else { return std::future::pending().await };
    while Instant::now() < end && calendar.now() <= until {
        sleep_until(end.min(Instant::now() + LOOK_AGAIN_AFTER)).await;
    }
}

/// As the client is told; the status is that of anybody who may not ask.
fn failure(refused: &IdentityRefused) -> Failure {
    let (code, hint) = match refused {
        IdentityRefused::UnknownActor => return Refusal::NotAuthorized.into(),
        IdentityRefused::Pin { .. } => {
            ("CertificatePinned", "use a certificate that fits the actor's pins, or have the members change them")
        }
        IdentityRefused::Chain(ChainRefused::Expired { .. }) => ("CertificateExpired", "renew the certificate"),
        IdentityRefused::Chain(ChainRefused::NotValidYet { .. }) => {
            ("CertificateNotValidYet", "wait until it is, or ask the operator to look at the node's clock")
        }
        IdentityRefused::Chain(ChainRefused::Revoked) => ("CertificateRevoked", "use another certificate"),
        IdentityRefused::Chain(ChainRefused::Usage { .. }) => {
            ("CertificateUsage", "use a certificate for digital signatures and client authentication")
        }
        _ => ("CertificateRefused", "use another certificate"),
    };
    Failure::new(403, code, refused.to_string(), hint)
}

/// How long to sleep before looking at the time again, by which a block may say that it is later than the clock does.
const LOOK_AGAIN_AFTER: Duration = Duration::from_mins(1);

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
