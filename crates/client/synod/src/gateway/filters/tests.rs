//! Filters between raw JSON-RPC and a node in miniature that has one log in each block.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::super::tests::{ask, start};
use crate::test_server::{Deed, Seen, Server, World};

/// A gateway before a node, and a connection to the gateway.
struct Scene {
    node: Server,
    head: Arc<AtomicU64>,
    stream: TcpStream,
}

impl Scene {
    /// The node answers with at most `logs_max` logs, and refuses what needs more.
    async fn new(logs_max: u64) -> Self {
        let world = World::new();
        let head = Arc::new(AtomicU64::new(7));
        let chain = Arc::clone(&head);
        let node = Server::start(&world, move |seen| answer(seen, chain.load(Ordering::Relaxed), logs_max)).await;
        let stream = TcpStream::connect(start(world.network(&[&node])).await).await.unwrap();
        Self { node, head, stream }
    }

    fn grow(&self, blocks: u64) {
        self.head.fetch_add(blocks, Ordering::Relaxed);
    }

    async fn post(&mut self, body: &Value) -> String {
        ask(&mut self.stream, "POST", "", body.to_string().as_bytes()).await.body
    }

    async fn rpc(&mut self, method: &str, params: Value) -> Value {
        serde_json::from_str(&self.post(&request(1, method, params)).await).unwrap()
    }

    async fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.rpc(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    async fn error(&mut self, method: &str, params: Value) -> (i64, String) {
        let answer = self.rpc(method, params).await;
        let error = &answer["error"];
        (error["code"].as_i64().unwrap_or_else(|| panic!("{answer}")), error["message"].as_str().unwrap().to_owned())
    }

    /// The blocks whose logs have come since the last time.
    async fn changes(&mut self, filter: &Value) -> Vec<u64> {
        let result = self.result("eth_getFilterChanges", json!([filter])).await;
        result.as_array().unwrap().iter().map(|log| log["block"].as_u64().unwrap()).collect()
    }
}

fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// What the node answers when its last block is `head`.
fn answer(seen: &Seen, head: u64, logs_max: u64) -> Deed {
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    let one = |request: &Value| {
        let mut answer = json!({"jsonrpc": "2.0", "id": request["id"]});
        match member(request, head, logs_max) {
            Ok(result) => answer["result"] = result,
            Err((code, message)) => answer["error"] = json!({"code": code, "message": message}),
        }
        answer
    };
    let answers = match &body {
        Value::Array(requests) => {
            Value::Array(requests.iter().filter(|one| one.get("id").is_some()).map(one).collect())
        }
        request => one(request),
    };
    Deed::Answer(200, "", answers.to_string().into_bytes())
}

fn member(request: &Value, head: u64, logs_max: u64) -> Result<Value, (i64, &'static str)> {
    let number = |value: &Value| super::quantity(value.as_str().unwrap()).unwrap_or(head);
    match request["method"].as_str().unwrap() {
        "eth_blockNumber" => Ok(json!(format!("{head:#x}"))),
        "eth_getBlockByNumber" => Ok(json!({"hash": format!("hash {}", number(&request["params"][0]))})),
        "eth_getLogs" => {
            let filter = &request["params"][0];
            if filter["address"] == "bad" {
                return Err((-32_602, "invalid argument 0"));
            }
            let (from, to) = (number(&filter["fromBlock"]), number(&filter["toBlock"]));
            if from > to || to > head {
                return Err((-32_602, "invalid block range params"));
            }
            if to - from + 1 > logs_max {
                return Err((-32_005, "query returned more than can be"));
            }
            let log = |block| json!({"block": block, "address": filter["address"]});
            Ok((from..=to).map(log).collect())
        }
        _ => Err((-32_601, "the method does not exist/is not available")),
    }
}

#[tokio::test]
async fn changes_are_the_logs_since_the_last_time_each_told_once() {
    let mut scene = Scene::new(100).await;
    let filter = scene.result("eth_newFilter", json!([{"address": "a", "fromBlock": "0x0"}])).await;
    assert!(scene.changes(&filter).await.is_empty(), "what is older than the filter is not new");
    scene.grow(2);
    assert_eq!(scene.changes(&filter).await, [8, 9]);
    assert!(scene.changes(&filter).await.is_empty());
    scene.grow(1);
    let changes = scene.result("eth_getFilterChanges", json!([filter])).await;
    assert_eq!(changes, json!([{"block": 10, "address": "a"}]), "the conditions go along");
    let all = scene.result("eth_getFilterLogs", json!([filter])).await;
    assert_eq!(all.as_array().unwrap().len(), 11, "from block 0 to the last");
    assert!(scene.changes(&filter).await.is_empty());
}

#[tokio::test]
async fn a_filter_keeps_to_its_range() {
    let mut scene = Scene::new(100).await;
    let filter = scene.result("eth_newFilter", json!([{"fromBlock": "0x9", "toBlock": "0xa"}])).await;
    assert_eq!(scene.result("eth_getFilterLogs", json!([filter])).await, json!([]), "no block of it is there yet");
    scene.grow(1);
    assert!(scene.changes(&filter).await.is_empty());
    scene.grow(8);
    assert_eq!(scene.changes(&filter).await, [9, 10]);
    assert!(scene.changes(&filter).await.is_empty());
    assert_eq!(scene.result("eth_getFilterLogs", json!([filter])).await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn more_logs_than_one_answer_holds_are_told_one_part_after_the_other() {
    let mut scene = Scene::new(3).await;
    let filter = scene.result("eth_newFilter", json!([{}])).await;
    scene.grow(10);
    let mut told = Vec::new();
    for _ in 0..10 {
        told.extend(scene.changes(&filter).await);
    }
    assert_eq!(told, (8..=17).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_block_that_holds_too_many_logs_is_an_error_once_and_the_filter_goes_on() {
    let mut scene = Scene::new(0).await;
    let filter = scene.result("eth_newFilter", json!([{}])).await;
    scene.grow(1);
    let (code, message) = scene.error("eth_getFilterChanges", json!([filter])).await;
    assert_eq!((code, message.split(':').next().unwrap()), (-32_005, "block 8 holds more logs than one answer"));
    assert!(scene.changes(&filter).await.is_empty());
}

#[tokio::test]
async fn a_block_filter_tells_the_hash_of_each_new_block() {
    let mut scene = Scene::new(100).await;
    let filter = scene.result("eth_newBlockFilter", json!([])).await;
    let changes = async |scene: &mut Scene| scene.result("eth_getFilterChanges", json!([filter])).await;
    assert_eq!(changes(&mut scene).await, json!([]));
    scene.grow(2);
    assert_eq!(changes(&mut scene).await, json!(["hash 8", "hash 9"]));
    scene.grow(10_500);
    assert_eq!(changes(&mut scene).await.as_array().unwrap().len(), 10_000);
    let rest = changes(&mut scene).await;
    assert_eq!((rest.as_array().unwrap().len(), &rest[0]), (500, &json!("hash 10010")));
    assert_eq!(scene.error("eth_getFilterLogs", json!([filter])).await, (-32_000, "filter not found".into()));
}

#[tokio::test]
async fn a_filter_over_pending_transactions_has_nothing_to_tell() {
    let mut scene = Scene::new(100).await;
    let filter = scene.result("eth_newPendingTransactionFilter", json!([])).await;
    scene.grow(2);
    assert_eq!(scene.result("eth_getFilterChanges", json!([filter])).await, json!([]));
}

#[tokio::test]
async fn an_uninstalled_filter_is_gone_and_filters_are_told_apart() {
    let mut scene = Scene::new(100).await;
    let one = scene.result("eth_newFilter", json!([{}])).await;
    let two = scene.result("eth_newFilter", json!([{}])).await;
    assert_ne!(one, two);
    scene.grow(1);
    assert_eq!(scene.changes(&one).await, [8]);
    assert_eq!(scene.result("eth_uninstallFilter", json!([one])).await, json!(true));
    assert_eq!(scene.result("eth_uninstallFilter", json!([one])).await, json!(false));
    assert_eq!(scene.error("eth_getFilterChanges", json!([one])).await, (-32_000, "filter not found".into()));
    assert_eq!(scene.changes(&two).await, [8]);
}

#[tokio::test]
async fn what_is_no_filter_is_refused_when_it_is_installed() {
    let mut scene = Scene::new(100).await;
    let hash = format!("0x{}", "0".repeat(64));
    for (method, params, message) in [
        ("eth_newFilter", json!([]), "missing value for required argument 0"),
        ("eth_newFilter", json!({}), "non-array args"),
        ("eth_newFilter", json!(["x"]), "invalid argument 0: "),
        ("eth_newFilter", json!([{"fromBlock": "x"}]), "invalid argument 0: \"x\" is no block"),
        ("eth_newFilter", json!([{"fromBlock": "0x2", "toBlock": "0x1"}]), "invalid block range params"),
        ("eth_newFilter", json!([{"blockHash": hash}]), "a filter tells of new blocks"),
        ("eth_newFilter", json!([{"address": "bad"}]), "invalid argument 0"),
        ("eth_getFilterChanges", json!([]), "missing value for required argument 0"),
        ("eth_getFilterChanges", json!([1]), "invalid argument 0: "),
        ("eth_uninstallFilter", json!([null]), "missing value for required argument 0"),
    ] {
        let (code, found) = scene.error(method, params).await;
        assert!(code == -32_602 && found.starts_with(message), "{method}: {code} {found:?}");
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_order_by_whoever_knows_and_filters_see_what_it_did() {
    let mut scene = Scene::new(100).await;
    let filter = scene.result("eth_newFilter", json!([{}])).await;
    scene.grow(1);
    let before = scene.node.seen().len();
    let body = json!([
        request(1, "eth_getFilterChanges", json!([filter])),
        request(2, "eth_blockNumber", json!([])),
        {"jsonrpc": "2.0", "method": "eth_blockNumber"},
        {"jsonrpc": "2.0", "method": "eth_newBlockFilter"},
        request(3, "eth_getFilterChanges", json!(["0x1"])),
        request(4, "eth_unknown", json!([])),
    ]);
    let answer: Value = serde_json::from_str(&scene.post(&body).await).unwrap();
    let ids: Vec<_> = answer.as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    assert_eq!((&answer[0]["result"][0]["block"], &answer[1]["result"]), (&json!(8), &json!("0x8")));
    assert_eq!((&answer[2]["error"]["code"], &answer[3]["error"]["code"]), (&json!(-32_000), &json!(-32_601)));
    let first: Value = serde_json::from_slice(&scene.node.seen()[before].body).unwrap();
    assert_eq!(first.as_array().unwrap().len(), 3, "what is the nodes' goes to them first and together: {first}");

    let silent = json!([{"jsonrpc": "2.0", "method": "eth_getFilterChanges", "params": [filter]}]);
    assert_eq!(scene.post(&silent).await, "", "notifications alone have no answer");
    let single = json!([request(9, "eth_uninstallFilter", json!([filter]))]);
    assert!(scene.post(&single).await.starts_with('['), "a batch of one is answered as a batch");
}

#[tokio::test]
async fn a_node_that_refuses_is_an_error_and_nothing_is_lost() {
    let world = World::new();
    let head = Arc::new(AtomicU64::new(1));
    let chain = Arc::clone(&head);
    let refuses = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now = Arc::clone(&refuses);
    let node = Server::start(&world, move |seen| {
        if now.load(Ordering::Relaxed) {
            return Deed::Answer(403, "", br#"{"error":{"code":"NotAuthorized","message":"unknown"}}"#.to_vec());
        }
        answer(seen, chain.load(Ordering::Relaxed), 100)
    })
    .await;
    let stream = TcpStream::connect(start(world.network(&[&node])).await).await.unwrap();
    let mut scene = Scene { node, head, stream };
    let logs = scene.result("eth_newFilter", json!([{}])).await;
    let blocks = scene.result("eth_newBlockFilter", json!([])).await;
    scene.grow(1);
    refuses.store(true, Ordering::Relaxed);
    for filter in [&logs, &blocks] {
        assert_eq!(scene.error("eth_getFilterChanges", json!([filter])).await.0, -32_001);
    }
    assert_eq!(scene.error("eth_newFilter", json!([{}])).await.0, -32_001);
    let body = json!([request(1, "eth_getFilterChanges", json!([logs])), request(2, "eth_chainId", json!([]))]);
    let answer: Value = serde_json::from_str(&scene.post(&body).await).unwrap();
    for (place, id) in [(0, 1), (1, 2)] {
        assert_eq!((&answer[place]["id"], &answer[place]["error"]["code"]), (&json!(id), &json!(-32_001)), "{answer}");
    }
    refuses.store(false, Ordering::Relaxed);
    assert_eq!(scene.changes(&logs).await, [2]);
    assert_eq!(scene.result("eth_getFilterChanges", json!([blocks])).await, json!(["hash 2"]));
}
