//! What follows from a new key of the service: this node shows a certificate issued with it, and how earlier keys endorse
//! it, so that whoever pinned one of those still knows the node. See [`synod_crypto::rotated`].

use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::CertificateDer;
use synod_crypto::rotated::{endorsement, reissued, validity_of};
use synod_crypto::x509::service_certificate;
use synod_crypto::{Certificate, x509::NameRefused};
use synod_ledger::ServiceIdentity;
use synod_types::NodeId;

use crate::credentials::Credentials;
use crate::nodes::NodeKeys;
use crate::service::Service;

/// The service's keys up to now, and who has to hear of a new one.
pub struct Rotation {
    node: NodeId,
    /// The certificate of the slot as it was given.
    slot: Certificate,
    /// Oldest first.
    keys: Vec<Arc<ServiceIdentity>>,
    credentials: Credentials,
    nodes: Arc<NodeKeys>,
    service: Arc<Service>,
}

impl Rotation {
    /// Of a service with the identity that its network began with. `slot` is the certificate of this node, `node`.
    pub fn new(
        node: NodeId,
        slot: Certificate,
        first: Arc<ServiceIdentity>,
        credentials: Credentials,
        nodes: Arc<NodeKeys>,
        service: Arc<Service>,
    ) -> Self {
        let rotation = Self { node, slot, keys: vec![first], credentials, nodes, service };
        rotation.service.papers.replace(rotation.papers(&[]));
        rotation
    }

    /// From now on the service has the identity `next`.
    pub fn rotated(&mut self, next: Arc<ServiceIdentity>) {
        self.nodes.rotated(next.verifying_key().clone());
        self.keys.push(next);
        let endorsements = self.endorsements();
        match self.chain(&endorsements) {
            Ok(chain) => self.credentials.show(chain),
            // It was given otherwise than by the service; what it shows now is as good as it was before.
            Err(error) => tracing::warn!(%error, "the node's certificate cannot be issued with the service's new key"),
        }
        self.service.papers.replace(self.papers(&endorsements));
    }

    fn in_force(&self) -> &ServiceIdentity {
        self.keys.last().expect("there is the key of the beginning")
    }

    /// The earlier keys that endorse, the latest first.
    fn endorsing(&self) -> Vec<&ServiceIdentity> {
        let earlier = self.keys.iter().rev().skip(1).map(Arc::as_ref);
        let latest = earlier.clone().take(ENDORSEMENTS_MAX - 1);
        // A node that joins and a client that never looked again know only the first.
        latest.chain(earlier.skip(ENDORSEMENTS_MAX - 1).last()).collect()
    }

    /// The key in force as each of these keys endorses it.
    fn endorsements(&self) -> Vec<Certificate> {
        let (key, validity) = (self.in_force().verifying_key(), validity_of(&self.slot));
        self.endorsing().into_iter().map(|by| endorsement(by.key(), key, validity)).collect()
    }

    /// What this node shows in handshakes: its own certificate, the keys from the one in force back to the first, each
    /// endorsed by the one before it, then the one in force as all others endorse it. Verifiers that go from one
    /// certificate to the next and never back follow the former; those that allow no CA below the service's, the latter.
    fn chain(&self, endorsements: &[Certificate]) -> Result<Vec<CertificateDer<'static>>, NameRefused> {
        let (own, validity) = (reissued(self.in_force().key(), self.node, &self.slot)?, validity_of(&self.slot));
        let (next, others) = endorsements.split_at(1.min(endorsements.len()));
        let endorsing = self.endorsing();
        let link =
            |(key, by): (&&ServiceIdentity, &&ServiceIdentity)| endorsement(by.key(), key.verifying_key(), validity);
        let links: Vec<_> = endorsing.iter().zip(endorsing.iter().skip(1)).map(link).collect();
        Ok(std::iter::once(&own).chain(next).chain(&links).chain(others).map(Certificate::to_pki).collect())
    }

    /// What it tells of the service: its certificate in force, signed by itself, and the endorsements.
    fn papers(&self, endorsements: &[Certificate]) -> String {
        let own = service_certificate(self.in_force().key(), validity_of(&self.slot));
        std::iter::once(&own).chain(endorsements).map(Certificate::to_pem).collect()
    }
}

/// What a node tells of the service, in PEM.
#[derive(Debug, Default)]
pub struct Papers(RwLock<String>);

impl Papers {
    /// The service's certificate in force, and those with which earlier keys endorse it.
    pub fn text(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, text: String) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

/// How many earlier keys endorse the one in force. For each a handshake has two certificates of 400 bytes, and a
/// verifier in another place may go through all of them. The first key of the service is always among them.
pub const ENDORSEMENTS_MAX: usize = 8;

/// How many certificates a node shows beside its own at most. Whoever knocks at the door of nodes has these looked at before
/// it has proved anything: two signatures each.
pub const BESIDE_MAX: usize = 2 * ENDORSEMENTS_MAX - 1;
