//! HTTP/2 sessions: the same requests and answers, multiplexed.
//!
//! Each stream is a task of its own. That costs more than the hot path of HTTP/1.1 sessions, and
//! is simple; who needs the last bit of throughput pipelines HTTP/1.1.
//!
//! A client may take a request back by resetting its stream. Then its task ends, and with it all
//! that it waited for; only what the node has been handed is waited for all the same, in the place that
//! the stream had, so that no connection has more requests with the node than streams.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::{Request, StatusCode};
use synod_node::{ClientRequest, Event as NodeEvent, Refusal};
use synod_types::limits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answers::{Answers, leads_to_a_read};
use super::error::Failure;
use super::events;
use super::head::{HEAD_BYTES_MAX, REQUEST_TIME_MAX, Wishes, body_too_large, method, too_slow};
use super::response::{Response, mime};
use crate::bodies::Room;
use crate::exchange::{Arrived, Exchange, Step};
use crate::governance::watch::Watch;
use crate::identity::Speaker;
use crate::ids::RequestIds;
use crate::pool::{POOL_PLANS_MAX, POOL_READS_MAX};
use crate::purpose::Purpose;
use crate::service::Service;

/// Serves `speaker` over `io`, for a purpose, until the connection ends.
///
/// # Errors
/// If the connection breaks, or the client breaks the protocol.
pub async fn serve<S>(io: S, service: Arc<Service>, speaker: Arc<Speaker>, purpose: Purpose) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_send_buffer_size(SEND_BUFFER_BYTES);
    let mut connection = builder.handshake::<_, Bytes>(io).await.map_err(io::Error::other)?;
    let mut ids = RequestIds::new();
    let shared = Arc::new(Shared {
        service,
        speaker,
        purpose,
        bodies: Arc::new(Semaphore::new(BODIES_BYTES_MAX)),
        answers: Arc::default(),
        plans: Arc::new(Semaphore::new(POOL_PLANS_MAX)),
        reads: Arc::new(Semaphore::new(POOL_READS_MAX)),
        streams: Arc::new(Semaphore::new(STREAMS_MAX as usize)),
    });
    // Dropping the set ends all its tasks: a connection that ends leaves none behind.
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(accepted) = accepted else { return Ok(()) };
                let (request, respond) = accepted.map_err(io::Error::other)?;
                let (shared, own_id) = (Arc::clone(&shared), ids.next_id());
                let stream = Stream { shared, own_id, fate: Fate::default() };
                streams.spawn(stream.serve(request, respond));
            }
            // A stream whose task has failed is reset, and that tells the client.
            Some(_) = streams.join_next() => {}
        }
    }
}

/// What the streams of one connection share.
struct Shared {
    service: Arc<Service>,
    speaker: Arc<Speaker>,
    purpose: Purpose,
    /// Room for bodies, in bytes.
    bodies: Arc<Semaphore>,
    /// Answers that the client has not taken.
    answers: Arc<Answers>,
    /// Places for plans in the pool.
    plans: Arc<Semaphore>,
    /// Places for reads in the pool.
    reads: Arc<Semaphore>,
    /// Places for requests that are worked on, also those that were taken back.
    streams: Arc<Semaphore>,
}

struct Stream {
    shared: Arc<Shared>,
    own_id: synod_types::RequestId,
    fate: Fate,
}

/// How a stream stands. Only its task looks at it, in two places.
#[derive(Default)]
struct Fate {
    /// The node has been handed something that it will answer.
    with_node: AtomicBool,
    /// The client has reset the stream.
    taken_back: AtomicBool,
}

/// What a request is answered with.
enum Answer {
    Whole(Response),
    Events(Box<Watch>),
}

/// A body, and the room that it takes.
#[derive(Default)]
struct Body {
    bytes: BytesMut,
    /// Of the node's room, if it is large.
    node_room: Option<Arc<Room>>,
    /// Of the connection's room.
    room: Option<OwnedSemaphorePermit>,
}

impl Stream {
    async fn serve(self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let mut work = pin!(self.work(request));
        let answer = tokio::select! {
            biased;
            answer = &mut work => answer,
            _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => {
                self.fate.taken_back.store(true, Relaxed);
                if self.fate.with_node.load(Relaxed) {
                    let _ = work.await;
                }
                return;
            }
        };
        // If the client has gone or taken the request back, nobody misses the answer.
        match answer {
            None => {}
            Some(Answer::Whole(response)) => {
                let _held = self.shared.answers.hold(response.reply.body.len());
                let _ = send(response, &mut respond).await;
            }
            Some(Answer::Events(watch)) => {
                let _ = events::answer_h2(*watch, &mut respond).await;
            }
        }
    }

    /// Makes the answer; none if the client gave up.
    async fn work(&self, request: Request<RecvStream>) -> Option<Answer> {
        let _place = place(&self.shared.streams).await;
        let received = timeout(REQUEST_TIME_MAX, self.receive(request)).await.unwrap_or_else(|_| Err(too_slow()));
        match received {
            Ok(Some((head, body))) => self.exchange(&head, &body).await,
            Ok(None) => None,
            Err(failure) => {
                self.shared.service.metrics.failures.count();
                Some(Answer::Whole(Response { reply: failure.reply(), txid: None }))
            }
        }
    }

    /// Takes in head and body; nothing if the client gave up.
    async fn receive(&self, request: Request<RecvStream>) -> Result<Option<(Head, Body)>, Failure> {
        let (parts, mut stream) = request.into_parts();
        let mut wishes = Wishes::default();
        for (name, value) in &parts.headers {
            wishes.read(name.as_str().as_bytes(), value.as_bytes())?;
        }
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let head = Head { method: method(parts.method.as_str())?, target, wishes };
        let mut body = Body::default();
        while let Some(data) = stream.data().await {
            let Ok(data) = data else { return Ok(None) };
            self.extend(&mut body, &data)?;
            if stream.flow_control().release_capacity(data.len()).is_err() {
                return Ok(None);
            }
        }
        Ok(Some((head, body)))
    }

    /// Adds to `body` what has come of it, if there is room.
    fn extend(&self, body: &mut Body, data: &[u8]) -> Result<(), Failure> {
        let size = body.bytes.len() + data.len();
        if size > limits::REQUEST_BODY_BYTES_MAX {
            return Err(body_too_large());
        }
        if body.node_room.is_none() && size > STREAM_WINDOW_BYTES as usize {
            body.node_room = self.shared.service.room(
                self.shared.purpose,
                self.shared.speaker.actor(),
                limits::REQUEST_BODY_BYTES_MAX,
            )?;
        }
        let permits = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.shared.bodies).try_acquire_many_owned(permits);
        let more = more.map_err(|_| Failure::from(Refusal::TooManyPending))?;
        match &mut body.room {
            Some(room) => room.merge(more),
            none => *none = Some(more),
        }
        body.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Takes the request through its steps; nothing if the client took it back meanwhile.
    async fn exchange(&self, head: &Head, Body { bytes: body, node_room: room, .. }: &Body) -> Option<Answer> {
        let (shared, service) = (&self.shared, &self.shared.service);
        let postbox = service.office.open();
        let token = postbox.token(0);
        let Head { method, target, wishes } = head;
        let (actor, purpose) = (shared.speaker.actor(), shared.purpose);
        let arrived = Arrived {
            speaker: &shared.speaker,
            purpose,
            method: *method,
            target,
            wishes: *wishes,
            own_id: self.own_id,
            body,
            room: room.as_ref(),
        };
        // What it becomes is known only once it has begun, so that a write waits here like a read.
        shared.answers.room().await;
        let (mut exchange, mut step) = Exchange::begin(service, &arrived);
        loop {
            let with_node = matches!(step, Step::Submit(_) | Step::Query(_) | Step::ReadIndex | Step::Prove(None));
            self.fate.with_node.store(with_node, Relaxed);
            let mut waiting = None;
            let mut reading = None;
            match step {
                Step::Done(response) => return Some(Answer::Whole(response)),
                Step::Stream(watch) => return Some(Answer::Events(watch)),
                Step::Submit(request) => {
                    service.manager.event(NodeEvent::Requests(vec![ClientRequest { token, ..request }]));
                }
                Step::Query(query) => service.manager.event(NodeEvent::Query { token, query }),
                Step::ReadIndex | Step::Prove(None) => service.read_index(token),
                Step::Wait(seqno) | Step::Prove(Some(seqno)) => waiting = Some(service.wait_while(seqno, token)),
                Step::PoolPlan(job) => {
                    let place = place(&shared.plans).await;
                    service.pools.plans(purpose).run(actor, Arc::clone(&service.office), token, job, place);
                }
                Step::PoolRead(job) => {
                    let place = Arc::new(place(&shared.reads).await);
                    // Looked at last: while this one waited for its place, others have made answers.
                    shared.answers.room().await;
                    // Kept until the answer is counted: otherwise others began before it is.
                    reading = Some(Arc::clone(&place));
                    service.pools.reads(purpose).run(actor, Arc::clone(&service.office), token, job, place);
                }
            }
            step = loop {
                let mut events = Vec::new();
                std::future::poll_fn(|cx| postbox.poll_take(cx, &mut events)).await;
                // A request waits for one thing at a time.
                let Some((_, event)) = events.pop() else { continue };
                if self.fate.taken_back.load(Relaxed) {
                    return None;
                }
                if leads_to_a_read(&event) {
                    shared.answers.room().await;
                }
                if let Some(step) = exchange.next(service, &shared.speaker, event) {
                    break step;
                }
            };
            drop((waiting, reading));
        }
    }
}

/// Waits for a place in a pool.
async fn place(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(places).acquire_owned().await.expect("these semaphores are never closed")
}

struct Head {
    method: synod_worker::Method,
    target: String,
    wishes: Wishes,
}

/// Hands a small answer to the connection, which keeps it until the client takes it.
///
/// # Errors
/// If the stream or the connection has ended.
pub fn answer_at_once(response: Response, respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
    let body = response.reply.body.clone();
    let mut stream = respond.send_response(head(&response), body.is_empty())?;
    if body.is_empty() { Ok(()) } else { stream.send_data(body, true) }
}

/// Hands an answer to the connection as fast as the client takes it.
async fn send(response: Response, respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut body = response.reply.body.clone();
    let mut stream = respond.send_response(head(&response), body.is_empty())?;
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let Some(capacity) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return Ok(()) };
        let part = body.split_to(capacity?.min(body.len()));
        stream.send_data(part, body.is_empty())?;
    }
    Ok(())
}

fn head(response: &Response) -> http::Response<()> {
    let reply = &response.reply;
    let mut head = http::Response::new(());
    *head.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = head.headers_mut();
    headers.insert(http::header::CONTENT_LENGTH, reply.body.len().into());
    if !reply.body.is_empty() {
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(mime(reply.content_type)));
    }
    if let Some(txid) = response.txid.and_then(|txid| http::HeaderValue::from_str(&txid.to_string()).ok()) {
        headers.insert("synod-txid", txid);
    }
    head
}

/// The most requests in flight on one connection: as many as load generators use.
const STREAMS_MAX: u32 = 1_024;

/// How much of one request's body may be under way: small requests never wait for a window.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;

/// How much of all bodies of a connection may be under way.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// How many bytes of bodies may be in flight on one connection, under way or waiting for their answers:
/// four requests of the largest size.
const BODIES_BYTES_MAX: usize = 4 * limits::REQUEST_BODY_BYTES_MAX;

/// How much of one answer the connection may hold beside what is counted: some frames.
const SEND_BUFFER_BYTES: usize = 32 << 10;

#[cfg(test)]
#[path = "h2_tests.rs"]
mod tests;
