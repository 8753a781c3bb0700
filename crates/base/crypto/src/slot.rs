//! Which slot a node's certificate names, and whether the service issued it.
//!
//! The slot is a subject alternative name, the URI `urn:synod:node:N`. Whoever holds the service's key may issue a
//! certificate for any slot: that a key is the slot's is decided by the node list, and a certificate speaks for a node
//! only where the list cannot be known yet.

use rustls_pki_types::{CertificateDer, Der, TrustAnchor, UnixTime};
use synod_types::{NodeId, Time};
use webpki::EndEntityCert;
use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use crate::chain::{ChainRefused, parse, refused};
use crate::rotated::is_signed;
use crate::verify::VerifyingKey;

/// Why a certificate does not show a slot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotRefused {
    /// It names no slot, more than one, or one that is none.
    #[error("the certificate does not name one slot, as in urn:synod:node:4")]
    NoSlot,
    /// The service did not issue it, or it is not valid now.
    #[error("not a certificate of the service's for a node")]
    NotIssued(#[from] ChainRefused),
}

/// The name of a slot in certificates.
pub(crate) fn slot_name(node: NodeId) -> String {
    format!("{SLOT_PREFIX}{node}")
}

/// The slot that the certificate names, whoever issued it.
///
/// # Errors
/// If it is not a certificate, or does not name one slot.
pub fn slot_of(certificate: &[u8]) -> Result<NodeId, SlotRefused> {
    let parsed = parse(certificate)?;
    let slots: Vec<_> = names(&parsed).filter_map(|name| name.strip_prefix(SLOT_PREFIX)).collect();
    let [slot] = slots[..] else { return Err(SlotRefused::NoSlot) };
    let number = slot.parse().ok().filter(|number: &u64| *number != 0 && number.to_string() == slot);
    number.map(NodeId).ok_or(SlotRefused::NoSlot)
}

/// The slot that the certificate names, if the key `service` issued it and it is valid at `at`; without a time,
/// whenever it is valid.
///
/// # Errors
/// If it does not name one slot, was not issued with that key, or is not valid then.
pub fn issued_slot(certificate: &[u8], service: &VerifyingKey, at: Option<Time>) -> Result<NodeId, SlotRefused> {
    endorsed_slot(certificate, &[], service, at)
}

/// The same if the key that issued the certificate is `service`, or one that `service` endorses in a certificate of
/// `between`; see [`crate::rotated`].
///
/// Whoever shows `between` may be anybody, and a verifier of paths tries every order of what it is given: so it gets one
/// certificate at most, which two signatures have singled out. All others cost a signature each.
///
/// # Errors
/// As [`issued_slot`].
pub fn endorsed_slot(
    certificate: &[u8],
    between: &[CertificateDer<'_>],
    service: &VerifyingKey,
    at: Option<Time>,
) -> Result<NodeId, SlotRefused> {
    let slot = slot_of(certificate)?;
    let parsed = parse(certificate)?;
    let between = issuer(&parsed, between, service);
    let seconds = match at {
        Some(at) => at.seconds(),
        None => u64::try_from(parsed.validity().not_before.timestamp()).unwrap_or(0),
    };
    let spki = service.to_spki_der();
    // The anchor is the key alone, under the name that the certificate gives its issuer: names decide nothing.
    let anchor = TrustAnchor {
        subject: Der::from_slice(content(parsed.issuer().as_raw())?),
        subject_public_key_info: Der::from_slice(content(&spki)?),
        name_constraints: None,
    };
    let certificate = CertificateDer::from(certificate);
    let entity = EndEntityCert::try_from(&certificate).map_err(refused)?;
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let (algorithms, usage) = ([webpki::aws_lc_rs::ECDSA_P256_SHA256], webpki::KeyUsage::client_auth());
    entity.verify_for_usage(&algorithms, &[anchor], between.as_slice(), time, usage, None, None).map_err(refused)?;
    Ok(slot)
}

/// The certificate of `between` that `service` signed, and whose key signed `certificate`.
fn issuer<'b>(
    certificate: &X509Certificate<'_>,
    between: &[CertificateDer<'b>],
    service: &VerifyingKey,
) -> Option<CertificateDer<'b>> {
    if is_signed(certificate, service) {
        return None;
    }
    let issued = |one: &&CertificateDer<'_>| {
        let Ok(one) = parse(one) else { return false };
        let key = || VerifyingKey::from_spki_der(one.public_key().raw);
        is_signed(&one, service) && key().is_ok_and(|key| is_signed(certificate, &key))
    };
    between.iter().find(issued).cloned()
}

/// What lies in a DER value, without its tag and size.
fn content(der: &[u8]) -> Result<&[u8], ChainRefused> {
    Any::from_der(der).map(|(_, value)| value.data).map_err(|_| ChainRefused::Malformed { what: "certificate" })
}

fn names<'c>(certificate: &'c X509Certificate<'_>) -> impl Iterator<Item = &'c str> {
    let extensions = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    extensions.flatten().filter_map(|name| match name {
        GeneralName::URI(text) => Some(*text),
        _ => None,
    })
}

const SLOT_PREFIX: &str = "urn:synod:node:";

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};

    use super::*;
    use crate::certificate::Certificate;
    use crate::sign::{NodeKey, ServiceKey};
    use crate::x509::{Validity, actor_certificate, node_certificate, service_certificate};

    const NOW: Time = Time(1_700_000_000_000_000);

    fn issued(service: &ServiceKey, node: u64) -> Certificate {
        let names = ["localhost".to_owned(), "10.0.0.7".to_owned()];
        let key = NodeKey::generate();
        node_certificate(service, NodeId(node), key.verifying_key(), &names, Validity::days(NOW, 10)).unwrap()
    }

    /// A certificate that names what it likes, signed by itself.
    fn naming(names: &[&str]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(|name| SanType::URI((*name).try_into().unwrap())).collect();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_shows_its_slot_to_whoever_knows_the_service_key() {
        let service = ServiceKey::generate();
        for node in [1, 4, u64::MAX] {
            let certificate = issued(&service, node);
            assert_eq!(slot_of(certificate.der()), Ok(NodeId(node)));
            assert_eq!(issued_slot(certificate.der(), service.verifying_key(), Some(NOW)), Ok(NodeId(node)));
        }
    }

    #[test]
    fn what_the_service_did_not_issue_shows_no_slot() {
        let (service, other) = (ServiceKey::generate(), ServiceKey::generate());
        let refused = |der: &[u8]| issued_slot(der, service.verifying_key(), Some(NOW)).unwrap_err();
        assert_eq!(refused(issued(&other, 4).der()), SlotRefused::NotIssued(ChainRefused::Signature));
        assert!(matches!(refused(&naming(&["urn:synod:node:4"])), SlotRefused::NotIssued(_)));
        assert!(matches!(refused(b"nothing"), SlotRefused::NotIssued(ChainRefused::Malformed { .. })));
        let own = service_certificate(&service, Validity::days(NOW, 10));
        assert_eq!(refused(own.der()), SlotRefused::NoSlot);
        let actor = actor_certificate(&crate::ActorKey::generate(), "Synod node 4", Validity::days(NOW, 10));
        assert_eq!(refused(actor.der()), SlotRefused::NoSlot);
    }

    #[test]
    fn dates_count_unless_the_caller_has_other_reasons_to_believe() {
        let service = ServiceKey::generate();
        let certificate = issued(&service, 4);
        let at = |time| issued_slot(certificate.der(), service.verifying_key(), time);
        let expired = SlotRefused::NotIssued(ChainRefused::Expired { whose: "the leaf's" });
        assert_eq!(at(Some(NOW.after(std::time::Duration::from_secs(11 * 86_400)))), Err(expired));
        let early = SlotRefused::NotIssued(ChainRefused::NotValidYet { whose: "the leaf's" });
        assert_eq!(at(Some(Time(1_600_000_000_000_000))), Err(early));
        assert_eq!(at(None), Ok(NodeId(4)));
    }

    #[test]
    fn one_slot_is_named_in_one_way_only() {
        assert_eq!(slot_of(&naming(&["https://example.org", "urn:synod:node:4"])), Ok(NodeId(4)));
        for names in [
            &[][..],
            &["urn:synod:node:"],
            &["urn:synod:node:0"],
            &["urn:synod:node:04"],
            &["urn:synod:node:+4"],
            &["urn:synod:node:4x"],
            &["urn:synod:node:18446744073709551616"],
            &["urn:synod:node:4", "urn:synod:node:5"],
            &["URN:synod:node:4"],
        ] {
            assert_eq!(slot_of(&naming(names)), Err(SlotRefused::NoSlot), "{names:?}");
        }
    }

    #[test]
    fn damaged_certificates_are_refused_without_panic() {
        let service = ServiceKey::generate();
        let der = issued(&service, 4).der().to_vec();
        for at in 0..der.len() {
            let mut flipped = der.clone();
            flipped[at] ^= 0x55;
            assert!(issued_slot(&flipped, service.verifying_key(), Some(NOW)).is_err(), "byte {at}");
            assert!(issued_slot(&der[..at], service.verifying_key(), Some(NOW)).is_err(), "cut to {at}");
        }
    }
}
