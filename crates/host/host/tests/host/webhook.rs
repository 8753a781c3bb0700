//! The relay of the operator hears that governance happened.

use std::io::{Read, Write};
use std::net::TcpListener;

use synod_types::boundary::ToHost;
use synod_types::{NodeId, Seqno, TxId, View};

use crate::world::{World, start};

/// What a relay is sent, to which it answers with this status after this has happened.
fn take(relay: &TcpListener, status: &str, meanwhile: impl FnOnce()) -> String {
    let (mut stream, _) = relay.accept().unwrap();
    let mut text = Vec::new();
    let mut part = [0; 1 << 10];
    while !text.ends_with(b"}") {
        let size = stream.read(&mut part).unwrap();
        assert_ne!(size, 0, "{}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&part[..size]);
    }
    meanwhile();
    stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).unwrap();
    String::from_utf8(text).unwrap()
}

fn happened(world: &World, seqno: u64) {
    world.port.send(ToHost::GovernanceHappened { node: NodeId(3), txid: TxId::new(View(2), Seqno(seqno)) });
}

#[test]
fn a_relay_hears_the_newest_until_it_has_taken_it_and_only_that_something_happened() {
    let relay = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = relay.local_addr().unwrap();
    let world = start(&format!("governance_webhook = 'http://{address}/gov?token=1'\n"));
    happened(&world, 14);
    // What happens meanwhile is told in the place of what was not taken.
    let first = take(&relay, "500 Internal Server Error", || (15..=16).for_each(|seqno| happened(&world, seqno)));
    let network = "00000000000000000000000000000000000000000000000000000000000000aa";
    let body = |seqno| format!(r#"{{"network": "{network}", "node": 3, "governance_txid": "2.{seqno}"}}"#);
    let expected = format!(
        "POST /gov?token=1 HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{}",
        body(14).len(),
        body(14)
    );
    assert_eq!(first, expected);
    assert!(take(&relay, "204 No Content", || ()).ends_with(&body(16)));
    happened(&world, 20);
    assert!(take(&relay, "200 OK", || ()).ends_with(&body(20)));
    world.stop();
}

#[test]
fn a_relay_that_is_not_there_or_says_nothing_holds_nobody_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), gone] {
        let world = start(&format!("governance_webhook = 'http://{address}/'\n"));
        for seqno in 2..100 {
            happened(&world, seqno);
        }
        let _client = world.connect();
        world.stop();
    }
}
