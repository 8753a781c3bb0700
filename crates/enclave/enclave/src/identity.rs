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
//! # Time
//! What has expired is judged by this enclave's clock or by the time of the last governance transaction, whichever is
//! later. The host may set the clock back: then the ledger, whose time other enclaves agreed on, still says how late it
//! is at least. The ledger's time alone would stand still while members decide nothing.

use std::sync::Arc;
use std::time::Duration;

use synod_crypto::Certificate;
use synod_crypto::chain::ChainRefused;
use synod_governance::{Caller, Grounds, IdentityRefused, Tables, identify};
use synod_node::Refusal;
use synod_types::{ActorId, Time};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::clock::Clock;
use crate::government::Governing;
use crate::http::error::Failure;
use crate::service::Service;

/// A client that has proved for whom it speaks.
pub struct Identity {
    presented: Vec<Vec<u8>>,
    /// The ids that an actor with one of these certificates would have.
    ids: Vec<ActorId>,
    caller: Caller,
    grounds: Grounds,
    tables: watch::Receiver<Arc<Governing>>,
}

impl Identity {
    /// Finds the actor for whom `presented`, leaf first, speaks now.
    ///
    /// # Errors
    /// Why it speaks for nobody, as the client is told.
    pub fn prove(service: &Service, presented: Vec<Vec<u8>>) -> Result<Self, Failure> {
        let mut tables = service.government.subscribe();
        let governing = Arc::clone(&tables.borrow_and_update());
        let caller = look_up(&governing, &service.clock, &presented)?;
        // All of them can be read, up to the actor's; what comes after that decides nothing.
        let id =
            |der: &Vec<u8>| Certificate::from_der(der.clone()).map_or_else(|_| ActorId::default(), |it| it.actor_id());
        let ids: Vec<_> = presented.iter().map(id).collect();
        Ok(Self { grounds: Grounds::of(&governing.state, &ids), presented, ids, caller, tables })
    }

    /// The actor.
    pub const fn actor(&self) -> ActorId {
        self.caller.actor
    }

    /// Returns once the client speaks for its actor no longer, with the reason.
    pub async fn ended(mut self, service: &Service) -> &'static str {
        loop {
            let expired = expired(&service.clock, self.caller.valid_until);
            tokio::select! {
                biased;
                changed = self.tables.changed() => {
                    if changed.is_err() || !self.still_speaks(service) {
                        return "its certificates speak for its actor no longer";
                    }
                }
                () = expired => return "its certificates have expired",
            }
        }
    }

    /// Looks again, if the tables say something else of the chain than before.
    fn still_speaks(&mut self, service: &Service) -> bool {
        let governing = Arc::clone(&self.tables.borrow_and_update());
        let grounds = Grounds::of(&governing.state, &self.ids);
        if grounds == self.grounds {
            return self.caller.valid_until > now(&governing, &service.clock);
        }
        match look_up(&governing, &service.clock, &self.presented) {
            Ok(caller) if caller.actor == self.caller.actor => {
                (self.caller, self.grounds) = (caller, grounds);
                true
            }
            _ => false,
        }
    }
}

fn look_up(governing: &Governing, clock: &Clock, presented: &[Vec<u8>]) -> Result<Caller, Failure> {
    let found = identify(Tables::new(&governing.state), presented, now(governing, clock));
    let unreadable = |_| Failure::new(500, "InternalError", "the governance tables cannot be read", "report this");
    found.map_err(unreadable)?.map_err(|refused| failure(&refused))
}

fn now(governing: &Governing, clock: &Clock) -> Time {
    clock.now().max(governing.time)
}

/// Returns at `until`.
async fn expired(clock: &Clock, until: Time) {
    let left = until.since(clock.now());
    let Some(end) = Instant::now().checked_add(left) else { return std::future::pending().await };
    // A timer reaches some years only, and certificates may be valid for longer.
    while Instant::now() < end {
        sleep_until(end.min(Instant::now() + TIMER_MAX)).await;
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
        IdentityRefused::Chain(ChainRefused::OtherAuthority | ChainRefused::Signature) => (
            "CertificateOfOtherAuthority",
            "use a certificate that was issued under the actor's, and present the chain",
        ),
        IdentityRefused::Chain(ChainRefused::Revoked) => ("CertificateRevoked", "use another certificate"),
        IdentityRefused::Chain(ChainRefused::Usage { .. }) => {
            ("CertificateUsage", "use a certificate for digital signatures and client authentication")
        }
        _ => ("CertificateRefused", "use another certificate"),
    };
    Failure::new(403, code, refused.to_string(), hint)
}

/// How long to sleep before looking at the time again.
const TIMER_MAX: Duration = Duration::from_hours(24);

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
