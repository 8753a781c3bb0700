//! X.509 certificates as they are read: only the parts that Synod relies on.

use std::fmt;

use rustls_pki_types::CertificateDer;
use synod_types::{ActorId, Digest, Time};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::armour;
use crate::digest::sha256;
use crate::verify::VerifyingKey;

/// The largest certificate read, in bytes: ten times what any real one takes.
const CERTIFICATE_BYTES_MAX: usize = 16 << 10;

/// An X.509 certificate whose structure was checked. Neither signature nor dates are: whom to believe
/// is the caller's decision (Synod pins public keys).
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    spki: std::ops::Range<usize>,
    common_name: Option<String>,
    valid_until: Time,
}

impl Certificate {
    /// Reads a DER certificate that fills `der`.
    ///
    /// # Errors
    /// If it is too large, or not a certificate.
    pub fn from_der(der: Vec<u8>) -> Result<Self, CertificateRefused> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateRefused::TooLarge { size: der.len() });
        }
        let Ok((rest, parsed)) = X509Certificate::from_der(&der) else { return Err(CertificateRefused::NotDer) };
        if !rest.is_empty() {
            return Err(CertificateRefused::NotDer);
        }
        let raw = parsed.tbs_certificate.subject_pki.raw;
        // `raw` is a slice of `der`; its place is kept so that nothing is parsed twice.
        let start = raw.as_ptr() as usize - der.as_ptr() as usize;
        let common_name =
            parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).map(str::to_owned);
        let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        let spki = start..start + raw.len();
        Ok(Self { spki, common_name, valid_until: Time(seconds.saturating_mul(1_000_000)), der })
    }

    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// If there is none.
    pub fn from_pem(text: &str) -> Result<Self, CertificateRefused> {
        Self::from_der(armour::decode(CERTIFICATE_TAG, text).ok_or(CertificateRefused::NotPem)?)
    }

    /// As PEM.
    pub fn to_pem(&self) -> String {
        armour::encode(CERTIFICATE_TAG, &self.der)
    }

    /// As DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// As the TLS library takes it.
    pub fn to_pki(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.der.clone())
    }

    /// The SubjectPublicKeyInfo, DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.der[self.spki.clone()]
    }

    /// The digest of the SubjectPublicKeyInfo.
    pub fn spki_digest(&self) -> Digest {
        sha256(&[self.spki_der()])
    }

    /// The actor who holds the certificate's key.
    pub fn actor_id(&self) -> ActorId {
        ActorId(self.spki_digest().0)
    }

    /// The certificate's key, if it is on P-256, as all keys that Synod makes are.
    ///
    /// # Errors
    /// If the key is of another kind.
    pub fn verifying_key(&self) -> Result<VerifyingKey, CertificateRefused> {
        VerifyingKey::from_spki_der(self.spki_der()).map_err(|_| CertificateRefused::KeyNotP256)
    }

    /// The subject's common name, if it has one.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The end of the certificate's validity.
    pub const fn valid_until(&self) -> Time {
        self.valid_until
    }
}

const CERTIFICATE_TAG: &str = "CERTIFICATE";

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({:?}, {})", self.common_name, self.spki_digest())
    }
}

/// Why a certificate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefused {
    /// It is larger than any certificate that Synod reads.
    #[error("certificate of {size} bytes is too large")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// It is not the DER of a certificate, or bytes are left over.
    #[error("not a certificate in DER")]
    NotDer,
    /// It is not the PEM of a certificate.
    #[error("not a certificate in PEM")]
    NotPem,
    /// Its key is not on P-256.
    #[error("the certificate's key is not on P-256")]
    KeyNotP256,
}
