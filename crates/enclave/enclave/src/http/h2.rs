//! HTTP/2 sessions: the same requests and answers, multiplexed.
//!
//! Each stream is a task of its own. That costs more than the hot path of HTTP/1.1 sessions, and
//! is simple; who needs the last bit of throughput pipelines HTTP/1.1.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::{Request, StatusCode};
use synod_node::{ClientRequest, Event as NodeEvent};
use synod_types::{ActorId, limits};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::error::Failure;
use super::head::{HEAD_BYTES_MAX, Wishes, body_too_large, method};
use super::response::{Response, mime};
use crate::exchange::{Arrived, Exchange, Step};
use crate::ids::RequestIds;
use crate::pool;
use crate::service::Service;

/// Serves `actor` over `io` until the connection ends.
///
/// # Errors
/// If the connection breaks, or the client breaks the protocol.
pub async fn serve<S>(io: S, service: Arc<Service>, actor: ActorId) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX as u32);
    let mut connection = builder.handshake::<_, Bytes>(io).await.map_err(io::Error::other)?;
    let mut ids = RequestIds::new();
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted.map_err(io::Error::other)?;
        let exchange = Stream { service: Arc::clone(&service), actor, own_id: ids.next_id() };
        tokio::spawn(exchange.serve(request, respond));
    }
    Ok(())
}

struct Stream {
    service: Arc<Service>,
    actor: ActorId,
    own_id: synod_types::RequestId,
}

impl Stream {
    async fn serve(self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let response = match self.receive(request).await {
            Ok(Some((head, body))) => self.exchange(&head, &body).await,
            Ok(None) => return,
            Err(failure) => {
                self.service.metrics.failures.count();
                Response { reply: failure.reply(), txid: None }
            }
        };
        // If the client has gone or taken the request back, nobody misses the answer.
        let _ = send(response, &mut respond);
    }

    /// Takes in head and body; nothing if the client gave up.
    async fn receive(&self, request: Request<RecvStream>) -> Result<Option<(Head, BytesMut)>, Failure> {
        let (parts, mut stream) = request.into_parts();
        let mut wishes = Wishes::default();
        for (name, value) in &parts.headers {
            wishes.read(name.as_str().as_bytes(), value.as_bytes())?;
        }
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let head = Head { method: method(parts.method.as_str())?, target, wishes };
        let mut body = BytesMut::new();
        let mut room = None;
        while let Some(data) = timeout(BODY_SILENCE_MAX, stream.data()).await.map_err(|_| too_slow())? {
            let Ok(data) = data else { return Ok(None) };
            if body.len() + data.len() > limits::REQUEST_BODY_BYTES_MAX {
                return Err(body_too_large());
            }
            if room.is_none() && body.len() + data.len() > STREAM_WINDOW_BYTES as usize {
                room = self.service.room(limits::REQUEST_BODY_BYTES_MAX)?;
            }
            body.extend_from_slice(&data);
            if stream.flow_control().release_capacity(data.len()).is_err() {
                return Ok(None);
            }
        }
        Ok(Some((head, body)))
    }

    async fn exchange(&self, head: &Head, body: &[u8]) -> Response {
        let (service, postbox) = (&self.service, self.service.office.open());
        let token = postbox.token(0);
        let Head { method, target, wishes } = head;
        let arrived =
            Arrived { actor: self.actor, method: *method, target, wishes: *wishes, own_id: self.own_id, body };
        let (mut exchange, mut step) = Exchange::begin(service, &arrived);
        loop {
            match step {
                Step::Done(response) => return response,
                Step::Submit(request) => {
                    service.manager.event(NodeEvent::Requests(vec![ClientRequest { token, ..request }]));
                }
                Step::Query(query) => service.manager.event(NodeEvent::Query { token, query }),
                Step::ReadIndex => service.read_index(token),
                Step::Wait(seqno) => service.wait(seqno, token),
                Step::PoolPlan(job) | Step::PoolRead(job) => pool::run(Arc::clone(&service.office), token, job),
            }
            step = loop {
                let mut events = Vec::new();
                std::future::poll_fn(|cx| postbox.poll_take(cx, &mut events)).await;
                if let Some(step) = events.into_iter().find_map(|(_, event)| exchange.next(service, event)) {
                    break step;
                }
            };
        }
    }
}

struct Head {
    method: synod_worker::Method,
    target: String,
    wishes: Wishes,
}

fn send(response: Response, respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
    let reply = response.reply;
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
    let mut stream = respond.send_response(head, reply.body.is_empty())?;
    if !reply.body.is_empty() {
        stream.send_data(reply.body, true)?;
    }
    Ok(())
}

fn too_slow() -> Failure {
    Failure::new(408, "RequestTimeout", "the request took too long to arrive", "send it again, faster")
}

/// The most requests in flight on one connection: as many as load generators use.
const STREAMS_MAX: u32 = 1_024;

/// How much of one request's body may be under way: small requests never wait for a window.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;

/// How much of all bodies of a connection may be under way.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// How long a body may pause.
const BODY_SILENCE_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use h2::client::SendRequest;
    use tokio::io::duplex;

    use super::*;
    use crate::testing::{ACTOR, World, error_code, settle};

    async fn connect(world: &World) -> SendRequest<Bytes> {
        let (far, near) = duplex(1 << 20);
        let service = Arc::clone(&world.service);
        tokio::spawn(async move { serve(near, service, ACTOR).await });
        let (client, connection) = h2::client::handshake(far).await.unwrap();
        tokio::spawn(connection);
        client.ready().await.unwrap()
    }

    type Pending = tokio::task::JoinHandle<(u16, Option<String>, String)>;

    fn send(client: &mut SendRequest<Bytes>, method: &str, target: &str, body: &[u8]) -> Pending {
        let request = Request::builder().method(method).uri(format!("https://a{target}")).body(()).unwrap();
        let (response, mut stream) = client.send_request(request, body.is_empty()).unwrap();
        if !body.is_empty() {
            stream.send_data(Bytes::copy_from_slice(body), true).unwrap();
        }
        tokio::spawn(async move {
            let (head, mut stream) = response.await.unwrap().into_parts();
            let mut body = Vec::new();
            while let Some(data) = stream.data().await {
                body.extend_from_slice(&data.unwrap());
            }
            let txid = head.headers.get("synod-txid").map(|txid| txid.to_str().unwrap().to_owned());
            (head.status.as_u16(), txid, String::from_utf8(body).unwrap())
        })
    }

    #[tokio::test]
    async fn answers_come_as_their_blocks_commit_not_in_the_order_of_requests() {
        let world = World::new();
        let mut client = connect(&world).await;
        let first = send(&mut client, "PUT", "/app/box/a", b"1");
        let second = send(&mut client, "PUT", "/app/box/b", b"2");
        let read = send(&mut client, "GET", "/app/box/a", b"");
        assert_eq!(read.await.unwrap(), (404, Some("2.1".into()), "nothing kept".into()));
        settle().await;
        let requests = world.submitted().concat();
        world.commit(&requests[1]);
        assert_eq!(second.await.unwrap(), (200, Some("2.2".into()), "kept b".into()));
        assert!(!first.is_finished());
        world.commit(&requests[0]);
        assert_eq!(first.await.unwrap().0, 200);
        let read = send(&mut client, "GET", "/app/box/a", b"");
        assert_eq!(read.await.unwrap(), (200, Some("2.3".into()), "1".into()));
    }

    #[tokio::test]
    async fn bad_requests_have_their_errors_and_the_connection_goes_on() {
        let world = World::new();
        let mut client = connect(&world).await;
        let large = vec![b'x'; limits::REQUEST_BODY_BYTES_MAX + 1];
        for (method, target, body, status, code) in [
            ("BREW", "/app/box/a", &b""[..], 405, "MethodNotAllowed"),
            ("GET", "/nothing", b"", 404, "NoSuchPath"),
            ("PUT", "/app/box/a", &large, 413, "BodyTooLarge"),
            ("GET", "/app/nothing/a", b"", 404, "NoSuchAdapter"),
        ] {
            let (found, _, body) = send(&mut client, method, target, body).await.unwrap();
            assert_eq!((found, error_code(&body).as_str()), (status, code));
        }
    }
}
