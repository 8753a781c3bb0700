//! The service's certificate after members had it take another key: what a client may pin from then on.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use synod_crypto::rotated::{check_service, is_endorsed};
use synod_crypto::{Certificate, VerifyingKey};
use synod_types::Time;

use crate::{Client, ClientError, Request};

/// The certificate of the service in force, and how the pinned one leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceInForce {
    /// The certificate, signed by itself.
    pub certificate: Certificate,
    /// Certificates of the same key, each signed by an earlier key of the service; one of them by the pinned key, unless
    /// that is the one in force.
    pub endorsements: Vec<Certificate>,
    /// Whether the pinned key is no longer in force.
    pub is_new: bool,
}

impl ServiceInForce {
    /// Certificate and endorsements in PEM. As a file, the first is what a client pins.
    pub fn to_pem(&self) -> String {
        std::iter::once(&self.certificate).chain(&self.endorsements).map(Certificate::to_pem).collect()
    }

    /// Reads what a node tells, and checks at `now` that it follows from the key `pinned`.
    ///
    /// That the pinned key signed something is not enough: it signs nodes' certificates too, and whoever holds a node's key
    /// would become the service.
    fn read(text: &[u8], pinned: &VerifyingKey, now: Time) -> Result<Self, &'static str> {
        let unreadable = "certificates that cannot be read";
        let certificates =
            CertificateDer::pem_slice_iter(text).map(|der| Certificate::from_der(der.ok()?.to_vec()).ok());
        let mut certificates = certificates.collect::<Option<Vec<_>>>().ok_or(unreadable)?.into_iter();
        let certificate = certificates.next().ok_or("no certificate of the service")?;
        let key = certificate.verifying_key().map_err(|_| unreadable)?;
        let endorsements: Vec<_> = certificates.collect();
        let is_of_key = |endorsement: &Certificate| endorsement.verifying_key().as_ref() == Ok(&key);
        if !is_endorsed(&certificate, &key) || !endorsements.iter().all(is_of_key) {
            return Err("certificates of the service that do not belong together");
        }
        if std::iter::once(&certificate).chain(&endorsements).any(|one| check_service(one, now).is_err()) {
            return Err("certificates that are none of the service's, or not valid now");
        }
        let is_new = key != *pinned;
        if is_new && !endorsements.iter().any(|endorsement| is_endorsed(endorsement, pinned)) {
            return Err("a certificate of the service that the pinned one does not endorse");
        }
        Ok(Self { certificate, endorsements, is_new })
    }
}

impl Client {
    /// The certificate of the service in force, as a node tells it, checked from the one that this client pins.
    ///
    /// # Errors
    /// If no node answers, or what it tells does not follow from the pinned certificate.
    pub async fn service(&self) -> Result<ServiceInForce, ClientError> {
        let response = self.send(Request::get("/node/service")).await?;
        let node = self.preferred();
        if !response.is_success() {
            let hint = response.error().and_then(|error| error.hint);
            return Err(ClientError::Refused { node, status: response.status, message: response.summary(), hint });
        }
        let pinned = Certificate::from_der(self.pinned().to_vec()).and_then(|certificate| certificate.verifying_key());
        let pinned =
            pinned.map_err(|_| ClientError::CertificatesRefused(rustls::Error::General("not on P-256".into())))?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Time(u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
        let read = ServiceInForce::read(&response.body, &pinned, now);
        read.map_err(|what| ClientError::AnswerNotUnderstood { node, what: what.into() })
    }
}

#[cfg(test)]
mod tests {
    use synod_crypto::rotated::endorsement;
    use synod_crypto::x509::{Validity, node_certificate, service_certificate};
    use synod_crypto::{ServiceKey, VerifyingKey};
    use synod_types::NodeId;

    use super::*;

    const NOW: Time = Time(1_700_000_000_000_000);

    fn key(seed: u8) -> ServiceKey {
        ServiceKey::from_seed(&[seed; 32])
    }

    fn text(key: &ServiceKey, by: &[ServiceKey]) -> String {
        let validity = Validity::days(NOW, 30);
        let endorsements = by.iter().map(|by| endorsement(by, key.verifying_key(), validity));
        std::iter::once(service_certificate(key, validity)).chain(endorsements).map(|one| one.to_pem()).collect()
    }

    fn read(text: &str, pinned: &ServiceKey) -> Result<(VerifyingKey, bool), &'static str> {
        let read = ServiceInForce::read(text.as_bytes(), pinned.verifying_key(), NOW)?;
        assert_eq!(read.to_pem(), text);
        Ok((read.certificate.verifying_key().unwrap(), read.is_new))
    }

    #[test]
    fn the_certificate_in_force_follows_from_the_pinned_key_or_is_refused() {
        let in_force = key(3);
        let (public, told) = (in_force.verifying_key().clone(), text(&in_force, &[key(2), key(1)]));
        assert_eq!(read(&told, &key(1)), Ok((public.clone(), true)));
        assert_eq!(read(&told, &key(2)), Ok((public.clone(), true)));
        assert_eq!(read(&told, &in_force), Ok((public, false)));
        assert_eq!(read(&told, &key(9)), Err("a certificate of the service that the pinned one does not endorse"));
        assert_eq!(read("", &key(1)), Err("no certificate of the service"));
        let broken = told.replacen("MII", "AII", 1);
        assert_eq!(read(&broken, &key(1)), Err("certificates that cannot be read"));
        let mixed = text(&key(4), &[]) + &told;
        assert_eq!(read(&mixed, &key(1)), Err("certificates of the service that do not belong together"));
    }

    #[test]
    fn who_holds_a_nodes_key_does_not_become_the_service() {
        const NONE: &str = "certificates that are none of the service's, or not valid now";
        let (service, thief) = (key(1), key(9));
        let validity = Validity::days(NOW, 30);
        let slot = node_certificate(&service, NodeId(2), thief.verifying_key(), &[], validity).unwrap().to_pem();
        let own = service_certificate(&thief, validity).to_pem();
        assert_eq!(read(&format!("{own}{slot}"), &service), Err(NONE));
        assert_eq!(read(&slot, &service), Err("certificates of the service that do not belong together"));

        let told = text(&key(2), std::slice::from_ref(&service));
        let late = NOW.after(std::time::Duration::from_secs(31 * 86_400));
        assert_eq!(ServiceInForce::read(told.as_bytes(), service.verifying_key(), late).unwrap_err(), NONE);
    }
}
