//! Which faults a seed brings, and how often.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The rates of a run, drawn once so that seeds differ in kind, not only in detail.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Messages lost and doubled, in thousandths.
    pub lost: u32,
    pub doubled: u32,
    /// The longest delay of a message and of a sync, in microseconds.
    pub delay_max: u64,
    pub sync_max: u64,
    /// Times between crashes, cuts, pauses and transfers, in microseconds; 0 for never.
    pub crash_every: u64,
    pub cut_every: u64,
    pub pause_every: u64,
    pub transfer_every: u64,
    /// Time between changes of who takes part, the same way.
    pub change_every: u64,
    /// Bytes of committed entries that stay in memory.
    pub retained_bytes_max: usize,
}

impl Faults {
    pub fn drawn(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0xfa17);
        let mut of = |choices: &[u64]| choices[rng.next_u32() as usize % choices.len()];
        Self {
            lost: of(&[0, 10, 100, 250]) as u32,
            doubled: of(&[0, 20, 200]) as u32,
            delay_max: of(&[500, 5_000, 60_000, 400_000]),
            sync_max: of(&[300, 5_000, 40_000, 300_000]),
            crash_every: of(&[0, 400_000, 2_000_000]),
            cut_every: of(&[0, 500_000, 2_000_000]),
            pause_every: of(&[0, 800_000, 3_000_000]),
            transfer_every: of(&[0, 600_000, 2_000_000]),
            change_every: 0,
            retained_bytes_max: of(&[0, 2_000, 64 << 20]) as usize,
        }
    }

    pub fn none(&self) -> Self {
        Self {
            lost: 0,
            doubled: 0,
            delay_max: 2_000,
            sync_max: 3_000,
            crash_every: 0,
            cut_every: 0,
            pause_every: 0,
            transfer_every: 0,
            change_every: 0,
            ..self.clone()
        }
    }
}
