//! One connection to a node as a value that its owner polls: HTTP/1.1 with many requests in flight.
//!
//! Requests are encoded into one buffer and written together; a node answers them in order. The
//! owner pushes requests, waits in [`Link::exchange`] until bytes have come, and takes responses
//! until there is none. Nothing is allocated per request besides what the response body shares.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls_pki_types::ServerName;
use synod_types::{GOVERNANCE_NAME, NodeId};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Request, Response, response};

/// Why a link is of no more use. Whether the requests in flight were done is not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// The connection could not be made.
    #[error("cannot connect to {address}")]
    NotConnected {
        /// Where to.
        address: SocketAddr,
        /// What went wrong.
        source: Arc<io::Error>,
    },
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] Arc<io::Error>),
    /// The node closed the connection.
    #[error("the node closed the connection")]
    Closed,
    /// The node sent something that is not an answer.
    #[error("the node sent {0}")]
    NotAnAnswer(&'static str),
    /// No answer came in time.
    #[error("no answer came in time")]
    TimedOut,
    /// The client does not know the node, or not any more.
    #[error("the network file does not list node {node}")]
    NotKnown {
        /// Which one.
        node: NodeId,
    },
    /// The node answered that it cannot do the request now.
    #[error("the node answered: {0}")]
    Busy(String),
}

/// A connection with requests in flight.
#[derive(Debug)]
pub struct Link<S = TlsStream<TcpStream>> {
    stream: S,
    output: BytesMut,
    flushed: bool,
    input: BytesMut,
    in_flight: usize,
}

/// What a connection is for. A node keeps room for governance whatever its applications have to do, and serves the paths
/// of either on connections of its kind only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// `/app/`.
    #[default]
    Application,
    /// `/gov/`.
    Governance,
}

impl Purpose {
    /// The name that tells the node; the client's verifier looks at no name: see `tls`.
    fn server_name(self, address: SocketAddr) -> ServerName<'static> {
        match self {
            Self::Application => ServerName::IpAddress(address.ip().into()),
            Self::Governance => ServerName::try_from(GOVERNANCE_NAME).expect("a valid DNS name"),
        }
    }
}

impl Link {
    /// Connects to a node for its applications, and proves both identities.
    ///
    /// # Errors
    /// If nobody listens there, or it is not a node of the service, or it refuses this client.
    pub async fn connect(address: SocketAddr, tls: &Arc<rustls::ClientConfig>) -> Result<Self, LinkError> {
        Self::connect_for(Purpose::Application, address, tls).await
    }

    /// Connects to a node for a purpose, and proves both identities.
    ///
    /// # Errors
    /// If nobody listens there, or it is not a node of the service, or it refuses this client.
    pub async fn connect_for(
        purpose: Purpose,
        address: SocketAddr,
        tls: &Arc<rustls::ClientConfig>,
    ) -> Result<Self, LinkError> {
        connect(purpose, address, tls).await.map(Self::new)
    }
}

/// Connects to a node and proves both identities.
pub(crate) async fn connect(
    purpose: Purpose,
    address: SocketAddr,
    tls: &Arc<rustls::ClientConfig>,
) -> Result<TlsStream<TcpStream>, LinkError> {
    let failed = |source: io::Error| LinkError::NotConnected { address, source: Arc::new(source) };
    let stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let name = purpose.server_name(address);
    TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(failed)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// A link over a stream that stands.
    pub fn new(stream: S) -> Self {
        Self { stream, output: BytesMut::new(), flushed: true, input: BytesMut::new(), in_flight: 0 }
    }

    /// Queues a request; [`Link::exchange`] sends it.
    pub fn push(&mut self, request: &Request) {
        request.encode(&mut self.output);
        self.in_flight += 1;
    }

    /// How many requests have no response yet.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Sends what is queued and waits until bytes have come.
    ///
    /// # Errors
    /// If the connection broke or was closed.
    pub async fn exchange(&mut self) -> Result<(), LinkError> {
        std::future::poll_fn(|cx| self.poll_exchange(cx)).await
    }

    /// As [`Link::exchange`], for owners that wait for other things too.
    ///
    /// # Errors
    /// If the connection broke or was closed.
    pub fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        // Both directions are tried each time: a node that waits for us to read must not wait for ever.
        let written = self.poll_write(cx);
        if let Poll::Ready(Err(error)) = written {
            return Poll::Ready(Err(error));
        }
        self.poll_read(cx)
    }

    /// The next response that has come whole.
    ///
    /// # Errors
    /// If the node sent something that is not an answer to a request in flight.
    pub fn next_response(&mut self) -> Result<Option<Response>, LinkError> {
        if self.input.is_empty() {
            return Ok(None);
        }
        if self.in_flight == 0 {
            return Err(LinkError::NotAnAnswer("bytes that nobody asked for"));
        }
        let response = response::take(&mut self.input).map_err(LinkError::NotAnAnswer)?;
        if response.is_some() {
            self.in_flight -= 1;
        }
        Ok(response)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        while !self.output.is_empty() {
            let size = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output)).map_err(broken)?;
            if size == 0 {
                return Poll::Ready(Err(LinkError::Closed));
            }
            self.output.advance(size);
            self.flushed = false;
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx)).map_err(broken)?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let mut chunk = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut size = 0;
        // A TLS stream yields at most one record a time: take all that has come before working it off.
        while size < READ_ROUND_BYTES {
            let mut buffer = ReadBuf::uninit(&mut chunk);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(broken(error))),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() && size == 0 => {
                    return Poll::Ready(Err(LinkError::Closed));
                }
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => break,
                Poll::Ready(Ok(())) => {
                    size += buffer.filled().len();
                    self.input.extend_from_slice(buffer.filled());
                }
                Poll::Pending if size == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn broken(error: io::Error) -> LinkError {
    LinkError::Broken(Arc::new(error))
}

/// One TLS record of plaintext.
const READ_BYTES: usize = 16 << 10;

/// How much is read before it is worked off, so that memory stays bounded.
const READ_ROUND_BYTES: usize = 1 << 20;
