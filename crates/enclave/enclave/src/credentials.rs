//! What this node shows of itself in TLS: at its doors, and where it dials.
//!
//! Its certificates may be replaced while it runs; sessions that stand go on. Its key never is.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::tls::{TlsSetupError, provider};

/// A certificate chain, own certificate first, and its key. Clones show the same.
#[derive(Clone)]
pub struct Credentials(Arc<Shown>);

struct Shown(RwLock<Arc<CertifiedKey>>);

impl Credentials {
    /// Reads certificates and key from PEM.
    ///
    /// # Errors
    /// If there is no certificate or no key in the text, or they do not fit each other.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsSetupError> {
        let certificates = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| TlsSetupError::PemNotValid("certificate"))?;
        if certificates.is_empty() {
            return Err(TlsSetupError::PemNotValid("certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsSetupError::PemNotValid("key"))?;
        let certified = CertifiedKey::from_der(certificates, key, &provider())?;
        Ok(Self(Arc::new(Shown(RwLock::new(Arc::new(certified))))))
    }

    /// Shows other certificates for the same key from the next handshake on.
    pub fn show(&self, certificates: Vec<CertificateDer<'static>>) {
        let mut shown = self.0.0.write().unwrap_or_else(PoisonError::into_inner);
        *shown = Arc::new(CertifiedKey::new(certificates, Arc::clone(&shown.key)));
    }

    /// For doors.
    pub fn server(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::<Shown>::clone(&self.0)
    }

    /// For dialling.
    pub fn client(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::<Shown>::clone(&self.0)
    }
}

impl Shown {
    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(<redacted>)")
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(<redacted>)")
    }
}
