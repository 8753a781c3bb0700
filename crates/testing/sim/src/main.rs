//! `cargo run -p synod-sim -- --seed N [--log]` replays a seed; `--count N` runs many.

use std::io::Write;
use std::process::ExitCode;

use synod_sim::{Probes, simulate};

/// Prints a line; a reader that closed the pipe has seen enough.
macro_rules! say {
    ($($text:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// What the command line asks for.
struct Options {
    seed: u64,
    count: u64,
    log: bool,
}

/// After so many failures no more seeds are run: the first few tell enough.
const FAILURES_MAX: u64 = 10;

fn main() -> ExitCode {
    let Some(options) = parse(std::env::args().skip(1)) else {
        eprintln!("usage: synod-sim [--seed N] [--count N] [--log]");
        return ExitCode::from(2);
    };
    let mut total = Probes::default();
    let (mut slowest, mut failures) = (0, 0);
    for seed in options.seed..options.seed + options.count {
        match simulate(seed, options.log) {
            Ok(report) => {
                total.add(&report.probes);
                slowest = slowest.max(report.recovery);
                if options.count == 1 {
                    say!("seed {seed}: every claim holds; event log {:016x}", report.trace);
                }
            }
            Err(failure) => {
                say!("{failure}");
                failures += 1;
                if failures == FAILURES_MAX {
                    break;
                }
            }
        }
    }
    say!("{} seeds, {failures} failures; slowest recovery {slowest} us", options.count);
    total.named().for_each(|(name, count)| say!("{count:>12}  {name}"));
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
