//! How many transactions a second each part of the adapter handles, on one thread.
//!
//!     RAYON_NUM_THREADS=1 cargo bench -p synod-evm --bench rates
//!
//! Parts: planning (JSON, decoding, recovery), executing in the worker (EVM, writes, encoding of
//! write sets, closing the block), applying on a follower, and putting the answer together.

#![allow(clippy::unwrap_used, reason = "a failing benchmark is a failing run")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::mainnet::{self, BlockFile, rlp_list};
use common::token::{self, transfer};
use common::wallet::{self, Wallet};
use common::{EVM, Network};
use serde_json::json;
use synod_types::{Seqno, Time, View};
use synod_worker::{Apply, BlockEnv, Call, Execute, Method, Plan, Then, ToWorker};

/// Transactions of one run.
const COUNT: usize = 20_000;
/// Senders and recipients.
const ACCOUNTS: usize = 100;
/// Transactions of one request and of one block.
const BATCH: usize = 100;

/// Time spent in each part.
#[derive(Default)]
struct Spent {
    plan: Duration,
    execute: Duration,
    apply: Duration,
    finish: Duration,
    write_bytes: usize,
}

impl Spent {
    fn print(&self, name: &str, count: usize) {
        let micros = |spent: Duration| spent.as_secs_f64() * 1e6 / count as f64;
        let rate = |spent: Duration| count as f64 / spent.as_secs_f64();
        println!(
            "{name:<22} plan {:>6.1} us ({:>7.0}/s)  execute {:>6.1} us ({:>7.0}/s)  apply {:>5.1} us  answer {:>5.2} us  writes {:>5} B",
            micros(self.plan),
            rate(self.plan),
            micros(self.execute),
            rate(self.execute),
            micros(self.apply),
            micros(self.finish),
            self.write_bytes / count,
        );
    }
}

fn main() {
    recovery();
    let wallets: Vec<Wallet> = (1..=ACCOUNTS as u8).map(Wallet::new).collect();
    for (name, is_token) in [("plain transfers", false), ("ERC-20 transfers", true)] {
        live(name, is_token, &wallets, BATCH);
        live(name, is_token, &wallets, 1_000);
    }
    live("ERC-20, one a block", true, &wallets, 1);
    let Some(directory) = mainnet::directory() else { return };
    for number in [4_330_482, 4_864_590, 11_814_555, 13_287_210, 15_538_827, 16_146_267, 17_666_333, 19_933_597] {
        replay(&BlockFile::read(&directory, number), number);
    }
}

/// Recovery alone, by planning imports without JSON.
fn recovery() {
    let wallet = Wallet::new(1);
    let network = Network::empty();
    let raws: Vec<Vec<u8>> = (0..1_000)
        .map(|nonce| alloy_primitives::hex::decode(wallet.send(nonce, wallet.address, 0, Bytes::new())).unwrap())
        .collect();
    let list = rlp_list(&raws);
    let begun = Instant::now();
    for _ in 0..5 {
        assert!(matches!(network.plan(Method::Post, "past/transactions", &list), Plan::Execute { .. }));
    }
    let each = begun.elapsed() / 5_000;
    println!("decoding and recovery  {:.1} us ({:.0}/s)", each.as_secs_f64() * 1e6, 1.0 / each.as_secs_f64());
}

fn live(name: &str, is_token: bool, wallets: &[Wallet], batch: usize) {
    let mut network = token::network(wallets);
    let mut nonces = vec![0u64; wallets.len()];
    let contract = is_token.then(|| token::deploy(&mut network, &wallets[0]));
    nonces[0] += u64::from(is_token);
    if let Some(contract) = contract {
        for wallet in &wallets[1..] {
            let raw = wallets[0].send(nonces[0], contract, 0, transfer(wallet.address, 1_000));
            nonces[0] += 1;
            network.result("eth_sendRawTransaction", json!([raw]));
        }
    }
    let mut bodies = Vec::new();
    for first in (0..COUNT).step_by(batch) {
        let requests: Vec<_> = (first..first + batch)
            .map(|number| {
                let (from, to) = (number % wallets.len(), (number * 7 + 1) % wallets.len());
                let recipient = wallets[to].address;
                let tx = match contract {
                    Some(contract) => wallet::eip1559(nonces[from], contract.into(), 0, transfer(recipient, 1)),
                    None => wallet::eip1559(nonces[from], recipient.into(), 1, Bytes::new().into()),
                };
                nonces[from] += 1;
                json!({"jsonrpc": "2.0", "id": number, "method": "eth_sendRawTransaction", "params": [wallets[from].signed(tx)]})
            })
            .collect();
        bodies.push(json!(requests).to_string());
    }
    let spent = run(&mut network, "main", bodies.iter().map(String::as_bytes), |answer| {
        assert!(!answer.windows(7).any(|window| window == b"\"error\""), "{}", String::from_utf8_lossy(answer));
    });
    spent.print(&format!("{name} /{batch}"), COUNT);
}

fn replay(file: &BlockFile, number: u64) {
    let mut network = Network::empty();
    network.ok(Method::Put, "past", file.create().as_bytes());
    network.ok(Method::Post, "past/blocks", file.header().to_string().as_bytes());
    let raws = file.raw_transactions();
    let bodies: Vec<_> = raws.chunks(BATCH).map(rlp_list).collect();
    let spent = run(&mut network, "past/transactions", bodies.iter().map(Vec::as_slice), |answer| {
        assert!(answer.starts_with(b"{\"transactions\""), "{}", String::from_utf8_lossy(answer));
    });
    let begun = Instant::now();
    network.ok(Method::Post, "past/blocks/close", b"");
    let close = begun.elapsed();
    spent.print(&format!("block {number} /{BATCH}"), raws.len());
    println!("{:22} closing {:.1} us a transaction", "", close.as_secs_f64() * 1e6 / raws.len() as f64);
}

/// Carries requests out, one block each, and applies the same blocks on a follower.
fn run<'b>(network: &mut Network, path: &str, bodies: impl Iterator<Item = &'b [u8]>, check: impl Fn(&[u8])) -> Spent {
    let mut follower = follower_of(network);
    let mut spent = Spent::default();
    for body in bodies {
        let begun = Instant::now();
        let Plan::Execute { calls, then: Then::Finish(token) } = network.plan(Method::Post, path, body) else {
            panic!("transactions are executed")
        };
        spent.plan += begun.elapsed();

        let env = BlockEnv {
            view: View(1),
            first_seqno: network.worker.tip().next(),
            time: Time(1_700_000_000_000_000),
            seed: [9; 32],
        };
        let calls = calls.into_iter().map(|input| Call { adapter: EVM, actor: network.actor, input }).collect();
        let begun = Instant::now();
        let executed = network.worker.handle(ToWorker::Execute(Execute { env, calls })).unwrap();
        network.worker.handle(ToWorker::Commit { upto: network.worker.tip() });
        spent.execute += begun.elapsed();

        let write_sets: Vec<Bytes> = executed.outcomes.iter().filter_map(|outcome| outcome.write_set.clone()).collect();
        spent.write_bytes += write_sets.iter().map(Bytes::len).sum::<usize>();
        let begun = Instant::now();
        follower.handle(ToWorker::Apply(Apply::from_encoded(follower.tip().next(), &write_sets).unwrap()));
        follower.handle(ToWorker::Commit { upto: follower.tip() });
        spent.apply += begun.elapsed();

        let replies = executed.outcomes.into_iter().map(|outcome| outcome.reply).collect();
        let begun = Instant::now();
        let answer = network.finish(&token, replies);
        spent.finish += begun.elapsed();
        check(&answer.body);
    }
    spent
}

/// A worker with the same state, as one write set.
fn follower_of(network: &Network) -> synod_worker::Worker {
    use synod_kv::{Lookup, WriteSet};

    let state = network.worker.reader().latest().state.clone();
    let mut writes = WriteSet::default();
    for map in state.maps() {
        for (key, value) in state.range(map, ..) {
            writes.put(map, key, value.clone());
        }
    }
    let mut follower = synod_worker::Worker::new(&[synod_evm::kit()]);
    follower.handle(ToWorker::Apply(Apply { first_seqno: Seqno(1), write_sets: [writes].into() }));
    follower.handle(ToWorker::Commit { upto: Seqno(1) });
    follower
}
