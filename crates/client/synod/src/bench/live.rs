//! `--live`: rate and latency as they move, one line a second on standard error.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::report::per_second;
use super::stats::Tally;

/// Prints until the task is dropped.
pub async fn show(tally: Rc<RefCell<Tally>>, start: Instant) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.tick().await;
    let (mut before, mut at) = (0, start);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        let mut tally = tally.borrow_mut();
        let rate = per_second(tally.transactions - before, now.duration_since(at).as_secs_f64());
        let latency = tally.recent.percentiles();
        let millis = |of: Option<f64>| of.map_or("-".into(), |ms| format!("{ms:.1} ms"));
        eprintln!(
            "{:>5.0} s  {rate:>9.0} committed/s  p50 {:>9}  p99 {:>9}  errors {}",
            now.duration_since(start).as_secs_f64(),
            millis(latency.p50),
            millis(latency.p99),
            tally.errors
        );
        before = tally.transactions;
        at = now;
        tally.recent.clear();
    }
}

const EVERY: Duration = Duration::from_secs(1);
