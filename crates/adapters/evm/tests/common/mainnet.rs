//! Blocks of Ethereum mainnet from files, with their transactions as they were signed.

#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::io::Read;
use std::path::{Path, PathBuf};

use alloy_consensus::{EthereumTxEnvelope, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

/// One block's file.
pub struct BlockFile {
    pub block: Value,
    pub alloc: Value,
    pub block_hashes: Value,
}

/// The directory with the files: `SYNOD_MAINNET`, or `shared/mainnet` beside the repository.
pub fn directory() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/mainnet");
    let directory = std::env::var_os("SYNOD_MAINNET").map_or_else(beside, PathBuf::from);
    if directory.is_dir() {
        return Some(directory);
    }
    eprintln!("skipped: no blocks of Ethereum mainnet at {}; SYNOD_MAINNET names another place", directory.display());
    None
}

impl BlockFile {
    /// Reads the file of block `number`.
    pub fn read(directory: &Path, number: u64) -> Self {
        let file = std::fs::File::open(directory.join(format!("{number}.json.gz"))).unwrap();
        let mut text = String::new();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        let mut json: Value = serde_json::from_str(&text).unwrap();
        Self { block: json["block"].take(), alloc: json["alloc"].take(), block_hashes: json["blockHashes"].take() }
    }

    /// The block's transactions, as they were signed.
    pub fn raw_transactions(&self) -> Vec<Vec<u8>> {
        let raw = |json: &Value| {
            let raw = envelope(json).encoded_2718();
            assert_eq!(keccak256(&raw), b256(&json["hash"]));
            raw
        };
        self.block["transactions"].as_array().unwrap().iter().map(raw).collect()
    }

    /// The block's header: what opens it.
    pub fn header(&self) -> Value {
        let mut header = self.block.clone();
        header.as_object_mut().unwrap().remove("transactions");
        header
    }

    /// The request body that creates an instance with the state before the block.
    pub fn create(&self) -> String {
        json!({"chain_id": 1, "alloc": self.alloc, "blockHashes": self.block_hashes}).to_string()
    }
}

/// Byte strings as one RLP list.
pub fn rlp_list(items: &[Vec<u8>]) -> Vec<u8> {
    let items: Vec<Bytes> = items.iter().map(|item| Bytes::copy_from_slice(item)).collect();
    alloy_rlp::encode(&items)
}

fn envelope(json: &Value) -> EthereumTxEnvelope<TxEip4844> {
    let nonce = u64_of(&json["nonce"]);
    let gas_limit = u64_of(&json["gas"]);
    let to = json["to"].as_str().map_or(TxKind::Create, |to| TxKind::Call(to.parse().unwrap()));
    let value = u256(&json["value"]);
    let input: Bytes = json["input"].as_str().unwrap().parse().unwrap();
    let v = u64_of(&json["v"]);
    let signature = |odd| Signature::new(u256(&json["r"]), u256(&json["s"]), odd);
    match u64_of(&json["type"]) {
        0 => {
            let (chain_id, odd) = if v >= 35 { (Some((v - 35) / 2), (v - 35) % 2 == 1) } else { (None, v == 28) };
            let gas_price = u128_of(&json["gasPrice"]);
            TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input }.into_signed(signature(odd)).into()
        }
        1 => {
            let gas_price = u128_of(&json["gasPrice"]);
            let access_list = access_list(&json["accessList"]);
            let tx = TxEip2930 { chain_id: 1, nonce, gas_price, gas_limit, to, value, access_list, input };
            tx.into_signed(signature(v == 1)).into()
        }
        2 => {
            let tx = TxEip1559 {
                chain_id: 1,
                nonce,
                gas_limit,
                max_fee_per_gas: u128_of(&json["maxFeePerGas"]),
                max_priority_fee_per_gas: u128_of(&json["maxPriorityFeePerGas"]),
                to,
                value,
                access_list: access_list(&json["accessList"]),
                input,
            };
            tx.into_signed(signature(v == 1)).into()
        }
        other => panic!("no file holds a transaction of type {other}"),
    }
}

fn access_list(json: &Value) -> AccessList {
    let item = |item: &Value| AccessListItem {
        address: item["address"].as_str().unwrap().parse::<Address>().unwrap(),
        storage_keys: item["storageKeys"].as_array().unwrap().iter().map(b256).collect(),
    };
    AccessList(json.as_array().into_iter().flatten().map(item).collect())
}

fn b256(json: &Value) -> B256 {
    json.as_str().unwrap().parse().unwrap()
}

fn u256(json: &Value) -> U256 {
    json.as_str().unwrap().parse().unwrap()
}

fn u64_of(json: &Value) -> u64 {
    u256(json).to()
}

fn u128_of(json: &Value) -> u128 {
    u256(json).to()
}
