//! Whatever a client or a stranger sends is answered with its documented error, or the connection is closed; a
//! well-behaved client beside it is served on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;
use synod_e2e::{Client, Identity, Sandbox, Tls, status};

#[test]
fn malformed_http_gets_its_documented_error_and_others_are_served_on() {
    let sandbox = Sandbox::start();
    let beside = Beside::start(&sandbox);
    let long_path = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(20_000));
    let many_headers = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (request, expected) in [
        ("nonsense\r\n\r\n", (400, "MalformedRequest")),
        ("\u{16}\u{3}\u{1}\u{2}\0\r\n\r\n", (400, "MalformedRequest")),
        ("GET /node/status HTTP/1.1\r\n\r\n", (400, "MalformedRequest")),
        (
            "PUT /app/log/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            (400, "MalformedRequest"),
        ),
        (
            "PUT /app/log/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            (400, "MalformedRequest"),
        ),
        (
            "PUT /app/log/1 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
            (400, "MalformedRequest"),
        ),
        ("PUT /app/log/1 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", (501, "TransferEncodingNotServed")),
        ("PUT /app/log/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n", (413, "BodyTooLarge")),
        ("PUT /app/log/1 HTTP/1.1\r\nhost: a\r\nexpect: a miracle\r\n\r\n", (417, "ExpectationFailed")),
        ("BREW /node/status HTTP/1.1\r\nhost: a\r\n\r\n", (405, "MethodNotAllowed")),
        ("GET /node/status HTTP/1.1\r\nhost: a\r\nsynod-at-least: 2\r\n\r\n", (400, "HeaderNotValid")),
        (
            "PUT /app/log/1 HTTP/1.1\r\nhost: a\r\nsynod-request-id: 00\r\ncontent-length: 0\r\n\r\n",
            (400, "HeaderNotValid"),
        ),
        ("GET /app/nothing/1 HTTP/1.1\r\nhost: a\r\n\r\n", (404, "NoSuchAdapter")),
        ("GET /app/log/nine HTTP/1.1\r\nhost: a\r\n\r\n", (400, "KeyInvalid")),
        ("GET /app/log/18446744073709551616 HTTP/1.1\r\nhost: a\r\n\r\n", (400, "KeyInvalid")),
        ("GET /app/log/12345 HTTP/1.1\r\nhost: a\r\n\r\n", (404, "KeyNotFound")),
        ("DELETE /app/log/1 HTTP/1.1\r\nhost: a\r\n\r\n", (405, "MethodNotAllowed")),
        (&long_path, (431, "HeadTooLarge")),
        (&many_headers, (431, "HeadTooLarge")),
    ] {
        let mut client = sandbox.client(0);
        client.send_raw(request.as_bytes()).expect("the node takes the bytes");
        let answer = client.read_response().unwrap_or_else(|error| panic!("{request:?}: {error}"));
        let code = answer.error_code();
        assert_eq!(
            (answer.status, code.as_str()),
            expected,
            "{:?}: {}",
            &request[..request.len().min(80)],
            answer.text()
        );
        assert!(answer.json()["error"]["hint"].is_string(), "an error ends with a hint: {}", answer.text());
    }
    let mut client = sandbox.client(1);
    let too_large = client.put("/app/log/1", vec![b'x'; 65_537]).expect("the node answers");
    assert_eq!((too_large.status, too_large.error_code().as_str()), (413, "MessageTooLarge"));
    assert_eq!(client.put("/app/log/1", vec![b'x'; 65_536]).expect("the connection goes on").status, 200);
    beside.stop(&sandbox);
}

#[test]
fn malformed_json_rlp_and_batches_get_ethereums_errors_and_others_are_served_on() {
    let sandbox = Sandbox::start();
    let beside = Beside::start(&sandbox);
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_parameters = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": null}).to_string();
    let deep_parameters = deep_parameters.replace("null", &nested);
    let large_batch = format!("[{}]", vec![call("eth_chainId", json!([])); 1_001].join(","));
    let blob = format!("0x03{}", "c0".repeat(20));
    for (body, code) in [
        ("".to_owned(), -32700),
        ("{".to_owned(), -32700),
        ("\u{0}\u{1}".to_owned(), -32700),
        (nested, -32600),
        (deep_parameters, -32602),
        ("[]".to_owned(), -32600),
        ("7".to_owned(), -32600),
        (large_batch, -32600),
        (call("eth_noSuchMethod", json!([])), -32601),
        (call("eth_getBalance", json!(["0x12"])), -32602),
        (call("eth_getBlockByNumber", json!(["-1", false])), -32602),
        (call("eth_sendRawTransaction", json!([])), -32602),
        (call("eth_sendRawTransaction", json!(["0x"])), -32602),
        (call("eth_sendRawTransaction", json!(["0xzz"])), -32602),
        (call("eth_sendRawTransaction", json!(["0xff"])), -32602),
        (call("eth_sendRawTransaction", json!([format!("0xf8ff{}", "80".repeat(8))])), -32602),
        (call("eth_sendRawTransaction", json!([blob])), -32003),
        (
            call("eth_call", json!([{"to": "0x0000000000000000000000000000000000000001", "gas": "-1"}, "latest"])),
            -32602,
        ),
    ] {
        let mut client = sandbox.client(0);
        let answer = client.post("/app/evm/main", &body).expect("the node answers");
        let shown = &body[..body.len().min(100)];
        assert_eq!(answer.status, 200, "{shown}: {}", answer.text());
        // A batch of one is answered by a batch of one.
        let all = answer.json();
        let one = if all.is_array() { &all[0] } else { &all };
        assert_eq!(one["error"]["code"], code, "{shown}: {}", answer.text());
        assert_eq!(one["jsonrpc"], "2.0");
    }
    let mixed = format!("[{},{}]", call("eth_chainId", json!([])), call("eth_sendRawTransaction", json!(["0x00"])));
    let answers = sandbox.client(2).post("/app/evm/main", mixed).expect("the node answers").json();
    assert!(answers[0]["result"].is_string(), "a good call beside a bad one in a batch is done: {answers}");
    assert!(answers[1]["error"].is_object(), "{answers}");
    beside.stop(&sandbox);
}

#[test]
fn strangers_and_malformed_tls_are_closed_and_others_are_served_on() {
    let sandbox = Sandbox::start();
    let beside = Beside::start(&sandbox);
    let peer_door = peer_address(&sandbox);
    let noise: Vec<u8> = (0..4_096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for door in [&sandbox.nodes[0].address, &peer_door] {
        let hello = [&b"\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03"[..], &noise[..256]].concat();
        let oversized = [&b"\x16\x03\x01\xff\xff"[..], &noise].concat();
        for bytes in [&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], &noise, &hello, &oversized, &[0; 64]] {
            assert_closed(door, bytes);
        }
    }
    let nobody = Tls::connect(&sandbox.nodes[0].address, None, &[b"http/1.1"]).and_then(|mut tls| {
        tls.write_all(b"GET /node/status HTTP/1.1\r\nhost: a\r\n\r\n")?;
        let mut answer = [0; 1];
        tls.read_exact(&mut answer)
    });
    assert!(nobody.is_err(), "a client without a certificate is not served");
    let participant = Tls::connect(&peer_door, Some(&sandbox.identity), &[b"synod-peer/1"]).and_then(|mut tls| {
        tls.write_all(&noise)?;
        let mut answer = [0; 1];
        tls.read_exact(&mut answer)
    });
    assert!(participant.is_err(), "a participant is no node");

    // HTTP/2 is agreed upon, then spoken badly.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for frames in [&noise[..], &[0xff; 64], b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x07"] {
        let mut tls = sandbox.tls(0, &[b"h2"]).expect("a participant may speak HTTP/2");
        let _ = tls.write_all(preface).and_then(|()| tls.write_all(frames)).and_then(|()| tls.flush());
        let said = tls.read_rest();
        assert!(said.len() < 4_096, "the connection is closed after a few frames");
    }
    beside.stop(&sandbox);
}

#[test]
fn a_thousand_idle_connections_leave_room_for_others() {
    let sandbox = Sandbox::start();
    let beside = Beside::start(&sandbox);
    let door = &sandbox.nodes[0].address;
    let silent: Vec<_> = (0..800).map(|_| TcpStream::connect(door).expect("the node accepts")).collect();
    let shaken: Vec<_> = (0..150).map(|_| sandbox.tls(0, &[b"http/1.1"]).expect("the node shakes hands")).collect();
    let half: Vec<_> = (0..50)
        .map(|_| {
            let mut client = sandbox.client(0);
            client.send_raw(b"PUT /app/log/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf").expect("sent");
            client
        })
        .collect();
    let mut client = sandbox.client(0);
    for key in 0..20 {
        assert_eq!(client.put(&format!("/app/log/{}", 500_000 + key), "served").expect("the node answers").status, 200);
    }
    assert_eq!(silent.len() + shaken.len() + half.len(), 1_000);
    beside.stop(&sandbox);
}

/// A client that behaves, on a thread of its own: it writes and reads its own writes on every node in turn.
struct Beside {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
    pids: Vec<Option<u32>>,
}

impl Beside {
    fn start(sandbox: &Sandbox) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, nodes, identity) = (Arc::clone(&stop), sandbox.nodes.clone(), sandbox.identity.clone());
        let connect = |address: &str, identity: &Identity| Client::connect(address, identity).expect("connected");
        let mut clients: Vec<_> = nodes.iter().map(|node| connect(&node.address, &identity)).collect();
        let thread = thread::spawn(move || {
            let mut served = 0;
            while !flag.load(Ordering::SeqCst) {
                for client in &mut clients {
                    let begun = Instant::now();
                    let path = format!("/app/log/{}", 1_000_000 + served);
                    assert_eq!(client.put(&path, "well-behaved").expect("the node answers").status, 200);
                    assert_eq!(client.get(&path).expect("the node answers").text(), "well-behaved");
                    assert!(begun.elapsed() < SERVED_WITHIN, "served only after {:?}", begun.elapsed());
                    served += 1;
                }
            }
            served
        });
        Self { stop, thread, pids: pids(sandbox) }
    }

    /// Asserts that the client was served all the time, and that no node had to be started again.
    fn stop(self, sandbox: &Sandbox) {
        self.stop.store(true, Ordering::SeqCst);
        let served = self.thread.join().expect("the well-behaved client was served all the time");
        assert!(served > 0);
        assert_eq!(pids(sandbox), self.pids, "no node stopped");
    }
}

fn pids(sandbox: &Sandbox) -> Vec<Option<u32>> {
    status(sandbox).iter().map(|node| node.pid).collect()
}

/// Sends bytes without TLS and asserts that the node closes, at the latest when nothing more comes.
fn assert_closed(door: &str, bytes: &[u8]) {
    let mut socket = TcpStream::connect(door).expect("the node accepts");
    socket.set_read_timeout(Some(CLOSED_WITHIN)).expect("a timeout can be set");
    let _ = socket.write_all(bytes).and_then(|()| socket.shutdown(std::net::Shutdown::Write));
    let mut answer = Vec::new();
    match socket.take(64 << 10).read_to_end(&mut answer) {
        Ok(size) => assert!(size < 64, "no more than an alert comes back: {size} bytes"),
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{door} after {} bytes", bytes.len())
        }
    }
}

/// Where node 1 listens for the other nodes, by its `node.toml`.
fn peer_address(sandbox: &Sandbox) -> String {
    let config = std::fs::read_to_string(sandbox.nodes[0].dir.join("node.toml")).expect("a node has a node.toml");
    let line = config.lines().find_map(|line| line.strip_prefix("peer_address")).expect("it names the peer door");
    line.trim_start_matches([' ', '=']).trim_matches('"').to_owned()
}

fn call(method: &str, params: serde_json::Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

/// What "served on" means: a write and a read, on a machine that is busy with the bad input.
const SERVED_WITHIN: Duration = Duration::from_secs(2);

/// How long a stranger may stay connected once it has nothing more to say.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
