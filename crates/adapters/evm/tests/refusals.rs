//! What is refused, and in which words: tools decide by them.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod common;

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, hex, uint};
use common::Network;
use common::token::{self, input, transfer, word};
use common::wallet::{self, CHAIN_ID, Wallet};
use serde_json::{Value, json};
use synod_worker::Method;

fn check(network: &mut Network, raw: &str, expected: (i64, &str)) {
    let (code, message) = network.error("eth_sendRawTransaction", json!([raw]));
    assert_eq!(code, expected.0, "{message}");
    assert!(message.starts_with(expected.1), "{message:?} does not begin with {:?}", expected.1);
}

#[test]
fn each_invalid_transaction_is_refused_in_the_words_that_tools_know() {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut network = token::network(&[alice]);
    let to = TxKind::Call(bob.address);
    let plain = || wallet::legacy(1, to, 0, Bytes::new());
    let taken = alice.signed(wallet::legacy(0, to, 0, Bytes::new()));
    network.result("eth_sendRawTransaction", json!([taken]));

    let unprotected = TxLegacy { chain_id: None, ..plain() };
    let elsewhere = TxLegacy { chain_id: Some(1), ..plain() };
    // The gateway reads these numbers.
    let high = format!("nonce too high: address {}, tx: 2 state: 1", alice.address);
    let rows = [
        (taken.clone(), (-32000, "already known")),
        (alice.signed(wallet::legacy(0, to, 1, Bytes::new())), (-32003, "nonce too low: address 0x")),
        (alice.signed(wallet::legacy(2, to, 0, Bytes::new())), (-32003, &high)),
        (bob.signed(wallet::legacy(0, to, 1, Bytes::new())), (-32003, "insufficient funds for gas * price + value: ")),
        (
            alice.signed(TxLegacy { gas_limit: 20_999, ..plain() }),
            (-32003, "intrinsic gas too low: have 20999, want 21000"),
        ),
        (alice.signed(TxLegacy { gas_limit: 30_000_001, ..plain() }), (-32003, "exceeds block gas limit")),
        (alice.signed(unprotected), (-32003, "only replay-protected (EIP-155) transactions allowed over RPC")),
        (alice.signed(elsewhere), (-32003, "invalid chain id for signer: have 1 want 1337")),
        (alice.signed(wallet::eip4844(1, bob.address)), (-32003, "transaction type not supported")),
        ("0x05c0".into(), (-32003, "transaction type not supported")),
        ("0x00c0".into(), (-32003, "transaction type not supported")),
        ("0x".into(), (-32602, "transaction does not decode")),
        ("0x80".into(), (-32602, "transaction does not decode")),
        ("0xc0".into(), (-32602, "transaction does not decode")),
        ("0x02c0".into(), (-32602, "transaction does not decode")),
        (format!("0x02{}", "00".repeat(2 << 20)), (-32003, "oversized data")),
        (format!("{taken}00"), (-32602, "transaction does not decode")),
        (taken[..taken.len() - 2].to_owned(), (-32602, "transaction does not decode")),
    ];
    for (raw, expected) in rows {
        check(&mut network, &raw, expected);
    }
}

#[test]
fn a_signature_that_leads_nowhere_or_has_a_twin_is_an_invalid_sender() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[alice]);
    let tx = wallet::legacy(0, TxKind::Call(Address::ZERO), 0, Bytes::new());
    let good = alice.sign(tx.signature_hash());
    let order = uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);
    let twin = Signature::new(good.r(), order - good.s(), !good.v());
    let nowhere = Signature::new(U256::ZERO, U256::ONE, false);
    for signature in [twin, nowhere, Signature::new(order, U256::ONE, true)] {
        let envelope: alloy_consensus::EthereumTxEnvelope<alloy_consensus::TxEip4844> =
            tx.clone().into_signed(signature).into();
        check(&mut network, &hex::encode_prefixed(envelope.encoded_2718()), (-32003, "invalid sender"));
    }
}

#[test]
fn contract_size_and_gas_limit_are_the_networks_policy() {
    let alice = Wallet::new(1);
    let instance = |more: Value| {
        let mut instance = json!({"name": "main", "chain_id": CHAIN_ID});
        instance.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Network::new(&json!({"instances": [instance]}))
    };
    // PUSH4 size, PUSH0, RETURN: a contract of that many zero bytes.
    let deploy = |nonce, size: u32| {
        let [a, b, c, d] = size.to_be_bytes();
        let code = Bytes::from(vec![0x63, a, b, c, d, 0x5f, 0xf3]);
        alice.signed(TxLegacy { gas_limit: 20_000_000, ..wallet::legacy(nonce, TxKind::Create, 0, code) })
    };
    let status = |network: &mut Network, raw: String| {
        let hash = network.result("eth_sendRawTransaction", json!([raw]));
        network.result("eth_getTransactionReceipt", json!([hash]))["status"].clone()
    };
    let mut strict = instance(json!({}));
    assert_eq!(status(&mut strict, deploy(0, 24_576)), "0x1");
    assert_eq!(status(&mut strict, deploy(1, 24_577)), "0x0");
    let mut lenient = instance(json!({"code_size_max": 65_536}));
    assert_eq!(status(&mut lenient, deploy(0, 65_536)), "0x1");
    assert_eq!(status(&mut lenient, deploy(1, 65_537)), "0x0");

    let large = |nonce| {
        let init_code = Bytes::from(vec![0; 2 * 24_576 + 1]);
        alice.signed(wallet::legacy(nonce, TxKind::Create, 0, init_code))
    };
    check(&mut strict, &large(2), (-32003, "max initcode size exceeded: code size 49153 limit 49152"));
    assert_eq!(status(&mut lenient, large(2)), "0x1");

    let mut low = instance(json!({"gas_limit": 100_000}));
    check(&mut low, &alice.send(0, Address::ZERO, 0, Bytes::new()), (-32003, "exceeds block gas limit"));
}

#[test]
fn logs_that_a_block_cannot_hold_are_refused_however_much_gas_there_is() {
    let alice = Wallet::new(1);
    let instance = json!({"name": "main", "chain_id": CHAIN_ID, "gas_limit": 2_000_000_000});
    let mut network = Network::new(&json!({"instances": [instance]}));
    // PUSH4 11 MiB, PUSH0, LOG0: one log of 11 MiB.
    let large = Bytes::from_static(&[0x63, 0, 0xb0, 0, 0, 0x5f, 0xa0]);
    // PUSH3 100000; JUMPDEST; DUP1 PUSH0 PUSH0 LOG1; PUSH1 1 SWAP1 SUB; DUP1 PUSH1 4 JUMPI: as many logs, each with a topic of its own.
    let many = Bytes::from(hex::decode("620186a05b805f5fa1600190038060045700").unwrap());
    for code in [large, many] {
        let raw = alice.signed(TxLegacy { gas_limit: 2_000_000_000, ..wallet::legacy(0, TxKind::Create, 0, code) });
        check(&mut network, &raw, (-32003, "the logs of the transaction take more than the block can hold"));
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let rows = [
        (json!({}), "missing field"),
        (json!({"instances": [{"name": "A", "chain_id": 1}]}), "instance name"),
        (json!({"instances": [{"name": "a", "chain_id": 1}, {"name": "a", "chain_id": 2}]}), "named twice"),
        (json!({"instances": [{"name": "a", "chain_id": 1}, {"name": "b", "chain_id": 1}]}), "have one chain id"),
        (json!({"instances": [{"name": "a", "chain_id": 1, "fork": "london"}]}), "cancun, prague or osaka"),
        (json!({"instances": [{"name": "a", "chain_id": 1, "gas_limit": 3_000_000_000u64}]}), "gas_limit is at most"),
        (json!({"instances": [{"name": "a", "chain_id": 1, "block_gas_limit": 1}]}), "block_gas_limit is at least"),
        (json!({"instances": [{"name": "a", "chain_id": 1, "gaslimit": 1}]}), "unknown field"),
        (json!({"instances": [{"name": "a", "chain_id": 1, "alloc": {"0x1": {}}}]}), "an address"),
    ];
    for (settings, reason) in rows {
        let settings = settings.to_string();
        let refused = synod_worker::Worker::genesis(&[synod_evm::kit()], &[(common::EVM, settings.as_bytes())]);
        let error = refused.unwrap_err();
        assert!(error.reason.contains(reason), "{settings}: {error}");
    }
}

#[test]
fn reverts_carry_code_3_the_reason_and_the_data() {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut network = token::network(&[]);
    let contract = token::deploy(&mut network, &alice);
    let insufficient = [word(bob.address), U256::ZERO, U256::from(5)];
    let rows = [
        (
            transfer(alice.address, 5),
            "execution reverted",
            input("InsufficientBalance(address,uint256,uint256)", &insufficient),
        ),
        (
            input("failWithReason()", &[]),
            "execution reverted: a reason",
            [&input("Error(string)", &[U256::from(32), U256::from(8)])[..], b"a reason", &[0; 24]].concat().into(),
        ),
        (
            input("failWithPanic(uint256)", &[U256::from(2)]),
            "execution reverted: arithmetic underflow or overflow",
            input("Panic(uint256)", &[U256::from(0x11)]),
        ),
        (input("noSuchFunction()", &[]), "execution reverted", Bytes::new()),
    ];
    for (data, message, revert) in rows {
        let call = json!({"from": bob.address, "to": contract, "input": data});
        for method in ["eth_call", "eth_estimateGas"] {
            let answer = network.rpc(method, json!([call, "latest"]));
            assert_eq!(answer["error"], json!({"code": 3, "message": message, "data": revert}), "{method}");
        }
        // As a transaction it is taken, and fails.
        let nonce = network.result("eth_getTransactionCount", json!([bob.address, "latest"]));
        let nonce = u64::from_str_radix(&nonce.as_str().unwrap()[2..], 16).unwrap();
        let hash = network.result("eth_sendRawTransaction", json!([bob.send(nonce, contract, 0, data)]));
        let receipt = network.result("eth_getTransactionReceipt", json!([hash]));
        assert_eq!((&receipt["status"], &receipt["logs"]), (&json!("0x0"), &json!([])));
    }
}

#[test]
fn calls_that_end_badly_say_how() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[]);
    let contract = token::deploy(&mut network, &alice);
    let burn = |gas: &str| json!([{"to": contract, "data": input("burn()", &[]), "gas": gas}, "latest"]);
    assert_eq!(network.error("eth_call", burn("0x10000")), (-32000, "out of gas".into()));
    assert_eq!(
        network.error("eth_estimateGas", burn("0x10000")),
        (-32000, "gas required exceeds allowance (65536)".into())
    );
    let (code, message) = network.error("eth_call", burn("0x5207"));
    assert_eq!((code, message.starts_with("intrinsic gas too low")), (-32000, true), "{message}");
    let value = json!([{"from": alice.address, "to": contract, "value": "0x1"}, "latest"]);
    let (code, message) = network.error("eth_estimateGas", value);
    assert_eq!((code, message.starts_with("insufficient funds for gas * price + value")), (-32000, true), "{message}");
    let invalid = json!([{"data": "0xfe"}, "latest"]);
    assert_eq!(network.error("eth_call", invalid), (-32000, "invalid opcode".into()));
    let elsewhere = json!([{"to": contract, "chainId": "0x1"}, "latest"]);
    assert_eq!(
        network.error("eth_call", elsewhere),
        (-32000, "chainId does not match node's (have=1, want=1337)".into())
    );
    let both = json!([{"to": contract, "data": "0x01", "input": "0x02"}, "latest"]);
    assert_eq!(network.error("eth_call", both).0, -32000);
}

#[test]
fn a_batch_of_calls_may_use_ten_times_the_gas_of_one() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[]);
    let contract = token::deploy(&mut network, &alice);
    let call = json!({"to": contract, "data": input("burn()", &[])});
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call]});
    let answers = network.post(&json!(vec![request; 12]).to_string());
    let codes: Vec<_> =
        answers.as_array().unwrap().iter().map(|answer| answer["error"]["code"].as_i64().unwrap()).collect();
    assert_eq!(codes, [&[-32000; 10][..], &[-32005; 2]].concat());
}

#[test]
fn methods_that_are_not_there_are_refused_in_ethers_words() {
    let mut network = token::network(&[]);
    for method in
        ["eth_fillTransaction", "anvil_nodeInfo", "eth_newFilter", "eth_sendTransaction", "debug_traceTransaction", ""]
    {
        let expected = (-32601, format!("the method {method} does not exist/is not available"));
        assert_eq!(network.error(method, json!([])), expected);
    }
}

#[test]
fn parameters_that_are_not_the_methods_are_refused() {
    let mut network = token::network(&[]);
    let zero = Address::ZERO;
    let rows = [
        ("eth_getBalance", json!([])),
        ("eth_getBalance", json!(["0x01"])),
        ("eth_getBalance", json!([zero, "newest"])),
        ("eth_getBalance", json!({"address": zero})),
        ("eth_getTransactionCount", json!([])),
        ("eth_getTransactionCount", json!([zero, {}])),
        ("eth_sendRawTransaction", json!([])),
        ("eth_sendRawTransaction", json!(["0x0"])),
        ("eth_sendRawTransaction", json!([7])),
        ("eth_getBlockByNumber", json!(["1"])),
        ("eth_getTransactionReceipt", json!(["0x00"])),
        ("eth_call", json!(["0x"])),
        ("eth_call", json!([{"to": "0x"}])),
        ("eth_call", json!([{}, "latest", {zero.to_string(): {"unknown": 1}}])),
        ("eth_feeHistory", json!(["x", "latest"])),
        ("eth_feeHistory", json!(["0x1", "latest", [50, 20]])),
        ("eth_feeHistory", json!(["0x1", "latest", [101]])),
    ];
    for (method, params) in rows {
        assert_eq!(network.error(method, params.clone()).0, -32602, "{method} {params}");
    }
}

#[test]
fn only_the_latest_state_is_kept() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[alice]);
    let before = network.result("eth_getBlockByNumber", json!(["latest", false]))["hash"].clone();
    network.result("eth_sendRawTransaction", json!([alice.send(0, Address::ZERO, 0, Bytes::new())]));
    let now = network.result("eth_getBlockByNumber", json!(["latest", false]))["hash"].clone();
    for block in [
        json!("0x1"),
        now.clone(),
        json!({"blockHash": now, "requireCanonical": true}),
        json!("pending"),
        json!({"blockNumber": "0x1"}),
    ] {
        assert_eq!(network.result("eth_getTransactionCount", json!([alice.address, block])), "0x1", "{block}");
    }
    for block in [json!("0x0"), json!("earliest"), before.clone(), json!({"blockHash": before})] {
        let (code, message) = network.error("eth_getTransactionCount", json!([alice.address, block]));
        assert_eq!((code, message.starts_with("missing trie node")), (-32000, true), "{message}");
    }
    let unknown = json!({"blockHash": format!("0x{}", "11".repeat(32))});
    for block in [json!("0x2"), unknown] {
        assert_eq!(network.error("eth_call", json!([{}, block])), (-32000, "header not found".into()));
    }
}

#[test]
fn an_instance_that_is_not_there_is_not_found() {
    let mut network = Network::empty();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}).to_string();
    assert_eq!(network.refused(Method::Post, "main", body.as_bytes()).1, "InstanceUnknown");
    let send = wallet_request(&Wallet::new(1).send(0, Address::ZERO, 0, Bytes::new()));
    assert_eq!(network.refused(Method::Post, "main", send.as_bytes()).1, "InstanceUnknown");
    assert_eq!(network.refused(Method::Get, "main", b"").1, "InstanceUnknown");
    assert_eq!(network.refused(Method::Get, "main/nothing", b"").1, "NotFound");
    assert_eq!(network.refused(Method::Post, "", b"").1, "NotFound");
    assert_eq!(network.refused(Method::Get, "Main", b"").1, "BadRequest");
}

fn wallet_request(raw: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [raw]}).to_string()
}
