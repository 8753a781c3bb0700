//! Server-sent events: what happens in governance, as it happens.
//!
//! The format is that of the HTML standard (section 9.2), as far as nodes use it: `id`, `event`, `data`, comments. A
//! stream that breaks is taken up again at another node after the last event that came, or after the transaction with which
//! it began, so each comes once, in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use synod_types::TxId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::client::TlsStream;

use super::{GovernanceError, Refusal};
use crate::{Client, LinkError, Purpose, Response, link};

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// Its id: give it to [`super::Governance::events`] to go on after it.
    pub id: String,
    /// Its kind, as in `proposed`.
    pub event: String,
    /// What happened: JSON.
    pub data: String,
}

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

struct Head {
    status: u16,
    is_chunked: bool,
    size: Option<usize>,
    txid: Option<String>,
}

fn read_head(input: &mut BytesMut) -> Result<Option<Head>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; 24];
    let mut parsed = httparse::Response::new(&mut headers);
    let size = match parsed.parse(input) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) if input.len() <= HEAD_BYTES_MAX => return Ok(None),
        _ => return Err("a response that is not HTTP/1.1"),
    };
    let value = |name: &str| {
        let header = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(header.value).ok().map(str::trim)
    };
    let head = Head {
        status: parsed.code.ok_or("a response without a status")?,
        is_chunked: value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")),
        size: value("content-length").and_then(|text| text.parse().ok()),
        txid: value("synod-txid").filter(|text| text.parse::<TxId>().is_ok()).map(str::to_owned),
    };
    input.advance(size);
    Ok(Some(head))
}

/// Whether the body has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Reached,
    NotYet,
}

/// A chunked body (RFC 9112, section 7.1), as far as it has come.
#[derive(Debug, Default)]
struct Chunks {
    /// How much of the current chunk is still to come, with its line end.
    left: usize,
}

impl Chunks {
    fn take(&mut self, input: &mut BytesMut, parser: &mut Parser) -> Result<End, &'static str> {
        loop {
            if self.left > 0 {
                let part = self.left.min(input.len());
                if part == 0 {
                    return Ok(End::NotYet);
                }
                let data = part.min(self.left.saturating_sub(LINE_END));
                parser.push(&input[..data])?;
                input.advance(part);
                self.left -= part;
                continue;
            }
            let Some(end) = input.windows(LINE_END).position(|window| window == b"\r\n") else {
                return if input.len() > 64 { Err("a chunk without a size") } else { Ok(End::NotYet) };
            };
            let size = str::from_utf8(&input[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
            let size = size.filter(|size| *size <= EVENT_BYTES_MAX).ok_or("a chunk without a size, or a large one")?;
            input.advance(end + LINE_END);
            if size == 0 {
                return Ok(End::Reached);
            }
            self.left = size + LINE_END;
        }
    }
}

/// Puts events together, line by line.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    draft: ServerEvent,
    events: VecDeque<ServerEvent>,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line()?,
                b'\r' => {}
                other if self.line.len() < EVENT_BYTES_MAX => self.line.push(*other),
                _ => return Err("an event above the limit"),
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), &'static str> {
        let line = std::mem::take(&mut self.line);
        let line = str::from_utf8(&line).map_err(|_| "an event that is not text")?;
        if line.is_empty() {
            let event = std::mem::take(&mut self.draft);
            if !event.data.is_empty() {
                self.events.push_back(event);
            }
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.draft.id = value.to_owned(),
            "event" => self.draft.event = value.to_owned(),
            "data" if self.draft.data.len() + value.len() > EVENT_BYTES_MAX => return Err("an event above the limit"),
            "data" => {
                if !self.draft.data.is_empty() {
                    self.draft.data.push('\n');
                }
                self.draft.data.push_str(value);
            }
            // A comment, or a field that nodes do not use.
            _ => {}
        }
        Ok(())
    }
}

const LINE_END: usize = 2;

/// The largest event, in bytes: the longest proposal's lines and note fit.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// The largest refusal, in bytes.
const REFUSAL_BYTES_MAX: usize = 1 << 20;

/// The largest response head, in bytes: a node's take a few hundred.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Four of the comments with which nodes keep a stream alive.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long no node may serve the stream before this gives up: an election and the start of a node are over by then.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, event: &str, data: &str) -> ServerEvent {
        ServerEvent { id: id.into(), event: event.into(), data: data.into() }
    }

    const BODY: &str =
        ": hello\n\nid: 2.3/1\nevent: voted\ndata: {\"a\":\ndata: 1}\n\nid:2.4/1\r\nevent:closed\r\ndata:x\r\n\r\n";

    #[test]
    fn events_are_put_together_however_the_bytes_are_cut() {
        let expected = [event("2.3/1", "voted", "{\"a\":\n1}"), event("2.4/1", "closed", "x")];
        for cut in 0..BODY.len() {
            let mut parser = Parser::default();
            parser.push(&BODY.as_bytes()[..cut]).unwrap();
            parser.push(&BODY.as_bytes()[cut..]).unwrap();
            assert_eq!(parser.events, expected, "cut at {cut}");
        }
    }

    #[test]
    fn chunks_are_taken_apart_however_the_bytes_are_cut() {
        let chunked: String = BODY
            .as_bytes()
            .chunks(7)
            .fold(String::new(), |all, part| format!("{all}{:x}\r\n{}\r\n", part.len(), str::from_utf8(part).unwrap()));
        let chunked = chunked + "0\r\n\r\n";
        for cut in 0..chunked.len() {
            let (mut parser, mut chunks) = (Parser::default(), Chunks::default());
            let mut input = BytesMut::from(&chunked.as_bytes()[..cut]);
            chunks.take(&mut input, &mut parser).unwrap();
            if cut + 2 < chunked.len() {
                input.extend_from_slice(&chunked.as_bytes()[cut..]);
                assert_eq!(chunks.take(&mut input, &mut parser), Ok(End::Reached), "cut at {cut}");
            }
            assert_eq!(parser.events.len(), 2, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let mut parser = Parser::default();
        assert!(parser.push(b"data: \xff\n").is_err());
        for text in ["zz\r\n", "fffffffff\r\n", &"1".repeat(70)] {
            assert!(Chunks::default().take(&mut BytesMut::from(text), &mut Parser::default()).is_err(), "{text}");
        }
    }
}
