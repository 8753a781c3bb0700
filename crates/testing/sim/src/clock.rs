//! Virtual time, and the nodes' clocks, which differ from it and from each other.

use std::fmt;
use std::time::Duration;

use synod_types::Time;

/// A point of the simulation, in microseconds since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

impl Instant {
    /// The instant `micros` later.
    #[must_use]
    pub const fn plus(self, micros: u64) -> Self {
        Self(self.0 + micros)
    }

    /// The instant `delay` later.
    #[must_use]
    pub const fn after(self, delay: Duration) -> Self {
        self.plus(delay.as_micros() as u64)
    }

    /// Microseconds since `earlier`; zero if that is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// How one node's clock runs beside the simulation's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// How far it is ahead when the simulation begins, in microseconds.
    pub ahead: i64,
    /// How much it gains, in microseconds per second.
    pub gains_ppm: i64,
}

impl Clock {
    /// What the clock shows.
    pub fn shows(self, at: Instant) -> Time {
        let elapsed = i64::try_from(at.0).expect("a simulation lasts minutes");
        let gained = elapsed * self.gains_ppm / 1_000_000;
        Time(EPOCH.0.checked_add_signed(elapsed + gained + self.ahead).expect("clocks differ by minutes"))
    }

    /// The first instant at which the clock shows `time` or more.
    pub fn when(self, time: Time) -> Instant {
        let elapsed = time.0 as i64 - EPOCH.0 as i64 - self.ahead;
        let mut guess = elapsed.max(0) * 1_000_000 / (1_000_000 + self.gains_ppm);
        while guess > 0 && self.shows(Instant(guess as u64 - 1)) >= time {
            guess -= 1;
        }
        while self.shows(Instant(guess as u64)) < time {
            guess += 1;
        }
        Instant(guess as u64)
    }
}

/// When simulations begin: 2027-01-15, in the span in which certificates of the simulation are valid.
pub const EPOCH: Time = Time(1_800_000_000_000_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_tells_when_it_will_show_a_time() {
        for (ahead, gains_ppm) in [(0, 0), (5_000_000, 0), (-5_000_000, 0), (17, 20_000), (-17, -20_000), (3, 7)] {
            let clock = Clock { ahead, gains_ppm };
            for at in [0, 1, 999_999, 1_000_000, 7_654_321] {
                let shown = clock.shows(Instant(at));
                let when = clock.when(shown);
                assert!(clock.shows(when) >= shown, "{clock:?} at {at}");
                assert!(when.0 == 0 || clock.shows(Instant(when.0 - 1)) < shown, "{clock:?} at {at}");
            }
        }
    }
}
