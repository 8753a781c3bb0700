//! Bytes that nobody meant: no body, call, query or token makes the adapter panic, and a node that
//! is given one goes on.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod common;

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, TxKind, hex};
use common::token::{self, transfer};
use common::wallet::{self, Wallet};
use common::{EVM, Network};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use synod_worker::{Method, Plan, Then};

/// Changes a few bytes, or cuts the end off.
fn mutated(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let size = valid.len();
    (vec((0..size, any::<u8>()), 0..4), 0..=size.min(3)).prop_map(move |(changes, cut)| {
        let mut bytes = valid.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(size - cut);
        bytes
    })
}

/// A transaction of each type, signed.
fn transactions() -> Vec<Vec<u8>> {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let to = TxKind::Call(bob.address);
    vec![
        alice.envelope(wallet::legacy(0, to, 1, Bytes::new())).encoded_2718(),
        alice.envelope(wallet::eip2930(0, to, 1, transfer(bob.address, 1))).encoded_2718(),
        alice.envelope(wallet::eip1559(0, TxKind::Create, 0, token::creation_code())).encoded_2718(),
        alice.envelope(wallet::eip4844(0, bob.address)).encoded_2718(),
        alice
            .envelope(wallet::eip7702(0, bob.address, vec![bob.authorize(Address::ZERO, 0)], Bytes::new()))
            .encoded_2718(),
    ]
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let methods = [
        (
            "eth_call",
            json!([{"to": Address::ZERO, "data": "0x00", "accessList": [{"address": Address::ZERO, "storageKeys": []}]}, "latest", {}, {}]),
        ),
        ("eth_estimateGas", json!([{"data": "0x6001600155"}])),
        ("eth_getLogs", json!([{"fromBlock": "0x0", "toBlock": "latest", "address": [], "topics": [null, [null]]}])),
        ("eth_getBlockByNumber", json!(["0x0", true])),
        ("eth_feeHistory", json!(["0x4", "latest", [1.5]])),
        ("eth_getTransactionCount", json!([Address::ZERO, "pending"])),
        ("eth_getStorageAt", json!([Address::ZERO, "0x0", {"blockNumber": "0x0"}])),
    ];
    let body = |(method, params): &(&str, serde_json::Value)| {
        json!([{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}]).to_string().into_bytes()
    };
    let bodies: Vec<Vec<u8>> = methods.iter().map(body).collect();
    prop_oneof![vec(any::<u8>(), 0..80), proptest::sample::select(bodies).prop_flat_map(mutated)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_transaction_is_taken_or_refused(raw in proptest::sample::select(transactions()).prop_flat_map(mutated)) {
        let mut network = token::network(&[Wallet::new(1)]);
        let answer = network.rpc("eth_sendRawTransaction", json!([hex::encode_prefixed(&raw)]));
        prop_assert!(answer["result"].is_string() != answer["error"].is_object(), "{}", answer);
        network.result("eth_getBlockByNumber", json!(["latest", true]));

        let mut import = Network::empty();
        import.ok(Method::Put, "past", json!({"chain_id": wallet::CHAIN_ID, "fork": "osaka"}).to_string().as_bytes());
        let header = json!({"number": 1, "timestamp": 1, "gasLimit": 30_000_000, "miner": Address::ZERO});
        import.ok(Method::Post, "past/blocks", header.to_string().as_bytes());
        import.request(Method::Post, "past/transactions", &common::mainnet::rlp_list(&[raw]));
        import.ok(Method::Post, "past/blocks/close", b"");
    }

    #[test]
    fn any_body_is_answered(body in bodies(), path in prop_oneof!["main", "[a-z/]{0,12}", "main/(blocks|transactions|alloc)"]) {
        let mut network = token::network(&[]);
        for method in [Method::Post, Method::Put, Method::Get, Method::Delete] {
            let reply = network.request(method, &path, &body);
            prop_assert!(reply.status < 500, "{}", String::from_utf8_lossy(&reply.body));
        }
        network.result("eth_blockNumber", json!([]));
    }

    #[test]
    fn any_call_query_and_token_is_answered(bytes in vec(any::<u8>(), 0..60), transaction in proptest::sample::select(transactions())) {
        let mut network = token::network(&[]);
        let list = common::mainnet::rlp_list(&[transaction]);
        let Plan::Execute { calls, then: Then::Finish(token) } = network.plan(Method::Post, "main/transactions", &list) else {
            panic!("an import is executed")
        };
        let mut mixed = calls[0].to_vec();
        let cut = mixed.len().min(bytes.len());
        mixed[..cut / 2].copy_from_slice(&bytes[..cut / 2]);
        network.execute(vec![mixed.into(), bytes.clone().into()]);
        let reader = network.worker.reader();
        let (frontend, snapshot) = (reader.frontend(EVM).unwrap(), reader.latest());
        for tag in 0..4u8 {
            let tagged = [&[tag][..], &bytes].concat();
            frontend.read(&snapshot.state, &network.actor, &tagged);
            frontend.finish(&snapshot.state, &network.actor, &tagged, Vec::new());
        }
        frontend.finish(&snapshot.state, &network.actor, &token, Vec::new());
    }
}
