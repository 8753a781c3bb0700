use ::h2::client as h2_client;
use bytes::Bytes;
use h2_client::SendRequest;
use http::Request;
use synod_governance::{Pins, Role};
use synod_node::Refusal;
use synod_types::limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::house::{Holder, make};
use crate::mailbox::Event;
use crate::testing::{Tables, World, error_code, settle};

type Session = JoinHandle<io::Result<()>>;

fn connect(world: &World, presented: &[&Holder], protocol: Protocol) -> (DuplexStream, Session) {
    let (far, near) = duplex(1 << 20);
    let service = Arc::clone(&world.service);
    let presented = presented.iter().map(|holder| holder.der()).collect();
    (far, tokio::spawn(serve(near, service, Handshake { presented, purpose: Purpose::Applications, protocol })))
}

async fn connect_h2(world: &World, presented: &[&Holder]) -> (SendRequest<Bytes>, Session) {
    let (far, task) = connect(world, presented, Protocol::Http2);
    let (client, connection) = h2_client::handshake(far).await.unwrap();
    tokio::spawn(connection);
    (client.ready().await.unwrap(), task)
}

/// Somebody with a certificate of its own making.
fn single(label: &str) -> Holder {
    make(label, None, |_| ())
}

fn put(size: usize) -> Request<()> {
    let request = Request::builder().method("PUT").uri("https://a/app/box/a").header("content-length", size);
    request.body(()).unwrap()
}

#[tokio::test]
async fn a_stranger_is_told_so_once_and_none_of_its_body_is_waited_for() {
    let (world, stranger) = (World::new(), single("stranger"));
    let size = limits::REQUEST_BODY_BYTES_MAX;
    for text in [
        format!("PUT /app/box/a HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n"),
        "PUT /app/box/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
        "GET /node/status HTTP/1.1\r\nhost: a\r\n\r\nGET /node/status HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
    ] {
        let (mut far, task) = connect(&world, &[&stranger], Protocol::Http1);
        far.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        far.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 403 ") && head.contains("connection: close"), "{head}");
        assert_eq!(error_code(body), "NotAuthorized");
        task.await.unwrap().unwrap();
    }
    assert!(world.submitted().is_empty());
}

#[tokio::test]
async fn a_stranger_that_speaks_http_2_is_told_so_and_none_of_its_body_is_waited_for() {
    let (world, stranger) = (World::new(), single("stranger"));
    let (mut client, task) = connect_h2(&world, &[&stranger]).await;
    let (response, stream) = client.send_request(put(limits::REQUEST_BODY_BYTES_MAX), false).unwrap();
    let (head, mut body) = response.await.unwrap().into_parts();
    assert_eq!(head.status.as_u16(), 403);
    let body = body.data().await.unwrap().unwrap();
    assert_eq!(error_code(str::from_utf8(&body).unwrap()), "NotAuthorized");
    // Which side is first to close is open.
    drop(stream);
    let _ = task.await.unwrap();
    assert!(world.submitted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_says_nothing_is_closed() {
    let (world, stranger) = (World::new(), single("stranger"));
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (_far, task) = connect(&world, &[&stranger], protocol);
        assert_eq!(task.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}

#[tokio::test]
async fn the_sessions_of_an_actor_that_is_gone_end_with_their_requests() {
    let (world, actor, other) = (World::new(), single("actor"), single("other"));
    let tables = Tables::default().with(Role::Participant, &actor.certificate, Pins::default());
    world.govern(&tables);
    let (mut far, h1) = connect(&world, &[&actor], Protocol::Http1);
    far.write_all(b"PUT /app/box/a HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx").await.unwrap();
    let (mut client, h2) = connect_h2(&world, &[&actor]).await;
    let (response, mut stream) = client.send_request(put(1), false).unwrap();
    stream.send_data(Bytes::from_static(b"x"), true).unwrap();
    settle().await;
    assert_eq!(world.submitted().concat().len(), 2);
    assert!(!h1.is_finished() && !h2.is_finished());
    assert_eq!(world.service.office.len(), 2);

    let tables = tables.with(Role::Participant, &other.certificate, Pins::default());
    world.govern(&tables);
    settle().await;
    assert!(!h1.is_finished() && !h2.is_finished(), "a change of others is none of theirs");
    world.govern(&tables.without(&actor.certificate));
    for task in [h1, h2] {
        assert!(task.await.unwrap().is_err());
    }
    let mut rest = Vec::new();
    far.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
    assert!(response.await.is_err());
    settle().await;
    assert_eq!(world.service.office.len(), 0, "nobody waits for their answers");
}

/// Whoever asks is told so, and those who ask after it are: of the node itself they may ask on.
#[tokio::test(start_paused = true)]
async fn when_the_node_is_removed_those_who_wait_are_told_and_sessions_end_but_later_ones_do_not() {
    let (world, actor) = (World::new(), single("actor"));
    world.govern(&Tables::default().with(Role::Participant, &actor.certificate, Pins::default()));
    let (mut far, h1) = connect(&world, &[&actor], Protocol::Http1);
    far.write_all(b"PUT /app/box/a HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx").await.unwrap();
    let (_client, h2) = connect_h2(&world, &[&actor]).await;
    settle().await;
    world.service.serving.set(synod_node::Serving::NoMore);
    let removed = Event::Response(Err(Refusal::NodeRemoved));
    world.service.office.deliver(world.submitted().concat()[0].token, removed);
    settle().await;
    assert!(!h1.is_finished() && !h2.is_finished(), "a slow line takes its time");
    for task in [h1, h2] {
        assert!(task.await.unwrap().is_err());
    }
    let mut text = String::new();
    far.read_to_string(&mut text).await.unwrap();
    assert_eq!(error_code(text.split_once("\r\n\r\n").unwrap().1), "NodeRemoved");

    let (mut far, late) = connect(&world, &[&actor], Protocol::Http1);
    for (path, status) in [("/app/box/a", "503"), ("/node/commit", "200"), ("/gov/constitution", "421")] {
        far.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
        tokio::time::sleep(10 * PARTING_TIME).await;
        let mut part = vec![0; 1 << 10];
        let size = far.read(&mut part).await.unwrap();
        assert_eq!(str::from_utf8(&part[9..12]).unwrap(), status, "{}", String::from_utf8_lossy(&part[..size]));
    }
    assert!(!late.is_finished());
}
