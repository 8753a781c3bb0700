//! A small blocking client of the tests' own.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde_json::Value;

/// Who a test is towards the nodes.
#[derive(Clone, Debug)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Identity {
    /// Reads a certificate and its key from PEM files.
    ///
    /// # Panics
    /// If a file is missing or is of another kind.
    pub fn load(certificate: &Path, key: &Path) -> Self {
        let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            certificate: CertificateDer::from_pem_slice(&read(certificate)).expect("a certificate in PEM form"),
            key: Arc::new(PrivateKeyDer::from_pem_slice(&read(key)).expect("a private key in PEM form")),
        }
    }

    /// Somebody with a fresh key and a certificate of their own making.
    ///
    /// # Panics
    /// If no key can be made.
    pub fn stranger() -> Self {
        let made = rcgen::generate_simple_self_signed(["stranger".to_owned()]).expect("a key can be made");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key of ours is of a known form");
        Self { certificate: made.cert.der().clone(), key: Arc::new(key) }
    }
}

/// A TLS connection to a node, over which a test may send what it likes.
pub struct Tls(StreamOwned<ClientConnection, TcpStream>);

impl Tls {
    /// Connects and completes the handshake, as `identity` or as nobody.
    ///
    /// # Errors
    /// If the node is not there or refuses.
    pub fn connect(address: &str, identity: Option<&Identity>, protocols: &[&[u8]]) -> io::Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
        let mut config = match identity {
            Some(Identity { certificate, key }) => {
                builder.with_client_auth_cert(vec![certificate.clone()], key.clone_key()).map_err(io::Error::other)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let name = ServerName::try_from("node").expect("a valid name");
        let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut socket = connect(address)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Self(StreamOwned::new(connection, socket)))
    }

    /// Reads until the node closes the connection or is silent for the time that a test waits.
    pub fn read_rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        // How the connection ended is no matter: what was said before it did, is.
        let _ = self.0.read_to_end(&mut all);
        all
    }
}

impl Read for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// HTTP/1.1 over TLS, one request at a time.
pub struct Client(BufReader<Tls>);

impl Client {
    /// Connects to a node.
    ///
    /// # Errors
    /// If the node is not there or refuses.
    pub fn connect(address: &str, identity: &Identity) -> io::Result<Self> {
        Tls::connect(address, Some(identity), &[b"http/1.1"]).map(|tls| Self(BufReader::new(tls)))
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// If the connection breaks; whether the request was done is not known then.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: node\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let stream = self.0.get_mut();
        stream.write_all(request.as_bytes())?;
        stream.write_all(body)?;
        stream.flush()?;
        self.read_response()
    }

    /// `GET`.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn get(&mut self, path: &str) -> io::Result<Response> {
        self.send("GET", path, &[], b"")
    }

    /// `PUT`.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn put(&mut self, path: &str, body: impl AsRef<[u8]>) -> io::Result<Response> {
        self.send("PUT", path, &[], body.as_ref())
    }

    /// `POST`.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> io::Result<Response> {
        self.send("POST", path, &[], body.as_ref())
    }

    /// Sends bytes that need not be a request.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)?;
        self.0.get_mut().flush()
    }

    /// Waits for one answer.
    ///
    /// # Errors
    /// If the connection breaks, or what comes is no HTTP.
    pub fn read_response(&mut self) -> io::Result<Response> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let status = line.split(' ').nth(1).and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no HTTP: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response { status, headers, body: Vec::new() };
        let size = response.header("content-length").and_then(|digits| digits.parse().ok()).unwrap_or(0);
        response.body.resize(size, 0);
        self.0.read_exact(&mut response.body)?;
        Ok(response)
    }
}

/// An answer of a node.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The `code` of an error body.
    pub fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let address = address.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no address"))?;
    let socket = TcpStream::connect_timeout(&address, WAIT_MAX)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(WAIT_MAX))?;
    socket.set_write_timeout(Some(WAIT_MAX))?;
    Ok(socket)
}

/// Which node it is does not matter to these tests; the client library's own tests show that a stranger is refused.
struct AnyServer(Arc<CryptoProvider>);

impl fmt::Debug for AnyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyServer")
    }
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is offered".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// How long a test waits for a node to say something: longer than a node takes to give up on a leader.
const WAIT_MAX: Duration = Duration::from_secs(15);
