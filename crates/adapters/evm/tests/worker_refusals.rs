//! Calls that the worker refuses by itself, before or after the adapter saw them: their replies are
//! not the adapter's, and the answers made of them still are in the words of each door.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod common;

use alloy_primitives::{Address, Bytes, TxKind, hex};
use common::wallet::{self, Wallet};
use common::{Network, token};
use serde_json::{Value, json};
use synod_worker::{BLOCK_BYTES_FULL, Method, Plan, Reply, Then};

/// Executes the calls of a request behind one that fills the block, and answers with the worker's refusals.
fn behind_a_full_block(network: &mut Network, path: &str, body: &[u8]) -> Reply {
    let Plan::Execute { calls, then: Then::Finish(token) } = network.plan(Method::Post, path, body) else {
        panic!("{path} is executed and finished")
    };
    let filling = bytes::Bytes::from(vec![0xff; BLOCK_BYTES_FULL]);
    let mut replies = network.execute(std::iter::once(filling).chain(calls).collect());
    replies.remove(0);
    assert!(replies.iter().all(|reply| reply.status == 503), "the block is full");
    network.finish(&token, replies)
}

fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

#[test]
fn transactions_and_nonces_that_found_no_room_are_json_rpc_errors_beside_reads_that_succeed() {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut network = token::network(&[alice]);
    let raw = alice.signed(wallet::legacy(0, TxKind::Call(bob.address), 1, Bytes::new()));
    let call =
        |id: u64, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let body = json!([
        call(1, "eth_sendRawTransaction", json!([raw])),
        call(2, "eth_chainId", json!([])),
        call(3, "eth_getTransactionCount", json!([alice.address, "pending"])),
    ]);
    let reply = behind_a_full_block(&mut network, "main", body.to_string().as_bytes());
    let full = json!({"code": -32_005, "message": "the block has no room left, send it again"});
    let expected = json!([
        {"jsonrpc": "2.0", "id": 1, "error": full},
        {"jsonrpc": "2.0", "id": 2, "result": "0x539"},
        {"jsonrpc": "2.0", "id": 3, "error": full},
    ]);
    assert_eq!((reply.status, json_of(&reply)), (200, expected));
    // Nothing was done: the same transaction is taken when it is sent again.
    network.result("eth_sendRawTransaction", json!([raw]));
}

#[test]
fn a_transaction_that_writes_too_much_is_a_json_rpc_error() {
    let alice = Wallet::new(1);
    let network = token::network(&[alice]);
    let raw = alice.signed(wallet::legacy(0, TxKind::Call(Address::ZERO), 1, Bytes::new()));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [raw]}).to_string();
    let Plan::Execute { then: Then::Finish(token), .. } = network.plan(Method::Post, "main", body.as_bytes()) else {
        panic!("a transaction is executed and finished")
    };
    for (status, message) in
        [(413, "the transaction writes more than a block can hold"), (503, "the block has no room left, send it again")]
    {
        let reply = Reply::json(status, r#"{"error":{"code":"X","message":"of the worker","hint":"x"}}"#);
        let answer = json_of(&network.finish(&token, vec![reply]));
        assert_eq!(answer["error"], json!({"code": -32_005, "message": message}));
    }
    // A reply that is missing is an error of this node's, not a hash.
    let answer = json_of(&network.finish(&token, Vec::new()));
    assert_eq!(answer["error"]["code"], -32_000);
}

#[test]
fn an_import_that_found_no_room_answers_with_the_workers_refusal() {
    let alice = Wallet::new(1);
    let mut network = Network::empty();
    network.ok(Method::Put, "past", json!({"chain_id": wallet::CHAIN_ID, "fork": "osaka"}).to_string().as_bytes());
    let header = json!({"number": 1, "timestamp": 1, "gasLimit": 30_000_000, "miner": Address::ZERO});
    network.ok(Method::Post, "past/blocks", header.to_string().as_bytes());
    let raw = hex::decode(alice.signed(wallet::legacy(0, TxKind::Call(Address::ZERO), 0, Bytes::new()))).unwrap();
    let body = common::mainnet::rlp_list(&[raw]);
    let reply = behind_a_full_block(&mut network, "past/transactions", &body);
    assert_eq!((reply.status, &json_of(&reply)["error"]["code"]), (503, &json!("BlockFull")));
}
