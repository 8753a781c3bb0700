//! A node's door in miniature: TLS with certificates on both sides, HTTP/1.1, answers from a function.

#![allow(dead_code, reason = "each crate whose tests use this needs a part of it")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Buf, BytesMut};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use synod_client::{Identity, Network, NodeEntry};
use synod_types::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server does with one request.
pub enum Deed {
    /// Answers with this status, these header lines and this body.
    Answer(u16, &'static str, Vec<u8>),
    /// Keeps the request until another one is answered, then answers both, in order.
    Keep(Vec<u8>),
    /// Closes the connection without an answer.
    Close,
    /// Never answers.
    Ignore,
}

/// One request as the server saw it: head and body.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The server name of its connection.
    pub name: Option<String>,
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

type Handler = dyn Fn(&Seen) -> Deed + Send + Sync;

/// A certificate authority of a test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key()).unwrap())
    }

    pub fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub fn issue(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = key();
        let certificate = CertificateParams::new(vec!["node.synod".into()]).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

/// The two authorities of a test network: one signs nodes, the other actors.
pub struct World {
    pub service: Authority,
    pub actors: Authority,
}

impl World {
    pub fn new() -> Self {
        Self { service: Authority::new("service"), actors: Authority::new("actors") }
    }

    pub fn network(&self, servers: &[&Server]) -> Network {
        let (certificate, key) = self.actors.issue();
        let nodes = servers.iter().zip(1..).map(|(server, id)| NodeEntry {
            id: NodeId(id),
            url: format!("https://{}", server.address),
            address: server.address,
            dir: None,
        });
        Network {
            service: self.service.certificate(),
            identity: Identity::new(vec![certificate], key),
            nodes: nodes.collect(),
        }
    }
}

/// A server that records what it saw.
pub struct Server {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    pub connections: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start(world: &World, handler: impl Fn(&Seen) -> Deed + Send + Sync + 'static) -> Self {
        Self::start_signed_by(&world.service, world, handler).await
    }

    pub async fn start_signed_by(
        signer: &Authority,
        world: &World,
        handler: impl Fn(&Seen) -> Deed + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server_config(signer, world)));
        let server =
            Self { address: listener.local_addr().unwrap(), seen: Arc::default(), connections: Arc::default() };
        let (seen, connections, handler) =
            (Arc::clone(&server.seen), Arc::clone(&server.connections), Arc::new(handler));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen, handler) = (acceptor.clone(), Arc::clone(&seen), Arc::clone(&handler));
                connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = serve(stream, &seen, &*handler).await;
                    }
                });
            }
        });
        server
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn server_config(signer: &Authority, world: &World) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(world.actors.certificate()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let (certificate, key) = signer.issue();
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

async fn serve(
    mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    log: &Mutex<Vec<Seen>>,
    handler: &Handler,
) -> std::io::Result<()> {
    let (mut input, mut kept) = (BytesMut::new(), Vec::new());
    loop {
        while let Some(mut seen) = take(&mut input) {
            seen.name = stream.get_ref().1.server_name().map(Into::into);
            let deed = handler(&seen);
            log.lock().unwrap().push(seen);
            match deed {
                Deed::Answer(status, headers, body) => {
                    let mut out = std::mem::take(&mut kept);
                    out.extend(answer(status, headers, &body));
                    stream.write_all(&out).await?;
                }
                Deed::Keep(body) => kept.extend(answer(200, "", &body)),
                Deed::Close => return stream.shutdown().await,
                Deed::Ignore => {}
            }
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    out.extend(body);
    out
}

fn take(input: &mut BytesMut) -> Option<Seen> {
    let end = input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(input[..end].to_vec()).unwrap();
    let size = Seen { name: None, head: head.clone(), body: vec![] }
        .header("content-length")
        .map_or(0, |text| text.parse().unwrap());
    if input.len() < end + size {
        return None;
    }
    input.advance(end);
    Some(Seen { name: None, head, body: input.split_to(size).to_vec() })
}
