//! Many seeds, each a cluster of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use synod_sim::swarm::{Delay, DiskFaults, Trouble, Who, Workload};
use synod_sim::{Failure, Probes, Swarm, simulate, simulate_swarm};

/// How many seeds run, and from which on: `SYNOD_SIM_SEEDS`, `SYNOD_SIM_SEED`.
fn seeds() -> std::ops::Range<u64> {
    let variable = |name, default| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    };
    let first = variable("SYNOD_SIM_SEED", 0);
    first..first + variable("SYNOD_SIM_SEEDS", 2_000)
}

/// Runs seeds on as many threads as CI has cores; the sum of what happened, or what failed first.
fn run(seeds: std::ops::Range<u64>) -> Result<Probes, Failure> {
    const THREADS: usize = 2;
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut total = Probes::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return Ok(total);
            }
            match simulate(seed, false) {
                Ok(report) => total.add(&report.probes),
                Err(failure) => {
                    next.store(seeds.end, Ordering::Relaxed);
                    return Err(failure);
                }
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let mut total = Probes::default();
        for thread in threads {
            total.add(&thread.join().expect("a seed's failure is a value")?);
        }
        Ok(total)
    })
}

#[test]
fn two_thousand_seeds_hold_every_claim_and_between_them_meet_every_trouble() {
    let seeds = seeds();
    let count = seeds.end - seeds.start;
    let total = run(seeds).unwrap_or_else(|failure| panic!("{failure}"));
    if count >= 1_000 {
        let never: Vec<_> = total.named().filter(|(name, count)| *count == 0 && *name != "given_up").collect();
        assert!(never.is_empty(), "a simulation in which this never happens does not test it: {never:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_event_log() {
    for seed in 0..40 {
        let runs = [simulate(seed, false), simulate(seed, false)];
        assert_eq!(runs[0], runs[1], "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_event_log_in_another_process() {
    let replay = || {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_synod-sim")).args(["--seed", "3"]).output().unwrap();
        assert!(output.status.success());
        output.stdout
    };
    assert_eq!(replay(), replay());
}

#[test]
fn two_seeds_give_different_event_logs() {
    assert_ne!(simulate(1, false).unwrap().trace, simulate(2, false).unwrap().trace);
}

/// A small cluster under load in which the leader is lost once.
fn small(nodes: u64) -> Swarm {
    let workload = Workload {
        clients: 3,
        operations: 4,
        think: Delay { min: 0, max: 1_000 },
        patience: Delay { min: 300_000, max: 300_000 },
        ..Workload::none()
    };
    Swarm {
        workload,
        // Files of a few records, so that beginning one is among the steps.
        disks: DiskFaults { chunk_bytes_max: 4 << 10, ..DiskFaults::none() },
        faults_last: 3_000_000,
        troubles: vec![(1_500_000, Trouble::Crash { who: Who::Leader, lasts: 100_000 })],
        ..Swarm::calm(nodes)
    }
}

#[test]
fn a_crash_before_any_step_of_any_disk_loses_nothing() {
    // The steps are counted over all disks; each run crashes the node whose disk would make the next one.
    for nodes in [1, 3] {
        for step in 1..=150 {
            let swarm = Swarm { crash_at_disk_step: Some(step), ..small(nodes) };
            simulate_swarm(step, swarm, false)
                .unwrap_or_else(|failure| panic!("{nodes} nodes, step {step}: {failure}"));
        }
    }
}
