//! Certificates that Synod makes: the service's, its nodes', and actors'.
//!
//! A client pins the service certificate, a CA that signs one leaf per node. Actors bring certificates of
//! their own; those made here are self-signed, or signed by an organisation's CA.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
};
use synod_types::{GOVERNANCE_NAME, NodeId, Time};

use crate::certificate::Certificate;
use crate::secret::random_bytes;
use crate::sign::{ActorKey, Purpose, ServiceKey, SigningKey};
use crate::slot::slot_name;
use crate::verify::VerifyingKey;

/// From when until when a certificate is valid, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from: Time,
    /// The last second.
    pub until: Time,
}

impl Validity {
    /// Valid for `days` from an hour before `now`, so that a clock that is a little behind does no harm.
    pub fn days(now: Time, days: u32) -> Self {
        let from = Time(now.0.saturating_sub(3_600_000_000));
        Self { from, until: now.after(Duration::from_secs(u64::from(days) * 86_400)) }
    }
}

/// The certificate of the service: a CA, signed by itself.
///
/// It says nothing of how long a path below it may be: one leads over an endorsement after the service took another key,
/// and some verifiers, such as Go's, count that against a limit of the pinned certificate. See [`crate::rotated`].
pub fn service_certificate(key: &ServiceKey, validity: Validity) -> Certificate {
    let mut params = authority(SERVICE_NAME, validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    self_signed(&params, key)
}

/// The certificate of a node, signed by the service; it names the slot as [`crate::slot`] reads it. `names` are the
/// DNS names and addresses at which clients reach it; every node has the name of governance besides.
///
/// # Errors
/// If a name is neither.
pub fn node_certificate(
    service: &ServiceKey,
    node: NodeId,
    key: &VerifyingKey,
    names: &[String],
    validity: Validity,
) -> Result<Certificate, NameRefused> {
    let mut params = leaf(&format!("Synod node {node}"), validity);
    params.subject_alt_names = CertificateParams::new(names).map_err(|_| NameRefused)?.subject_alt_names;
    let governance = GOVERNANCE_NAME.try_into().expect("digits and letters of ASCII");
    params.subject_alt_names.push(SanType::DnsName(governance));
    let slot = slot_name(node).try_into().expect("digits and letters of ASCII");
    params.subject_alt_names.push(SanType::URI(slot));
    Ok(signed(&params, key, &authority(SERVICE_NAME, validity), service))
}

/// A certificate that an actor signs for itself.
pub fn actor_certificate(key: &ActorKey, name: &str, validity: Validity) -> Certificate {
    self_signed(&leaf(name, validity), key)
}

/// The certificate of an organisation that certifies its own actors.
pub fn organisation_certificate(key: &ActorKey, name: &str, validity: Validity) -> Certificate {
    self_signed(&authority(name, validity), key)
}

/// A certificate for an actor, signed by an organisation named `organisation`.
pub fn issued_actor_certificate(
    organisation: (&ActorKey, &str),
    key: &VerifyingKey,
    name: &str,
    validity: Validity,
) -> Certificate {
    let (issuer, issuer_name) = organisation;
    signed(&leaf(name, validity), key, &authority(issuer_name, validity), issuer)
}

pub(crate) const SERVICE_NAME: &str = "Synod service";

pub(crate) fn authority(name: &str, validity: Validity) -> CertificateParams {
    let mut params = named(name, validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn leaf(name: &str, validity: Validity) -> CertificateParams {
    let mut params = named(name, validity);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Nodes are servers to clients and both to each other.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn named(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // RFC 5280 has four digits for the year: later times are cut to the last that fits.
    let at = |time: Time| epoch + Duration::from_secs(time.seconds().min(YEAR_9999_SECONDS));
    params.not_before = at(validity.from);
    params.not_after = at(validity.until);
    params.use_authority_key_identifier_extension = true;
    params
}

/// 9999-12-31 23:59:59.
const YEAR_9999_SECONDS: u64 = 253_402_300_799;

fn self_signed<P: Purpose>(params: &CertificateParams, key: &SigningKey<P>) -> Certificate {
    own(params.self_signed(&Signer(key)).expect("parameters of ours make a certificate"))
}

pub(crate) fn signed<P: Purpose>(
    params: &CertificateParams,
    key: &VerifyingKey,
    issuer_params: &CertificateParams,
    issuer: &SigningKey<P>,
) -> Certificate {
    let mut params = params.clone();
    params.serial_number = Some(serial());
    let issuer = Issuer::from_params(issuer_params, Signer(issuer));
    own(params.signed_by(&Subject(key), &issuer).expect("parameters of ours make a certificate"))
}

/// Another for each certificate, since every node issues under the service's one name; positive, and at most 20 bytes
/// (RFC 5280, section 4.1.2.2).
fn serial() -> SerialNumber {
    let mut digits: [u8; 20] = random_bytes();
    digits[0] = digits[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&digits)
}

fn own(made: rcgen::Certificate) -> Certificate {
    Certificate::from_der(made.der().to_vec()).expect("a certificate of ours is one that we read")
}

struct Subject<'a>(&'a VerifyingKey);

impl PublicKeyData for Subject<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.point()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

struct Signer<'a, P>(&'a SigningKey<P>);

impl<P: Purpose> PublicKeyData for Signer<'_, P> {
    fn der_bytes(&self) -> &[u8] {
        self.0.verifying_key().point()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl<P: Purpose> rcgen::SigningKey for Signer<'_, P> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.0.sign(message).0;
        let (r, s) = signature.split_at(32);
        let integers = [der_integer(r), der_integer(s)].concat();
        let size = u8::try_from(integers.len()).expect("two integers of at most 35 bytes");
        Ok([&[0x30, size], &integers[..]].concat())
    }
}

/// X.509 wants ECDSA signatures as a DER sequence of two integers (RFC 3279, section 2.2.3).
fn der_integer(big_endian: &[u8]) -> Vec<u8> {
    let zeros = big_endian.iter().take_while(|byte| **byte == 0).count().min(big_endian.len() - 1);
    let digits = &big_endian[zeros..];
    let pad = digits[0] >= 0x80;
    let size = u8::try_from(digits.len() + usize::from(pad)).expect("at most 33 bytes");
    let mut out = vec![0x02, size];
    out.extend(pad.then_some(0));
    out.extend_from_slice(digits);
    out
}

/// A name that is neither a DNS name nor an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name for a node's certificate is neither a DNS name nor an address")]
pub struct NameRefused;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::CertificateRefused;
    use crate::sign::NodeKey;
    use x509_parser::prelude::{FromDer, X509Certificate};

    fn validity() -> Validity {
        Validity::days(Time(1_700_000_000_000_000), 365)
    }

    /// The signature of `certificate` verifies under `issuer`, read with a parser that is not ours.
    fn signed_under(certificate: &Certificate, issuer: &VerifyingKey) -> bool {
        let (_, parsed) = X509Certificate::from_der(certificate.der()).unwrap();
        let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1;
        aws_lc_rs::signature::UnparsedPublicKey::new(algorithm, issuer.point())
            .verify(parsed.tbs_certificate.as_ref(), &parsed.signature_value.data)
            .is_ok()
    }

    #[test]
    fn a_node_certificate_names_its_node_and_is_signed_by_the_service() {
        let (service, node) = (ServiceKey::generate(), NodeKey::generate());
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = node_certificate(&service, NodeId(2), node.verifying_key(), &names, validity()).unwrap();
        assert_eq!(certificate.common_name(), Some("Synod node 2"));
        assert_eq!(certificate.verifying_key().as_ref(), Ok(node.verifying_key()));
        assert!(signed_under(&certificate, service.verifying_key()));
        assert!(!signed_under(&certificate, node.verifying_key()));

        let ca = service_certificate(&service, validity());
        assert!(signed_under(&ca, service.verifying_key()));
        let (_, leaf) = X509Certificate::from_der(certificate.der()).unwrap();
        let (_, root) = X509Certificate::from_der(ca.der()).unwrap();
        assert_eq!(leaf.issuer().as_raw(), root.subject().as_raw());
        assert!(root.is_ca() && !leaf.is_ca());
        assert_eq!(ca.valid_until(), Time(1_700_000_000_000_000 + 365 * 86_400_000_000));
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let (service, node) = (ServiceKey::generate(), NodeKey::generate());
        let names = ["no name é".to_owned()];
        let refused = node_certificate(&service, NodeId(2), node.verifying_key(), &names, validity());
        assert_eq!(refused, Err(NameRefused));
    }

    #[test]
    fn an_actor_is_named_by_its_key_whoever_signed_its_certificate() {
        let (organisation, actor) = (ActorKey::generate(), ActorKey::generate());
        let own = actor_certificate(&actor, "alice", validity());
        let issued = issued_actor_certificate((&organisation, "bank"), actor.verifying_key(), "alice", validity());
        assert_eq!(own.actor_id(), issued.actor_id());
        assert_eq!(own.actor_id(), actor.verifying_key().actor_id());
        assert!(signed_under(&issued, organisation.verifying_key()));
        assert!(signed_under(
            &organisation_certificate(&organisation, "bank", validity()),
            organisation.verifying_key()
        ));
    }

    #[test]
    fn a_certificate_reads_back_and_damaged_ones_are_refused_without_panic() {
        let certificate = actor_certificate(&ActorKey::generate(), "alice", validity());
        assert_eq!(Certificate::from_pem(&certificate.to_pem()).as_ref(), Ok(&certificate));
        assert_eq!(Certificate::from_pem("nothing"), Err(CertificateRefused::NotPem));
        let der = certificate.der().to_vec();
        for end in 0..der.len() {
            assert_eq!(Certificate::from_der(der[..end].to_vec()), Err(CertificateRefused::NotDer));
        }
        let longer = [&der[..], &[0]].concat();
        assert_eq!(Certificate::from_der(longer), Err(CertificateRefused::NotDer));
        let large = vec![0x30; CERTIFICATE_TOO_LARGE];
        assert_eq!(Certificate::from_der(large), Err(CertificateRefused::TooLarge { size: CERTIFICATE_TOO_LARGE }));
        for at in 0..der.len() {
            let mut flipped = der.clone();
            flipped[at] ^= 0xff;
            if let Ok(other) = Certificate::from_der(flipped) {
                let _ = (other.spki_digest(), other.verifying_key());
            }
        }
    }

    const CERTIFICATE_TOO_LARGE: usize = (16 << 10) + 1;

    #[test]
    fn signatures_with_leading_zeros_or_high_bits_are_written_as_positive_integers() {
        assert_eq!(der_integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(der_integer(&[0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(der_integer(&[0xff, 0]), [2, 3, 0, 0xff, 0]);
        assert_eq!(der_integer(&[0, 0]), [2, 1, 0]);
    }
}
