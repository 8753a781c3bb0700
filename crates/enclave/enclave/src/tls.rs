//! Who may speak: TLS 1.3 with certificates on both sides.
//!
//! A client may bring any chain of certificates: the handshake proves that it holds the leaf's key. For whom the chain
//! speaks is decided after it, from the governance tables, so that who is refused hears why: see [`crate::identity`].
//! Between nodes both sides must be nodes as [`NodeKeys`] knows them.
//!
//! Resumption is off on both sides: a resumed session would skip the verifiers (rustls does not call
//! them again), so that a removed node or a closed question of identity would live on in a ticket.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    version,
};
use synod_crypto::chain::ChainRefused;
use synod_crypto::slot::SlotRefused;
use synod_types::{ActorId, NodeId};

use crate::clock::Calendar;
use crate::credentials::Credentials;
use crate::nodes::{NodeKeys, NotANode};

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
/// If TLS 1.3 is not to be had.
pub fn client_door(credentials: &Credentials) -> Result<Arc<ServerConfig>, TlsSetupError> {
    server(credentials, Arc::new(AnyKey { provider: provider() }), &[b"h2", b"http/1.1"])
}

/// Settings for the door of nodes.
///
/// # Errors
/// If TLS 1.3 is not to be had.
pub fn peer_door(
    credentials: &Credentials,
    nodes: Arc<NodeKeys>,
    calendar: Calendar,
) -> Result<Arc<ServerConfig>, TlsSetupError> {
    server(credentials, Arc::new(NodeKey { provider: provider(), nodes, calendar, only: None }), &[PEER_PROTOCOL])
}

/// Settings for dialling nodes.
pub struct Dialler {
    nodes: Arc<NodeKeys>,
    calendar: Calendar,
    credentials: Credentials,
}

impl Dialler {
    /// Settings for dialling with these credentials.
    ///
    /// # Errors
    /// If TLS 1.3 is not to be had.
    pub fn new(credentials: Credentials, nodes: Arc<NodeKeys>, calendar: Calendar) -> Result<Self, TlsSetupError> {
        let dialler = Self { nodes, calendar, credentials };
        dialler.config(NodeId(0))?;
        Ok(dialler)
    }

    /// Settings for dialling one node, and nobody else.
    pub fn to(&self, node: NodeId) -> Arc<ClientConfig> {
        Arc::new(self.config(node).expect("the same settings were taken before"))
    }

    fn config(&self, node: NodeId) -> Result<ClientConfig, TlsSetupError> {
        let (nodes, calendar) = (Arc::clone(&self.nodes), self.calendar.clone());
        let verifier = NodeKey { provider: provider(), nodes, calendar, only: Some(node) };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(self.credentials.client());
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![PEER_PROTOCOL.to_vec()];
        Ok(config)
    }
}

fn server(
    credentials: &Credentials,
    verifier: Arc<dyn ClientCertVerifier>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsSetupError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(credentials.server());
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// The cryptography of all TLS here.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
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

/// Accepts nodes, or only one of them.
#[derive(Debug)]
struct NodeKey {
    provider: Arc<CryptoProvider>,
    nodes: Arc<NodeKeys>,
    calendar: Calendar,
    only: Option<NodeId>,
}

impl NodeKey {
    fn verify(&self, certificate: &CertificateDer<'_>, between: &[CertificateDer<'_>]) -> Result<(), Error> {
        // Not by the time that TLS would go by, which is the host's alone.
        match self.nodes.peer(key_id(certificate)?, certificate, between, self.calendar.now()) {
            Ok(peer) if self.only.is_none_or(|only| only == peer.node) => Ok(()),
            Ok(_) => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
            Err(error) => Err(Error::InvalidCertificate(alert(&error))),
        }
    }
}

/// What the other side is told: TLS has a word for each of these.
const fn alert(error: &NotANode) -> CertificateError {
    match error {
        NotANode::Removed => CertificateError::Revoked,
        NotANode::Unknown(SlotRefused::NotIssued(ChainRefused::Expired { .. })) => CertificateError::Expired,
        NotANode::Unknown(SlotRefused::NotIssued(ChainRefused::NotValidYet { .. })) => CertificateError::NotValidYet,
        NotANode::OtherSlot { .. } => CertificateError::NotValidForName,
        NotANode::Unknown(_) | NotANode::OtherKey { .. } => CertificateError::ApplicationVerificationFailure,
    }
}

impl ClientCertVerifier for NodeKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity, intermediates)?;
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
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates)?;
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
