//! Who the client is: its certificate and key.

use std::fmt;
use std::path::Path;

use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::ClientError;

/// An actor's certificate, with those that lead to its issuer, and the private key. `Debug` prints neither.
pub struct Identity {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// An identity from DER; the actor's own certificate comes first.
    pub const fn new(certificates: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        Self { certificates, key }
    }

    /// Reads certificate and key from PEM files.
    ///
    /// # Errors
    /// If a file cannot be read or holds no such PEM.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, ClientError> {
        let certificates = read_certificates("certificate", certificate)?;
        let text = read("key", key)?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| ClientError::FileNotValid {
            what: "key",
            path: key.into(),
            reason: error.to_string(),
        })?;
        Ok(Self { certificates, key })
    }
}

impl Identity {
    /// The certificates, DER, the own one first.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The identity of `PATH.crt` and `PATH.key`, however `path` ends.
    ///
    /// # Errors
    /// If a file cannot be read or holds no such PEM.
    pub fn load_pair(path: &Path) -> Result<Self, ClientError> {
        let stem = match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt" | "key") => path.with_extension(""),
            _ => path.to_path_buf(),
        };
        let with = |extension: &str| {
            let mut name = stem.clone().into_os_string();
            name.push(extension);
            std::path::PathBuf::from(name)
        };
        Self::load(&with(".crt"), &with(".key"))
    }

    /// Signs `message` as statements are signed: ECDSA on P-256 or P-384, or Ed25519. ECDSA's is in DER; see
    /// [`crate::governance::finish`].
    ///
    /// # Errors
    /// If the key is of another kind.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ClientError> {
        let schemes =
            [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384, SignatureScheme::ED25519];
        let key = any_supported_type(&self.key).map_err(ClientError::KeyRefused)?;
        let other = || ClientError::KeyRefused(rustls::Error::General("it is not on P-256, P-384, or Ed25519".into()));
        let signer = key.choose_scheme(&schemes).ok_or_else(other)?;
        signer.sign(message).map_err(ClientError::KeyRefused)
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { certificates: self.certificates.clone(), key: self.key.clone_key() }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(<redacted>)")
    }
}

/// Reads the certificates of a PEM file, at least one.
pub(crate) fn read_certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let text = read(what, path)?;
    let refused = |reason: String| ClientError::FileNotValid { what, path: path.into(), reason };
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| refused(error.to_string()))?;
    if certificates.is_empty() {
        return Err(refused("it holds no certificate in PEM form".into()));
    }
    Ok(certificates)
}

/// Reads a file, and says what it was to hold if it cannot be read.
pub(crate) fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::FileUnreadable { what, path: path.into(), source })
}
