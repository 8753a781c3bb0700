//! An operator's relay hears of what members do.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use synod_e2e::{decide, join_node, synod, wait_until};

use crate::world::World;

/// The relay's URL stands in the configuration of a node that joins, and is a process of its own.
#[test]
fn the_relay_of_a_running_node_is_told_the_transactions_of_what_members_do_and_nothing_else() {
    let relay = TcpListener::bind("127.0.0.1:0").unwrap();
    relay.set_nonblocking(true).unwrap();
    let world = World::with_nodes(1);
    let shown = world.run(&world.member(1), &["constitution", "show", "--json"]).succeeded().json();
    let (dir, joining) = join_node(&world.sandbox, 2, "the-new-node.example.org:7000");
    let config = dir.join("node.toml");
    let url = format!("governance_webhook = \"http://{}/governance\"\n", relay.local_addr().unwrap());
    fs::write(&config, url + &fs::read_to_string(&config).unwrap()).unwrap();
    let mut node = Command::new(synod());
    let log = File::create(dir.join("log")).unwrap();
    let node = node.args(["node", "run", "--supervised", "--dir"]).arg(&dir).stdin(Stdio::piped()).stderr(log);
    let node = Node(node.spawn().unwrap());
    decide(&world.sandbox, &joining);

    for seconds in [60, 90] {
        let text = format!("note = 'not for relays'\n[[action]]\naction = 'set_lease'\nseconds = {seconds}\n");
        let file = world.write("proposal.toml", text);
        let submitted = world.run(&world.member(1), &["proposal", "submit", file.to_str().unwrap(), "--json"]);
        let submitted = submitted.succeeded().json();
        // It hears of what was before, too, or of the newest of it.
        loop {
            let (head, told) = take(&relay);
            assert!(head.starts_with("POST /governance HTTP/1.1\r\n"), "{head}");
            let txid = &told["governance_txid"];
            assert_eq!(told, json!({"network": shown["network"], "node": 2, "governance_txid": txid}));
            if *txid == submitted["txid"] {
                break;
            }
        }
    }
    drop(node);
}

/// A node that ends when nobody holds its standard input any more.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Head and body of the next post, which the relay takes.
fn take(relay: &TcpListener) -> (String, Value) {
    let (mut stream, _) = wait_until("the relay is told", || relay.accept().ok());
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let mut text = Vec::new();
    let mut part = [0; 1 << 10];
    while !text.ends_with(b"}") {
        let size = stream.read(&mut part).unwrap();
        assert_ne!(size, 0, "{}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&part[..size]);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").unwrap();
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), serde_json::from_str(body).unwrap())
}
