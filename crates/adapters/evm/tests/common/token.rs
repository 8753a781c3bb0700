//! The token contract of `contracts/`, and calls of it.

#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use alloy_primitives::{Address, Bytes, TxKind, U256, hex, keccak256};
use serde_json::{Value, json};

use super::Network;
use super::wallet::{CHAIN_ID, Wallet};

/// How many tokens there are.
pub const SUPPLY: u64 = 1_000_000;

/// A network whose instance `main` gives these accounts some ether.
pub fn network(funded: &[Wallet]) -> Network {
    let account = |wallet: &Wallet| (wallet.address.to_string(), json!({"balance": "0xde0b6b3a7640000"}));
    let alloc: serde_json::Map<String, Value> = funded.iter().map(account).collect();
    Network::new(&json!({"instances": [{"name": "main", "chain_id": CHAIN_ID, "alloc": alloc}]}))
}

/// The code that deploys the token.
pub fn creation_code() -> Bytes {
    let json: Value = serde_json::from_str(include_str!("../contracts/Token.json")).unwrap();
    let mut code = hex::decode(json["bytecode"].as_str().unwrap()).unwrap();
    code.extend_from_slice(&U256::from(SUPPLY).to_be_bytes::<32>());
    code.into()
}

/// Deploys the token with `owner`'s first transaction.
pub fn deploy(network: &mut Network, owner: &Wallet) -> Address {
    let raw = owner.send(0, TxKind::Create, 0, creation_code());
    let hash = network.result("eth_sendRawTransaction", json!([raw]));
    let receipt = network.result("eth_getTransactionReceipt", json!([hash]));
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    receipt["contractAddress"].as_str().unwrap().parse().unwrap()
}

/// The input that calls `signature` with words as arguments.
pub fn input(signature: &str, arguments: &[U256]) -> Bytes {
    let mut input = keccak256(signature)[..4].to_vec();
    for argument in arguments {
        input.extend_from_slice(&argument.to_be_bytes::<32>());
    }
    input.into()
}

/// An address as an argument.
pub fn word(address: Address) -> U256 {
    U256::from_be_slice(address.as_slice())
}

/// The input of a transfer.
pub fn transfer(to: Address, value: u64) -> Bytes {
    input("transfer(address,uint256)", &[word(to), U256::from(value)])
}

/// How many tokens `owner` has.
pub fn balance(network: &mut Network, token: Address, owner: Address) -> u64 {
    let call = json!({"to": token, "data": input("balanceOf(address)", &[word(owner)])});
    let result = network.result("eth_call", json!([call, "latest"]));
    result.as_str().unwrap().parse::<U256>().unwrap().to()
}
