//! Virtual time in the engine's ticks.

use std::time::Duration;

use synod_types::Time;

/// Turns the passing of time into whole ticks.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The time up to which ticks were counted.
    counted: Time,
    tick: Duration,
    /// The most ticks made up at once after a pause of the whole node. More would say nothing
    /// else: everything that can time out has.
    catch_up_max: u64,
}

impl Clock {
    pub fn new(now: Time, tick: Duration, catch_up_max: usize) -> Self {
        Self { counted: now, tick, catch_up_max: catch_up_max as u64 }
    }

    /// How many ticks have passed since the last call.
    pub fn advance(&mut self, now: Time) -> u64 {
        let ticks = self.whole_ticks(now.since(self.counted));
        self.counted = self.after(ticks);
        ticks.min(self.catch_up_max)
    }

    /// The time at which `ticks` more have passed.
    pub fn after(&self, ticks: u64) -> Time {
        let micros = u64::try_from(self.tick.as_micros()).unwrap_or(u64::MAX);
        self.counted.after(Duration::from_micros(ticks.saturating_mul(micros)))
    }

    fn whole_ticks(&self, passed: Duration) -> u64 {
        u64::try_from(passed.as_micros() / self.tick.as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_ticks_are_counted_once_and_fractions_are_kept() {
        let mut clock = Clock::new(Time(1_000_000), Duration::from_millis(10), 100);
        assert_eq!(clock.advance(Time(1_009_999)), 0);
        assert_eq!(clock.advance(Time(1_025_000)), 2);
        assert_eq!(clock.advance(Time(1_030_000)), 1);
        assert_eq!(clock.after(3), Time(1_060_000));
    }

    #[test]
    fn a_long_pause_is_made_up_only_in_part_and_time_that_runs_backwards_counts_nothing() {
        let mut clock = Clock::new(Time(0), Duration::from_millis(10), 100);
        assert_eq!(clock.advance(Time(60_000_000)), 100);
        assert_eq!(clock.advance(Time(59_000_000)), 0);
        assert_eq!(clock.advance(Time(60_010_000)), 1);
    }
}
