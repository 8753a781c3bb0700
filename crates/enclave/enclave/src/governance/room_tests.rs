//! Whatever applications have to do, members are served.

use synod_types::limits::REQUEST_BODY_BYTES_MAX;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::testing::{Parliament, bytes};
use crate::door::Protocol;
use crate::exchange::{Arrived, Exchange, Step};
use crate::http::head::Wishes;
use crate::identity::Speaker;
use crate::purpose::Purpose;
use crate::testing::{ACTOR, error_code, settle};

/// A session for applications of Papa, which asks for this.
async fn application(parliament: &Parliament, request: &str) -> tokio::io::DuplexStream {
    let (mut far, _task) = parliament.connect_for(Purpose::Applications, 3, Protocol::Http1, 1 << 16);
    far.write_all(request.as_bytes()).await.unwrap();
    far
}

#[tokio::test]
async fn a_read_and_a_request_are_served_when_applications_use_up_every_limit_of_theirs() {
    let mut parliament = Parliament::new();
    let world = &parliament.world;
    // Every thread for reads is held, and more wait.
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(application(&parliament, "GET /app/box/held HTTP/1.1\r\nhost: a\r\n\r\n").await);
    }
    while world.gate.came() < 2 {
        tokio::task::yield_now().await;
    }
    // All room for bodies is taken.
    let service = &world.service;
    let taken: Vec<_> =
        std::iter::from_fn(|| service.room(Purpose::Applications, ACTOR, REQUEST_BODY_BYTES_MAX).ok()).collect();
    assert!(!taken.is_empty());
    let large = format!("PUT /app/box/a HTTP/1.1\r\nhost: a\r\ncontent-length: {REQUEST_BODY_BYTES_MAX}\r\n\r\n");
    let mut refused = application(&parliament, &large).await;
    let mut answer = String::new();
    refused.read_to_string(&mut answer).await.unwrap();
    assert_eq!(error_code(answer.split_once("\r\n\r\n").unwrap().1), "TooManyPending");

    let (status, constitution) = parliament.get(0, "/gov/constitution").await;
    assert_eq!(status, 200, "{constitution}");
    let note = "x".repeat(synod_governance::limits::NOTE_BYTES_MAX);
    let lease = || synod_governance::Action::SetLease(synod_governance::SetLease { seconds: Some(60) });
    let request = bytes(&parliament.proposal(0, vec![lease()], &note));
    let (status, _, body) = parliament.ask(0, "POST", "/gov/requests", "", &request).await;
    assert_eq!(status, 200, "{body}");
    // One that needs room for its body as well: the node would refuse it, but it gets there.
    let (mut far, _task) = parliament.connect(0, Protocol::Http1, 1 << 16);
    let head = format!("POST /gov/requests HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 1 << 20);
    far.write_all(head.as_bytes()).await.unwrap();
    far.write_all(&vec![0; 1 << 20]).await.unwrap();
    let handed = loop {
        settle().await;
        if let Some(requests) = parliament.world.submitted().pop() {
            break requests;
        }
    };
    assert_eq!(handed[0].calls[0].len(), 1 << 20);
    parliament.world.gate.open();
}

#[tokio::test]
async fn a_session_of_the_wrong_kind_is_told_which_is_the_right_one() {
    let parliament = Parliament::new();
    let (status, body) = parliament.get(0, "/app/box/a").await;
    assert_eq!((status, body["error"]["code"].as_str()), (421, Some("MisdirectedRequest")));
    let request = "GET /gov/constitution HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let mut far = application(&parliament, request).await;
    let mut answer = String::new();
    far.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    assert_eq!(error_code(answer.split_once("\r\n\r\n").unwrap().1), "MisdirectedRequest");
}

#[tokio::test]
async fn the_constitution_is_written_out_once_for_all_who_ask() {
    let mut parliament = Parliament::new();
    let kept = |parliament: &Parliament| parliament.world.service.government.latest().constitution.get().cloned();
    assert!(kept(&parliament).is_none());
    let (_, first) = parliament.get(0, "/gov/constitution").await;
    let body = kept(&parliament).unwrap().body;
    let (_, second) = parliament.get(3, "/gov/constitution").await;
    assert_eq!((&first, kept(&parliament).unwrap().body.as_ptr()), (&second, body.as_ptr()));
    parliament.propose_lease(0, 60);
    assert!(kept(&parliament).is_none(), "it names the transaction as of which it holds");
    let (_, third) = parliament.get(0, "/gov/constitution").await;
    assert_ne!(first["txid"], third["txid"]);
}

#[tokio::test]
async fn an_actor_that_sends_heads_and_no_bodies_takes_its_own_share_of_the_room_only() {
    let parliament = Parliament::new();
    let head = format!("POST /gov/requests HTTP/1.1\r\nhost: a\r\ncontent-length: {REQUEST_BODY_BYTES_MAX}\r\n\r\n");
    let mut held = Vec::new();
    // Papa holds what it may; what comes above that is refused.
    let refused = loop {
        let (mut far, _task) = parliament.connect(3, Protocol::Http1, 1 << 16);
        far.write_all(head.as_bytes()).await.unwrap();
        settle().await;
        let mut answer = [0; 16];
        if let std::task::Poll::Ready(size) = once(far.read(&mut answer)) {
            break answer[..size.unwrap()].to_vec();
        }
        held.push(far);
        assert!(held.len() < 16, "one actor may hold all");
    };
    assert!(refused.starts_with(b"HTTP/1.1 503"));
    let (mut far, _task) = parliament.connect(0, Protocol::Http1, 1 << 16);
    far.write_all(head.as_bytes()).await.unwrap();
    settle().await;
    assert!(once(far.read(&mut [0; 16])).is_pending(), "a member's body is waited for");
}

/// What comes of `future` if it is asked once.
fn once<T>(future: impl Future<Output = T>) -> std::task::Poll<T> {
    std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[tokio::test]
async fn a_body_keeps_its_room_until_its_job_is_done() {
    let parliament = Parliament::new();
    let service = &parliament.world.service;
    let room = || service.room_to_wait(Purpose::Governance, parliament.orgs[3].id, 2 * REQUEST_BODY_BYTES_MAX);
    let actor = parliament.orgs[3].id;
    let speaker = Speaker::known(actor);
    let arrived = Arrived {
        speaker: &speaker,
        purpose: Purpose::Governance,
        method: synod_worker::Method::Post,
        target: "/gov/dry-run",
        wishes: Wishes::default(),
        own_id: synod_types::RequestId::default(),
        body: br#"{"actions":[]}"#,
        room: None,
    };
    let (_exchange, step) = Exchange::begin(service, &arrived);
    let Step::PoolRead(job) = step else { panic!("a dry run takes a thread") };
    assert!(room().is_err(), "the body waits");
    job();
    assert!(room().is_ok());
}

#[tokio::test]
async fn an_actor_has_so_many_reads_wait_for_the_thread_and_no_more_and_others_are_served() {
    let parliament = Parliament::new();
    let service = &parliament.world.service;
    let begin = |org: usize| {
        let speaker = Speaker::known(parliament.orgs[org].id);
        let arrived = Arrived {
            speaker: &speaker,
            purpose: Purpose::Governance,
            method: synod_worker::Method::Get,
            target: "/gov/constitution",
            wishes: Wishes::default(),
            own_id: synod_types::RequestId::default(),
            body: b"",
            room: None,
        };
        Exchange::begin(service, &arrived).1
    };
    let mut waiting: Vec<_> = std::iter::from_fn(|| match begin(3) {
        Step::PoolRead(job) => Some(job),
        Step::Done(response) => {
            assert_eq!(error_code(str::from_utf8(&response.reply.body).unwrap()), "TooManyPending");
            None
        }
        _ => panic!("a read takes a thread"),
    })
    .collect();
    assert_eq!(waiting.len(), 64, "over all its connections");
    assert!(matches!(begin(0), Step::PoolRead(_)), "a member's read is taken");
    waiting.pop().unwrap()();
    let again = begin(3);
    assert!(matches!(again, Step::PoolRead(_)));
    drop(waiting.pop());
    assert!(matches!(begin(3), Step::PoolRead(_)), "one that nobody waits for any more gives its place back too");
}
