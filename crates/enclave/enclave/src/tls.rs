//! Who may speak: TLS 1.3 with certificates on both sides.
//!
//! A client may bring any certificate, self-signed or not: who it is, is the digest of the public
//! key whose possession the handshake proves, and what it may do is decided later, from the ledger.
//! Between nodes both sides must hold a key of the node list. Names, issuers and dates of
//! certificates decide nothing here.
//!
//! Resumption is off on both sides: a resumed session would skip the verifiers (rustls does not call
//! them again), so that a removed node or a closed question of identity would live on in a ticket.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    version,
};
use synod_types::{ActorId, NodeId};

/// A certificate chain, own certificate first, and its key.
pub struct Credentials {
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Credentials {
    /// Reads certificates and key from PEM.
    ///
    /// # Errors
    /// If there is no certificate or no key in the text.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsSetupError> {
        let certificates = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| TlsSetupError::PemNotValid("certificate"))?;
        if certificates.is_empty() {
            return Err(TlsSetupError::PemNotValid("certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsSetupError::PemNotValid("key"))?;
        Ok(Self { certificates, key })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(<redacted>)")
    }
}

/// Credentials that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// A file of the wrong kind.
    #[error("there is no {0} in PEM form")]
    PemNotValid(&'static str),
    /// Certificate and key do not fit each other, or are of a kind that TLS does not know.
    #[error("certificate or key refused: {0}")]
    Refused(#[from] Error),
}

/// Settings for the door of clients.
///
/// # Errors
/// If certificate and key do not fit each other.
pub fn client_door(credentials: &Credentials) -> Result<Arc<ServerConfig>, TlsSetupError> {
    server(credentials, Arc::new(AnyKey { provider: provider() }), &[b"h2", b"http/1.1"])
}

/// Settings for the door of nodes, and for dialling `expected` of them.
///
/// # Errors
/// If certificate and key do not fit each other.
pub fn peer_door(credentials: &Credentials, nodes: Arc<NodeKeys>) -> Result<Arc<ServerConfig>, TlsSetupError> {
    server(credentials, Arc::new(NodeKey { provider: provider(), nodes, only: None }), &[PEER_PROTOCOL])
}

/// Settings for dialling one node.
///
/// # Errors
/// If certificate and key do not fit each other.
pub fn dial(credentials: &Credentials, nodes: Arc<NodeKeys>, to: NodeId) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let verifier = NodeKey { provider: provider(), nodes, only: Some(to) };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(credentials.certificates.clone(), credentials.key.clone_key())?;
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![PEER_PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

fn server(
    credentials: &Credentials,
    verifier: Arc<dyn ClientCertVerifier>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsSetupError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(credentials.certificates.clone(), credentials.key.clone_key())?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The public keys of the nodes, by digest.
#[derive(Clone, Debug, Default)]
pub struct NodeKeys(Vec<(NodeId, ActorId)>);

impl NodeKeys {
    /// The list of the nodes and the digests of their public keys (SubjectPublicKeyInfo, DER).
    pub fn new(nodes: impl IntoIterator<Item = (NodeId, ActorId)>) -> Self {
        Self(nodes.into_iter().collect())
    }

    /// The node that holds the key.
    pub fn find(&self, key: ActorId) -> Option<NodeId> {
        self.0.iter().find(|(_, known)| *known == key).map(|(node, _)| *node)
    }

    /// The nodes, in the order of the list.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.0.iter().map(|(node, _)| *node)
    }
}

/// Who a peer is, from its certificate; the handshake has shown that it holds the key.
///
/// # Errors
/// If the certificate is malformed.
pub fn key_id(certificate: &CertificateDer<'_>) -> Result<ActorId, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    Ok(ActorId(synod_crypto::sha256(&[&parsed.subject_public_key_info()]).0))
}

/// Accepts every client that proves possession of its certificate's key.
#[derive(Debug)]
struct AnyKey {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        key_id(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
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

/// Accepts the nodes of the list, or only one of them.
#[derive(Debug)]
struct NodeKey {
    provider: Arc<CryptoProvider>,
    nodes: Arc<NodeKeys>,
    only: Option<NodeId>,
}

impl NodeKey {
    fn verify(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        match self.nodes.find(key_id(certificate)?) {
            Some(node) if self.only.is_none_or(|only| only == node) => Ok(()),
            _ => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }
}

impl ClientCertVerifier for NodeKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
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

impl ServerCertVerifier for NodeKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
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

/// No other version is offered, so this is never asked.
fn only_tls13() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

/// The name to dial: names decide nothing, yet TLS wants one.
pub fn dial_name() -> ServerName<'static> {
    ServerName::try_from("synod-node").expect("a valid DNS name")
}

/// What nodes speak with each other, so that a session of one door is none of the other's.
const PEER_PROTOCOL: &[u8] = b"synod-peer/1";

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
