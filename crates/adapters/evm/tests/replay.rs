//! Real blocks of Ethereum mainnet, through the door that everybody uses.

#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod common;

use common::Network;
use common::mainnet::{self, BlockFile, rlp_list};
use synod_worker::Method;

/// Creates an instance with the state before the block, sends the block's transactions as they were
/// signed, a hundred a request, and compares what execution computes with the block's header.
fn check(number: u64, batch: usize) {
    let Some(directory) = mainnet::directory() else { return };
    let file = BlockFile::read(&directory, number);
    let mut network = Network::empty();
    network.ok(Method::Put, "replay", file.create().as_bytes());
    network.ok(Method::Post, "replay/blocks", file.header().to_string().as_bytes());
    for part in file.raw_transactions().chunks(batch) {
        let answer = network.ok(Method::Post, "replay/transactions", &rlp_list(part));
        assert_eq!(answer["transactions"], part.len());
    }
    let closed = network.ok(Method::Post, "replay/blocks/close", &[]);
    assert_eq!(closed, network.ok(Method::Get, &format!("replay/blocks/{number}"), &[]));

    assert_eq!(closed["gasUsed"], file.block["gasUsed"]);
    assert_eq!(closed["logsBloom"], file.block["logsBloom"]);
    assert_eq!(closed["transactionsRoot"].as_str(), file.block["transactionsRoot"].as_str());
    if number < BYZANTIUM {
        assert!(closed["receiptsRoot"].is_null(), "receipts held state roots, which are not computed");
    } else {
        assert_eq!(closed["receiptsRoot"], file.block["receiptsRoot"]);
    }
    // The state root is taken from the header as given; every other field is computed or bears on execution.
    assert_eq!(closed["hash"], file.block["hash"]);
}

const BYZANTIUM: u64 = 4_370_000;

#[test]
fn block_4330482_spurious_dragon_replays() {
    check(4_330_482, 100);
}

#[test]
fn block_4864590_byzantium_replays() {
    check(4_864_590, 100);
}

#[test]
fn block_11814555_muir_glacier_replays() {
    check(11_814_555, 1_000);
}

#[test]
fn block_13287210_london_replays() {
    check(13_287_210, 100);
}

#[test]
fn block_15538827_paris_replays() {
    check(15_538_827, 100);
}

#[test]
fn block_16146267_paris_replays() {
    check(16_146_267, 7);
}

#[test]
fn block_17666333_shanghai_replays_with_its_withdrawals() {
    check(17_666_333, 100);
}

#[test]
fn block_19933597_cancun_replays_with_its_beacon_root() {
    check(19_933_597, 1);
}
