//! Time for the node.

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
