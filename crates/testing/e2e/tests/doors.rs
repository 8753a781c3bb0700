//! The public doors do what the reference says.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use serde_json::json;
use synod_e2e::{Client, Finished, Identity, Sandbox, npm_tools};
use synod_types::TxId;

#[test]
fn every_node_takes_writes_and_shows_them_to_whoever_asks_for_at_least_that_much() {
    let sandbox = Sandbox::start();
    for (key, writer) in (0..sandbox.nodes.len()).enumerate() {
        let path = format!("/app/log/{key}");
        let message = format!("written at node {}", writer + 1);
        let written = sandbox.client(writer).put(&path, &message).expect("the node answers");
        assert_eq!(written.status, 200, "{}", written.text());
        let txid = written.header("synod-txid").expect("a write names its transaction").to_owned();
        for reader in 0..sandbox.nodes.len() {
            let mut client = sandbox.client(reader);
            for header in [("synod-at-least", txid.as_str()), ("synod-consistency", "linearizable")] {
                let read = client.send("GET", &path, &[header], b"").expect("the node answers");
                assert_eq!((read.status, read.text()), (200, message.clone()), "{header:?} at node {}", reader + 1);
            }
        }
    }
}

#[test]
fn a_call_that_draws_randomness_leaves_the_same_on_every_node() {
    let sandbox = Sandbox::start();
    let mut drawn = BTreeSet::new();
    for key in 0..4 {
        let answer = sandbox.client(key % 3).post(&format!("/app/log/{key}/random"), "").expect("the node answers");
        assert_eq!((answer.status, answer.body.len()), (200, 64));
        let at_least = answer.header("synod-txid").expect("a write names its transaction");
        for node in 0..sandbox.nodes.len() {
            let path = format!("/app/log/{key}");
            let read = sandbox.client(node).send("GET", &path, &[("synod-at-least", at_least)], b"");
            let stored: String = read.expect("the node answers").body.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(stored, answer.text(), "node {}", node + 1);
        }
        drawn.insert(answer.text());
    }
    assert_eq!(drawn.len(), 4, "each draw is another");
}

#[test]
fn a_network_that_was_stopped_goes_on_where_it_was() {
    let sandbox = Sandbox::start();
    let written = sandbox.synod(&["log", "put", "--key", "7", "--message", "before"]).succeeded();
    let before: TxId = written.stdout.trim().parse().expect("a transaction id");
    let sandbox = sandbox.stop().resume();
    assert_eq!(sandbox.synod(&["log", "get", "--key", "7"]).succeeded().stdout, "before\n");
    let written = sandbox.synod(&["log", "put", "--key", "7", "--message", "after"]).succeeded();
    let after: TxId = written.stdout.trim().parse().expect("a transaction id");
    assert_eq!(after.seqno, before.seqno.next(), "nothing was lost and nothing came between");
    assert!(after.view > before.view);
}

/// Each workload runs for a second, with the fields that programs rely on.
#[test]
fn a_benchmark_prints_the_figures_that_programs_rely_on() {
    let sandbox = Sandbox::start();
    for workload in ["log", "transfer", "erc20"] {
        let bench =
            sandbox.synod(&["bench", workload, "--json", "--duration", "1", "--depth", "50"]).succeeded().json();
        assert_eq!((&bench["workload"], &bench["errors"]), (&json!(workload), &json!(0)), "{bench}");
        assert!(bench["transactions"].as_u64() > Some(50), "{bench}");
        assert!(bench["committed_per_s"].as_f64() > Some(50.0), "{bench}");
        for latency in ["quorum_commit_ms", "all_commit_ms"] {
            let (p50, p99) = (&bench[latency]["p50"], &bench[latency]["p99"]);
            assert!(p50.as_f64() > Some(0.0) && p99.as_f64() >= p50.as_f64(), "{latency}: {bench}");
        }
        assert_eq!(bench["cpu_s"]["nodes"].as_array().map(Vec::len), Some(3), "{bench}");
        assert!(bench["cpu_s"]["client"].as_f64() > Some(0.0), "{bench}");
    }
}

/// Shown by sending them in one write, and by how much sooner they are all done than one after the other.
#[test]
fn a_thousand_requests_of_one_connection_are_in_flight_at_once_and_answered_in_order() {
    let sandbox = Sandbox::start();
    let mut client = sandbox.client(0);
    let begun = Instant::now();
    for key in 0..20 {
        assert_eq!(client.put(&format!("/app/log/{key}"), "alone").expect("the node answers").status, 200);
    }
    let alone = begun.elapsed() / 20;

    let one = |key: u32| format!("PUT /app/log/{key} HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\ntogether");
    let all: String = (0..1_000).map(one).collect();
    let begun = Instant::now();
    client.send_raw(all.as_bytes()).expect("the node takes the bytes");
    let mut last = TxId::default();
    for number in 0..1_000 {
        let answer = client.read_response().expect("the node answers");
        assert_eq!(answer.status, 200, "request {number}: {}", answer.text());
        let txid: TxId = answer.header("synod-txid").expect("a transaction").parse().expect("a transaction id");
        assert!(txid.seqno > last.seqno, "answers come in the order of the requests");
        last = txid;
    }
    let together = begun.elapsed();
    eprintln!("one after the other {alone:?} each; a thousand together {together:?}");
    assert!(together < alone * 200, "{together:?} for a thousand, {alone:?} for one");
}

#[test]
fn http2_streams_of_one_connection_are_served_side_by_side() {
    let sandbox = Sandbox::start();
    let mut node = Command::new("node");
    node.arg("http2-story.mjs").arg(format!("https://{}", sandbox.nodes[0].address));
    for file in ["participants/participant-1.crt", "participants/participant-1.key", "service.crt"] {
        node.arg(sandbox.dir.join(file));
    }
    let story = Finished::from(node.current_dir(npm_tools()).output().expect("node runs")).succeeded();
    let expected = json!({"written": 100, "txids": 100, "read": 100, "refused": [400, "KeyInvalid"]});
    assert_eq!(story.json(), expected);
}

#[test]
fn the_paths_of_a_node_answer_as_the_reference_says() {
    let sandbox = Sandbox::start();
    let mut client = sandbox.client(0);
    let written = client.put("/app/log/1", "hello").expect("the node answers");
    let txid = written.header("synod-txid").expect("a write names its transaction").to_owned();

    let status = client.get("/node/status").expect("the node answers").json();
    for field in ["id", "role", "view", "leader", "last", "committed"] {
        assert!(status.get(field).is_some(), "status lacks {field}: {status}");
    }
    let state = |txid: &str| {
        let answer = sandbox.client(0).get(&format!("/node/tx/{txid}")).expect("the node answers").json();
        answer["status"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(state(&txid), "Committed");
    let id: TxId = txid.parse().expect("a transaction id");
    assert_eq!(state(&format!("{}.{}", id.view.0 + 1, id.seqno)), "Invalid");
    assert_eq!(state(&format!("{}.{}", id.view, id.seqno.0 + 1_000)), "Unknown");

    assert_eq!(client.get(&format!("/node/receipt/{txid}")).expect("the node answers").status, 200);
    let missing = client.get(&format!("/node/receipt/{}.{}", id.view, id.seqno.0 + 1_000)).expect("the node answers");
    assert_eq!((missing.status, missing.error_code().as_str()), (404, "NotCommitted"));

    let metrics = client.get("/node/metrics").expect("the node answers").text();
    for stage in ["queue", "execute", "seal", "sign", "sync", "replicate", "commit"] {
        assert!(metrics.contains(&format!("# TYPE synod_{stage}_seconds histogram")), "no histogram for {stage}");
    }
    assert!(client.get("/node/commit").expect("the node answers").json()["committed"].is_string());
}

#[test]
fn somebody_whom_genesis_does_not_name_is_refused() {
    let sandbox = Sandbox::start();
    for node in &sandbox.nodes {
        for (method, path) in [("PUT", "/app/log/1"), ("GET", "/app/log/1"), ("GET", "/node/status")] {
            // One answer is all that a stranger gets of a connection.
            let mut client = Client::connect(&node.address, &Identity::stranger()).expect("any key may say hello");
            let answer = client.send(method, path, &[], b"").expect("the node answers");
            assert_eq!((answer.status, answer.error_code().as_str()), (403, "NotAuthorized"), "{method} {path}");
        }
    }
}
