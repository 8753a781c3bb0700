//! How much memory a live instance takes for each transaction, and in which maps.
//!
//!     cargo run -p synod-evm --example memory [TRANSACTIONS]
//!
//! TRANSACTIONS defaults to 50,000. The bytes of a map are those of its keys and values; the last
//! column is what the process grew by, the nodes of the maps' trees included (Linux only).

#![allow(clippy::unwrap_used, reason = "a failing measurement is a failing run")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;

use alloy_primitives::{Address, Bytes, TxKind};
use common::Network;
use common::token::{self, transfer};
use common::wallet::{self, Wallet};
use serde_json::json;
use synod_kv::Lookup;

/// Senders.
const ACCOUNTS: usize = 100;

/// What each transaction of a load does.
#[derive(Clone, Copy)]
enum Load {
    /// Sends ether between accounts that are there.
    Transfer,
    /// Sends tokens between accounts that hold some.
    Token,
    /// Sends ether to an account that is not there yet.
    NewAccount,
}

fn main() {
    // Kept, so that what one load freed is not what the next one grows into.
    let mut kept = Vec::new();
    let count: usize = std::env::args().nth(1).map_or(50_000, |count| count.parse().unwrap());
    for (name, load, batch) in [
        ("transfers, 100 a block", Load::Transfer, 100),
        ("transfers, 1 a block", Load::Transfer, 1),
        ("ERC-20, 100 a block", Load::Token, 100),
        ("ERC-20, 1 a block", Load::Token, 1),
        ("to new accounts, 100 a block", Load::NewAccount, 100),
    ] {
        kept.push(measure(name, load, batch, count));
    }
}

fn measure(name: &str, load: Load, batch: usize, count: usize) -> Network {
    let wallets: Vec<Wallet> = (1..=ACCOUNTS as u8).map(Wallet::new).collect();
    let mut network = token::network(&wallets);
    let mut nonces = vec![0u64; ACCOUNTS];
    let contract = token::deploy(&mut network, &wallets[0]);
    nonces[0] = 1;
    for wallet in &wallets[1..] {
        let raw = wallets[0].send(nonces[0], contract, 0, transfer(wallet.address, 1_000));
        nonces[0] += 1;
        network.result("eth_sendRawTransaction", json!([raw]));
    }
    let (before, resident) = (sizes(&network), resident_bytes());
    for first in (0..count).step_by(batch) {
        let requests: Vec<_> = (first..(first + batch).min(count))
            .map(|number| {
                let (from, to) = (number % ACCOUNTS, (number * 7 + 1) % ACCOUNTS);
                let (to, value, input) = match load {
                    Load::Transfer => (wallets[to].address, 1, Bytes::new()),
                    Load::Token => (contract, 0, transfer(wallets[to].address, 1)),
                    Load::NewAccount => (Address::left_padding_from(&(1 << 40 | number as u64).to_be_bytes()), 1, Bytes::new()),
                };
                let tx = wallet::eip1559(nonces[from], TxKind::Call(to), value, input);
                nonces[from] += 1;
                json!({"jsonrpc": "2.0", "id": number, "method": "eth_sendRawTransaction", "params": [wallets[from].signed(tx)]})
            })
            .collect();
        let answer = network.post(&json!(requests).to_string());
        assert!(answer.as_array().unwrap().iter().all(|one| one["error"].is_null()), "{answer}");
    }
    let grown = resident_bytes().saturating_sub(resident);
    println!("{name}: {} bytes of the process a transaction", grown / count);
    for (map, (entries, bytes)) in sizes(&network) {
        let (entries_before, bytes_before) = before.get(&map).copied().unwrap_or_default();
        let per = |now: usize, before: usize| (now as f64 - before as f64) / count as f64;
        println!("    {map:<24} {:>6.2} entries {:>7.1} bytes", per(entries, entries_before), per(bytes, bytes_before));
    }
    network
}

/// Entries and bytes of each map.
fn sizes(network: &Network) -> BTreeMap<String, (usize, usize)> {
    let state = network.worker.reader().latest().state.clone();
    let size = |map| {
        let bytes = state.range(map, ..).map(|(key, value)| key.len() + value.as_slice().len()).sum();
        (map.as_str().to_owned(), (state.len(map), bytes))
    };
    state.maps().map(size).collect()
}

/// What the process has in memory; 0 where the system does not say.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}
