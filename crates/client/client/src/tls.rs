//! TLS 1.3 with certificates on both sides, pinned to one service.
//!
//! The server's name is not checked: any node of the service is as good as any other, and a node is
//! whoever proves possession of a key whose certificate the service's key signed, or a later key of the service
//! that the pinned one endorses; see [`synod_crypto::rotated`]. Resumption is off,
//! so every connection proves both identities anew.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, version};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::{ClientError, Identity};

/// The TLS settings with which `identity` talks to the nodes of the service that holds `service`'s key.
///
/// # Errors
/// If the service's certificate cannot be a trust anchor, or identity's key is not its certificate's.
pub fn tls_config(service: &CertificateDer<'_>, identity: &Identity) -> Result<Arc<ClientConfig>, ClientError> {
    build(service, identity).map(Arc::new).map_err(ClientError::CertificatesRefused)
}

fn build(service: &CertificateDer<'_>, identity: &Identity) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = ServicePin::new(service, Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(identity.certificates.clone(), identity.key.clone_key())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Accepts exactly the certificates that the service signed, whatever name they carry.
#[derive(Debug)]
struct ServicePin {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServicePin {
    fn new(service: &CertificateDer<'_>, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(service.clone().into_owned())?;
        Ok(Self { roots, provider })
    }
}

impl ServerCertVerifier for ServicePin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let node = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&node, &self.roots, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Only TLS 1.3 is offered.
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
