//! Figures about this node, as Prometheus reads them.
//!
//! A text of fixed counters and histograms needs no library: one would bring a registry, labels made at
//! run time and a dozen crates into the trusted computing base, for what is an array of atomics here.
//! What the figures disclose is listed in DISCLOSURE.md: only an admitted actor may read them.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn count(&self) {
        self.add(1);
    }

    /// Adds `number`.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long something took, in buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_MICROS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    /// Takes in that something took `time`.
    pub fn observe(&self, time: Duration) {
        self.observe_times(time, 1);
    }

    /// Takes in that `number` things took `time` each.
    pub fn observe_times(&self, time: Duration, number: u64) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX / 2);
        if let Some(bucket) = BOUNDS_MICROS.iter().position(|bound| micros <= *bound) {
            self.buckets[bucket].fetch_add(number, Ordering::Relaxed);
        }
        self.count.fetch_add(number, Ordering::Relaxed);
        self.micros.fetch_add(micros.saturating_mul(number), Ordering::Relaxed);
    }

    fn write(&self, name: &str, help: &str, out: &mut String) {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        let mut sum = 0;
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS_MICROS) {
            sum += bucket.load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}_bucket{{le=\"{}\"}} {sum}", seconds(bound));
        }
        // Read last, so that it is never below the buckets' sum.
        let count = self.count.load(Ordering::Relaxed).max(sum);
        let total = seconds(self.micros.load(Ordering::Relaxed));
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {total}\n{name}_count {count}");
    }
}

/// Upper bounds of the buckets: from a tenth of a millisecond to five seconds.
const BOUNDS_MICROS: [u64; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000,
];

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

macro_rules! metrics {
    ($($kind:ident $field:ident $name:literal $help:literal;)*) => {
        /// All figures of one node.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $(#[doc = $help] pub $field: $kind,)*
        }

        impl Metrics {
            /// The figures in the Prometheus text format.
            pub fn text(&self) -> String {
                let mut out = String::new();
                $(metrics!(@write $kind self.$field, $name, $help, out);)*
                out
            }
        }
    };
    (@write Counter $value:expr, $name:literal, $help:literal, $out:ident) => {
        let _ = writeln!($out, "# HELP {0} {1}\n# TYPE {0} counter\n{0} {2}", $name, $help, $value.get());
    };
    (@write Histogram $value:expr, $name:literal, $help:literal, $out:ident) => {
        $value.write($name, $help, &mut $out);
    };
}

metrics! {
    Counter connections "synod_connections_total" "Client connections that completed the handshake.";
    Counter handshakes_failed "synod_handshakes_failed_total" "Connections that ended before the handshake was complete.";
    Counter reads "synod_reads_total" "Reads answered from a committed snapshot.";
    Counter writes "synod_writes_total" "Requests handed to the node to be ordered.";
    Counter failures "synod_failures_total" "Requests answered with an error of the node, not of an adapter.";
    Counter blocks "synod_blocks_committed_total" "Log entries that were committed.";
    Counter transactions "synod_transactions_committed_total" "Transactions that were committed.";
    Counter peer_messages_dropped "synod_peer_messages_dropped_total" "Messages to other nodes dropped because too many waited.";
    Histogram queue "synod_queue_seconds" "From a request's arrival at the leader to the start of its execution; forwarded requests are not counted.";
    Histogram execute "synod_execute_seconds" "Execution of a block.";
    Histogram seal "synod_seal_seconds" "Sealing of a block by its leader.";
    Histogram sign "synod_sign_seconds" "The two signatures of a block.";
    Histogram sync "synod_sync_seconds" "From handing records to the disk until they are synced.";
    Histogram replicate "synod_replicate_seconds" "From handing a block to the other nodes until it is committed.";
    Histogram commit "synod_commit_seconds" "From a request's arrival to its committed answer.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_took_no_longer_than_their_bound() {
        let metrics = Metrics::default();
        metrics.reads.add(3);
        for micros in [50, 100, 101, 9_000_000] {
            metrics.sync.observe(Duration::from_micros(micros));
        }
        let text = metrics.text();
        for line in [
            "# TYPE synod_reads_total counter",
            "synod_reads_total 3",
            "# TYPE synod_sync_seconds histogram",
            "synod_sync_seconds_bucket{le=\"0.0001\"} 2",
            "synod_sync_seconds_bucket{le=\"0.00025\"} 3",
            "synod_sync_seconds_bucket{le=\"5\"} 3",
            "synod_sync_seconds_bucket{le=\"+Inf\"} 4",
            "synod_sync_seconds_sum 9.000251",
            "synod_sync_seconds_count 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
