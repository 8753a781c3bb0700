//! Server-sent events: what happens in governance, as it happens.
//!
//! A stream that breaks is taken up again at another node after the last event that came, or after the transaction with
//! which it began, so each comes once, in order.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::client::TlsStream;

use super::sse::{Chunks, End, Head, Parser, ServerEvent, read_head};
use super::{GovernanceError, Refusal};
use crate::{Client, LinkError, Purpose, Response, link};

/// Events of governance, without end.
#[derive(Debug)]
pub struct EventStream {
    client: Client,
    after: Option<String>,
    place: usize,
    open: Option<OpenStream>,
}

impl EventStream {
    pub(super) fn new(client: Client, after: Option<String>) -> Self {
        // It goes into a header: nothing that would end one.
        let after = after.map(|id| id.chars().filter(char::is_ascii_graphic).collect());
        Self { client, after, place: 0, open: None }
    }

    /// Where to go on: the id of the last event that came, or the transaction with which the stream began.
    pub fn last_id(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// If no node serves the stream for a while, or one refuses to.
    pub async fn next(&mut self) -> Result<ServerEvent, GovernanceError> {
        let mut silent_since = Instant::now();
        loop {
            let error = match self.take().await {
                Ok(event) => return Ok(event),
                Err(GovernanceError::Events(error)) => error,
                Err(other) => return Err(other),
            };
            if self.open.take().is_some() {
                silent_since = Instant::now();
            }
            if silent_since.elapsed() > GIVE_UP_AFTER {
                return Err(GovernanceError::Events(error));
            }
            self.place += 1;
            sleep(PAUSE).await;
        }
    }

    async fn take(&mut self) -> Result<ServerEvent, GovernanceError> {
        let stream = match &mut self.open {
            Some(open) => open,
            None => {
                let nodes = self.client.nodes();
                let address = nodes[self.place % nodes.len()].address;
                let tls = link::connect(Purpose::Governance, address, self.client.tls())
                    .await
                    .map_err(GovernanceError::Events)?;
                let mut open = OpenStream::begin(tls, self.after.as_deref()).await?;
                // Where "from now on" began: if the stream breaks before the first event, it goes on from there.
                self.after = self.after.take().or(open.began.take());
                self.open.insert(open)
            }
        };
        let event = stream.next().await?;
        if !event.id.is_empty() {
            self.after = Some(event.id.clone());
        }
        Ok(event)
    }
}

/// A response that goes on.
#[derive(Debug)]
struct OpenStream {
    stream: TlsStream<TcpStream>,
    /// The transaction as of which it began.
    began: Option<String>,
    input: BytesMut,
    chunks: Option<Chunks>,
    parser: Parser,
}

impl OpenStream {
    async fn begin(mut stream: TlsStream<TcpStream>, after: Option<&str>) -> Result<Self, GovernanceError> {
        let last = after.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let request = format!("GET /gov/events HTTP/1.1\r\nhost: synod\r\naccept: text/event-stream\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut input = BytesMut::new();
        loop {
            if let Some(head) = read_head(&mut input).map_err(not_an_answer)? {
                return Self::begun(stream, input, head).await;
            }
            read(&mut stream, &mut input).await?;
        }
    }

    async fn begun(mut stream: TlsStream<TcpStream>, mut input: BytesMut, head: Head) -> Result<Self, GovernanceError> {
        if head.status == 200 {
            let chunks = head.is_chunked.then(Chunks::default);
            return Ok(Self { stream, began: head.txid, input, chunks, parser: Parser::default() });
        }
        let size = head.size.filter(|size| *size <= REFUSAL_BYTES_MAX).unwrap_or(0);
        while input.len() < size {
            read(&mut stream, &mut input).await?;
        }
        let response = Response { status: head.status, txid: None, body: input.split_to(size).freeze() };
        match head.status {
            429 | 503 => Err(GovernanceError::Events(LinkError::Busy(response.summary()))),
            _ => Err(Refusal::of(&response).into()),
        }
    }

    async fn next(&mut self) -> Result<ServerEvent, GovernanceError> {
        loop {
            if let Some(event) = self.parser.events.pop_front() {
                return Ok(event);
            }
            match &mut self.chunks {
                Some(chunks) => {
                    if chunks.take(&mut self.input, &mut self.parser).map_err(not_an_answer)? == End::Reached {
                        return Err(GovernanceError::Events(LinkError::Closed));
                    }
                }
                None => {
                    let bytes = self.input.split();
                    self.parser.push(&bytes).map_err(not_an_answer)?;
                }
            }
            if self.parser.events.is_empty() {
                read(&mut self.stream, &mut self.input).await?;
            }
        }
    }
}

async fn read(stream: &mut TlsStream<TcpStream>, input: &mut BytesMut) -> Result<(), GovernanceError> {
    // Nodes say something at least every fifteen seconds.
    match timeout(SILENCE_MAX, stream.read_buf(input)).await {
        Err(_) => Err(GovernanceError::Events(LinkError::TimedOut)),
        Ok(Err(error)) => Err(broken(error)),
        Ok(Ok(0)) => Err(GovernanceError::Events(LinkError::Closed)),
        Ok(Ok(_)) => Ok(()),
    }
}

fn broken(error: std::io::Error) -> GovernanceError {
    GovernanceError::Events(LinkError::Broken(Arc::new(error)))
}

fn not_an_answer(what: &'static str) -> GovernanceError {
    GovernanceError::Events(LinkError::NotAnAnswer(what))
}

/// The largest refusal, in bytes.
const REFUSAL_BYTES_MAX: usize = 1 << 20;

/// Four of the comments with which nodes keep a stream alive.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long no node may serve the stream before this gives up: an election and the start of a node are over by then.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);
