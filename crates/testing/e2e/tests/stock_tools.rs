//! Unmodified Ethereum tools work against a sandbox.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use synod_e2e::{Finished, Sandbox, npm_tools};

#[test]
fn unmodified_ethers_deploys_transfers_reads_queries_logs_and_sees_a_custom_error() {
    let sandbox = Sandbox::start();
    let mut node = Command::new("node");
    node.args(["ethers-story.mjs", &account(&sandbox, 0).key]).env("SYNOD_RPC_URL", &sandbox.rpc_url);
    let story = Finished::from(node.current_dir(npm_tools()).output().expect("node runs")).succeeded();
    let saw = story.json();

    let token = 10_u128.pow(18);
    let expected = json!({
        "ownerFunds": true,
        "code": true,
        "name": "Synod Token",
        "transferStatus": 1,
        "transferLogs": 1,
        "transferIndex": 0,
        "friendHolds": (7 * token).to_string(),
        "transfersOfOwner": [[true, (7 * token).to_string()]],
        "callRevert": ["CALL_EXCEPTION", "ERC20InsufficientBalance", [(7 * token).to_string(), (8 * token).to_string()]],
        "estimateRevert": ["CALL_EXCEPTION", "ERC20InsufficientBalance"],
        "sentRevert": ["CALL_EXCEPTION", 0],
        "friendFunds": "0",
        "friendSpends": 1,
        "friendHoldsAtEnd": (5 * token).to_string(),
        "bothStatus": [1, 1],
        "friendWei": "3",
        "heard": [(7 * token).to_string(), (2 * token).to_string()],
        "again": [66, true, {"code": -32_000, "message": "already known"}, true],
        "blockFields": [true, 66, true, "0"],
    });
    let found: serde_json::Map<_, _> =
        expected.as_object().expect("an object").keys().map(|field| (field.clone(), saw[field].clone())).collect();
    assert_eq!(Value::Object(found), expected);
    assert!(saw["chainId"].as_u64() > Some(0));
}

#[test]
fn unmodified_cast_deploys_transfers_reads_queries_logs_and_sees_a_custom_error() {
    let sandbox = Sandbox::start();
    let (owner, friend) = (account(&sandbox, 0), account(&sandbox, 1));
    let cast = |arguments: &[&str]| cast(&sandbox, arguments);
    let words = |arguments: &[&str]| cast(arguments).succeeded().stdout.trim().to_owned();
    let contracts: Value = serde_json::from_slice(&fs::read(npm_tools().join("contracts.json")).unwrap()).unwrap();
    let bytecode = contracts["Token"]["bytecode"].as_str().unwrap();

    let deployed = cast(&["send", "--json", "--private-key", &owner.key, "--create", bytecode]).succeeded().json();
    assert_eq!(deployed["status"], "0x1");
    let token = deployed["contractAddress"].as_str().expect("a deployment has an address").to_owned();
    assert!(words(&["code", &token]).len() > 2);

    let transfer = "transfer(address,uint256)";
    let sent = cast(&["send", "--json", "--private-key", &owner.key, &token, transfer, &friend.address, "7"]);
    let sent = sent.succeeded().json();
    assert_eq!(sent["status"], "0x1");
    assert_eq!(words(&["call", &token, "balanceOf(address)(uint256)", &friend.address]), "7");
    let hash = sent["transactionHash"].as_str().expect("a receipt names its transaction");
    assert_eq!(words(&["receipt", hash, "status"]), "true");
    assert_eq!(words(&["tx", hash, "nonce"]), "1");

    let event = "Transfer(address indexed,address indexed,uint256)";
    let logs = cast(&["logs", "--json", "--from-block", "0", "--address", &token, event]).succeeded().json();
    assert_eq!(logs.as_array().map(Vec::len), Some(2), "the mint and the transfer: {logs}");

    let refused = cast(&["call", "--from", &friend.address, &token, transfer, &owner.address, "8"]);
    assert_ne!(refused.status, 0);
    let selector = "0xe450d38c"; // ERC20InsufficientBalance(address,uint256,uint256)
    let names_it = refused.stderr.contains(selector) || refused.stderr.contains("ERC20InsufficientBalance");
    assert!(names_it, "the custom error reaches the user: {}", refused.stderr);

    assert_eq!(words(&["nonce", &owner.address]), "2");
    assert!(words(&["block-number"]).parse::<u64>().is_ok_and(|number| number >= 2));
    assert!(words(&["block", "latest", "--field", "hash"]).starts_with("0x"));
    assert!(words(&["balance", &owner.address]).parse::<u128>().is_ok_and(|wei| wei > 0));
}

/// A funded development account of the sandbox.
struct Account {
    address: String,
    key: String,
}

fn account(sandbox: &Sandbox, number: usize) -> Account {
    let text = fs::read(sandbox.dir.join("accounts.json")).expect("the sandbox leaves accounts.json");
    let accounts: Value = serde_json::from_slice(&text).expect("accounts.json is JSON");
    assert_eq!(accounts.as_array().map(Vec::len), Some(10), "ten funded accounts");
    let field = |name: &str| accounts[number][name].as_str().expect("an account has both").to_owned();
    Account { address: field("address"), key: field("private_key") }
}

fn cast(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let mut cast = Command::new(npm_tools().join("node_modules/.bin/cast"));
    cast.args(arguments).env("ETH_RPC_URL", &sandbox.rpc_url);
    cast.output().expect("cast runs").into()
}
