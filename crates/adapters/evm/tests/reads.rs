//! What is read over JSON-RPC: bodies and batches, blocks, logs, calls.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod common;

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use common::Network;
use common::token::{self, SUPPLY, input, transfer, word};
use common::wallet::{self, Wallet};
use serde_json::{Value, json};
use synod_worker::Method;

fn request(id: Value, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

#[test]
fn each_of_the_methods_that_tools_need_is_there() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[alice]);
    let contract = token::deploy(&mut network, &alice);
    let block = network.result("eth_getBlockByNumber", json!(["latest", true]));
    let hash = block["transactions"][0]["hash"].clone();
    let call = json!({"to": null, "from": alice.address, "input": "0x", "data": "0x", "somethingNew": {}});
    let rows = [
        ("eth_chainId", json!([]), json!("0x539")),
        ("net_version", json!([]), json!("1337")),
        ("web3_clientVersion", json!([]), json!("synod/v0.1.0/rust")),
        ("web3_sha3", json!(["0x"]), json!(keccak256(""))),
        ("eth_blockNumber", json!([]), json!("0x1")),
        ("eth_getBlockByHash", json!([block["hash"], true]), block.clone()),
        ("eth_getTransactionCount", json!([alice.address]), json!("0x1")),
        ("eth_getBalance", json!([alice.address, "safe"]), json!("0xde0b6b3a7640000")),
        ("eth_getBalance", json!([Address::repeat_byte(0x77), "finalized"]), json!("0x0")),
        ("eth_getCode", json!([alice.address, "latest"]), json!("0x")),
        ("eth_call", json!([call, "pending"]), json!("0x")),
        ("eth_gasPrice", json!([]), json!("0x0")),
        ("eth_maxPriorityFeePerGas", json!([]), json!("0x0")),
        ("eth_getTransactionByHash", json!([B256::ZERO]), Value::Null),
        ("eth_getTransactionReceipt", json!([B256::ZERO]), Value::Null),
        ("eth_getBlockByHash", json!([B256::ZERO, false]), Value::Null),
        ("eth_getBlockByNumber", json!(["0x2", false]), Value::Null),
        ("eth_getBlockReceipts", json!(["0x2"]), Value::Null),
        ("eth_getBlockTransactionCountByNumber", json!(["0x1"]), json!("0x1")),
        ("eth_getBlockTransactionCountByHash", json!([block["hash"]]), json!("0x1")),
        ("eth_getUncleCountByBlockNumber", json!(["0x1"]), json!("0x0")),
        ("eth_accounts", json!([]), json!([])),
        ("eth_syncing", json!([]), json!(false)),
        ("net_listening", json!([]), json!(true)),
        ("eth_getStorageAt", json!([contract, "0x0", "latest"]), json!(B256::from(U256::from(SUPPLY)))),
        ("eth_getStorageAt", json!([contract, B256::with_last_byte(9)]), json!(B256::ZERO)),
    ];
    for (method, params, expected) in rows {
        assert_eq!(network.result(method, params.clone()), expected, "{method} {params}");
    }
    assert_eq!(network.result("eth_getTransactionByHash", json!([hash]))["blockHash"], block["hash"]);
    let runtime: Value = serde_json::from_str(include_str!("contracts/Token.json")).unwrap();
    assert_eq!(network.result("eth_getCode", json!([contract, "latest"])), runtime["runtime"]);
    let gas = network.result("eth_estimateGas", json!([call]));
    assert_eq!(gas, format!("{:#x}", 53_000));
}

#[test]
fn a_block_has_every_field_that_strict_clients_want() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[]);
    for number in ["0x0", "0x1"] {
        let block = network.result("eth_getBlockByNumber", json!([number, false]));
        for (field, size) in [
            ("hash", 32),
            ("parentHash", 32),
            ("mixHash", 32),
            ("sha3Uncles", 32),
            ("transactionsRoot", 32),
            ("stateRoot", 32),
            ("receiptsRoot", 32),
            ("withdrawalsRoot", 32),
            ("parentBeaconBlockRoot", 32),
            ("requestsHash", 32),
            ("nonce", 8),
            ("miner", 20),
            ("logsBloom", 256),
            ("extraData", 0),
        ] {
            let text = block[field].as_str().unwrap_or_else(|| panic!("{field} is missing"));
            assert_eq!(text.len(), 2 + 2 * size, "{field}");
        }
        for field in ["size", "gasUsed", "timestamp", "difficulty", "totalDifficulty"] {
            assert!(block[field].as_str().unwrap().starts_with("0x"), "{field}");
        }
        assert_eq!(block["number"], number);
        assert_eq!(
            (&block["baseFeePerGas"], &block["blobGasUsed"], &block["excessBlobGas"]),
            (&json!("0x0"), &json!("0x0"), &json!("0x0"))
        );
        assert_eq!((&block["uncles"], &block["withdrawals"]), (&json!([]), &json!([])));
        assert_eq!(block["gasLimit"], "0x1fffffffffffff");
        if number == "0x0" {
            token::deploy(&mut network, &alice);
        }
    }
    let block = network.result("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(block["timestamp"], format!("{:#x}", network.time.seconds()));
    assert_eq!(block["transactions"].as_array().unwrap().len(), 1);
}

#[test]
fn fees_are_nothing_in_every_form_that_tools_ask_for() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[]);
    for nonce in 0..3 {
        network.result("eth_sendRawTransaction", json!([alice.send(nonce, Address::ZERO, 0, Bytes::new())]));
    }
    let rows = [
        (json!(["0x2", "latest"]), 2, None),
        (json!([2, "latest", []]), 2, None),
        (json!(["0xa", "latest", [20]]), 4, Some(1)),
        (json!(["0x1", "0x1", [5, 50.5, 95]]), 1, Some(3)),
        (json!(["0x0", "latest"]), 0, None),
    ];
    for (params, count, rewards) in rows {
        let history = network.result("eth_feeHistory", params.clone());
        assert_eq!(history["baseFeePerGas"], json!(vec!["0x0"; count + 1]), "{params}");
        assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), count, "{params}");
        let reward = rewards.map(|width| json!(vec![vec!["0x0"; width]; count]));
        assert_eq!(history.get("reward"), reward.as_ref(), "{params}");
    }
    assert_eq!(network.result("eth_feeHistory", json!(["0xa", "latest", [20]]))["oldestBlock"], "0x0");
    assert_eq!(network.result("eth_feeHistory", json!(["0x1", "0x1"]))["oldestBlock"], "0x1");
    assert_eq!(network.error("eth_feeHistory", json!(["0x1", "0x9"])).0, -32000);
}

#[test]
fn a_batch_is_answered_in_order_reads_after_writes() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[]);
    let to = Address::ZERO;
    let body = json!([
        request(json!(1), "eth_getTransactionCount", json!([alice.address, "pending"])),
        request(json!("b"), "eth_sendRawTransaction", json!([alice.send(0, to, 0, Bytes::new())])),
        request(json!(3), "eth_getTransactionCount", json!([alice.address, "pending"])),
        request(json!(4), "eth_blockNumber", json!([])),
        request(json!(5), "eth_nothing", json!([])),
        request(json!(null), "eth_sendRawTransaction", json!(["0x00"])),
        request(json!(1), "eth_chainId", json!([])),
    ]);
    let answers = network.post(&body.to_string());
    let seen: Vec<Value> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| json!([answer["id"], answer.get("result").unwrap_or(&answer["error"]["code"])]))
        .collect();
    let hash = network.result("eth_getBlockByNumber", json!(["0x1", false]))["transactions"][0].clone();
    let expected = json!([[1, "0x0"], ["b", hash], [3, "0x1"], [4, "0x1"], [5, -32601], [null, -32003], [1, "0x539"]]);
    assert_eq!(json!(seen), expected);
}

#[test]
fn a_batch_of_a_thousand_is_taken_and_a_larger_one_is_not() {
    let mut network = token::network(&[]);
    let body = |count: usize| json!(vec![request(json!(1), "eth_chainId", json!([])); count]).to_string();
    assert_eq!(network.post(&body(1_000)).as_array().unwrap().len(), 1_000);
    let refused = network.post(&body(1_001));
    assert_eq!(refused["error"]["code"], -32600);
    assert_eq!(refused["id"], Value::Null);
}

#[test]
fn bodies_that_are_not_json_rpc_are_refused_over_http_200() {
    let mut network = token::network(&[]);
    let rows: [(&[u8], i64); 12] = [
        (b"", -32700),
        (b"{", -32700),
        (b"nothing", -32700),
        (b"[1,", -32700),
        (b"{} {}", -32700),
        (b"\xff", -32600),
        (b"[]", -32600),
        (b"{}", -32600),
        (b"7", -32600),
        (br#"{"id":1}"#, -32600),
        (br#"{"id":{},"method":"eth_chainId"}"#, -32600),
        (br#"{"id":1,"method":7}"#, -32600),
    ];
    for (body, code) in rows {
        let answer = network.ok(Method::Post, "main", body);
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert_eq!(answer["jsonrpc"], "2.0");
    }
    let answers = network.post(r#"[1, {"jsonrpc":"2.0","id":2,"method":"eth_chainId"}, []]"#);
    let codes: Vec<_> = answers.as_array().unwrap().iter().map(|answer| answer["error"]["code"].clone()).collect();
    assert_eq!(codes, [json!(-32600), Value::Null, json!(-32600)]);
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{}{}]}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    assert_eq!(network.post(&deep)["error"]["code"], -32602);
}

#[test]
fn a_notification_is_carried_out_and_not_answered() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[]);
    let mut send = request(json!(1), "eth_sendRawTransaction", json!([alice.send(0, Address::ZERO, 0, Bytes::new())]));
    send.as_object_mut().unwrap().remove("id");
    let reply = network.request(Method::Post, "main", json!([send]).to_string().as_bytes());
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(network.result("eth_blockNumber", json!([])), "0x1");
}

/// Three blocks with transfers: alice to bob, alice to carol (twice), bob to carol.
struct Logs {
    network: Network,
    tokens: [Address; 2],
    wallets: [Wallet; 3],
}

impl Logs {
    fn new() -> Self {
        let wallets @ [alice, bob, carol] = [1, 2, 3].map(Wallet::new);
        let mut network = token::network(&[]);
        let first = token::deploy(&mut network, &alice);
        let raw = alice.send(1, TxKind::Create, 0, token::creation_code());
        network.result("eth_sendRawTransaction", json!([raw]));
        let second = alice.address.create(1);
        let batches = [
            vec![
                alice.send(2, first, 0, transfer(bob.address, 10)),
                alice.send(3, second, 0, transfer(carol.address, 20)),
            ],
            vec![
                alice.send(4, first, 0, transfer(carol.address, 30)),
                bob.send(0, first, 0, transfer(carol.address, 5)),
            ],
            vec![bob.send(1, Address::ZERO, 0, Bytes::new())],
        ];
        for raws in batches {
            let send = |raw: &String| request(json!(1), "eth_sendRawTransaction", json!([raw]));
            network.post(&json!(raws.iter().map(send).collect::<Vec<_>>()).to_string());
        }
        Self { network, tokens: [first, second], wallets }
    }

    /// What a filter finds: block, place in the block and amount of each transfer.
    fn found(&mut self, filter: Value) -> Vec<(u64, u64, u64)> {
        let number = |text: &Value| text.as_str().unwrap().parse::<U256>().unwrap().to::<u64>();
        let logs = self.network.result("eth_getLogs", json!([filter]));
        let one = |log: &Value| (number(&log["blockNumber"]), number(&log["logIndex"]), number(&log["data"]));
        logs.as_array().unwrap().iter().map(one).collect()
    }
}

#[test]
fn logs_are_found_by_every_kind_of_filter() {
    let mut logs = Logs::new();
    let [first, second] = logs.tokens;
    let [alice, bob, carol] = logs.wallets.map(|wallet| wallet.address.into_word());
    let event = keccak256("Transfer(address,address,uint256)");
    let (mint1, mint2) = ((1, 0, SUPPLY), (2, 0, SUPPLY));
    let (a, b, c, d) = ((3, 0, 10), (3, 1, 20), (4, 0, 30), (4, 1, 5));
    let all = |mut filter: Value| {
        filter["fromBlock"] = json!("earliest");
        filter
    };
    let rows = [
        (all(json!({})), vec![mint1, mint2, a, b, c, d]),
        (all(json!({"address": first})), vec![mint1, a, c, d]),
        (all(json!({"address": [second]})), vec![mint2, b]),
        (all(json!({"address": [first, second]})), vec![mint1, mint2, a, b, c, d]),
        (all(json!({"address": []})), vec![mint1, mint2, a, b, c, d]),
        (all(json!({"address": Address::ZERO})), vec![]),
        (all(json!({"topics": []})), vec![mint1, mint2, a, b, c, d]),
        (all(json!({"topics": [event]})), vec![mint1, mint2, a, b, c, d]),
        (all(json!({"topics": [B256::ZERO]})), vec![]),
        (all(json!({"topics": [null, alice]})), vec![a, b, c]),
        (all(json!({"topics": [event, B256::ZERO]})), vec![mint1, mint2]),
        (all(json!({"topics": [[event, B256::ZERO], null, carol]})), vec![b, c, d]),
        (all(json!({"topics": [event, [alice, bob], [carol]]})), vec![b, c, d]),
        (all(json!({"topics": [null, bob, [alice, carol]]})), vec![d]),
        (all(json!({"topics": [null, [null, bob]]})), vec![mint1, mint2, a, b, c, d]),
        (all(json!({"topics": [null, null, null, alice]})), vec![]),
        (all(json!({"address": first, "topics": [event, alice, carol]})), vec![c]),
        (all(json!({"address": second, "topics": [event, bob]})), vec![]),
        (json!({"fromBlock": "0x3", "toBlock": "0x3"}), vec![a, b]),
        (json!({"fromBlock": "0x3", "toBlock": "latest", "topics": [null, null, carol]}), vec![b, c, d]),
        (json!({"fromBlock": "0x2", "toBlock": "0x3", "address": first}), vec![a]),
        (json!({"fromBlock": "latest"}), vec![]),
        (json!({}), vec![]),
    ];
    for (filter, expected) in rows {
        assert_eq!(logs.found(filter.clone()), expected, "{filter}");
    }
    let hash = logs.network.result("eth_getBlockByNumber", json!(["0x4", false]))["hash"].clone();
    assert_eq!(logs.found(json!({"blockHash": hash, "address": first})), [c, d]);
    // In the same block, one transaction emits what another is asked for: neither meets both conditions.
    assert_eq!(logs.found(json!({"blockHash": hash, "topics": [null, alice, bob]})), []);
}

#[test]
fn queries_for_logs_that_make_no_sense_or_ask_too_much_are_refused() {
    let mut logs = Logs::new();
    let network = &mut logs.network;
    let rows = [
        (json!({"fromBlock": "0x3", "toBlock": "0x2"}), -32602, "invalid block range params"),
        (json!({"fromBlock": "0x0", "toBlock": "0x6"}), -32602, "block range extends beyond current head block"),
        (json!({"fromBlock": "0x9"}), -32602, "invalid block range params"),
        (
            json!({"blockHash": B256::ZERO, "fromBlock": "0x1"}),
            -32602,
            "cannot specify both BlockHash and FromBlock/ToBlock",
        ),
        (json!({"blockHash": B256::ZERO}), -32000, "unknown block"),
        (json!({"topics": [null, null, null, null, null]}), -32602, "exceed max topics"),
        (json!({"address": vec![Address::ZERO; 1_001]}), -32602, "exceed max addresses or topics"),
        (json!({"address": "0x"}), -32602, "invalid argument 0"),
        (json!({"topics": "0x"}), -32602, "invalid argument 0"),
    ];
    for (filter, code, message) in rows {
        let error = network.error("eth_getLogs", json!([filter]));
        assert_eq!((error.0, error.1.starts_with(message)), (code, true), "{filter}: {error:?}");
    }
}

#[test]
fn an_answer_has_at_most_ten_thousand_logs() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[]);
    // PUSH2 6000; JUMPDEST; PUSH0 PUSH0 LOG0; PUSH1 1 SWAP1 SUB; DUP1 PUSH1 3 JUMPI: as many logs.
    let code = Bytes::from(hex::decode("6117705b5f5fa0600190038060035700").unwrap());
    for nonce in 0..2 {
        let tx = wallet::legacy(nonce, TxKind::Create, 0, code.clone());
        let raw = alice.signed(alloy_consensus::TxLegacy { gas_limit: 10_000_000, ..tx });
        network.result("eth_sendRawTransaction", json!([raw]));
    }
    let logs = network.result("eth_getLogs", json!([{"fromBlock": "0x1", "toBlock": "0x1"}]));
    assert_eq!(logs.as_array().unwrap().len(), 6_000);
    assert_eq!(logs[5_999]["logIndex"], format!("{:#x}", 5_999));
    let (code, message) = network.error("eth_getLogs", json!([{"fromBlock": "0x1"}]));
    assert_eq!((code, message.as_str()), (-32005, "query returned more than 10000 results, narrow the range"));
}

#[test]
fn an_estimate_suffices_and_is_not_much_more_than_needed() {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut network = token::network(&[alice]);
    let plain =
        json!({"from": alice.address, "to": bob.address, "value": "0x1", "nonce": "0x0", "maxFeePerGas": "0x1"});
    assert_eq!(network.result("eth_estimateGas", json!([plain, "pending"])), "0x5208");
    let contract = token::deploy(&mut network, &alice);
    let transfer = transfer(bob.address, 1);
    let call = json!({"from": alice.address, "to": contract, "data": transfer});
    let gas = network.result("eth_estimateGas", json!([call])).as_str().unwrap().parse::<U256>().unwrap().to::<u64>();

    let send = |nonce, gas_limit| {
        let tx = wallet::legacy(nonce, TxKind::Call(contract), 0, transfer.clone());
        alice.signed(alloy_consensus::TxLegacy { gas_limit, ..tx })
    };
    let hash = network.result("eth_sendRawTransaction", json!([send(1, gas)]));
    let receipt = network.result("eth_getTransactionReceipt", json!([hash]));
    assert_eq!(receipt["status"], "0x1");
    let used = receipt["gasUsed"].as_str().unwrap().parse::<U256>().unwrap().to::<u64>();
    assert!((used..used * 102 / 100).contains(&gas), "{used} used, {gas} estimated");
}

#[test]
fn a_call_may_pretend_other_accounts_and_another_block() {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut network = token::network(&[]);
    let contract = token::deploy(&mut network, &alice);
    // balanceOf is the mapping in slot 1.
    let slot = keccak256([word(bob.address).to_be_bytes::<32>(), U256::from(1).to_be_bytes::<32>()].concat());
    let balance = json!({"to": contract, "data": input("balanceOf(address)", &[word(bob.address)])});
    let supply = json!({"to": contract, "data": input("totalSupply()", &[])});
    let word_of = |number: u64| json!(B256::from(U256::from(number)));
    let at = |account: Address, changes: Value| json!({account.to_string(): changes});
    let rows = [
        (&balance, at(contract, json!({"stateDiff": {slot.to_string(): word_of(77)}})), word_of(77)),
        (&supply, at(contract, json!({"stateDiff": {slot.to_string(): word_of(77)}})), word_of(SUPPLY)),
        (&supply, at(contract, json!({"state": {slot.to_string(): word_of(77)}})), word_of(0)),
        // PUSH1 5; PUSH0; MSTORE; PUSH1 32; PUSH0; RETURN.
        (&supply, at(contract, json!({"code": "0x60055f5260205ff3"})), word_of(5)),
    ];
    for (call, overrides, expected) in rows {
        assert_eq!(network.result("eth_call", json!([call, "latest", overrides])), expected, "{overrides}");
    }
    let paid = json!({"from": bob.address, "to": contract, "value": "0x5"});
    assert!(network.rpc("eth_call", json!([paid])).get("error").is_some());
    assert_eq!(network.result("eth_call", json!([paid, "latest", at(bob.address, json!({"balance": "0x5"}))])), "0x");
    // NUMBER TIMESTAMP as code without a contract: eth_call with `to` null returns what the code returns.
    let code = json!({"data": "0x435f5242602052 60405ff3".replace(' ', "")});
    let seen = network.result("eth_call", json!([code, "latest", {}, {"number": "0x64", "time": "0x65"}]));
    assert_eq!(seen, format!("0x{:064x}{:064x}", 100, 101));
}

#[test]
fn blob_proofs_are_checked_without_a_trusted_setup_to_load() {
    let mut network = token::network(&[]);
    // verify_kzg_proof_case_correct_proof_4_4 of the consensus tests.
    let commitment =
        hex!("8f59a8d2a1a625a17f3fea0fe5eb8c896db3764f3185481bc22f91b4aaffcca25f26936857bc3a7c2539ea8ec3a952b7");
    let z = hex!("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000");
    let y = hex!("1522a4a7f34e1ea350ae07c29c96c7e79655aa926122e95fe69fcbd932ca49e9");
    let proof =
        hex!("a62ad71d14c5719385c0686f1871430475bf3a00f0aa3f7b8dd99a9abc2160744faf0070725e00b60ad9a026a15b1a8c");
    let mut versioned_hash = synod_crypto::sha256(&[&commitment]).0;
    versioned_hash[0] = 1;
    let mut call = |y: &[u8]| {
        let input = [&versioned_hash[..], &z, y, &commitment, &proof].concat();
        let to = Address::with_last_byte(10);
        network.rpc("eth_call", json!([{"to": to, "data": hex::encode_prefixed(input), "gas": "0x20000"}]))
    };
    let right = call(&y);
    assert_eq!(right["result"].as_str().unwrap().len(), 2 + 128, "{right}");
    assert!(call(&[0; 32]).get("error").is_some());
}

#[test]
fn contracts_that_tools_expect_are_there_unless_the_network_declines() {
    let mut network = token::network(&[]);
    let expected = [
        "0x4e59b44847b379578588920cA78FbF26c0B4956C",
        "0x0000F90827F1C53a10cb7A02335B175320002935",
        "0xcA11bde05977b3631167028862bE2a173976CA11",
        "0x1820a4B7618BdE71Dce8cdc73aAB6C95905faD24",
    ];
    for address in expected {
        assert_ne!(network.result("eth_getCode", json!([address, "latest"])), "0x", "{address}");
    }
    let declined = json!({"instances": [{"name": "main", "chain_id": 1, "predeploys": false}]});
    let mut bare = Network::new(&declined);
    for address in expected {
        assert_eq!(bare.result("eth_getCode", json!([address, "latest"])), "0x", "{address}");
    }

    // aggregate3([(multicall, false, getChainId()), (multicall, true, noSuchFunction())]).
    let word_of = U256::from::<u64>;
    let call = |allow_failure: bool, selector: &[u8]| {
        let mut data = selector.to_vec();
        data.resize(32, 0);
        let head = [word(expected[2].parse().unwrap()), word_of(u64::from(allow_failure)), word_of(96), word_of(4)];
        [input_words(&head), data].concat()
    };
    let (first, second) = (call(false, &input("getChainId()", &[])), call(true, &input("noSuchFunction()", &[])));
    let head = input_words(&[word_of(32), word_of(2), word_of(64), word_of(64 + first.len() as u64)]);
    let data = [&input("aggregate3((address,bool,bytes)[])", &[])[..], &head, &first, &second].concat();
    let seen = network.result("eth_call", json!([{"to": expected[2], "data": hex::encode_prefixed(data)}]));
    let seen = hex::decode(seen.as_str().unwrap()).unwrap();
    let at = |place: usize| U256::from_be_slice(&seen[place * 32..][..32]).to::<u64>();
    // Offset and count, offsets of two results; a result is success, offset, size and bytes.
    assert_eq!([at(0), at(1), at(4), at(6), at(7)], [32, 2, 1, 32, wallet::CHAIN_ID]);
    assert_eq!([at(8), at(10)], [0, 0]);
}

fn input_words(words: &[U256]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect()
}

#[test]
fn a_contract_finds_earlier_blocks_hashes_by_opcode_and_in_the_history_contract() {
    let alice = Wallet::new(1);
    let mut network = token::network(&[]);
    for nonce in 0..3 {
        network.result("eth_sendRawTransaction", json!([alice.send(nonce, Address::ZERO, 0, Bytes::new())]));
    }
    for number in 0..3u64 {
        let block = network.result("eth_getBlockByNumber", json!([format!("{number:#x}"), false]));
        let history =
            json!({"to": "0x0000F90827F1C53a10cb7A02335B175320002935", "data": B256::from(U256::from(number))});
        assert_eq!(network.result("eth_call", json!([history])), block["hash"], "block {number}");
        // PUSH1 number; BLOCKHASH; PUSH0; MSTORE; PUSH1 32; PUSH0; RETURN.
        let opcode = json!({"data": format!("0x60{number:02x}405f5260205ff3")});
        assert_eq!(network.result("eth_call", json!([opcode])), block["hash"], "block {number}");
    }
}

#[test]
fn a_call_or_estimate_with_authorizations_is_made_as_the_transaction_would_be() {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut network = token::network(&[alice]);
    let contract = token::deploy(&mut network, &alice);
    let signed = bob.authorize(contract, 0);
    let object = |parity: Value| {
        let mut object = json!({
            "chainId": format!("{:#x}", signed.chain_id), "address": signed.address, "nonce": "0x0",
            "r": format!("{:#x}", signed.r()), "s": format!("{:#x}", signed.s()),
        });
        object.as_object_mut().unwrap().extend(parity.as_object().unwrap().clone());
        object
    };
    let parity = u64::from(signed.y_parity());
    let is_even = json!({"yParity": format!("{parity:#x}")});

    // Bob's account answers as the token does, if he authorized it.
    let name = token::input("totalSupply()", &[]);
    let call =
        |list: Value| json!([{"from": alice.address, "to": bob.address, "data": name, "authorizationList": list}]);
    assert_eq!(network.result("eth_call", call(json!([]))), "0x");
    for given in [&is_even, &json!({"v": format!("{:#x}", 27 + parity)})] {
        let answer = network.result("eth_call", call(json!([object(given.clone())])));
        assert_eq!(answer.as_str().unwrap().len(), 66, "{given}");
    }
    // A signature of nobody's authorizes nothing.
    assert_eq!(network.result("eth_call", call(json!([object(json!({"yParity": "0x5"}))]))), "0x");

    let plain = json!([{"from": alice.address, "to": bob.address, "authorizationList": [object(is_even.clone())]}]);
    let gas = network.result("eth_estimateGas", plain).as_str().unwrap().parse::<U256>().unwrap().to::<u64>();
    assert!(gas > 46_000, "{gas}");
    let tx = wallet::eip7702(1, bob.address, vec![signed.clone()], Bytes::new());
    let raw = alice.signed(alloy_consensus::TxEip7702 { gas_limit: gas, ..tx });
    let hash = network.result("eth_sendRawTransaction", json!([raw]));
    assert_eq!(network.result("eth_getTransactionReceipt", json!([hash]))["type"], "0x4");

    let many = vec![object(is_even); 1_201];
    let (code, message) = network.error("eth_estimateGas", json!([{"to": bob.address, "authorizationList": many}]));
    assert_eq!((code, message.as_str()), (-32_000, "intrinsic gas too low: have 30000000, want at least 30025000"));
}
