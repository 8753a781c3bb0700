//! What a run adds up.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies, to three significant digits.
#[derive(Debug)]
pub struct Latencies {
    micros: Histogram<u64>,
}

impl Latencies {
    /// No latency yet.
    pub fn new() -> Self {
        let micros = Histogram::new_with_bounds(1, MICROS_MAX, 3).expect("constant bounds that the crate allows");
        Self { micros }
    }

    /// Notes that `count` transactions took `latency`.
    pub fn note(&mut self, latency: Duration, count: u64) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(MICROS_MAX);
        self.micros.saturating_record_n(micros, count);
    }

    /// The median and the 99th percentile; none if nothing was noted.
    pub fn percentiles(&self) -> Percentiles {
        let at = |quantile| (!self.micros.is_empty()).then(|| millis(self.micros.value_at_quantile(quantile)));
        Percentiles { p50: at(0.50), p99: at(0.99) }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.micros.reset();
    }
}

/// In milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
}

/// What came of the transactions so far.
#[derive(Debug)]
pub struct Tally {
    /// Answered right.
    pub transactions: u64,
    /// Answered wrong, or lost.
    pub errors: u64,
    /// What was wrong with the first few.
    pub complaints: Vec<String>,
    /// From sending until the answer, which comes once a quorum has committed.
    pub quorum: Latencies,
    /// From sending until every node was seen to have committed; a sample.
    pub all: Latencies,
    /// How often a connection was lost and made anew.
    pub reconnects: u64,
    /// When the last answer came.
    pub last_answer: Instant,
    /// Since the last look at it: for `--live`.
    pub recent: Latencies,
}

impl Tally {
    /// Nothing so far.
    pub fn new() -> Self {
        Self {
            transactions: 0,
            errors: 0,
            complaints: Vec::new(),
            quorum: Latencies::new(),
            all: Latencies::new(),
            reconnects: 0,
            last_answer: Instant::now(),
            recent: Latencies::new(),
        }
    }

    /// Notes a right answer to a request of `count` transactions.
    pub fn right(&mut self, latency: Duration, count: u64, now: Instant) {
        self.transactions += count;
        self.quorum.note(latency, count);
        self.recent.note(latency, count);
        self.last_answer = now;
    }

    /// Notes that `count` transactions were answered wrong or lost.
    pub fn wrong(&mut self, count: u64, complaint: impl Into<String>) {
        self.errors += count;
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(complaint.into());
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^52 microseconds")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// Ten minutes: beyond that an answer counts as lost anyway.
const MICROS_MAX: u64 = 600_000_000;

/// Enough to see what kind of thing goes wrong.
const COMPLAINTS_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_transactions_noted() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.percentiles(), Percentiles { p50: None, p99: None });
        for micros in 1..=1_000 {
            latencies.note(Duration::from_micros(micros), 1);
        }
        assert_eq!(latencies.percentiles(), Percentiles { p50: Some(0.5), p99: Some(0.99) });
    }

    #[test]
    fn a_request_counts_as_many_times_as_it_holds_transactions() {
        let mut latencies = Latencies::new();
        latencies.note(Duration::from_millis(1), 99);
        latencies.note(Duration::from_millis(9), 1);
        assert_eq!(latencies.percentiles().p99, Some(1.0));
        latencies.note(Duration::from_millis(9), 100);
        assert!(latencies.percentiles().p99.unwrap() > 8.9);
    }

    #[test]
    fn a_latency_beyond_every_bound_is_counted_at_the_bound() {
        let mut latencies = Latencies::new();
        latencies.note(Duration::MAX, 1);
        assert!(latencies.percentiles().p50.unwrap() >= 599_000.0);
    }

    #[test]
    fn complaints_are_counted_all_and_kept_a_few() {
        let mut tally = Tally::new();
        (0..100).for_each(|number| tally.wrong(2, format!("number {number}")));
        assert_eq!((tally.errors, tally.complaints.len(), &tally.complaints[0][..]), (200, 5, "number 0"));
    }
}
