//! Importing blocks of another chain: who may, when, and what is refused.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod common;

use alloy_consensus::{TxEip1559, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use common::Network;
use common::mainnet::rlp_list;
use common::wallet::{self, CHAIN_ID, Wallet};
use serde_json::{Value, json};
use synod_types::ActorId;
use synod_worker::Method::{Get, Post, Put};

const ETHER: u128 = 1_000_000_000_000_000_000;

fn header(number: u64) -> Value {
    json!({
        "number": number, "timestamp": 1_000, "gasLimit": "0x1c9c380", "baseFeePerGas": "0x7",
        "miner": Address::repeat_byte(0xaa), "mixHash": B256::ZERO, "parentHash": B256::repeat_byte(1),
        "withdrawals": [{"index": "0x1", "validatorIndex": "0x2", "address": Address::repeat_byte(0xbb), "amount": "0x3"}],
    })
}

fn create(alice: &Wallet) -> String {
    let balance = ETHER.to_string();
    json!({"chain_id": CHAIN_ID, "fork": "shanghai", "alloc": {alice.address.to_string(): {"balance": balance}}})
        .to_string()
}

fn raw(alice: &Wallet, nonce: u64) -> Vec<u8> {
    let tx = wallet::eip1559(nonce, TxKind::Call(Address::repeat_byte(5)), 9, Bytes::new());
    let tx = TxEip1559 { max_fee_per_gas: 100, max_priority_fee_per_gas: 2, gas_limit: 21_000, ..tx };
    alice.envelope(tx).encoded_2718()
}

fn balance(network: &mut Network, account: Address) -> u128 {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": [account]});
    let answer = network.ok(Post, "past", body.to_string().as_bytes());
    answer["result"].as_str().unwrap().parse::<U256>().unwrap().to()
}

#[test]
fn an_imported_block_charges_fees_and_pays_tips_and_withdrawals() {
    let alice = Wallet::new(1);
    let mut network = Network::empty();
    network.ok(Put, "past", create(&alice).as_bytes());
    network.ok(Post, "past/blocks", header(7).to_string().as_bytes());
    network.ok(Post, "past/transactions", &rlp_list(&[raw(&alice, 0), raw(&alice, 1)]));
    let closed = network.ok(Post, "past/blocks/close", b"");
    assert_eq!(
        (&closed["number"], &closed["transactions"], &closed["gasUsed"]),
        (&json!("0x7"), &json!("0x2"), &json!("0xa410"))
    );

    // The price is the base fee of 7 and a tip of 2; the base fee is burned.
    assert_eq!(balance(&mut network, alice.address), ETHER - 2 * (9 + 21_000 * 9));
    assert_eq!(balance(&mut network, Address::repeat_byte(0xaa)), 2 * 21_000 * 2);
    assert_eq!(balance(&mut network, Address::repeat_byte(0xbb)), 3_000_000_000);
    assert_eq!(balance(&mut network, Address::repeat_byte(5)), 18);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockReceipts", "params": ["latest"]});
    let receipts = network.ok(Post, "past", body.to_string().as_bytes());
    assert_eq!(receipts["result"][1]["effectiveGasPrice"], "0x9");
    assert_eq!(receipts["result"][1]["cumulativeGasUsed"], "0xa410");
}

/// A block before Byzantium, mined as an uncle of number 10.
fn uncle(number: u64, miner: u8) -> (alloy_consensus::Header, Value) {
    let header = alloy_consensus::Header {
        number,
        timestamp: 900,
        gas_limit: 30_000_000,
        gas_used: 21_000,
        beneficiary: Address::repeat_byte(miner),
        difficulty: U256::from(5),
        transactions_root: B256::repeat_byte(6),
        logs_bloom: alloy_primitives::Bloom::repeat_byte(7),
        ..Default::default()
    };
    let json = json!({
        "number": number, "timestamp": 900, "gasLimit": 30_000_000, "gasUsed": "0x5208", "miner": header.beneficiary,
        "difficulty": "0x5", "transactionsRoot": header.transactions_root, "logsBloom": header.logs_bloom,
        "stateRoot": header.state_root, "receiptsRoot": header.receipts_root, "uncles": [], "hash": B256::ZERO,
        "sha3Uncles": header.ommers_hash,
    });
    (header, json)
}

#[test]
fn the_miners_of_uncles_are_paid_and_the_block_names_them() {
    let ((first, first_json), (second, second_json)) = (uncle(9, 1), uncle(4, 2));
    let named = alloy_primitives::keccak256(alloy_rlp::encode(vec![first.clone(), second.clone()]));
    let header = json!({
        "number": 10, "timestamp": 1_000, "gasLimit": 30_000_000, "miner": Address::repeat_byte(0xaa),
        "sha3Uncles": named, "uncles": [first_json, second_json],
    });
    let mut network = Network::empty();
    network.ok(Put, "past", json!({"chain_id": CHAIN_ID, "fork": "byzantium"}).to_string().as_bytes());

    // What JSON-RPC shows of a block are its uncles' hashes, which do not say whom to pay.
    let hashes = json!([first.hash_slow(), second.hash_slow()]);
    let (_, far) = uncle(3, 1);
    let (_, own) = uncle(10, 1);
    let one = &header["uncles"][0];
    for uncles in
        [hashes.clone(), json!([]), json!([one]), json!([one, one, one]), json!([far]), json!([own]), json!([7])]
    {
        let mut refused = header.clone();
        refused["uncles"] = uncles;
        assert_eq!(network.refused(Post, "past/blocks", refused.to_string().as_bytes()).0, 400, "{refused}");
    }

    network.ok(Post, "past/blocks", header.to_string().as_bytes());
    network.ok(Post, "past/blocks/close", b"");
    let reward = 3 * ETHER;
    assert_eq!(balance(&mut network, Address::repeat_byte(0xaa)), reward + 2 * (reward / 32));
    assert_eq!(balance(&mut network, Address::repeat_byte(1)), reward * 7 / 8);
    assert_eq!(balance(&mut network, Address::repeat_byte(2)), reward * 2 / 8);
    let mut show = |method: &str, params: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        network.ok(Post, "past", body.as_bytes())["result"].clone()
    };
    let block = show("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!((&block["uncles"], &block["sha3Uncles"]), (&hashes, &json!(named)));
    assert_eq!(show("eth_getUncleCountByBlockNumber", json!(["latest"])), "0x2");
}

#[test]
fn an_uncle_of_the_last_block_that_can_be_is_paid_too() {
    let (_, json) = uncle(u64::MAX - 1, 1);
    let header = json!({"number": u64::MAX, "timestamp": 1, "gasLimit": 1, "miner": Address::ZERO, "uncles": [json]});
    let mut network = Network::empty();
    network.ok(Put, "past", json!({"chain_id": CHAIN_ID, "fork": "frontier"}).to_string().as_bytes());
    network.ok(Post, "past/blocks", header.to_string().as_bytes());
    network.ok(Post, "past/blocks/close", b"");
    assert_eq!(balance(&mut network, Address::repeat_byte(1)), 5 * ETHER * 7 / 8);
}

#[test]
fn an_allocation_may_come_in_parts_before_the_first_block() {
    let alice = Wallet::new(1);
    let mut network = Network::empty();
    network.ok(Put, "past", json!({"chain_id": CHAIN_ID, "fork": "cancun"}).to_string().as_bytes());
    let part =
        |slot: &str| json!({alice.address.to_string(): {"balance": "0x5", "storage": {slot: "0x7"}}}).to_string();
    for slot in ["0x1", "0x2"] {
        assert_eq!(network.ok(Post, "past/alloc", part(slot).as_bytes())["accounts"], 1);
    }
    for slot in ["0x1", "0x2"] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getStorageAt", "params": [alice.address, slot]});
        let answer = network.ok(Post, "past", body.to_string().as_bytes());
        assert_eq!(answer["result"], json!(B256::with_last_byte(7)));
    }
    network.ok(
        Post,
        "past/blocks",
        json!({"number": 1, "timestamp": 1, "gasLimit": 1, "miner": Address::ZERO}).to_string().as_bytes(),
    );
    assert_eq!(network.refused(Post, "past/alloc", b"{}").1, "ImportHasBegun");
}

#[test]
fn steps_out_of_order_are_refused() {
    let alice = Wallet::new(1);
    let mut network = Network::empty();
    let list = rlp_list(&[raw(&alice, 0)]);
    assert_eq!(network.refused(Post, "past/blocks/close", b"").1, "InstanceUnknown");
    network.ok(Put, "past", create(&alice).as_bytes());
    assert_eq!(network.refused(Put, "past", create(&alice).as_bytes()).1, "InstanceExists");
    assert_eq!(network.refused(Post, "past/transactions", &list).1, "NoBlockIsOpen");
    assert_eq!(network.refused(Post, "past/blocks/close", b"").1, "NoBlockIsOpen");
    network.ok(Post, "past/blocks", header(7).to_string().as_bytes());
    assert_eq!(network.refused(Post, "past/blocks", header(8).to_string().as_bytes()).1, "BlockIsOpen");
    assert_eq!(network.refused(Get, "past/blocks/7", b"").1, "BlockUnknown");
    network.ok(Post, "past/transactions", &list);
    let shown = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionByHash", "params": [alloy_primitives::keccak256(raw(&alice, 0))]});
    assert!(network.ok(Post, "past", shown.to_string().as_bytes())["result"].is_null(), "its block is not closed");
    network.ok(Post, "past/blocks/close", b"");
    assert!(network.ok(Post, "past", shown.to_string().as_bytes())["result"].is_object());
    assert_eq!(network.refused(Post, "past/blocks", header(7).to_string().as_bytes()).1, "BlockNumberTaken");
    network.ok(Post, "past/complete", b"");
    for path in ["past/blocks", "past/blocks/close", "past/complete", "past/alloc", "past/transactions"] {
        let body = match path {
            "past/blocks" => header(8).to_string().into_bytes(),
            "past/transactions" => list.clone(),
            _ => b"{}".to_vec(),
        };
        assert_eq!(network.refused(Post, path, &body).1, "ImportComplete", "{path}");
    }
    let described = network.ok(Get, "past", b"");
    assert_eq!(
        described,
        json!({"name": "past", "kind": "historic", "complete": true, "chainId": CHAIN_ID, "head": 7})
    );
    assert_eq!(network.ok(Get, "", b""), json!({"instances": [described]}));
}

#[test]
fn only_the_creator_imports_and_never_into_a_live_instance() {
    let alice = Wallet::new(1);
    let mut network = Network::new(&json!({"instances": [{"name": "main", "chain_id": 7}]}));
    network.ok(Put, "past", create(&alice).as_bytes());
    network.actor.id = ActorId([8; 32]);
    let refused = network.refused(Post, "past/blocks", header(7).to_string().as_bytes());
    assert_eq!((refused.0, refused.1.as_str()), (403, "NotTheImporter"));
    for (path, body) in
        [("main/blocks", header(7).to_string()), ("main/blocks/close", String::new()), ("main/complete", String::new())]
    {
        assert_eq!(network.refused(Post, path, body.as_bytes()).1, "InstanceIsLive", "{path}");
    }
    assert_eq!(network.refused(Post, "main/transactions", &rlp_list(&[raw(&alice, 0)])).1, "InstanceIsLive");
    assert_eq!(network.refused(Put, "main", create(&alice).as_bytes()).1, "InstanceExists");
}

#[test]
fn a_historic_instance_takes_no_new_transactions() {
    let alice = Wallet::new(1);
    let mut network = Network::empty();
    network.ok(Put, "past", create(&alice).as_bytes());
    network.ok(Post, "past/blocks", header(7).to_string().as_bytes());
    let raw = alice.send(0, Address::ZERO, 0, Bytes::new());
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [raw]});
    let answer = network.ok(Post, "past", body.to_string().as_bytes());
    assert_eq!(answer["error"]["message"], "instance past is historic: it takes no new transactions");
}

#[test]
fn a_transaction_that_is_not_valid_in_its_block_is_refused_with_its_reason() {
    let alice = Wallet::new(1);
    let mut network = Network::empty();
    network.ok(Put, "past", create(&alice).as_bytes());
    network.ok(Post, "past/blocks", header(7).to_string().as_bytes());
    let unprotected =
        TxLegacy { chain_id: None, gas_price: 9, ..wallet::legacy(1, TxKind::Call(Address::ZERO), 0, Bytes::new()) };
    let cheap = TxLegacy { gas_price: 6, ..wallet::legacy(0, TxKind::Call(Address::ZERO), 0, Bytes::new()) };
    let large = TxLegacy {
        gas_price: 9,
        gas_limit: 29_990_000,
        ..wallet::legacy(1, TxKind::Call(Address::ZERO), 0, Bytes::new())
    };
    let encoded = |tx: TxLegacy| alice.envelope(tx).encoded_2718();
    let rows: [(Vec<u8>, &str); 7] = [
        (raw(&alice, 3), "nonce too high"),
        (encoded(cheap), "max fee per gas less than block base fee"),
        (alice.envelope(wallet::eip4844(0, Address::ZERO)).encoded_2718(), "transaction type not supported"),
        (raw(&alice, 0), ""),
        (encoded(large), "gas limit reached"),
        (raw(&alice, 0), "already known"),
        (encoded(unprotected), ""),
    ];
    for (raw, reason) in rows {
        let list = rlp_list(&[raw]);
        if reason.is_empty() {
            network.ok(Post, "past/transactions", &list);
        } else {
            let (status, code, message) = network.refused(Post, "past/transactions", &list);
            assert_eq!((status, code.as_str()), (400, "TransactionRefused"));
            assert!(message.starts_with(reason), "{message}");
        }
    }
}

#[test]
fn requests_of_the_wrong_form_are_refused() {
    let alice = Wallet::new(1);
    let mut network = Network::empty();
    network.ok(Put, "past", create(&alice).as_bytes());
    let mut gap = header(7);
    gap.as_object_mut().unwrap().remove("withdrawals");
    gap["excessBlobGas"] = json!("0x0");
    let mut long = header(7);
    long["extraData"] = json!(format!("0x{}", "00".repeat(1_025)));
    let hashes: serde_json::Map<String, Value> =
        (0..257).map(|number| (number.to_string(), json!(B256::ZERO))).collect();
    let too_many = vec![vec![0xc0]; 1_001];
    let rows: [(_, &str, Vec<u8>); 15] = [
        (Put, "other", b"{}".to_vec()),
        (Put, "other", b"not json".to_vec()),
        (Put, "other", json!({"chain_id": 5}).to_string().into_bytes()),
        (Put, "other", json!({"chain_id": 5, "fork": "atlantis"}).to_string().into_bytes()),
        (Put, "other", json!({"chain_id": 5, "fork": "london", "forks": []}).to_string().into_bytes()),
        (Put, "other", json!({"chain_id": 5, "forks": []}).to_string().into_bytes()),
        (Put, "other", json!({"chain_id": 5, "forks": [{"fork": "london"}]}).to_string().into_bytes()),
        (Put, "other", json!({"chain_id": 1, "blockHashes": hashes}).to_string().into_bytes()),
        (Put, "Other", json!({"chain_id": 1}).to_string().into_bytes()),
        (Post, "past/blocks", b"{}".to_vec()),
        (Post, "past/blocks", gap.to_string().into_bytes()),
        (Post, "past/blocks", long.to_string().into_bytes()),
        (Post, "past/transactions", b"\xc0".to_vec()),
        (Post, "past/transactions", rlp_list(&[b"\x02\xc0".to_vec()])),
        (Post, "past/transactions", rlp_list(&too_many)),
    ];
    for (method, path, body) in rows {
        let refused = network.refused(method, path, &body);
        assert_eq!((refused.0, refused.1.as_str()), (400, "BadRequest"), "{path} {}", String::from_utf8_lossy(&body));
    }
    assert_eq!(network.refused(Get, "past/blocks/0x7", b"").1, "BadRequest");
}

#[test]
fn forks_take_effect_by_number_and_by_time() {
    let alice = Wallet::new(1);
    let mut network = Network::empty();
    let forks = json!([{"fork": "berlin", "block": 0}, {"fork": "london", "block": 10}, {"fork": "shanghai", "timestamp": 5_000}]);
    let create = json!({"chain_id": CHAIN_ID, "forks": forks, "alloc": {alice.address.to_string(): {"balance": "0xde0b6b3a7640000"}}});
    network.ok(Put, "past", create.to_string().as_bytes());
    let header = |number: u64, timestamp: u64| json!({"number": number, "timestamp": timestamp, "gasLimit": 30_000_000, "miner": Address::ZERO});
    // PUSH0 came with Shanghai: init code of this one byte fails before.
    let create_with_push0 = |nonce| {
        let tx = wallet::legacy(nonce, TxKind::Create, 0, Bytes::from_static(&[0x5f]));
        alice.envelope(tx).encoded_2718()
    };
    let rows = [(9, 1_000, "0x0", false), (10, 1_000, "0x0", true), (11, 5_000, "0x1", true)];
    for (nonce, (number, timestamp, status, london)) in (0..).zip(rows) {
        network.ok(Post, "past/blocks", header(number, timestamp).to_string().as_bytes());
        network.ok(Post, "past/transactions", &rlp_list(&[create_with_push0(nonce)]));
        let two = alice.envelope(TxEip1559 {
            gas_limit: 21_000,
            ..wallet::eip1559(99, TxKind::Call(Address::ZERO), 0, Bytes::new())
        });
        let (_, _, message) = network.refused(Post, "past/transactions", &rlp_list(&[two.encoded_2718()]));
        assert_eq!(message == "transaction type not supported", !london, "{message}");
        network.ok(Post, "past/blocks/close", b"");
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockReceipts", "params": ["latest"]});
        assert_eq!(
            network.ok(Post, "past", body.to_string().as_bytes())["result"][0]["status"],
            status,
            "block {number}"
        );
    }
}
