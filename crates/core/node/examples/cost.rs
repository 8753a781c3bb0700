//! What a small write costs the nodes and workers of a cluster, without sockets, TLS and disks.
//!
//! `cargo run --release -p synod-node --example cost` prints microseconds of one core per write, for one node (the
//! leader's part) and for three (the leader's and two followers'), for several sizes of blocks.

#![expect(clippy::unwrap_used, dead_code, reason = "an example stops at what it does not expect")]

#[path = "../tests/cluster/harness.rs"]
mod harness;

use std::time::Instant;

use harness::{Cluster, put};

fn main() {
    let writes = 100_000;
    println!("nodes  block  us/write");
    for nodes in [1, 3] {
        for block in [10, 100, 1_000] {
            let mut cluster = Cluster::new(nodes);
            let leader = cluster.run_until_leader();
            let calls: Vec<_> = (0..writes).map(|key| put(key, "a private message of 40 bytes, more or so")).collect();
            let begun = Instant::now();
            for batch in calls.chunks(block) {
                cluster.write_many(leader, batch);
            }
            cluster.run_idle();
            println!("{nodes:5}  {block:5}  {:8.2}", begun.elapsed().as_secs_f64() * 1e6 / writes as f64);
        }
    }
}
