use std::io;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use rustls::{HandshakeKind, RootCertStore};
use synod_crypto::rotated::{check_service, is_endorsed};
use synod_crypto::x509::{Validity, actor_certificate, node_certificate, service_certificate};
use synod_crypto::{ActorKey, Certificate, NodeKey as SlotKey, ServiceKey};
use synod_ledger::{ServiceHistory, ServiceIdentity};
use synod_node::NewService;
use synod_types::{Seqno, Time, TxId, View};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::*;
use crate::nodes::{Peer, Standing};
use crate::rotation::{ENDORSEMENTS_MAX, Rotation};
use crate::testing::World;

const VALIDITY: Validity = Validity { from: Time(0), until: Time(4_000_000_000_000_000) };

/// A node's credentials, and the digest of its key.
fn node(service: &ServiceKey, id: u64) -> (Credentials, ActorId, Certificate) {
    let key = SlotKey::generate();
    let names = ["localhost".to_owned()];
    let certificate = node_certificate(service, NodeId(id), key.verifying_key(), &names, VALIDITY).unwrap();
    let credentials = Credentials::from_pem(certificate.to_pem().as_bytes(), key.expose_pem().as_bytes()).unwrap();
    (credentials, certificate.actor_id(), certificate)
}

/// The node list.
fn listing(service: &ServiceKey, nodes: &[(NodeId, ActorId)]) -> Arc<NodeKeys> {
    let keys = NodeKeys::new(service.verifying_key().clone());
    keys.follow(nodes.iter().copied());
    Arc::new(keys)
}

fn dial(credentials: &Credentials, nodes: Arc<NodeKeys>, to: NodeId) -> Arc<ClientConfig> {
    Dialler::new(credentials.clone(), nodes, calendar()).unwrap().to(to)
}

/// The time, by the clock alone.
fn calendar() -> Calendar {
    Calendar::new(crate::clock::Clock::start())
}

/// An actor with a self-signed certificate.
fn actor() -> (Certificate, PrivateKeyDer<'static>) {
    let key = ActorKey::generate();
    let certificate = actor_certificate(&key, "actor", VALIDITY);
    (certificate, PrivateKeyDer::from_pem_slice(key.expose_pem().as_bytes()).unwrap())
}

/// The settings of a client that trusts the service and, unlike ours, would resume.
fn client_builder(service: &ServiceKey) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots.add(service_certificate(service, VALIDITY).to_pki()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&version::TLS13]).unwrap();
    builder.with_root_certificates(roots)
}

type Ends =
    (io::Result<client::TlsStream<tokio::io::DuplexStream>>, io::Result<server::TlsStream<tokio::io::DuplexStream>>);

async fn handshake(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Ends {
    let (near, far) = duplex(1 << 16);
    let name = ServerName::try_from("localhost").unwrap();
    let accepting = TlsAcceptor::from(server).accept(far);
    tokio::join!(TlsConnector::from(client).connect(name, near), accepting)
}

/// The error with which the server refused.
async fn refused(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Error {
    let (_, server) = handshake(client, server).await;
    tls_error(server.expect_err("the server must refuse"))
}

fn tls_error(error: io::Error) -> Error {
    *error.into_inner().unwrap().downcast::<Error>().unwrap()
}

#[tokio::test]
async fn any_key_that_is_proved_is_an_identity() {
    let service = ServiceKey::generate();
    let (credentials, ..) = node(&service, 1);
    let (certificate, key) = actor();
    let client = client_builder(&service).with_client_auth_cert(vec![certificate.to_pki()], key).unwrap();
    let (client, server) = handshake(Arc::new(client), client_door(&credentials).unwrap()).await;
    client.unwrap();
    let server = server.unwrap();
    let shown = &server.get_ref().1.peer_certificates().unwrap()[0];
    assert_eq!(key_id(shown).unwrap(), certificate.actor_id());
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let service = ServiceKey::generate();
    let (credentials, ..) = node(&service, 1);
    let client = client_builder(&service).with_no_client_auth();
    assert_eq!(refused(Arc::new(client), client_door(&credentials).unwrap()).await, Error::NoCertificatesPresented);
}

/// Shows a certificate whose key it does not have.
#[derive(Debug)]
struct Thief(Arc<CertifiedKey>);

impl ResolvesClientCert for Thief {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused_at_both_doors() {
    let service = ServiceKey::generate();
    let (credentials, id, certificate) = node(&service, 1);
    let (victim, _) = actor();
    let (_, other_key) = actor();
    let key = provider().key_provider.load_private_key(other_key).unwrap();
    let thief = |certificate: &Certificate| {
        let stolen = Arc::new(CertifiedKey::new(vec![certificate.to_pki()], Arc::clone(&key)));
        Arc::new(client_builder(&service).with_client_cert_resolver(Arc::new(Thief(stolen))))
    };
    let bad_signature = Error::InvalidCertificate(CertificateError::BadSignature);
    assert_eq!(refused(thief(&victim), client_door(&credentials).unwrap()).await, bad_signature);
    let nodes = listing(&service, &[(NodeId(1), id)]);
    let mut as_node = Arc::unwrap_or_clone(thief(&certificate));
    as_node.alpn_protocols = vec![PEER_PROTOCOL.to_vec()];
    assert_eq!(refused(Arc::new(as_node), peer_door(&credentials, nodes, calendar()).unwrap()).await, bad_signature);
}

#[tokio::test]
async fn nothing_is_resumed_so_that_the_verifiers_are_asked_each_time() {
    let service = ServiceKey::generate();
    let (credentials, ..) = node(&service, 1);
    let (certificate, key) = actor();
    let client = client_builder(&service).with_client_auth_cert(vec![certificate.to_pki()], key).unwrap();
    let (client, door) = (Arc::new(client), client_door(&credentials).unwrap());
    for _ in 0..2 {
        let (near, far) = handshake(Arc::clone(&client), Arc::clone(&door)).await;
        let (mut near, mut far) = (near.unwrap(), far.unwrap());
        // Tickets would come with the first bytes of the server.
        far.write_all(b"x").await.unwrap();
        far.flush().await.unwrap();
        near.read_exact(&mut [0]).await.unwrap();
        assert_eq!(far.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(near.get_ref().1.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn nodes_of_the_list_reach_each_other_and_know_whom_they_reached() {
    let service = ServiceKey::generate();
    let ((one, one_id, _), (two, two_id, _)) = (node(&service, 1), node(&service, 2));
    let nodes = listing(&service, &[(NodeId(1), one_id), (NodeId(2), two_id)]);
    let dial = dial(&one, Arc::clone(&nodes), NodeId(2));
    let (near, far) = handshake(dial, peer_door(&two, Arc::clone(&nodes), calendar()).unwrap()).await;
    near.unwrap();
    let far = far.unwrap();
    let shown = &far.get_ref().1.peer_certificates().unwrap()[0];
    assert_eq!(nodes.slot_of(key_id(shown).unwrap()), Some(NodeId(1)));
}

#[tokio::test]
async fn a_key_that_neither_the_list_names_nor_the_service_has_certified_is_refused_on_both_sides() {
    let service = ServiceKey::generate();
    let ((one, one_id, _), (two, two_id, _)) = (node(&service, 1), node(&service, 2));
    let (stranger, ..) = node(&ServiceKey::generate(), 2);
    let nodes = listing(&service, &[(NodeId(1), one_id), (NodeId(2), two_id)]);
    let not_it = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);

    let from_stranger = dial(&stranger, Arc::clone(&nodes), NodeId(2));
    assert_eq!(refused(from_stranger, peer_door(&two, Arc::clone(&nodes), calendar()).unwrap()).await, not_it);

    let to_two = dial(&one, Arc::clone(&nodes), NodeId(2));
    for wrong in [&stranger, &one] {
        let (near, _) = handshake(Arc::clone(&to_two), peer_door(wrong, Arc::clone(&nodes), calendar()).unwrap()).await;
        assert_eq!(tls_error(near.unwrap_err()), not_it);
    }
}

#[tokio::test]
async fn who_may_have_joined_is_let_in_and_who_was_removed_hears_that_it_was() {
    let service = ServiceKey::generate();
    let ((one, one_id, _), (_, two_id, _)) = (node(&service, 1), node(&service, 2));
    let (four, four_id, _) = node(&service, 4);
    let nodes = listing(&service, &[(NodeId(1), one_id), (NodeId(2), two_id)]);
    let of_four = listing(&service, &[(NodeId(1), one_id), (NodeId(2), two_id)]);
    let door = peer_door(&one, Arc::clone(&nodes), calendar()).unwrap();
    let to_one = dial(&four, of_four, NodeId(1));
    let (near, far) = handshake(Arc::clone(&to_one), Arc::clone(&door)).await;
    near.unwrap();
    far.unwrap();

    nodes.follow([(NodeId(1), one_id), (NodeId(2), two_id), (NodeId(4), four_id)]);
    nodes.follow([(NodeId(1), one_id), (NodeId(2), two_id)]);
    let (near, far) = handshake(Arc::clone(&to_one), Arc::clone(&door)).await;
    near.unwrap();
    far.unwrap();
    let now = crate::clock::Clock::start().now();
    assert_eq!(nodes.begin(Peer { node: NodeId(4), key: four_id }, now), Standing::Removed);
    let (near, far) = handshake(to_one, door).await;
    assert_eq!(tls_error(far.unwrap_err()), Error::InvalidCertificate(CertificateError::Revoked));
    // In TLS 1.3 the side that dials is done before the other has looked at its certificate.
    let told = near.unwrap().read(&mut [0]).await.unwrap_err();
    assert_eq!(tls_error(told), Error::AlertReceived(rustls::AlertDescription::CertificateRevoked));
}

#[tokio::test]
async fn who_was_given_another_slot_than_it_was_made_for_hears_that_by_an_alert_of_its_own() {
    let service = ServiceKey::generate();
    let ((one, one_id, _), (five, five_id, _)) = (node(&service, 1), node(&service, 5));
    let nodes = listing(&service, &[(NodeId(1), one_id), (NodeId(4), five_id)]);
    let of_five = listing(&service, &[(NodeId(1), one_id)]);
    let (near, far) = handshake(dial(&five, of_five, NodeId(1)), peer_door(&one, nodes, calendar()).unwrap()).await;
    assert_eq!(tls_error(far.unwrap_err()), Error::InvalidCertificate(CertificateError::NotValidForName));
    let told = near.unwrap().read(&mut [0]).await.unwrap_err();
    assert_eq!(tls_error(told), Error::AlertReceived(rustls::AlertDescription::BadCertificate));
}

#[tokio::test]
async fn an_actor_is_no_node_and_the_doors_speak_different_protocols() {
    let service = ServiceKey::generate();
    let (one, one_id, _) = node(&service, 1);
    let nodes = listing(&service, &[(NodeId(1), one_id)]);
    let (certificate, key) = actor();
    let client = client_builder(&service).with_client_auth_cert(vec![certificate.to_pki()], key).unwrap();
    let not_it = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
    assert_eq!(refused(Arc::new(client.clone()), peer_door(&one, nodes, calendar()).unwrap()).await, not_it);

    let mut as_peer = client;
    as_peer.alpn_protocols = vec![PEER_PROTOCOL.to_vec()];
    let no_protocol = refused(Arc::new(as_peer), client_door(&one).unwrap()).await;
    assert_eq!(no_protocol, Error::NoApplicationProtocol);
}

#[tokio::test]
async fn bytes_that_are_not_tls_end_the_handshake() {
    let service = ServiceKey::generate();
    let (credentials, ..) = node(&service, 1);
    for garbage in [&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff, 1], &[0; 100]] {
        let (mut near, far) = duplex(1 << 16);
        near.write_all(garbage).await.unwrap();
        near.shutdown().await.unwrap();
        assert!(TlsAcceptor::from(client_door(&credentials).unwrap()).accept(far).await.is_err());
    }
}

/// Twice as many keys as endorsements are shown.
#[tokio::test]
async fn whoever_pinned_the_first_a_late_or_the_last_key_of_the_service_knows_the_node_after_rotations() {
    let keys: Vec<_> = (0..=2 * ENDORSEMENTS_MAX as u8).map(|seed| ServiceKey::from_seed(&[seed; 32])).collect();
    let (credentials, id, certificate) = node(&keys[0], 1);
    let nodes = listing(&keys[0], &[(NodeId(1), id)]);
    let world = World::new();
    let identity = |key: &ServiceKey| Arc::new(ServiceIdentity::new(key.clone()));
    let now = crate::clock::Clock::start().now();
    let decided = |place: usize| TxId::new(View(2), Seqno(10 * place as u64));
    let next = |place: usize| NewService { identity: identity(&keys[place]), decided: decided(place), time: now };
    let service = Arc::clone(&world.service);
    let mut rotation = Rotation::new(
        (NodeId(1), certificate),
        (identity(&keys[0]), now),
        credentials.clone(),
        Arc::clone(&nodes),
        service,
    );
    let (actor, actor_key) = actor();
    let client = |pinned: &ServiceKey| {
        let chain = vec![actor.to_pki()];
        Arc::new(client_builder(pinned).with_client_auth_cert(chain, actor_key.clone_key()).unwrap())
    };
    let door = client_door(&credentials).unwrap();
    let papers = |world: &World| {
        let text = world.service.papers.text();
        let certificates = CertificateDer::pem_slice_iter(text.as_bytes());
        certificates.map(|der| Certificate::from_der(der.unwrap().to_vec()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(papers(&world).len(), 1);
    assert_eq!(papers(&world)[0].verifying_key().as_ref(), Ok(keys[0].verifying_key()));
    (1..keys.len()).for_each(|place| rotation.rotated(next(place)));

    let last = keys.last().unwrap();
    for pinned in [&keys[0], &keys[ENDORSEMENTS_MAX + 1], &keys[keys.len() - 2], last] {
        let (near, far) = handshake(client(pinned), Arc::clone(&door)).await;
        near.unwrap();
        far.unwrap();
    }
    for unknown in [&keys[1], &ServiceKey::generate()] {
        let (near, _) = handshake(client(unknown), Arc::clone(&door)).await;
        assert!(matches!(tls_error(near.unwrap_err()), Error::InvalidCertificate(_)));
    }
    let text = world.service.papers.text();
    let history = ServiceHistory::from_pem(&text, last.verifying_key()).unwrap().unwrap();
    let told: Vec<_> = history.terms().map(|(term, _)| (term.key.clone(), term.after)).collect();
    let after = |place: usize| (place > 0).then(|| decided(place));
    let expected: Vec<_> = (0..keys.len()).map(|place| (keys[place].verifying_key().clone(), after(place))).collect();
    assert_eq!(told, expected);
    let papers = papers(&world);
    assert!(papers.iter().all(|certificate| check_service(certificate, now) == Ok(())));
    assert_eq!(papers.len(), 1 + ENDORSEMENTS_MAX);
    assert!(papers.iter().all(|certificate| certificate.verifying_key().as_ref() == Ok(last.verifying_key())));
    assert!(is_endorsed(&papers[0], last.verifying_key()));
    assert!(is_endorsed(&papers[1], keys[keys.len() - 2].verifying_key()));
    assert!(is_endorsed(papers.last().unwrap(), keys[0].verifying_key()));

    // A node that joins knows the first key and no list. What that key issued speaks for it no more, the list does.
    let (four, four_id, _) = node(&keys[0], 4);
    let joining = dial(&four, listing(&keys[0], &[]), NodeId(1));
    let door = peer_door(&credentials, Arc::clone(&nodes), calendar()).unwrap();
    let not_it = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
    assert_eq!(refused(Arc::clone(&joining), Arc::clone(&door)).await, not_it);
    nodes.follow([(NodeId(1), id), (NodeId(4), four_id)]);
    let (near, far) = handshake(joining, door).await;
    near.unwrap();
    far.unwrap();
}

/// Whoever trusts that authority, and not the service, would be locked out; so the chain stays as it was given.
#[tokio::test]
async fn a_node_that_shows_a_certificate_of_another_authority_goes_on_to_show_it() {
    let (other, keys) = (ServiceKey::generate(), [1, 2].map(|seed| ServiceKey::from_seed(&[seed; 32])));
    let (credentials, id, certificate) = node(&other, 1);
    let nodes = listing(&keys[0], &[(NodeId(1), id)]);
    let identity = |key: &ServiceKey| Arc::new(ServiceIdentity::new(key.clone()));
    let (now, service) = (crate::clock::Clock::start().now(), Arc::clone(&World::new().service));
    let first = (identity(&keys[0]), now);
    let mut rotation = Rotation::new((NodeId(1), certificate), first, credentials.clone(), nodes, service);
    rotation.rotated(NewService { identity: identity(&keys[1]), decided: TxId::new(View(2), Seqno(9)), time: now });
    let (actor, actor_key) = actor();
    let client = client_builder(&other).with_client_auth_cert(vec![actor.to_pki()], actor_key).unwrap();
    let (near, far) = handshake(Arc::new(client), client_door(&credentials).unwrap()).await;
    near.unwrap();
    far.unwrap();
}

#[tokio::test]
async fn a_peer_whose_certificate_has_expired_by_the_time_of_the_ledger_is_refused_on_both_sides() {
    let service = ServiceKey::generate();
    let (one, one_id, _) = node(&service, 1);
    // A node that no list names is believed its certificate, for as long as that is valid.
    let (two, _, _) = node(&service, 2);
    let nodes = listing(&service, &[(NodeId(1), one_id)]);
    let late = calendar();
    late.note(VALIDITY.until.after(std::time::Duration::from_secs(1)));
    let expired = Error::InvalidCertificate(CertificateError::Expired);
    let dialled = |calendar: &Calendar| {
        let joining = dial(&two, listing(&service, &[(NodeId(1), one_id)]), NodeId(1));
        handshake(joining, peer_door(&one, Arc::clone(&nodes), calendar.clone()).unwrap())
    };
    dialled(&calendar()).await.1.unwrap();
    assert_eq!(tls_error(dialled(&late).await.1.unwrap_err()), expired);

    let joining = |calendar: &Calendar| {
        let dialler = Dialler::new(one.clone(), listing(&service, &[(NodeId(1), one_id)]), calendar.clone());
        let to_two = dialler.unwrap().to(NodeId(2));
        handshake(to_two, peer_door(&two, Arc::clone(&nodes), self::calendar()).unwrap())
    };
    joining(&calendar()).await.0.unwrap();
    assert_eq!(tls_error(joining(&late).await.0.unwrap_err()), expired);
}

#[test]
fn what_is_not_pem_is_refused() {
    let service = ServiceKey::generate();
    let (_, _, certificate) = node(&service, 1);
    let certificate = certificate.to_pem();
    for (certificate, key) in [("", ""), (certificate.as_str(), ""), (certificate.as_str(), certificate.as_str())] {
        let result = Credentials::from_pem(certificate.as_bytes(), key.as_bytes());
        assert!(matches!(result, Err(TlsSetupError::PemNotValid(_))));
    }
    let other = SlotKey::generate().expose_pem();
    let foreign = Credentials::from_pem(certificate.as_bytes(), other.as_bytes());
    assert!(matches!(foreign, Err(TlsSetupError::Refused(_))));
}
