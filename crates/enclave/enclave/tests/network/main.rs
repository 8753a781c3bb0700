//! Whole enclaves, from TLS to committed blocks, on hosts that live in memory.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod behind;
mod governance;
#[expect(dead_code, reason = "the unit tests share it, and use more of it")]
mod house;
mod identity;
mod keys;
mod membership;
mod removal;
mod serving;
mod world;

use bytes::Bytes;
use synod_enclave::EnclaveError;
use synod_types::Untrusted;
use synod_types::boundary::{CONNECTION_WINDOW_BYTES, ConnectionId, Door, ToEnclave};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use world::{Network, put};

#[tokio::test]
async fn a_node_alone_serves_writes_reads_and_receipts_and_stops_in_good_order() {
    let network = Network::new(1);
    let host = network.start(1);
    let mut client = network.connect(&host).await;
    // The first request may come before the node leads, and then it waits elsewhere.
    assert_eq!(client.put(6, "first").await.0, 200);
    let (status, head, _) = client.put(7, "hello").await;
    assert_eq!(status, 200);
    let txid = head.split("synod-txid: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
    // What was answered can be read at once, without saying how much must be applied.
    assert_eq!(client.get("/app/log/7", "").await.2, "hello");
    assert_eq!(client.get("/app/log/7", "synod-consistency: linearizable\r\n").await.2, "hello");
    assert_eq!(client.get("/app/log/8", "").await.0, 404);
    let (_, _, status) = client.get("/node/status", "").await;
    assert!(status.contains(r#""role":"leader""#) && status.contains(&format!(r#""committed":"{txid}""#)), "{status}");
    let (_, _, status) = client.get(&format!("/node/tx/{txid}"), "").await;
    assert!(status.contains(r#""status":"Committed""#), "{status}");
    assert_eq!(client.get("/node/receipt/9.99", "").await.0, 404);
    let (_, _, metrics) = client.get("/node/metrics", "").await;
    for stage in ["queue", "execute", "seal", "sign", "sync", "replicate", "commit"] {
        let count = metrics.split(&format!("\nsynod_{stage}_seconds_count ")).nth(1).unwrap();
        assert!(count.split('\n').next().unwrap().parse::<u64>().unwrap() >= 1, "{stage}\n{metrics}");
    }
    assert_eq!(host.stop().await, "shut down as asked");
    assert!(client.is_ended().await);
}

#[tokio::test]
async fn a_thousand_writes_of_one_connection_are_in_flight_at_once_and_answered_in_order() {
    let network = Network::new(1);
    let host = network.start(1);
    let mut client = network.connect(&host).await;
    let burst: String = (0..1_000).map(|key| put(key, &format!("message {key}"))).collect();
    client.send(&burst).await;
    let mut last = 0;
    for _ in 0..1_000 {
        let (status, head, _) = client.answer().await;
        let seqno = head.split("synod-txid: ").nth(1).unwrap().split(['.', '\r']).nth(1).unwrap();
        let seqno: u64 = seqno.parse().unwrap();
        assert!(status == 200 && seqno > last, "writes of one connection keep their order");
        last = seqno;
    }
    assert_eq!(client.get("/app/log/999", "").await.2, "message 999");
}

#[tokio::test]
async fn three_nodes_commit_what_any_of_them_is_asked_and_all_of_them_show_it() {
    let network = Network::new(3);
    let hosts: Vec<_> = (1..=3).map(|id| network.start(id)).collect();
    for (key, host) in (1..).zip(&hosts) {
        let mut client = network.connect(host).await;
        let (status, head, body) = client.put(key, &format!("by node {key}")).await;
        assert_eq!(status, 200, "{body}");
        let txid = head.split("synod-txid: ").nth(1).unwrap().split("\r\n").next().unwrap();
        for other in &hosts {
            let mut reader = network.connect(other).await;
            let read = reader.get(&format!("/app/log/{key}"), &format!("synod-at-least: {txid}\r\n")).await;
            assert_eq!(read.2, format!("by node {key}"));
            let read = reader.get(&format!("/app/log/{key}"), "synod-consistency: linearizable\r\n").await;
            assert_eq!(read.2, format!("by node {key}"));
        }
    }
    // Two of three go on when one has stopped.
    hosts[0].stop().await;
    let mut client = network.connect(&hosts[1]).await;
    assert_eq!(client.put(9, "without node 1").await.0, 200);
}

#[tokio::test]
async fn the_host_sees_no_plaintext() {
    let network = Network::new(3);
    let hosts: Vec<_> = (1..=3).map(|id| network.start(id)).collect();
    let mut client = network.connect(&hosts[2]).await;
    let planted = "the-planted-message-of-this-test";
    assert_eq!(client.put(1, planted).await.0, 200);
    assert_eq!(client.get("/app/log/1", "").await.0, 200);
    for host in &hosts {
        for private in
            [planted.as_bytes(), b"the-planted-actor", network.actor.0.spki_der(), &network.actor.0.actor_id().0]
        {
            assert!(!host.saw(private));
        }
        assert!(host.seen.lock().unwrap().len() > 1_000);
    }
}

#[tokio::test]
async fn a_host_that_breaks_its_contract_harms_the_connections_concerned_only() {
    let network = Network::new(1);
    let host = network.start(1);
    let mut client = network.connect(&host).await;
    let bytes = |size| Untrusted::new(Bytes::from(vec![0x16; size]));
    // Ids of the wrong side, ids twice, ids never heard of.
    for connection in [1, 2, 2].map(ConnectionId) {
        host.send(ToEnclave::Accepted { connection, door: Door::Client });
        host.send(ToEnclave::Accepted { connection, door: Door::Peer });
    }
    for connection in [1, 99, u64::MAX].map(ConnectionId) {
        host.send(ToEnclave::Connected { connection });
        host.send(ToEnclave::Received { connection, bytes: bytes(10) });
        host.send(ToEnclave::Written { connection, size: usize::MAX });
        host.send(ToEnclave::Closed { connection });
    }
    // More than was granted.
    let flooded = ConnectionId(1_000);
    host.send(ToEnclave::Accepted { connection: flooded, door: Door::Client });
    host.send(ToEnclave::Received { connection: flooded, bytes: bytes(CONNECTION_WINDOW_BYTES) });
    host.send(ToEnclave::Received { connection: flooded, bytes: bytes(CONNECTION_WINDOW_BYTES) });
    assert_eq!(client.put(1, "still served").await.0, 200);
}

#[tokio::test]
async fn garbage_and_clients_that_vanish_leave_others_served() {
    let network = Network::new(1);
    let host = network.start(1);
    let mut client = network.connect(&host).await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff, 1, 2, 3], &[0xff; 300]] {
        let (mut near, far) = duplex(1 << 16);
        host.accept(far);
        near.write_all(garbage).await.unwrap();
        // TLS answers with an alert at most, then ends.
        let mut alert = Vec::new();
        near.read_to_end(&mut alert).await.unwrap();
        assert!(alert.len() <= 7, "{alert:?}");
    }
    let mut vanishing = network.connect(&host).await;
    vanishing.send(&put(2, "said and gone")).await;
    drop(vanishing);
    assert_eq!(client.put(1, "still served").await.0, 200);
}

#[tokio::test]
async fn a_client_that_has_said_its_last_is_answered_and_then_closed() {
    let network = Network::new(1);
    let host = network.start(1);
    for goodbye in [true, false] {
        let mut client = network.connect(&host).await;
        let all: String = (0..20).map(|key| put(key, "a message")).collect();
        // The last one is not whole.
        client.send(&(all + "PUT /app/log/99 HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\na mess")).await;
        client.say_last(goodbye).await;
        for _ in 0..20 {
            assert_eq!(client.answer().await.0, 200, "goodbye: {goodbye}");
        }
        assert!(client.is_ended().await);
        assert_eq!(network.connect(&host).await.get("/app/log/99", "").await.0, 404);
    }
}

#[tokio::test]
async fn a_stranger_hears_that_it_is_one_and_is_closed_without_its_body_being_read() {
    let network = Network::new(1);
    let host = network.start(1);
    let mut stranger = network.connect_stranger(&host).await;
    stranger.send("PUT /app/log/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 8388608\r\n\r\nx").await;
    let (status, head, body) = stranger.answer().await;
    assert!(status == 403 && head.contains("connection: close") && body.contains("NotAuthorized"), "{head}{body}");
    assert!(stranger.is_ended().await);
    assert_eq!(network.connect(&host).await.put(1, "served").await.0, 200);
}

#[tokio::test]
async fn what_does_not_fit_together_is_refused_at_the_start() {
    let (network, other) = (Network::new(1), Network::new(1));
    let start = |change: &dyn Fn(&mut synod_enclave::Setup<Vec<_>>)| {
        let mut setup = network.setup(1);
        change(&mut setup);
        network.try_start(1, setup).map(|_| ()).unwrap_err()
    };
    let foreign = || other.setup(1);
    assert!(matches!(start(&|setup| setup.records.clear()), EnclaveError::NoGenesis));
    assert!(matches!(start(&|setup| setup.slot_key = foreign().slot_key), EnclaveError::SlotUnknown(_)));
    assert!(matches!(start(&|setup| setup.slot_key = "no key".into()), EnclaveError::KeyNotValid { .. }));
    assert!(matches!(start(&|setup| setup.session_keys = foreign().session_keys), EnclaveError::Start(_)));
    assert!(matches!(start(&|setup| setup.service_key = foreign().service_key), EnclaveError::Start(_)));
    assert!(matches!(start(&|setup| setup.service_key.clear()), EnclaveError::KeyNotValid { .. }));
    assert!(matches!(start(&|setup| setup.adapters.clear()), EnclaveError::Adapters(_)));
    let unreadable =
        |setup: &mut synod_enclave::Setup<Vec<_>>| setup.records.push(Err(std::io::ErrorKind::Other.into()));
    assert!(matches!(start(&unreadable), EnclaveError::LedgerUnreadable(_)));
    assert!(matches!(
        start(&|setup| setup.slot_certificate = foreign().slot_certificate),
        EnclaveError::SlotUnknown(_)
    ));
}
