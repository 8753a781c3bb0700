//! `cargo run -p synod-sim -- --seed N [--log]` replays a seed; `--count N` runs many.

use std::process::ExitCode;

use synod_sim::{Probes, simulate};

/// What the command line asks for.
struct Options {
    seed: u64,
    count: u64,
    log: bool,
}

fn main() -> ExitCode {
    let Some(options) = parse(std::env::args().skip(1)) else {
        eprintln!("usage: synod-sim [--seed N] [--count N] [--log]");
        return ExitCode::from(2);
    };
    let mut total = Probes::default();
    let mut slowest = 0;
    for seed in options.seed..options.seed + options.count {
        match simulate(seed, options.log) {
            Ok(report) => {
                total.add(&report.probes);
                slowest = slowest.max(report.recovery);
                if options.count == 1 {
                    println!("seed {seed}: every claim holds; event log {:016x}", report.trace);
                }
            }
            Err(failure) => {
                println!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{} seeds; slowest recovery {slowest} us", options.count);
    total.named().for_each(|(name, count)| println!("{count:>12}  {name}"));
    ExitCode::SUCCESS
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options { seed: 0, count: 1, log: false };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seed" => options.seed = arguments.next()?.parse().ok()?,
            "--count" => options.count = arguments.next()?.parse().ok()?,
            "--log" => options.log = true,
            _ => return None,
        }
    }
    Some(options)
}
