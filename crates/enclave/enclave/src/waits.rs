//! What waits for a commit: requests that need a snapshot which does not exist yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use synod_types::Seqno;

/// Tokens that wait for a seqno to be committed and published. Shared between the threads that wait
/// and the one that publishes; the publisher pays one atomic load while nobody waits.
#[derive(Debug)]
pub struct Waits {
    /// The lowest seqno that is waited for; the largest number if none is.
    lowest: AtomicU64,
    tokens: Mutex<BTreeMap<(Seqno, u64), Instant>>,
}

impl Default for Waits {
    fn default() -> Self {
        Self { lowest: AtomicU64::new(u64::MAX), tokens: Mutex::default() }
    }
}

impl Waits {
    /// Lets `token` wait until `seqno` is reached, at most for [`WAIT_TIME_MAX`]. `published` tells the
    /// seqno of the latest snapshot; false if that is enough already, and then nothing waits.
    #[must_use]
    pub fn add(&self, seqno: Seqno, token: u64, published: impl FnOnce() -> Seqno) -> bool {
        let mut tokens = self.lock();
        tokens.insert((seqno, token), Instant::now() + WAIT_TIME_MAX);
        self.announce(&tokens);
        // Looked at after the entry is visible: whoever publishes later sees it, whoever published before is seen.
        if published() >= seqno {
            tokens.remove(&(seqno, token));
            self.announce(&tokens);
            return false;
        }
        true
    }

    /// Forgets `token`, if it still waits for `seqno`.
    pub fn remove(&self, seqno: Seqno, token: u64) {
        let mut tokens = self.lock();
        if tokens.remove(&(seqno, token)).is_some() {
            self.announce(&tokens);
        }
    }

    /// Whether someone waits for `published` or less.
    pub fn any_reached(&self, published: Seqno) -> bool {
        self.lowest.load(Ordering::SeqCst) <= published.0
    }

    /// Takes out what waits for `published` or less.
    pub fn take_reached(&self, published: Seqno) -> Vec<u64> {
        self.take(|seqno, _| seqno <= published)
    }

    /// Takes out what has waited for too long.
    pub fn take_expired(&self, now: Instant) -> Vec<u64> {
        self.take(|_, deadline| deadline <= now)
    }

    fn take(&self, mut which: impl FnMut(Seqno, Instant) -> bool) -> Vec<u64> {
        let mut tokens = self.lock();
        let taken = tokens.extract_if(.., |(seqno, _), deadline| which(*seqno, *deadline));
        let taken = taken.map(|((_, token), _)| token).collect();
        self.announce(&tokens);
        taken
    }

    fn announce(&self, tokens: &BTreeMap<(Seqno, u64), Instant>) {
        let lowest = tokens.keys().next().map_or(u64::MAX, |(seqno, _)| seqno.0);
        self.lowest.store(lowest, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Seqno, u64), Instant>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a request waits for a snapshot: longer than an election takes, shorter than people do.
pub const WAIT_TIME_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_already_is_not_waited_for() {
        let waits = Waits::default();
        assert!(!waits.add(Seqno(5), 1, || Seqno(5)));
        assert!(!waits.any_reached(Seqno(u64::MAX - 1)));
    }

    #[test]
    fn each_is_taken_out_when_its_seqno_is_reached_or_its_time_is_over() {
        let waits = Waits::default();
        for (seqno, token) in [(5, 1), (6, 2), (6, 3), (9, 4)] {
            assert!(waits.add(Seqno(seqno), token, || Seqno(4)));
        }
        assert!(!waits.any_reached(Seqno(4)));
        assert!(waits.any_reached(Seqno(5)));
        assert_eq!(waits.take_reached(Seqno(6)), [1, 2, 3]);
        assert!(!waits.any_reached(Seqno(8)));
        assert!(waits.take_expired(Instant::now()).is_empty());
        assert_eq!(waits.take_expired(Instant::now() + WAIT_TIME_MAX), [4]);
        assert!(!waits.any_reached(Seqno(9)));
    }
}
