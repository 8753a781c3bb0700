//! Settings that members change: later forks, other limits, more instances; and what stays as it began.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod common;

use alloy_primitives::{Address, Bytes, TxKind, hex};
use common::Network;
use common::wallet::{CHAIN_ID, Wallet, legacy};
use serde_json::{Value, json};
use synod_worker::Method;

/// The instance `main` with these settings besides.
fn main(more: Value) -> Value {
    let mut live = json!({"name": "main", "chain_id": CHAIN_ID, "alloc": {}});
    live.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    live
}

fn settings(instances: &[Value]) -> Value {
    json!({ "instances": instances })
}

/// PUSH1 1, CLZ (EIP-7939, Osaka), PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN: as creation code it leaves 255 as the code.
fn count_leading_zeros() -> Bytes {
    hex::decode("60011e5f5260205ff3").unwrap().into()
}

/// Sends a transaction of `from`; whether it succeeded, and in which block it is.
fn send(network: &mut Network, raw: String) -> (bool, String) {
    let hash = network.result("eth_sendRawTransaction", json!([raw]));
    let receipt = network.result("eth_getTransactionReceipt", json!([hash]));
    (receipt["status"] == "0x1", receipt["blockNumber"].as_str().unwrap().to_owned())
}

#[test]
fn a_later_fork_is_in_force_from_the_next_block_on_and_earlier_blocks_keep_theirs() {
    let alice = Wallet::new(1);
    let mut network = Network::new(&settings(&[main(json!({"fork": "cancun"}))]));
    let create = |nonce| alice.send(nonce, TxKind::Create, 0, count_leading_zeros());
    let ask = json!([{"data": hex::encode_prefixed(count_leading_zeros())}, "latest"]);
    assert_eq!(send(&mut network, create(0)), (false, "0x1".into()));
    assert!(network.error("eth_call", ask.clone()).1.contains("invalid opcode"));
    let first = network.result("eth_getBlockByNumber", json!(["0x1", false]));
    assert!(first.get("requestsHash").is_none_or(Value::is_null));

    assert_eq!(network.configure(&settings(&[main(json!({"fork": "prague"}))])), Ok(()));
    assert_eq!(network.configure(&settings(&[main(json!({"fork": "osaka"}))])), Ok(()));
    assert!(network.result("eth_call", ask.clone()).as_str().unwrap().ends_with("ff"), "what a transaction would do");
    assert_eq!(send(&mut network, create(1)), (true, "0x2".into()));
    assert!(network.result("eth_call", ask).as_str().unwrap().ends_with("ff"));
    let second = network.result("eth_getBlockByNumber", json!(["0x2", false]));
    assert!(second["requestsHash"].is_string());
    assert_eq!(network.result("eth_getBlockByNumber", json!(["0x1", false])), first);

    let back = network.configure(&settings(&[main(json!({"fork": "prague"}))])).unwrap_err();
    assert_eq!(back, "instance main cannot go back from fork osaka to prague");
    assert_eq!(send(&mut network, create(2)), (true, "0x3".into()));
}

#[test]
fn limits_are_raised_and_lowered() {
    let alice = Wallet::new(1);
    let mut network = Network::new(&settings(&[main(json!({"gas_limit": 100_000, "code_size_max": 16}))]));
    let plain = |nonce, gas_limit| {
        let to = TxKind::Call(Address::repeat_byte(9));
        alice.signed(alloy_consensus::TxLegacy { gas_limit, ..legacy(nonce, to, 0, Bytes::new()) })
    };
    let refused = |network: &mut Network, raw: String| network.error("eth_sendRawTransaction", json!([raw])).1;
    assert!(refused(&mut network, plain(0, 100_001)).contains("exceeds block gas limit"));
    // Code of 32 bytes is more than 16.
    let deploy = |nonce| {
        let code = hex::decode("60205ff3").unwrap();
        alice.signed(alloy_consensus::TxLegacy { gas_limit: 90_000, ..legacy(nonce, TxKind::Create, 0, code.into()) })
    };
    assert_eq!(send(&mut network, deploy(0)), (false, "0x1".into()));

    let raised = main(json!({"gas_limit": 200_000, "block_gas_limit": 1_000_000, "code_size_max": 32}));
    assert_eq!(network.configure(&settings(std::slice::from_ref(&raised))), Ok(()));
    assert_eq!(send(&mut network, plain(1, 200_000)), (true, "0x2".into()));
    assert_eq!(send(&mut network, deploy(2)), (true, "0x3".into()));
    let limit = |network: &mut Network, number| {
        network.result("eth_getBlockByNumber", json!([number, false]))["gasLimit"].clone()
    };
    assert_eq!((limit(&mut network, "0x1"), limit(&mut network, "0x2")), (json!("0x1fffffffffffff"), json!("0xf4240")));
    assert!(refused(&mut network, plain(3, 200_001)).contains("exceeds block gas limit"));

    assert_eq!(network.configure(&settings(&[main(json!({"gas_limit": 50_000}))])), Ok(()));
    assert!(refused(&mut network, plain(3, 50_001)).contains("exceeds block gas limit"));
}

#[test]
fn instances_are_added_with_an_allocation_of_their_own() {
    let alice = Wallet::new(1);
    let mut network = Network::new(&settings(&[main(json!({}))]));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).to_string();
    let second = json!({"name": "second", "chain_id": 4242, "timestamp": 7,
        "alloc": {alice.address.to_string(): {"balance": "0x2a"}}});
    assert_eq!(network.refused(Method::Post, "second", body.as_bytes()).1, "InstanceUnknown");
    assert_eq!(network.configure(&settings(&[main(json!({})), second.clone()])), Ok(()));
    assert_eq!(network.ok(Method::Post, "second", body.as_bytes())["result"], "0x1092");
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": [alice.address, "latest"]});
    assert_eq!(network.ok(Method::Post, "second", body.to_string().as_bytes())["result"], "0x2a");
    assert_eq!(network.result("eth_chainId", json!([])), format!("{CHAIN_ID:#x}"));
    // The one that was added is from now on as those of genesis are.
    let other = json!({"name": "second", "chain_id": 4242, "timestamp": 7});
    let refused = network.configure(&settings(&[main(json!({})), other])).unwrap_err();
    assert_eq!(refused, "instance second exists, so that alloc cannot change");
    assert_eq!(network.configure(&settings(&[main(json!({"gas_limit": 1_000_000})), second])), Ok(()));
}

#[test]
fn more_instances_than_a_network_may_have_are_refused_before_any_is_made() {
    let mut network = Network::new(&settings(&[main(json!({}))]));
    let instances = |count: u64| {
        let more = (1..count).map(|n| json!({"name": format!("n{n}"), "chain_id": CHAIN_ID + n, "alloc": {}}));
        settings(&[main(json!({}))].into_iter().chain(more).collect::<Vec<_>>())
    };
    assert_eq!(network.configure(&instances(65)), Err("65 instances: a network has 64 at most".into()));
    assert_eq!(network.configure(&instances(64)), Ok(()));
}

#[test]
fn how_an_instance_began_stays_and_every_reason_is_told() {
    let mut network = Network::new(&settings(&[main(json!({})), json!({"name": "b", "chain_id": 2})]));
    let before = network.worker.layers().tip().clone();
    let historic = json!({"chain_id": 1, "alloc": {}}).to_string();
    network.ok(Method::Put, "old", historic.as_bytes());
    let rows = [
        (json!({"instances": 7}), "invalid type"),
        (settings(&[main(json!({})), main(json!({}))]), "instance main is named twice"),
        (
            settings(&[main(json!({})), json!({"name": "b", "chain_id": CHAIN_ID})]),
            "instances main and b have one chain id",
        ),
        (settings(&[main(json!({"chain_id": 3})), json!({"name": "b", "chain_id": 2})]), "that chain_id cannot change"),
        (
            settings(&[main(json!({"timestamp": 9, "predeploys": false})), json!({"name": "b", "chain_id": 2})]),
            "instance main exists, so that timestamp, predeploys cannot change",
        ),
        (
            settings(&[main(json!({"fork": "cancun"}))]),
            "instance main cannot go back from fork prague to cancun; instance b is left out, and instances stay",
        ),
        (
            settings(&[main(json!({})), json!({"name": "b", "chain_id": 2}), json!({"name": "old", "chain_id": 3})]),
            "there is an instance old already",
        ),
        (
            settings(&[main(json!({"gas_limit": 3_000_000_000u64})), json!({"name": "b", "chain_id": 2})]),
            "gas_limit is at most",
        ),
    ];
    for (other, reason) in rows {
        let refused = network.configure(&other).unwrap_err();
        assert!(refused.contains(reason), "{other}: {refused}");
    }
    let state = network.worker.layers().tip();
    for map in before.maps().filter(|map| map.as_str() != "worker.settings" && map.as_str() != "evm.instances") {
        assert_eq!(state.len(map), before.len(map), "{map}");
    }
    assert_eq!(network.result("eth_chainId", json!([])), format!("{CHAIN_ID:#x}"));
}
