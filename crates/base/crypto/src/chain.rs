//! Chains of certificates: does this leaf stand under that certificate, and what does it say?
//!
//! Path building, signatures, dates, name constraints, extended key usage and revocation are `webpki`'s, the verifier
//! that rustls uses (RFC 5280, section 6). It takes the anchor's word for everything, so what the anchor itself says
//! (dates, being a CA, path length) is checked here; so is the leaf's key usage, which `webpki` does not look at.

use rustls_pki_types::{CertificateDer, UnixTime};
use synod_types::{Digest, Time};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::any_key::verify_x509;
use crate::digest::sha256;

/// What a verified leaf says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// The last moment at which it, and every certificate above it, is valid.
    pub valid_until: Time,
    /// Its subject alternative names, each after its kind: `dns:`, `email:`, `uri:`.
    pub names: Vec<String>,
    /// The organisational units of its subject.
    pub units: Vec<String>,
    /// Its certificate policies, as dotted numbers.
    pub policies: Vec<String>,
    /// SHA-256 of the public keys of the CAs between the anchor and the leaf.
    pub sub_cas: Vec<Digest>,
}

/// Why a chain, or a revocation list, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainRefused {
    /// No certificate at all.
    #[error("there is no certificate")]
    Empty,
    /// Something is not a certificate, or not a revocation list.
    #[error("not a {what} in DER that can be read")]
    Malformed {
        /// What it should be.
        what: &'static str,
    },
    /// A certificate's time is over.
    #[error("{whose} certificate has expired")]
    Expired {
        /// `the actor's` or `the leaf's`; the latter stands for every certificate below the actor's.
        whose: &'static str,
    },
    /// A certificate's time has not come.
    #[error("{whose} certificate is not valid yet")]
    NotValidYet {
        /// As above.
        whose: &'static str,
    },
    /// The leaf stands under another certificate.
    #[error("the certificate was not issued under the actor's")]
    OtherAuthority,
    /// A signature of the chain does not fit.
    #[error("a signature of the chain does not fit")]
    Signature,
    /// A certificate was revoked.
    #[error("the certificate was revoked")]
    Revoked,
    /// A certificate must not be used for this.
    #[error("{whose} certificate is not for {usage}")]
    Usage {
        /// As above.
        whose: &'static str,
        /// What it would be used for.
        usage: &'static str,
    },
    /// A constraint of a CA forbids the leaf.
    #[error("a constraint of a certificate above the leaf forbids it: {what}")]
    Constraint {
        /// Which.
        what: &'static str,
    },
    /// Something else is wrong with it.
    #[error("the chain is not acceptable: {what}")]
    Other {
        /// What the verifier says.
        what: String,
    },
}

/// Checks that the first of `presented` stands under `anchor`, or is it, and may authenticate and sign at `at`.
///
/// `presented` is the leaf and, in any order, the certificates between it and the anchor. `crl` is a revocation list
/// that [`check_crl`] accepted for this anchor; that it is old does not unsay what it revokes.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(anchor: &[u8], presented: &[Vec<u8>], at: Time, crl: Option<&[u8]>) -> Result<Leaf, ChainRefused> {
    let (leaf_der, between) = presented.split_first().ok_or(ChainRefused::Empty)?;
    let (leaf, actor) = (parse(leaf_der)?, parse(anchor)?);
    check_dates(&actor, at, "the actor's")?;
    check_usage(&leaf)?;
    if leaf_der.as_slice() == anchor {
        check_client_usage(&leaf)?;
        return Ok(describe(&leaf, valid_until(&actor), Vec::new()));
    }
    check_is_authority(&actor)?;
    let sub_cas = build_path(anchor, leaf_der, between, at, crl)?;
    let path_max = basic_constraints(&actor)?.and_then(|constraints| constraints.path_len_constraint);
    if path_max.is_some_and(|path_max| sub_cas.len() > path_max as usize) {
        return Err(ChainRefused::Constraint { what: "path length" });
    }
    let mut until = valid_until(&actor).min(valid_until(&leaf));
    let mut digests = Vec::new();
    for der in &sub_cas {
        let sub_ca = parse(der)?;
        until = until.min(valid_until(&sub_ca));
        digests.push(sha256(&[sub_ca.public_key().raw]));
    }
    Ok(describe(&leaf, until, digests))
}

/// Whether signatures lead from the first of `presented` up to `anchor`, or it is that, whatever else may be wrong with any
/// of them: so that who has nothing to do with the anchor need not be told that there is one.
pub fn leads_to(anchor: &[u8], presented: &[Vec<u8>]) -> bool {
    let Some((leaf, between)) = presented.split_first() else { return false };
    if leaf.as_slice() == anchor {
        return true;
    }
    let (Ok(leaf), Ok(anchor)) = (parse(leaf), parse(anchor)) else { return false };
    let mut untried: Vec<_> = between.iter().filter_map(|der| parse(der).ok()).collect();
    let mut reached = vec![leaf];
    // Each is reached once at most.
    while let Some(subject) = reached.pop() {
        if is_signed_by(&subject, &anchor) {
            return true;
        }
        reached.extend(untried.extract_if(.., |issuer| is_signed_by(&subject, issuer)));
    }
    false
}

fn is_signed_by(subject: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    let (algorithm, signature) = (&subject.signature_algorithm, &subject.signature_value.data);
    subject.issuer().as_raw() == issuer.subject().as_raw()
        && verify_x509(issuer.public_key().raw, algorithm, subject.tbs_certificate.as_ref(), signature).is_ok()
}

/// Checks that `der` can be an actor's certificate at `at`: it can be read, is valid, and is a CA or may sign.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_anchor(der: &[u8], at: Time) -> Result<(), ChainRefused> {
    let certificate = parse(der)?;
    check_dates(&certificate, at, "the actor's")?;
    if check_is_authority(&certificate).is_ok() {
        let der = CertificateDer::from(der);
        return anchor_from_trusted_cert(&der).map(|_| ()).map_err(refused);
    }
    check_usage(&certificate).and_then(|()| check_client_usage(&certificate))
}

/// Checks a revocation list, DER, that an actor registers at `at`: it is signed with the key of the actor's certificate.
/// Returns its number.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_crl(anchor: &[u8], der: &[u8], at: Time) -> Result<u64, ChainRefused> {
    const LIST: ChainRefused = ChainRefused::Malformed { what: "numbered revocation list" };
    let actor = parse(anchor)?;
    let (rest, list) = CertificateRevocationList::from_der(der).map_err(|_| LIST)?;
    let number = list.crl_number().and_then(|number| u64::try_from(number).ok());
    let number = number.filter(|_| rest.is_empty()).ok_or(LIST)?;
    if list.issuer().as_raw() != actor.subject().as_raw() {
        return Err(ChainRefused::OtherAuthority);
    }
    let may_sign = key_usage(&actor)?.is_none_or(|usage| usage.crl_sign());
    if !may_sign {
        return Err(ChainRefused::Usage { whose: "the actor's", usage: "signing revocation lists" });
    }
    let signature = &list.signature_value.data;
    verify_x509(actor.public_key().raw, &list.signature_algorithm, list.tbs_cert_list.as_ref(), signature)
        .map_err(|_| ChainRefused::Signature)?;
    if seconds(list.last_update().timestamp()) > at.seconds() {
        return Err(ChainRefused::NotValidYet { whose: "the list's" });
    }
    // What the verifier could not use later is better refused now.
    OwnedCertRevocationList::from_der(der).map(|_| number).map_err(refused)
}

/// The certificates between the leaf and the anchor, DER.
fn build_path(
    anchor: &[u8],
    leaf: &[u8],
    between: &[Vec<u8>],
    at: Time,
    crl: Option<&[u8]>,
) -> Result<Vec<Vec<u8>>, ChainRefused> {
    let (anchor, leaf) = (CertificateDer::from(anchor), CertificateDer::from(leaf));
    let anchors = [anchor_from_trusted_cert(&anchor).map_err(refused)?];
    let between: Vec<_> = between.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let entity = EndEntityCert::try_from(&leaf).map_err(refused)?;
    let list = crl.map(OwnedCertRevocationList::from_der).transpose().map_err(refused)?.map(CertRevocationList::from);
    let lists: Vec<_> = list.iter().collect();
    let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
        options
            .with_depth(RevocationCheckDepth::Chain)
            // The actor's list says nothing about what its sub-CAs issued.
            .with_status_policy(UnknownStatusPolicy::Allow)
            .with_expiration_policy(ExpirationPolicy::Ignore)
            .build()
    });
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at.seconds()));
    let usage = webpki::KeyUsage::client_auth();
    let path = entity
        .verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &between, time, usage, revocation, None)
        .map_err(refused)?;
    Ok(path.intermediate_certificates().map(|certificate| certificate.der().to_vec()).collect())
}

pub(crate) fn refused(error: webpki::Error) -> ChainRefused {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } => ChainRefused::Expired { whose: "the leaf's" },
        Error::CertNotValidYet { .. } => ChainRefused::NotValidYet { whose: "the leaf's" },
        Error::CertRevoked => ChainRefused::Revoked,
        Error::UnknownIssuer => ChainRefused::OtherAuthority,
        Error::InvalidSignatureForPublicKey => ChainRefused::Signature,
        Error::RequiredEkuNotFoundContext(_) => {
            ChainRefused::Usage { whose: "the leaf's", usage: "authenticating a client" }
        }
        Error::CaUsedAsEndEntity => ChainRefused::Usage { whose: "the leaf's", usage: "end entities: it is a CA" },
        Error::EndEntityUsedAsCa => ChainRefused::Usage { whose: "an issuer's", usage: "issuing certificates" },
        Error::NameConstraintViolation => ChainRefused::Constraint { what: "names" },
        Error::PathLenConstraintViolated => ChainRefused::Constraint { what: "path length" },
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) => ChainRefused::Malformed { what: "certificate" },
        other => ChainRefused::Other { what: other.to_string() },
    }
}

pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, ChainRefused> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(ChainRefused::Malformed { what: "certificate" }),
    }
}

pub(crate) fn check_dates(
    certificate: &X509Certificate<'_>,
    at: Time,
    whose: &'static str,
) -> Result<(), ChainRefused> {
    if seconds(certificate.validity().not_before.timestamp()) > at.seconds() {
        return Err(ChainRefused::NotValidYet { whose });
    }
    if valid_until(certificate).seconds() < at.seconds() {
        return Err(ChainRefused::Expired { whose });
    }
    Ok(())
}

/// The last moment of the last second, which belongs to it (RFC 5280, section 4.1.2.5).
fn valid_until(certificate: &X509Certificate<'_>) -> Time {
    let seconds = seconds(certificate.validity().not_after.timestamp());
    Time(seconds.saturating_mul(1_000_000).saturating_add(999_999))
}

/// Times before 1970 are the beginning of time.
fn seconds(timestamp: i64) -> u64 {
    u64::try_from(timestamp).unwrap_or(0)
}

/// A key that must only encrypt, or only issue certificates, speaks for nobody (RFC 5280, section 4.2.1.3).
fn check_usage(leaf: &X509Certificate<'_>) -> Result<(), ChainRefused> {
    match key_usage(leaf)? {
        Some(usage) if !usage.digital_signature() => {
            Err(ChainRefused::Usage { whose: "the leaf's", usage: "digital signatures" })
        }
        _ => Ok(()),
    }
}

/// What `webpki` checks of a leaf under an anchor, for a certificate that is its own anchor.
fn check_client_usage(leaf: &X509Certificate<'_>) -> Result<(), ChainRefused> {
    let usage = leaf.extended_key_usage().map_err(|_| ChainRefused::Malformed { what: "certificate" })?;
    match usage {
        Some(usage) if !usage.value.client_auth && !usage.value.any => {
            Err(ChainRefused::Usage { whose: "the leaf's", usage: "authenticating a client" })
        }
        _ => Ok(()),
    }
}

pub(crate) fn check_is_authority(actor: &X509Certificate<'_>) -> Result<(), ChainRefused> {
    let is_ca = basic_constraints(actor)?.is_some_and(|constraints| constraints.ca);
    let may_issue = key_usage(actor)?.is_none_or(|usage| usage.key_cert_sign());
    if !is_ca || !may_issue {
        return Err(ChainRefused::OtherAuthority);
    }
    Ok(())
}

fn key_usage<'c>(
    certificate: &'c X509Certificate<'_>,
) -> Result<Option<&'c x509_parser::extensions::KeyUsage>, ChainRefused> {
    let usage = certificate.key_usage().map_err(|_| ChainRefused::Malformed { what: "certificate" })?;
    Ok(usage.map(|usage| usage.value))
}

fn basic_constraints<'c>(
    certificate: &'c X509Certificate<'_>,
) -> Result<Option<&'c x509_parser::extensions::BasicConstraints>, ChainRefused> {
    let constraints = certificate.basic_constraints().map_err(|_| ChainRefused::Malformed { what: "certificate" })?;
    Ok(constraints.map(|constraints| constraints.value))
}

fn describe(leaf: &X509Certificate<'_>, valid_until: Time, sub_cas: Vec<Digest>) -> Leaf {
    let units = leaf.subject().iter_organizational_unit();
    let mut described = Leaf {
        spki: leaf.public_key().raw.to_vec(),
        valid_until,
        names: Vec::new(),
        units: units.filter_map(|unit| unit.as_str().ok().map(str::to_owned)).collect(),
        policies: Vec::new(),
        sub_cas,
    };
    for extension in leaf.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                described.names.extend(names.general_names.iter().filter_map(name_of));
            }
            ParsedExtension::CertificatePolicies(policies) => {
                described.policies.extend(policies.iter().map(|policy| policy.policy_id.to_id_string()));
            }
            _ => {}
        }
    }
    described
}

fn name_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) => Some(format!("dns:{text}")),
        GeneralName::RFC822Name(text) => Some(format!("email:{text}")),
        GeneralName::URI(text) => Some(format!("uri:{text}")),
        _ => None,
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
