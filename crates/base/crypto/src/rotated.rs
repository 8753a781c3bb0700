//! Certificates after the service took another key: old keys endorse the one in force, which issues nodes' certificates
//! anew.
//!
//! ```text
//!  pinned: service (key 0) ---endorses---> service (key 2) ---issues---> node
//!               |                              ^
//!               v                              |
//!  pinned: service (key 1) ---endorses---------+
//! ```
//! Earlier keys endorse the key in force itself, so that a path has one intermediate certificate however often the key was
//! changed, and each endorses the one that followed it, for verifiers that go from one certificate to the next and never
//! back, such as OpenSSL. An endorsement is a CA certificate whose subject and issuer have the same name: one that RFC
//! 5280 calls self-issued and knows for just this purpose (section 3.2). An endorsement allows no CA below it: a verifier
//! need not count it itself then (section 4.2.1.9), but those that do, such as webpki and Go's, find the paths with one
//! intermediate, and waste no time on longer ones. The service's own certificate, which is pinned, sets no limit.

use core::net::IpAddr;

use synod_types::{GOVERNANCE_NAME, NodeId, Time};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use crate::any_key::verify_x509;
use crate::certificate::Certificate;
use crate::chain::{ChainRefused, check_dates, check_is_authority, parse};
use crate::sign::ServiceKey;
use crate::verify::VerifyingKey;
use crate::x509::{NameRefused, SERVICE_NAME, Validity, authority, node_certificate, signed};

/// The certificate with which one key of the service endorses another.
pub fn endorsement(by: &ServiceKey, key: &VerifyingKey, validity: Validity) -> Certificate {
    let issuer = authority(SERVICE_NAME, validity);
    signed(&issuer, key, &issuer, by)
}

/// Checks that the certificate is such as the service makes at `at` for a key of its own: a CA under the service's name, and
/// no node's. Who signed it is not looked at.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_service(certificate: &Certificate, at: Time) -> Result<(), ChainRefused> {
    let parsed = parse(certificate.der())?;
    check_dates(&parsed, at, "the service's")?;
    check_is_authority(&parsed)?;
    let is_service = |name: &X509Name<'_>| {
        let mut parts = name.iter_attributes();
        let common = name.iter_common_name().next().and_then(|name| name.as_str().ok());
        common == Some(SERVICE_NAME) && parts.nth(1).is_none()
    };
    let alternative = parsed.subject_alternative_name();
    let names_another = !matches!(alternative, Ok(None));
    if !is_service(parsed.subject()) || !is_service(parsed.issuer()) || names_another {
        return Err(ChainRefused::OtherAuthority);
    }
    Ok(())
}

/// Whether the holder of `by` signed the certificate. Dates are not looked at, nor what the certificate may be used for.
pub fn is_endorsed(certificate: &Certificate, by: &VerifyingKey) -> bool {
    X509Certificate::from_der(certificate.der()).is_ok_and(|(_, parsed)| is_signed(&parsed, by))
}

/// Whether the holder of `by` signed the certificate.
pub(crate) fn is_signed(certificate: &X509Certificate<'_>, by: &VerifyingKey) -> bool {
    let message = certificate.tbs_certificate.as_ref();
    verify_x509(&by.to_spki_der(), &certificate.signature_algorithm, message, &certificate.signature_value.data).is_ok()
}

/// A certificate for the node, names, key and dates of `certificate`, issued by `service`.
///
/// # Errors
/// If the certificate's key or names are not such as the service puts in certificates.
pub fn reissued(service: &ServiceKey, node: NodeId, certificate: &Certificate) -> Result<Certificate, NameRefused> {
    let key = certificate.verifying_key().map_err(|_| NameRefused)?;
    let validity = validity_of(certificate);
    node_certificate(service, node, &key, &names(certificate), validity)
}

/// The dates of a certificate.
pub fn validity_of(certificate: &Certificate) -> Validity {
    let from = X509Certificate::from_der(certificate.der()).map(|(_, parsed)| parsed.validity().not_before.timestamp());
    let seconds = u64::try_from(from.unwrap_or(0)).unwrap_or(0);
    Validity { from: Time(seconds.saturating_mul(1_000_000)), until: certificate.valid_until() }
}

/// DNS names and addresses, but for the name that every node has.
fn names(certificate: &Certificate) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate.der()) else { return Vec::new() };
    let names = parsed.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    names.flatten().filter_map(name).filter(|name| name != GOVERNANCE_NAME).collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyUsagePurpose, SanType};
    use rustls_pki_types::CertificateDer;

    use super::*;
    use crate::sign::NodeKey;
    use crate::slot::{SlotRefused, endorsed_slot, slot_of};
    use crate::x509::service_certificate;

    const NOW: Time = Time(1_700_000_000_000_000);

    fn node(service: &ServiceKey) -> Certificate {
        let names = ["localhost".to_owned(), "10.0.0.7".to_owned(), "::1".to_owned()];
        let key = NodeKey::from_seed(&[9; 32]);
        node_certificate(service, NodeId(4), key.verifying_key(), &names, Validity::days(NOW, 10)).unwrap()
    }

    #[test]
    fn a_certificate_issued_anew_differs_in_nothing_but_its_issuer() {
        let (old, new) = (ServiceKey::generate(), ServiceKey::generate());
        let (before, after) = (node(&old), reissued(&new, NodeId(4), &node(&old)).unwrap());
        assert_eq!(names(&after), ["localhost", "10.0.0.7", "::1"]);
        assert_eq!((before.spki_der(), names(&before)), (after.spki_der(), names(&after)));
        assert_eq!(validity_of(&before), Validity::days(NOW, 10));
        assert_eq!(validity_of(&before), validity_of(&after));
        assert_eq!(before.common_name(), after.common_name());
        assert!(is_endorsed(&before, old.verifying_key()) && !is_endorsed(&after, old.verifying_key()));
        assert!(is_endorsed(&after, new.verifying_key()));
        let rest = |certificate: &Certificate| {
            let (_, parsed) = X509Certificate::from_der(certificate.der()).unwrap();
            let usage = parsed.key_usage().unwrap().map(|usage| usage.value.flags);
            let extended =
                parsed.extended_key_usage().unwrap().map(|usage| (usage.value.client_auth, usage.value.server_auth));
            (usage, extended, parsed.is_ca(), slot_of(certificate.der()))
        };
        assert_eq!(rest(&before), rest(&after));
        assert_eq!(rest(&after).3, Ok(NodeId(4)));
    }

    /// As a verifier of paths sees it: whoever knows an earlier key only needs the endorsement, and no other does.
    #[test]
    fn a_chain_leads_from_any_endorsing_key_to_the_node_and_from_no_other() {
        let keys: Vec<_> = (1..=20).map(|seed| ServiceKey::from_seed(&[seed; 32])).collect();
        let (last, earlier) = keys.split_last().unwrap();
        let validity = Validity::days(NOW, 10);
        let between: Vec<CertificateDer<'_>> =
            earlier.iter().map(|by| endorsement(by, last.verifying_key(), validity).to_pki()).collect();
        let leaf = node(last);
        let shown = |between: &[CertificateDer<'_>], service: &ServiceKey| {
            endorsed_slot(leaf.der(), between, service.verifying_key(), Some(NOW))
        };
        for service in &keys {
            assert_eq!(shown(&between, service), Ok(NodeId(4)));
        }
        assert_eq!(shown(&[], last), Ok(NodeId(4)));
        assert_eq!(shown(&[], &keys[0]), Err(SlotRefused::NotIssued(ChainRefused::Signature)));
        assert!(shown(&between, &ServiceKey::generate()).is_err());
        assert!(shown(&between[1..], &keys[0]).is_err());
        // A node's certificate endorses nothing.
        let node_key = ServiceKey::from_seed(&[77; 32]);
        let names = ["localhost".to_owned()];
        let as_node = node_certificate(&keys[0], NodeId(4), node_key.verifying_key(), &names, validity).unwrap();
        let below = node(&node_key);
        assert!(endorsed_slot(below.der(), &[as_node.to_pki()], keys[0].verifying_key(), Some(NOW)).is_err());
    }

    /// What a stranger may send before it has proved any key. A verifier of paths would try every order of ten CAs that
    /// could each have issued the next, and the anchor goes by the name that the leaf gives its issuer.
    #[test]
    fn a_graph_of_strangers_certificates_is_refused_as_if_it_were_not_there() {
        let validity = Validity::days(NOW, 10);
        let ca = |name: &str| {
            let mut params = authority(name, validity);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let key = |seed| ServiceKey::from_seed(&[seed; 32]);
        let made = |subject: &str, holder: &ServiceKey, issuer: &str, by: &ServiceKey| {
            signed(&ca(subject), holder.verifying_key(), &ca(issuer), by).to_pki()
        };
        let (service, last) = (key(1), key(100));
        let leaf = node(&last);
        let first = made(SERVICE_NAME, &last, "y", &key(101));
        let others = (101..=114).map(|seed| made("y", &key(seed), "y", &key(if seed == 114 { 101 } else { seed + 1 })));
        let between: Vec<_> = std::iter::once(first).chain(others).collect();
        let shown =
            |between: &[CertificateDer<'_>]| endorsed_slot(leaf.der(), between, service.verifying_key(), Some(NOW));
        assert_eq!(shown(&between), Err(SlotRefused::NotIssued(ChainRefused::Signature)));

        // Nor does a path lead over two certificates, though each be as good as can be.
        let below =
            [made(SERVICE_NAME, &key(3), SERVICE_NAME, &service), made(SERVICE_NAME, &last, SERVICE_NAME, &key(3))];
        assert_eq!(shown(&below), Err(SlotRefused::NotIssued(ChainRefused::Signature)));
        assert_eq!(shown(&[made(SERVICE_NAME, &last, SERVICE_NAME, &service)]), Ok(NodeId(4)));
    }

    /// Go's rule (crypto/x509, `isValid`): every CA of a path, the pinned one too, may limit how many others stand between
    /// it and the leaf, and one that issued to its own name counts.
    #[test]
    fn a_verifier_that_counts_every_certificate_of_a_path_accepts_it_from_any_pin() {
        let (first, last) = (ServiceKey::from_seed(&[1; 32]), ServiceKey::from_seed(&[2; 32]));
        let validity = Validity::days(NOW, 10);
        let pins = [&first, &last].map(|key| service_certificate(key, validity));
        let between = endorsement(&first, last.verifying_key(), validity);
        let leaf = node(&last);
        let allows = |path: &[&Certificate]| {
            path.iter().enumerate().skip(1).all(|(place, ca)| {
                let (_, ca) = X509Certificate::from_der(ca.der()).unwrap();
                let constraints = ca.basic_constraints().unwrap().unwrap().value;
                constraints.ca && constraints.path_len_constraint.is_none_or(|most| place as u32 - 1 <= most)
            })
        };
        assert!(allows(&[&leaf, &pins[1]]) && allows(&[&leaf, &between, &pins[0]]));
        assert!(!allows(&[&leaf, &between, &between, &pins[0]]), "an endorsement endorses no further");
    }

    #[test]
    fn what_the_service_makes_for_a_key_of_its_own_is_told_from_all_else_that_it_signs() {
        let (old, new) = (ServiceKey::from_seed(&[1; 32]), ServiceKey::from_seed(&[2; 32]));
        let validity = Validity::days(NOW, 10);
        let endorsed = endorsement(&old, new.verifying_key(), validity);
        for good in [&endorsed, &service_certificate(&new, validity)] {
            assert_eq!(check_service(good, NOW), Ok(()));
        }
        // Its key is a node's, and the old key signed it.
        let slot = node(&old);
        assert!(is_endorsed(&slot, old.verifying_key()));
        assert_eq!(check_service(&slot, NOW), Err(ChainRefused::OtherAuthority));
        let late = NOW.after(std::time::Duration::from_secs(11 * 86_400));
        assert_eq!(check_service(&endorsed, late), Err(ChainRefused::Expired { whose: "the service's" }));
        let early = Time(NOW.0 - 86_400_000_000);
        assert_eq!(check_service(&endorsed, early), Err(ChainRefused::NotValidYet { whose: "the service's" }));
        let made = |change: &dyn Fn(&mut CertificateParams)| {
            let mut params = authority(SERVICE_NAME, validity);
            change(&mut params);
            signed(&params, new.verifying_key(), &authority(SERVICE_NAME, validity), &old)
        };
        assert_eq!(check_service(&made(&|_| ()), NOW), Ok(()));
        for other in [
            made(&|params| params.is_ca = IsCa::ExplicitNoCa),
            made(&|params| params.is_ca = IsCa::NoCa),
            made(&|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]),
            made(&|params| params.distinguished_name.push(DnType::CommonName, "Synod node 4")),
            made(&|params| params.distinguished_name.push(DnType::OrganizationName, "another")),
            made(&|params| params.subject_alt_names = vec![SanType::URI("urn:synod:node:4".try_into().unwrap())]),
            signed(&authority(SERVICE_NAME, validity), new.verifying_key(), &authority("another", validity), &old),
        ] {
            assert_eq!(check_service(&other, NOW), Err(ChainRefused::OtherAuthority), "{other:?}");
        }
    }

    #[test]
    fn an_issuers_name_and_a_serial_number_tell_one_certificate() {
        let (old, new) = (ServiceKey::from_seed(&[1; 32]), ServiceKey::from_seed(&[2; 32]));
        let serial = |certificate: &Certificate| {
            X509Certificate::from_der(certificate.der()).unwrap().1.tbs_certificate.raw_serial().to_vec()
        };
        // Two nodes make the one, or one node at two starts, and a node's own is issued by two keys.
        let made = || endorsement(&old, new.verifying_key(), Validity::days(NOW, 10));
        let issued = [&old, &new].map(|by| reissued(by, NodeId(4), &node(&old)).unwrap());
        let serials = [made(), made(), issued[0].clone(), issued[1].clone(), node(&old)].map(|one| serial(&one));
        assert!(serials.iter().all(|one| one.len() <= 20 && one[0] < 0x80), "positive, and of at most 20 bytes");
        assert_eq!(std::collections::BTreeSet::from(serials).len(), 5);
    }

    #[test]
    fn an_endorsement_carries_the_name_of_the_service_and_its_new_key() {
        let (old, new) = (ServiceKey::generate(), ServiceKey::generate());
        let validity = Validity::days(NOW, 10);
        let (endorsed, own) = (endorsement(&old, new.verifying_key(), validity), service_certificate(&new, validity));
        assert_eq!(endorsed.spki_der(), own.spki_der());
        let (_, parsed) = X509Certificate::from_der(endorsed.der()).unwrap();
        assert_eq!(parsed.subject().as_raw(), parsed.issuer().as_raw());
        assert!(parsed.is_ca());
        assert!(is_endorsed(&endorsed, old.verifying_key()) && is_endorsed(&own, new.verifying_key()));
        assert!(!is_endorsed(&own, old.verifying_key()));
    }
}
