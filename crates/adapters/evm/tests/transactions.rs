//! Sending transactions to a live instance, and what is to be seen of them.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod common;

use alloy_primitives::{Address, Bytes, TxKind, U256, hex, keccak256};
use common::token::{self, SUPPLY, input, transfer, word};
use common::wallet::{self, CHAIN_ID, GAS, Wallet};
use serde_json::json;
use synod_worker::ToWorker;

#[test]
fn a_token_is_deployed_and_transferred_and_the_receipt_is_there_when_send_returns() {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut network = token::network(&[]);
    let contract = token::deploy(&mut network, &alice);
    assert_eq!(contract, alice.address.create(0));

    let raw = alice.send(1, contract, 0, transfer(bob.address, 7));
    let hash = network.result("eth_sendRawTransaction", json!([raw]));
    assert_eq!(hash, json!(keccak256(hex::decode(&raw).unwrap())));
    let receipt = network.result("eth_getTransactionReceipt", json!([hash]));
    let block = network.result("eth_getBlockByNumber", json!(["latest", false]));
    let log = json!({
        "address": hex::encode_prefixed(contract),
        "topics": [keccak256("Transfer(address,address,uint256)"), alice.address.into_word(), bob.address.into_word()],
        "data": format!("0x{:064x}", 7),
        "blockHash": block["hash"], "blockNumber": "0x2", "blockTimestamp": block["timestamp"],
        "transactionHash": hash, "transactionIndex": "0x0", "logIndex": "0x0", "removed": false,
    });
    assert_eq!(
        receipt,
        json!({
            "transactionHash": hash, "transactionIndex": "0x0", "blockHash": block["hash"], "blockNumber": "0x2",
            "from": hex::encode_prefixed(alice.address), "to": hex::encode_prefixed(contract), "contractAddress": null,
            "type": "0x2", "status": "0x1", "effectiveGasPrice": "0x0",
            "gasUsed": receipt["gasUsed"], "cumulativeGasUsed": receipt["gasUsed"],
            "logsBloom": block["logsBloom"], "logs": [log],
        })
    );
    assert_eq!(network.result("eth_getBlockReceipts", json!(["latest"])), json!([receipt]));
    assert_eq!(token::balance(&mut network, contract, alice.address), SUPPLY - 7);
    assert_eq!(token::balance(&mut network, contract, bob.address), 7);
}

#[test]
fn sending_can_answer_with_the_receipt_and_refuses_as_sending_does() {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut network = token::network(&[alice]);
    let raw = |nonce: u64| alice.signed(wallet::legacy(nonce, TxKind::Call(bob.address), 5, Bytes::new()));
    let receipt = network.result("eth_sendRawTransactionSync", json!([raw(0), 5_000]));
    assert_eq!((&receipt["status"], &receipt["blockNumber"]), (&json!("0x1"), &json!("0x1")));
    assert_eq!(network.result("eth_getTransactionReceipt", json!([receipt["transactionHash"]])), receipt);
    for (raw, code, message) in [
        (raw(0), -32_000, "already known"),
        (raw(7), -32_003, "nonce too high"),
        ("0x01".into(), -32_602, "transaction"),
    ] {
        let (found, text) = network.error("eth_sendRawTransactionSync", json!([raw]));
        assert!(found == code && text.starts_with(message), "{found} {text}");
    }
    // Beside others of a batch, each has its own.
    let send = |id: u64, method: &str, nonce: u64| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": [raw(nonce)]});
    let body = json!([
        send(1, "eth_sendRawTransactionSync", 1),
        send(2, "eth_sendRawTransaction", 2),
        send(3, "eth_sendRawTransactionSync", 3)
    ]);
    let answers = network.post(&body.to_string());
    assert_eq!(
        (&answers[0]["result"]["transactionIndex"], &answers[2]["result"]["transactionIndex"]),
        (&json!("0x0"), &json!("0x2"))
    );
    assert!(answers[1]["result"].is_string());
}

#[test]
fn a_transaction_is_shown_as_it_was_signed() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[alice]);
    let tx = wallet::eip1559(0, TxKind::Call(Address::repeat_byte(5)), 3, Bytes::from_static(b"hi"));
    let signature = *alice.envelope(tx.clone()).signature();
    let hash = network.result("eth_sendRawTransaction", json!([alice.signed(tx)]));
    let shown = network.result("eth_getTransactionByHash", json!([hash]));
    let block = network.result("eth_getBlockByNumber", json!(["latest", true]));
    assert_eq!(
        shown,
        json!({
            "blockHash": block["hash"], "blockNumber": "0x1", "blockTimestamp": block["timestamp"],
            "transactionIndex": "0x0", "hash": hash, "from": hex::encode_prefixed(alice.address),
            "to": format!("0x{}", "05".repeat(20)), "type": "0x2", "nonce": "0x0", "gas": format!("{GAS:#x}"),
            "value": "0x3", "input": "0x6869", "gasPrice": "0x0", "maxFeePerGas": "0x71afd498d0000",
            "maxPriorityFeePerGas": "0x3b9aca00", "chainId": "0x539", "accessList": [],
            "r": format!("{:#x}", signature.r()), "s": format!("{:#x}", signature.s()),
            "v": format!("{:#x}", u8::from(signature.v())), "yParity": format!("{:#x}", u8::from(signature.v())),
        })
    );
    assert_eq!(block["transactions"], json!([shown]));
    assert_eq!(network.result("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x0"])), shown);
    assert_eq!(network.result("eth_getTransactionByBlockHashAndIndex", json!([block["hash"], "0x0"])), shown);
    assert!(network.result("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x1"])).is_null());

    let raw = alice.signed(wallet::legacy(1, TxKind::Create, 0, Bytes::new()));
    let hash = network.result("eth_sendRawTransaction", json!([raw]));
    let shown = network.result("eth_getTransactionByHash", json!([hash]));
    assert!(shown["to"].is_null() && shown.get("yParity").is_none() && shown.get("maxFeePerGas").is_none());
    let v = u64::from_str_radix(&shown["v"].as_str().unwrap()[2..], 16).unwrap();
    assert_eq!((v - 35) / 2, CHAIN_ID);
}

#[test]
fn transactions_of_types_0_1_2_and_4_are_taken() {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut network = token::network(&[alice]);
    let contract = token::deploy(&mut network, &alice);
    let to = TxKind::Call(bob.address);
    let raws = [
        alice.signed(wallet::legacy(1, to, 5, Bytes::new())),
        alice.signed(wallet::eip2930(2, to, 5, Bytes::new())),
        alice.signed(wallet::eip1559(3, to, 5, Bytes::new())),
        // Bob's account runs the token's code from here on, and has no tokens to give.
        alice.signed(wallet::eip7702(4, bob.address, vec![bob.authorize(contract, 0)], transfer(alice.address, 1))),
    ];
    for (tx_type, raw) in raws.iter().enumerate() {
        let hash = network.result("eth_sendRawTransaction", json!([raw]));
        let receipt = network.result("eth_getTransactionReceipt", json!([hash]));
        let tx_type = if tx_type == 3 { 4 } else { tx_type };
        assert_eq!(receipt["type"], format!("{tx_type:#x}"));
        assert_eq!(receipt["status"], if tx_type == 4 { "0x0" } else { "0x1" });
    }
    assert_eq!(network.result("eth_getBalance", json!([bob.address, "latest"])), "0xf");
    let delegation = format!("0xef0100{}", hex::encode(contract));
    assert_eq!(network.result("eth_getCode", json!([bob.address, "latest"])), delegation);
    assert_eq!(network.result("eth_getTransactionCount", json!([bob.address, "latest"])), "0x1");
}

#[test]
fn gas_is_free_whatever_a_transaction_offers_but_value_is_not() {
    let (poor, rich) = (Wallet::new(1), Wallet::new(2));
    let mut network = token::network(&[rich]);
    let contract = token::deploy(&mut network, &poor);
    // The contract's own view: no price, no base fee.
    let call = json!({"from": poor.address, "to": contract, "data": input("environment()", &[]), "gasPrice": "0x77"});
    let seen = hex::decode(network.result("eth_call", json!([call])).as_str().unwrap()).unwrap();
    let word_at = |place: usize| U256::from_be_slice(&seen[place * 32..][..32]);
    assert_eq!(word_at(0), word(poor.address));
    assert_eq!((word_at(1), word_at(2)), (U256::ZERO, U256::ZERO));
    assert_eq!((word_at(3), word_at(4)), (U256::from(1), U256::from(CHAIN_ID)));

    let before = network.result("eth_getBalance", json!([rich.address, "latest"]));
    network.result("eth_sendRawTransaction", json!([rich.send(0, contract, 0, Bytes::new())]));
    assert_eq!(network.result("eth_getBalance", json!([rich.address, "latest"])), before);

    let (code, message) = network.error("eth_sendRawTransaction", json!([poor.send(1, contract, 1, Bytes::new())]));
    assert_eq!(code, -32003);
    assert_eq!(message, format!("insufficient funds for gas * price + value: address {} have 0 want 1", poor.address));
}

#[test]
fn a_refused_transaction_leaves_nothing_behind() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[]);
    let raw = alice.send(5, Address::ZERO, 0, Bytes::new());
    let before = network.worker.tip();
    network.error("eth_sendRawTransaction", json!([raw]));
    assert_eq!(network.worker.tip(), before);
    assert_eq!(network.result("eth_blockNumber", json!([])), "0x0");
    let hash = keccak256(hex::decode(&raw).unwrap());
    assert!(network.result("eth_getTransactionByHash", json!([hash])).is_null());
    assert!(network.result("eth_getTransactionReceipt", json!([hash])).is_null());
}

#[test]
fn a_block_holds_what_one_ledger_block_holds_and_refusals_between_do_no_harm() {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut network = token::network(&[alice, bob]);
    let request = |raw: String| json!({"jsonrpc": "2.0", "id": 0, "method": "eth_sendRawTransaction", "params": [raw]});
    let to = Address::repeat_byte(9);
    let body = json!([
        request(bob.send(9, to, 0, Bytes::new())),
        request(alice.send(0, to, 1, Bytes::new())),
        request(alice.send(0, to, 2, Bytes::new())),
        request(bob.send(0, to, 3, Bytes::new())),
        request(alice.send(1, to, 4, Bytes::new())),
    ]);
    let answers = network.post(&body.to_string());
    let refused: Vec<bool> = answers.as_array().unwrap().iter().map(|answer| answer["error"].is_object()).collect();
    assert_eq!(refused, [true, false, true, false, false]);

    let block = network.result("eth_getBlockByNumber", json!(["0x1", true]));
    let values: Vec<_> = block["transactions"].as_array().unwrap().iter().map(|tx| tx["value"].clone()).collect();
    assert_eq!(values, ["0x1", "0x3", "0x4"]);
    assert_eq!(block["gasUsed"], format!("{:#x}", 3 * 21_000));
    assert_eq!(network.result("eth_blockNumber", json!([])), "0x1");
    let parent = network.result("eth_getBlockByNumber", json!(["earliest", false]));
    assert_eq!(block["parentHash"], parent["hash"]);
    assert_eq!(network.result("eth_getBalance", json!([to, "latest"])), "0x8");
}

#[test]
fn pending_counts_what_is_not_committed_and_nothing_else_shows_it() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[alice]);
    let synod_worker::Plan::Execute { calls, .. } = network.plan(
        synod_worker::Method::Post,
        "main",
        json!({"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction",
            "params": [alice.send(0, Address::ZERO, 1, Bytes::new())]})
        .to_string()
        .as_bytes(),
    ) else {
        panic!("a transaction is executed")
    };
    network.execute_uncommitted(calls);
    let pending =
        json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionCount", "params": [alice.address, "pending"]});
    let plan = network.plan(synod_worker::Method::Post, "main", pending.to_string().as_bytes());
    let synod_worker::Plan::Execute { calls, then: synod_worker::Then::Finish(token) } = plan else {
        panic!("a pending nonce is asked of the tip")
    };
    let tip = network.worker.tip();
    let replies = network.execute_uncommitted(calls);
    assert_eq!(network.worker.tip(), tip, "asking writes nothing");
    let answer: serde_json::Value = serde_json::from_slice(&network.finish(&token, replies).body).unwrap();
    assert_eq!(answer["result"], "0x1");
    assert_eq!(network.result("eth_getTransactionCount", json!([alice.address, "latest"])), "0x0");
    assert_eq!(network.result("eth_blockNumber", json!([])), "0x0");

    network.worker.handle(ToWorker::Truncate { to: synod_types::Seqno(1) });
    assert_eq!(network.result("eth_getTransactionCount", json!([alice.address, "pending"])), "0x0");
    network.result("eth_sendRawTransaction", json!([alice.send(0, Address::ZERO, 2, Bytes::new())]));
    assert_eq!(network.result("eth_blockNumber", json!([])), "0x1");
}

#[test]
fn a_transaction_that_writes_more_than_a_block_holds_is_dropped_and_the_block_goes_on() {
    let alice = Wallet::new(1);
    let limits = json!({"name": "main", "chain_id": CHAIN_ID, "gas_limit": 2_000_000_000, "code_size_max": 524_288});
    let mut network = common::Network::new(&json!({"instances": [limits]}));
    // Fills 60,000 slots, emits a log of 3.9 MiB, and is itself init code of nearly 1 MiB:
    // PUSH3 60000; JUMPDEST; DUP1 NOT DUP2 SSTORE; PUSH1 1 SWAP1 SUB; DUP1 PUSH1 4 JUMPI; PUSH4 size PUSH0 LOG0 STOP.
    let mut code = hex::decode("6200ea605b8019815560019003806004576300").unwrap();
    code.extend_from_slice(&hex::decode("3e66665fa000").unwrap());
    code.resize(1_000_000, 0);
    let huge = wallet::legacy(0, TxKind::Create, 0, code.into());
    let huge = alice.signed(alloy_consensus::TxLegacy { gas_limit: 2_000_000_000, ..huge });
    let request =
        |id, raw: &String| json!({"jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction", "params": [raw]});
    let bob = Wallet::new(2);
    let rows: [(&[&String], u64); 2] = [
        (&[&huge, &bob.send(0, Address::ZERO, 0, Bytes::new())], 1),
        (
            &[&bob.send(1, Address::ZERO, 0, Bytes::new()), &huge, &bob.send(2, Address::ZERO, 0, Bytes::new()), &huge],
            2,
        ),
    ];
    for (number, (raws, taken)) in rows.iter().enumerate() {
        let body: Vec<_> = raws.iter().enumerate().map(|(id, raw)| request(id, raw)).collect();
        let answers = network.post(&json!(body).to_string());
        for (raw, answer) in raws.iter().zip(answers.as_array().unwrap()) {
            if **raw == huge {
                assert_eq!(answer["error"]["message"], "the transaction writes more than a block can hold");
            } else {
                assert!(answer["result"].is_string(), "{answer}");
            }
        }
        let block = network.result("eth_getBlockByNumber", json!(["latest", false]));
        assert_eq!(block["number"], format!("{:#x}", number + 1));
        assert_eq!(block["transactions"].as_array().unwrap().len() as u64, *taken);
        assert_eq!(block["gasUsed"], format!("{:#x}", taken * 21_000));
    }
}

#[test]
fn a_transfer_writes_only_what_changed() {
    use synod_kv::WriteSet;
    use synod_types::Decode;

    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut network = token::network(&[]);
    let contract = token::deploy(&mut network, &alice);
    let request = |nonce| {
        let raw = alice.send(nonce, contract, 0, transfer(bob.address, 1));
        json!({"jsonrpc": "2.0", "id": 0, "method": "eth_sendRawTransaction", "params": [raw]})
    };
    network.post(&json!([request(1), request(2), request(3)]).to_string());
    let executed = network.executed.take().unwrap();
    let writes = executed.outcomes[1].write_set.clone().unwrap();
    let writes = WriteSet::from_bytes(&writes).unwrap();
    let maps: Vec<String> = writes.iter().map(|(map, _, _)| map.to_string()).collect();
    let expected = ["accounts", "positions", "receipts", "storage", "storage", "transactions"];
    assert_eq!(maps, expected.map(|thing| format!("evm.main.{thing}")));
}
