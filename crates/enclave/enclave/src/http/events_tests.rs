use h2::client::SendRequest;
use http::Request;
use synod_governance::{Action, RemoveActor};
use synod_node::{Query, QueryAnswer, Refusal};
use synod_types::{Seqno, TxId, View};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

use super::*;
use crate::door::Protocol;
use crate::governance::testing::Parliament;
use crate::testing::{error_code, settle};

type Task = JoinHandle<io::Result<()>>;

/// Asks for events over HTTP/1.1.
async fn watch(parliament: &Parliament, org: usize, query: &str, headers: &str) -> (DuplexStream, Task) {
    let (mut far, task) = parliament.connect(org, Protocol::Http1, 1 << 20);
    let head = format!("GET /gov/events{query} HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
    far.write_all(head.as_bytes()).await.unwrap();
    (far, task)
}

/// What has come so far.
async fn come(far: &mut DuplexStream) -> String {
    let mut text = Vec::new();
    for _ in 0..20 {
        settle().await;
        let mut part = vec![0; 1 << 20];
        let read = tokio::select! {
            biased;
            read = far.read(&mut part) => read.unwrap(),
            () = std::future::ready(()) => 0,
        };
        text.extend_from_slice(&part[..read]);
    }
    String::from_utf8(text).unwrap()
}

/// Id and kind of each event that has come as a whole, and what it is about.
fn told(text: &str) -> Vec<(String, String, u64)> {
    let body = text.split_once("\r\n\r\n").map_or(text, |(_, body)| body);
    let whole = body.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let frames = whole.split("\n\n").filter(|frame| frame.starts_with("id: "));
    let read = |frame: &str| {
        let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let data: serde_json::Value = serde_json::from_str(&field("data: ")).unwrap();
        let id = field("id: ");
        assert_eq!(data["txid"].as_str().unwrap(), id.split('/').next().unwrap());
        (id, field("event: "), data["id"].as_u64().unwrap_or(0))
    };
    frames.map(read).collect()
}

fn brief(events: &[(String, String, u64)]) -> Vec<String> {
    events.iter().map(|(id, kind, about)| format!("{id} {kind} {about}")).collect()
}

/// Three transactions: a proposal and two votes, which accept it.
fn decided(parliament: &mut Parliament, seconds: u64) {
    let id = parliament.propose_lease(0, seconds);
    parliament.accept(0, id);
    parliament.accept(1, id);
}

#[tokio::test]
async fn what_was_missed_comes_first_then_what_happens_each_once_and_in_order() {
    let mut parliament = Parliament::new();
    decided(&mut parliament, 60);
    let (mut far, _task) = watch(&parliament, 3, "?after=0", "").await;
    let text = come(&mut far).await;
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("synod-txid: 2.4"), "{head}");
    assert!(head.contains("content-type: text/event-stream") && !head.contains("content-length"), "{head}");
    let expected = ["2.2/1 proposed 1", "2.3/1 voted 1", "2.4/1 voted 1", "2.4/2 closed 1"];
    assert_eq!(brief(&told(&text)), expected);
    decided(&mut parliament, 61);
    let expected = ["2.5/1 proposed 2", "2.6/1 voted 2", "2.7/1 voted 2", "2.7/2 closed 2"];
    assert_eq!(brief(&told(&come(&mut far).await)), expected);
    assert_eq!(come(&mut far).await, "");
}

#[tokio::test]
async fn a_stream_begins_after_the_last_event_that_came_or_with_what_happens_from_now_on() {
    let mut parliament = Parliament::new();
    decided(&mut parliament, 60);
    for (query, headers, expected) in [
        ("", "", &[][..]),
        ("?after=2.3", "", &["2.4/1 voted 1", "2.4/2 closed 1"]),
        ("?after=2.4/1", "", &["2.4/2 closed 1"]),
        ("?after=2.4", "", &[]),
        ("?after=0", "last-event-id: 2.4/1\r\n", &["2.4/2 closed 1"]),
        ("", "Last-Event-ID: 2.3\r\n", &["2.4/1 voted 1", "2.4/2 closed 1"]),
    ] {
        let (mut far, _task) = watch(&parliament, 1, query, headers).await;
        assert_eq!(brief(&told(&come(&mut far).await)), expected, "{query} {headers}");
    }
    let (mut far, _task) = watch(&parliament, 1, "", "").await;
    come(&mut far).await;
    parliament.propose_lease(2, 61);
    assert_eq!(brief(&told(&come(&mut far).await)), ["2.5/1 proposed 2"]);
}

#[tokio::test]
async fn whoever_was_away_for_longer_than_events_are_kept_hears_of_every_proposal() {
    let mut parliament = Parliament::with_log(4 << 10);
    for seconds in 60..80 {
        decided(&mut parliament, seconds);
    }
    let (mut far, _task) = watch(&parliament, 1, "?after=2.4/1", "").await;
    let mut text = String::new();
    while !text.contains("2.61/2") {
        // The pool is a thread.
        tokio::time::sleep(Duration::from_millis(1)).await;
        text += &come(&mut far).await;
    }
    let events = told(&text);
    let of_proposals = |events: &[(String, String, u64)]| {
        brief(events).into_iter().filter(|event| !event.contains("voted")).collect::<Vec<_>>()
    };
    let mut expected = vec!["2.4/2 closed 1".to_owned()];
    for id in 2..=20 {
        let first = 2 + 3 * (id - 1);
        expected.extend([format!("2.{first}/1 proposed {id}"), format!("2.{}/2 closed {id}", first + 2)]);
    }
    assert_eq!(of_proposals(&events), expected);
    assert!(events.iter().any(|(_, kind, _)| kind == "voted"), "the latest events are all there");
    assert!(events.iter().filter(|(_, kind, _)| kind == "voted").count() < 10, "{text}");
    decided(&mut parliament, 99);
    let last = told(&come(&mut far).await);
    assert_eq!(brief(&last).last().unwrap(), "2.64/2 closed 21");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_ended_and_goes_on_from_its_last_event() {
    let mut parliament = Parliament::with_log(8 << 10);
    let (mut far, task) = parliament.connect(1, Protocol::Http1, 700);
    far.write_all(b"GET /gov/events?after=0 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    settle().await;
    for seconds in 60..90 {
        decided(&mut parliament, seconds);
        settle().await;
    }
    assert!(!task.is_finished(), "it has time to take what was sent");
    let ended = task.await.unwrap().unwrap_err();
    assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    let mut text = String::new();
    far.read_to_string(&mut text).await.unwrap();
    let mut events = told(&text);
    let last = events.last().unwrap().0.clone();
    drop(far);

    let (mut far, _task) = watch(&parliament, 1, "", &format!("last-event-id: {last}\r\n")).await;
    let mut rest = String::new();
    while !rest.contains("2.91/2") {
        std::thread::sleep(Duration::from_millis(1));
        rest += &come(&mut far).await;
    }
    events.extend(told(&rest));
    let of_proposals: Vec<_> = events.iter().filter(|(_, kind, _)| kind != "voted").map(|(_, _, id)| *id).collect();
    let expected: Vec<u64> = (1..=30).flat_map(|id| [id, id]).collect();
    assert_eq!(of_proposals, expected, "each was proposed once and closed once");
}

#[tokio::test]
async fn a_reader_that_falls_behind_the_log_is_ended() {
    let mut parliament = Parliament::with_log(1 << 10);
    let mut watch = Watch::begin(&parliament.world.service, parliament.orgs[0].id, None).unwrap();
    parliament.propose_lease(0, 60);
    assert!(watch.next().await.is_some());
    for seconds in 61..70 {
        decided(&mut parliament, seconds);
    }
    assert_eq!(watch.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_which_nothing_happens_says_so_now_and_then() {
    let parliament = Parliament::new();
    let (mut far, _task) = watch(&parliament, 1, "", "").await;
    come(&mut far).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(15_001)).await;
        assert_eq!(come(&mut far).await, "", "it has to be sure of it first");
        for (token, query) in parliament.world.queries() {
            assert_eq!(query, Query::ReadIndex);
            parliament.world.answer(token, Ok(QueryAnswer::ReadIndex(TxId::new(View(2), Seqno(1)))));
        }
        assert_eq!(come(&mut far).await, ": 2.1\n\n");
    }
}

/// Once the node has no answer at all, once it was removed.
#[tokio::test(start_paused = true)]
async fn the_stream_of_a_node_that_takes_part_no_more_ends() {
    for answer in [None, Some(Refusal::NodeRemoved)] {
        let parliament = Parliament::new();
        let (mut far, task) = watch(&parliament, 1, "", "").await;
        come(&mut far).await;
        tokio::time::sleep(Duration::from_millis(15_001)).await;
        settle().await;
        for (token, _) in parliament.world.queries() {
            if let Some(refusal) = answer {
                parliament.world.answer(token, Err(refusal));
            }
        }
        let mut rest = String::new();
        far.read_to_string(&mut rest).await.unwrap();
        assert_eq!((rest.as_str(), task.await.unwrap().is_ok()), ("", true), "{answer:?}");
    }
}

#[tokio::test]
async fn the_stream_of_an_actor_ends_when_members_remove_it() {
    let mut parliament = Parliament::new();
    let (mut far, task) = watch(&parliament, 2, "", "").await;
    let (mut other, _task) = watch(&parliament, 1, "", "").await;
    come(&mut far).await;
    let gamma = parliament.orgs[2].id;
    let id = parliament.propose(0, vec![Action::RemoveMember(RemoveActor { id: gamma })]);
    parliament.accept(0, id);
    assert_eq!(told(&come(&mut far).await).len(), 2);
    parliament.accept(1, id);
    let mut rest = String::new();
    far.read_to_string(&mut rest).await.unwrap();
    assert_eq!((rest.as_str(), task.await.unwrap().is_err()), ("", true));
    let expected = ["2.2/1 proposed 1", "2.3/1 voted 1", "2.4/1 voted 1", "2.4/2 closed 1", "2.4/3 actor_removed 0"];
    assert_eq!(brief(&told(&come(&mut other).await)), expected);
}

#[tokio::test]
async fn what_was_asked_before_is_answered_before_and_what_is_asked_after_is_not_heard() {
    let mut parliament = Parliament::new();
    let (mut far, _task) = parliament.connect(0, Protocol::Http1, 1 << 20);
    let read = "GET /gov/constitution HTTP/1.1\r\nhost: a\r\n\r\n";
    let events = "GET /gov/events HTTP/1.1\r\nhost: a\r\n\r\n";
    far.write_all(format!("{read}{events}{read}").as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.contains("text/event-stream") {
        tokio::time::sleep(Duration::from_millis(1)).await;
        text += &come(&mut far).await;
    }
    let (answer, events) = text.split_once("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream").unwrap();
    assert!(answer.contains("application/json") && events.contains("connection: close"), "{text}");
    // A client that says its last still listens.
    far.write_all(read.as_bytes()).await.unwrap();
    far.shutdown().await.unwrap();
    settle().await;
    parliament.propose_lease(0, 60);
    assert_eq!(brief(&told(&come(&mut far).await)), ["2.2/1 proposed 1"]);
}

#[tokio::test]
async fn an_actor_watches_so_often_and_again_when_a_stream_has_ended() {
    let parliament = Parliament::new();
    let begin = |org: usize| Watch::begin(&parliament.world.service, parliament.orgs[org].id, None);
    let watches: Vec<_> = std::iter::from_fn(|| begin(0).ok()).collect();
    assert_eq!(watches.len(), 64);
    let (status, _, body) = parliament.ask(0, "GET", "/gov/events", "", b"").await;
    assert_eq!((status, error_code(&body).as_str()), (429, "TooManyWatches"));
    assert!(begin(1).is_ok(), "others watch all the same");
    drop(watches);
    assert!(begin(0).is_ok());
}

async fn connect_h2(parliament: &Parliament, org: usize) -> SendRequest<Bytes> {
    let (far, _task) = parliament.connect(org, Protocol::Http2, 1 << 20);
    let (client, connection) = h2::client::Builder::new().initial_window_size(300).handshake(far).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

#[tokio::test]
async fn events_come_over_http_2_beside_other_answers_as_fast_as_the_client_takes_them() {
    let mut parliament = Parliament::new();
    decided(&mut parliament, 60);
    let mut client = connect_h2(&parliament, 1).await;
    let request = |target: &str| Request::builder().uri(format!("https://a{target}")).body(()).unwrap();
    let (response, _) = client.send_request(request("/gov/events?after=0"), true).unwrap();
    let (head, mut body) = response.await.unwrap().into_parts();
    assert_eq!((head.status.as_u16(), &head.headers["content-type"]), (200, &"text/event-stream".parse().unwrap()));
    let (other, _) = client.send_request(request("/node/commit"), true).unwrap();
    assert_eq!(other.await.unwrap().status().as_u16(), 200);
    let mut text = String::new();
    while told(&text).len() < 4 {
        let data = body.data().await.unwrap().unwrap();
        assert!(data.len() <= 300);
        body.flow_control().release_capacity(data.len()).unwrap();
        text += str::from_utf8(&data).unwrap();
    }
    parliament.propose_lease(0, 61);
    while told(&text).len() < 5 {
        let data = body.data().await.unwrap().unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        text += str::from_utf8(&data).unwrap();
    }
    let expected = ["2.2/1 proposed 1", "2.3/1 voted 1", "2.4/1 voted 1", "2.4/2 closed 1", "2.5/1 proposed 2"];
    assert_eq!(brief(&told(&text)), expected);
    assert_eq!(parliament.world.service.office.len(), 1);
    // A stream that is taken back leaves nothing behind.
    drop(body);
    settle().await;
    assert_eq!(parliament.world.service.office.len(), 0);
}
