//! Time for the node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use synod_types::Time;

/// A clock that never runs backwards: the system's time at start, and what has passed since by a
/// monotone clock. No safety argument rests on it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_time: Time,
}

impl Clock {
    /// A clock that agrees with the system's time now.
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_time: Time(0).after(since_epoch) }
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.start_time.after(self.start.elapsed())
    }
}

/// By what time it is judged whether a certificate has expired: by the clock or by the latest committed block, whichever
/// is later. The host may set the clock back; the ledger, whose time other enclaves agreed on, then still says how
/// late it is at least. Its time alone would stand still while nothing is written.
#[derive(Clone, Debug)]
pub struct Calendar {
    clock: Clock,
    /// Microseconds. Shared by all clones.
    ledger: Arc<AtomicU64>,
}

impl Calendar {
    /// By this clock alone until a block is noted.
    pub fn new(clock: Clock) -> Self {
        Self { clock, ledger: Arc::default() }
    }

    /// A block of this time is committed.
    pub fn note(&self, time: Time) {
        self.ledger.fetch_max(time.0, Ordering::Relaxed);
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.clock.now().max(Time(self.ledger.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_never_earlier_than_the_latest_block_nor_than_the_clock() {
        let clock = Clock::start();
        let calendar = Calendar::new(clock);
        let start = clock.now();
        assert!(calendar.now() >= start);
        let later = start.after(Duration::from_secs(3_600));
        calendar.clone().note(later);
        calendar.note(start);
        assert!(calendar.now() >= later && clock.now() < later);
    }
}
