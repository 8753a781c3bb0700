//! What one small write costs, with a snapshot held after each block as consensus keeps them.
//!
//! `cargo run --release -p synod-kv --example apply_cost [KEYS]`; without KEYS, for 10,000 keys,
//! which lie in the processor's caches, up to 1,000,000, which do not.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use synod_kv::{Layers, Lookup, MapName, Tx, WriteSet};
use synod_types::{Decode, Encode, Seqno};

/// How many writes are measured, at most: enough to touch most leaves of the largest map.
const WRITES_MAX: u64 = 400_000;
/// Uncommitted blocks at a time, about what is on its way to a quorum under load.
const IN_FLIGHT: usize = 4;

fn main() {
    println!(
        "{:28} {:>9} {:>6} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
        "ns per write", "keys", "block", "tx", "encode", "decode", "apply", "commit", "get"
    );
    let number = |n: u64| n.to_be_bytes().to_vec();
    let slot = |n: u64| [&[7; 12][..], &n.to_be_bytes(), &[9; 24], &n.to_be_bytes()].concat();
    let asked = std::env::args().nth(1).and_then(|keys| keys.parse().ok());
    for keys in asked.map_or(vec![10_000, 100_000, 1_000_000], |keys| vec![keys]) {
        for block in [1, 10, 100, 1_000] {
            run("log: key 8, value 20", keys, block, number, 20);
        }
        run("log: key 8, value 100", keys, 1_000, number, 100);
        run("evm slot: key 52, value 32", keys, 1_000, slot, 32);
        run("evm account: key 20, val 72", keys, 1_000, |n| slot(n)[..20].to_vec(), 72);
    }
}

fn run(name: &str, keys: u64, block: u64, key_of: impl Fn(u64) -> Vec<u8>, value_size: usize) {
    let map = MapName::from_static("log.messages");
    let mut layers = Layers::default();
    let mut genesis = WriteSet::default();
    (0..keys).for_each(|n| genesis.put(&map, &key_of(shuffled(n))[..], vec![0; value_size]));
    layers.tip_mut().apply(&genesis, Seqno(1));
    layers.push(Seqno(1));
    layers.commit(Seqno(1));
    drop(genesis);

    let mut reader = layers.committed().clone();
    let mut uncommitted = VecDeque::new();
    let [mut tx, mut encode, mut decode, mut apply, mut commit, mut get] = [Duration::ZERO; 6];
    let mut seqno = 1;
    let blocks = (WRITES_MAX / block).min(20_000);
    for _ in 0..blocks {
        for _ in 0..block {
            seqno += 1;
            let key = key_of(shuffled(seqno * 7_919 % keys));
            let value = vec![seqno as u8; value_size];

            let start = Instant::now();
            let mut work = Tx::new(layers.tip());
            work.put(&map, &key[..], &value[..]);
            let writes = black_box(work.into_write_set());
            let made = Instant::now();
            let bytes = black_box(writes.to_bytes());
            let encoded = Instant::now();
            let writes = black_box(WriteSet::from_bytes(&bytes).expect("just encoded"));
            let decoded = Instant::now();
            layers.tip_mut().apply(&writes, Seqno(seqno));
            let applied = Instant::now();
            black_box(reader.get(&map, &key));
            get += applied.elapsed();
            tx += made - start;
            encode += encoded - made;
            decode += decoded - encoded;
            apply += applied - decoded;
        }
        let start = Instant::now();
        layers.push(Seqno(seqno));
        uncommitted.push_back(seqno);
        if uncommitted.len() > IN_FLIGHT {
            let upto = uncommitted.pop_front().expect("checked above");
            reader = layers.commit(Seqno(upto)).clone();
        }
        commit += start.elapsed();
    }
    let per_write = |spent: Duration| spent.as_nanos() as u64 / (blocks * block);
    let [tx, encode, decode, apply, commit, get] = [tx, encode, decode, apply, commit, get].map(per_write);
    println!("{name:28} {keys:>9} {block:>6} {tx:>7} {encode:>7} {decode:>7} {apply:>7} {commit:>7} {get:>7}");
}

/// A permutation of the 64-bit numbers, so that neighbours in time are not neighbours in the map.
const fn shuffled(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    (n ^ (n >> 27)).wrapping_mul(0x81da_def4_bc2d_d44d)
}
