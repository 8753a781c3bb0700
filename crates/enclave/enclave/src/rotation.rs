//! What follows from a new key of the service: this node shows a certificate issued with it, and how earlier keys endorse
//! it, so that whoever pinned one of those still knows the node. See [`synod_crypto::rotated`].

use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::CertificateDer;
use synod_crypto::Certificate;
use synod_crypto::rotated::{endorsement, is_endorsed, reissued};
use synod_crypto::x509::{NameRefused, Validity, service_certificate};
use synod_ledger::{ServiceHistory, ServiceIdentity};
use synod_node::NewService;
use synod_types::{NodeId, Time};

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
    history: ServiceHistory,
    /// When the key in force came into force.
    since: Time,
    credentials: Credentials,
    nodes: Arc<NodeKeys>,
    service: Arc<Service>,
}

impl Rotation {
    /// Of a service with the identity that its network began with at a time. `slot` is the certificate of this node, `node`.
    pub fn new(
        (node, slot): (NodeId, Certificate),
        (first, since): (Arc<ServiceIdentity>, Time),
        credentials: Credentials,
        nodes: Arc<NodeKeys>,
        service: Arc<Service>,
    ) -> Self {
        let history = ServiceHistory::new(first.verifying_key().clone());
        let rotation = Self { node, slot, keys: vec![first], history, since, credentials, nodes, service };
        rotation.service.papers.replace(rotation.papers(&[]));
        rotation
    }

    /// From now on the service has the identity `next`.
    pub fn rotated(&mut self, next: NewService) {
        let key = next.verifying_key().clone();
        self.nodes.rotated(key.clone());
        self.history.push(key, next.decided);
        self.since = next.time;
        self.keys.push(next.identity);
        let endorsements = self.endorsements();
        self.show(&endorsements);
        self.service.papers.replace(self.papers(&endorsements));
    }

    /// Shows a certificate of the key in force from the next handshake on, if the service issued the node's own.
    fn show(&self, endorsements: &[Certificate]) {
        const WHY: &str = "the node goes on to show the certificate that it was given";
        if !is_endorsed(&self.slot, self.keys[0].verifying_key()) {
            // Whoever trusts that authority would be locked out.
            return tracing::info!(reason = "another authority issued it", "{WHY}");
        }
        match self.chain(endorsements) {
            Ok(chain) => self.credentials.show(chain),
            Err(error) => {
                let hint =
                    "clients that pin the service's certificate in force refuse this node: make its directory anew";
                tracing::warn!(%error, hint, "{WHY}");
            }
        }
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
        let (key, validity) = (self.in_force().verifying_key(), self.validity());
        self.endorsing().into_iter().map(|by| endorsement(by.key(), key, validity)).collect()
    }

    /// What this node shows in handshakes: its own certificate, the keys from the one in force back to the first, each
    /// endorsed by the one before it, then the one in force as all others endorse it. Verifiers that go from one
    /// certificate to the next and never back follow the former; those that allow no CA below the service's, the latter.
    fn chain(&self, endorsements: &[Certificate]) -> Result<Vec<CertificateDer<'static>>, NameRefused> {
        let (own, validity) = (reissued(self.in_force().key(), self.node, &self.slot)?, self.validity());
        let (next, others) = endorsements.split_at(1.min(endorsements.len()));
        let endorsing = self.endorsing();
        let link =
            |(key, by): (&&ServiceIdentity, &&ServiceIdentity)| endorsement(by.key(), key.verifying_key(), validity);
        let links: Vec<_> = endorsing.iter().zip(endorsing.iter().skip(1)).map(link).collect();
        Ok(std::iter::once(&own).chain(next).chain(&links).chain(others).map(Certificate::to_pki).collect())
    }

    /// What it tells of the service: its certificate in force, signed by itself, the endorsements, and which keys there were.
    fn papers(&self, endorsements: &[Certificate]) -> String {
        let own = service_certificate(self.in_force().key(), self.validity());
        let certificates: String = std::iter::once(&own).chain(endorsements).map(Certificate::to_pem).collect();
        certificates + &self.history.to_pem(self.in_force())
    }

    /// The dates of what the key in force certifies of itself: the same on all nodes.
    fn validity(&self) -> Validity {
        Validity::days(self.since, SERVICE_VALID_DAYS)
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

/// For how long the service's certificate is valid after it came into force: ten years. Members have it take another key
/// before.
const SERVICE_VALID_DAYS: u32 = 3_650;

/// How many earlier keys endorse the one in force. For each a handshake has two certificates of 400 bytes, and a
/// verifier in another place may go through all of them. The first key of the service is always among them.
pub const ENDORSEMENTS_MAX: usize = 8;

/// How many certificates a node shows beside its own at most. Whoever knocks at the door of nodes has these looked at before
/// it has proved anything: two signatures each.
pub const BESIDE_MAX: usize = 2 * ENDORSEMENTS_MAX - 1;
