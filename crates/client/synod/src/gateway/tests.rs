//! The gateway between raw HTTP and a node's door in miniature.

use serde_json::{Value, json};
use synod_client::Network;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

use crate::test_server::{Deed, Seen, Server, World};

/// An answer: status, head, body.
pub(super) struct Answer {
    status: u16,
    head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(super) async fn start(network: Network) -> SocketAddr {
    let gateway = Gateway::bind(0, network, Origins::Any).await.unwrap();
    let address = gateway.url().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    tokio::spawn(gateway.serve());
    address
}

/// Sends one request over `stream` and reads its answer, by content-length.
pub(super) async fn ask(stream: &mut TcpStream, method: &str, headers: &str, body: &[u8]) -> Answer {
    let size = body.len();
    let head = format!("{method} / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {size}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // A refusal may come before all of the body is sent.
    let _ = stream.write_all(body).await;
    let mut input = Vec::new();
    let end = loop {
        if let Some(at) = input.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        assert!(stream.read_buf(&mut input).await.unwrap() > 0, "the gateway closed the connection");
    };
    let head = String::from_utf8(input[..end].to_vec()).unwrap().to_ascii_lowercase();
    let size =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |text| text.parse().unwrap());
    while input.len() < end + size {
        assert!(stream.read_buf(&mut input).await.unwrap() > 0, "the gateway closed the connection");
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: String::from_utf8(input[end..].to_vec()).unwrap() }
}

fn transaction(id: u64) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction", "params": ["0x02c0"]}).to_string().into()
}

fn accept() -> impl Fn(&Seen) -> Deed {
    |seen| {
        assert!(seen.head.starts_with("POST /app/evm/main HTTP/1.1\r\n"), "{}", seen.head);
        Deed::Answer(200, "synod-txid: 2.5\r\n", br#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#.to_vec())
    }
}

#[tokio::test]
async fn calls_reach_the_live_instance_and_one_connection_serves_many() {
    let world = World::new();
    let node = Server::start(&world, accept()).await;
    let address = start(world.network(&[&node])).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..3 {
        let answer = ask(&mut stream, "POST", "content-type: application/json\r\n", br#"{"id":1}"#).await;
        assert_eq!((answer.status, answer.json()["result"].as_str()), (200, Some("0x1")));
        assert!(answer.head.contains("content-type: application/json\r\n"), "{}", answer.head);
    }
    let seen = node.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].header("synod-at-least"), None);
    assert_eq!(seen[2].header("synod-at-least"), Some("2.5"), "what was shown once is asked for ever after");
}

#[tokio::test]
async fn a_transaction_whose_node_is_lost_goes_to_the_next_under_the_same_id() {
    let world = World::new();
    let lost = Server::start(&world, |_| Deed::Close).await;
    let live = Server::start(&world, accept()).await;
    let address = start(world.network(&[&lost, &live])).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(&mut stream, "POST", "", &transaction(1)).await.status, 200);
    // The same transaction again, as a wallet might send it: another call, the same id.
    assert_eq!(ask(&mut stream, "POST", "", &transaction(2)).await.status, 200);
    let id = |seen: &Seen| seen.header("synod-request-id").map(str::to_owned);
    let ids: Vec<_> = lost.seen().iter().chain(&live.seen()).map(id).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids[0].is_some() && ids.iter().all(|other| *other == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn a_request_id_that_was_used_for_another_request_is_an_error_at_once() {
    let world = World::new();
    let node = Server::start(&world, |_| {
        let body = br#"{"error":{"code":"RequestIdReused","message":"the request id was used for another request"}}"#;
        Deed::Answer(422, "", body.to_vec())
    })
    .await;
    let mut stream = TcpStream::connect(start(world.network(&[&node])).await).await.unwrap();
    let answer = ask(&mut stream, "POST", "", &transaction(1)).await.json();
    let message = "the request id was used for another request (RequestIdReused, status 422)";
    assert_eq!(answer["error"], json!({"code": -32_600, "message": message}));
    assert_eq!(node.seen().len(), 1, "sending it again would change nothing");
}

#[tokio::test]
async fn browsers_get_what_they_ask_for_before_they_post() {
    let world = World::new();
    let node = Server::start(&world, accept()).await;
    let mut stream = TcpStream::connect(start(world.network(&[&node])).await).await.unwrap();
    let answer =
        ask(&mut stream, "OPTIONS", "origin: https://wallet.example\r\naccess-control-request-method: POST\r\n", b"")
            .await;
    assert_eq!(answer.status, 204);
    for header in [
        "access-control-allow-origin: *",
        "access-control-allow-headers: content-type",
        "access-control-allow-methods: post",
    ] {
        assert!(answer.head.contains(header), "{header} is not in {}", answer.head);
    }
    let answer = ask(&mut stream, "POST", "origin: https://wallet.example\r\n", b"{}").await;
    assert!(answer.head.contains("access-control-allow-origin: *\r\n"), "{}", answer.head);
    assert_eq!(node.seen().len(), 1);
}

#[tokio::test]
async fn a_body_as_large_as_a_deployment_passes_and_one_above_the_limit_is_refused() {
    let world = World::new();
    let node = Server::start(&world, accept()).await;
    let address = start(world.network(&[&node])).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let large = format!(r#"{{"id":1,"params":["{}"]}}"#, "a".repeat(5 << 20));
    assert_eq!(ask(&mut stream, "POST", "", large.as_bytes()).await.status, 200);
    assert_eq!(node.seen()[0].body.len(), large.len());
    let answer = ask(&mut stream, "POST", "", &vec![b' '; (8 << 20) + 1]).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (413, &json!(-32_005)));
    assert_eq!(node.seen().len(), 1);
}

#[tokio::test]
async fn a_refusal_by_the_node_is_an_error_in_the_words_of_json_rpc() {
    let world = World::new();
    let node = Server::start(&world, |_| {
        Deed::Answer(403, "", br#"{"error":{"code":"NotAuthorized","message":"the actor is unknown"}}"#.to_vec())
    })
    .await;
    let mut stream = TcpStream::connect(start(world.network(&[&node])).await).await.unwrap();
    let answer = ask(&mut stream, "POST", "", br#"{"jsonrpc":"2.0","id":"x","method":"eth_chainId"}"#).await;
    assert_eq!(answer.status, 200);
    let expected = json!({
        "jsonrpc": "2.0",
        "id": "x",
        "error": {"code": -32_001, "message": "the actor is unknown (NotAuthorized, status 403)"},
    });
    assert_eq!(answer.json(), expected);
    let answer = ask(&mut stream, "POST", "", b"not JSON").await;
    assert_eq!(answer.json()["id"], Value::Null);
}

#[tokio::test]
async fn other_methods_and_paths_are_told_what_to_do() {
    let world = World::new();
    let node = Server::start(&world, accept()).await;
    let mut stream = TcpStream::connect(start(world.network(&[&node])).await).await.unwrap();
    assert_eq!(ask(&mut stream, "GET", "", b"").await.status, 200);
    assert_eq!(ask(&mut stream, "PUT", "", b"").await.status, 405);
    assert!(node.seen().is_empty());
}

#[tokio::test]
async fn a_taken_port_is_named_with_what_to_do() {
    let world = World::new();
    let node = Server::start(&world, accept()).await;
    let held = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = held.local_addr().unwrap().port();
    let refused = Gateway::bind(port, world.network(&[&node]), Origins::Any).await.err().unwrap().to_string();
    assert!(refused.contains(&format!("port {port} of 127.0.0.1 is taken")), "{refused}");
    assert!(refused.contains("hint: choose another, as in --rpc-port"), "{refused}");
}

/// The first node answers nothing, and the request is under way when the file lists another one.
#[tokio::test]
async fn a_node_that_the_network_file_lists_later_is_asked_without_a_restart() {
    let world = World::new();
    let lost = Server::start(&world, |_| Deed::Close).await;
    let joined = Server::start(&world, accept()).await;
    let (dir, network) = (tempfile::tempdir().unwrap(), world.network(&[&lost]));
    let file = dir.path().join("network.json");
    let line = |node: &Server, id: u64| json!({"id": id, "url": format!("https://{}", world.network(&[node]).nodes[0].address)});
    let list = |nodes: &[Value]| {
        let identity = json!({"certificate": "unread", "key": "unread"});
        let text = json!({"service_certificate": "unread", "identity": identity, "nodes": nodes}).to_string();
        // As a whole, since somebody reads it.
        std::fs::write(dir.path().join("new"), text).unwrap();
        std::fs::rename(dir.path().join("new"), &file).unwrap();
    };
    list(&[line(&lost, 1)]);
    let gateway = Gateway::bind(0, network, Origins::Any).await.unwrap().following(file.clone());
    let address: SocketAddr = gateway.url().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    tokio::spawn(gateway.serve());
    let asked = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        ask(&mut stream, "POST", "", &transaction(1)).await.status
    });
    while lost.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    // What is no network file changes nothing.
    std::fs::write(&file, "").unwrap();
    list(&[line(&lost, 1), line(&joined, 4)]);
    assert_eq!(asked.await.unwrap(), 200);
    assert_eq!(joined.seen().len(), 1);
}
