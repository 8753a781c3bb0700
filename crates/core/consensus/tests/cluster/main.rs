//! Whole clusters of [`Consensus`] values in simulated time, under one seed each.
//!
//! The network drops, doubles, delays and reorders messages and is cut in parts, also one way; nodes
//! crash, lose what they had not synced (or keep part of it), pause, and start again. Checks run at
//! every effect, not at the end: one leader per view; every node's log is one chain; what one node
//! is told to be committed is on a majority's disks at that moment, and every node is told the same;
//! an acknowledgement or a vote that leaves a node is on its disk; a read's index covers all that was
//! committed when it was asked for. In the end faults stop, and all nodes must come to agree, with
//! everything ever committed, and commit more.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its report")]

mod checks;
mod disk;
mod faults;
mod sim;

use faults::Faults;
use sim::Sim;

/// Runs one seed to its end and returns the digest of everything that happened.
fn run(nodes: u64, seed: u64) -> (u64, sim::Tally) {
    run_with((nodes, nodes), seed, Faults::drawn(seed))
}

fn run_with(nodes: (u64, u64), seed: u64, faults: Faults) -> (u64, sim::Tally) {
    let mut sim = Sim::new(nodes, seed, faults);
    sim.run_with_faults();
    sim.heal_and_agree();
    (sim.trace(), sim.tally())
}

fn run_all(nodes: u64, seeds: std::ops::Range<u64>) {
    let mut tally = sim::Tally::default();
    for seed in seeds {
        let (_, one) = run(nodes, seed);
        tally.add(&one);
    }
    println!("{nodes} nodes: {tally:?}");
    // The faults and the paths that this test is for did happen.
    assert!(tally.elections > 0 && tally.truncations > 0 && tally.crashes > 0, "{tally:?}");
    assert!(tally.ledger_reads > 0 && tally.reads_answered > 0 && tally.transfers > 0, "{tally:?}");
}

#[test]
fn three_nodes_keep_every_promise_under_faults() {
    run_all(3, 0..250);
}

#[test]
fn five_nodes_keep_every_promise_under_faults() {
    run_all(5, 10_000..10_120);
}

#[test]
fn nodes_that_come_and_go_keep_every_promise_under_faults() {
    let mut tally = sim::Tally::default();
    for seed in 40_000..40_200 {
        let faults = Faults { change_every: 150_000, ..Faults::drawn(seed) };
        tally.add(&run_with((3, 6), seed, faults).1);
    }
    println!("up to six nodes: {tally:?}");
    assert!(tally.changes > 1_000 && tally.truncations > 0 && tally.crashes > 0, "{tally:?}");
}

#[test]
fn one_node_alone_elects_itself_and_loses_nothing_in_crashes() {
    for seed in 20_000..20_020 {
        run(1, seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for seed in 30_000..30_010 {
        assert_eq!(run(3, seed), run(3, seed), "seed {seed}");
    }
    assert_ne!(run(3, 30_000).0, run(3, 30_001).0);
}

/// Replays one seed: `SYNOD_SEED=17 SYNOD_NODES=5 cargo test -p synod-consensus --test cluster replay -- --nocapture`
#[test]
fn replay_the_seed_of_the_environment() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    if let Some(seed) = number("SYNOD_SEED") {
        let (trace, tally) = run(number("SYNOD_NODES").unwrap_or(3), seed);
        println!("trace {trace:016x} {tally:?}");
    }
}
