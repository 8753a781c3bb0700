//! Who the client is: its certificate and key.

use std::fmt;
use std::path::Path;

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
