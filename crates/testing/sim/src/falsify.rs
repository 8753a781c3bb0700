//! Blocks that reach a follower otherwise than they left their leader's node.

use bytes::Bytes;
use synod_crypto::SIGNATURE_SIZE;
use synod_types::NodeId;

use crate::prng::Prng;
use crate::world::World;

impl World {
    /// Changes a byte of a block in a message, now and then: whoever gets it must refuse it.
    pub(crate) fn falsify(&mut self, node: NodeId, bytes: Bytes) -> Bytes {
        if !self.chance.chance(self.swarm.falsified_ppm) {
            return bytes;
        }
        let payloads = self.truth.last_payloads(FALSIFIED_AMONG);
        let Some((start, size)) = payloads.filter_map(|payload| place_of(payload, &bytes)).next() else { return bytes };
        self.trace.note(self.now, node, "  falsified", &[]);
        self.probes.falsified += 1;
        let mut bytes = bytes.to_vec();
        let at = start + place_to_change(&mut self.chance, size);
        bytes[at] ^= 1 << self.chance.below(8);
        bytes.into()
    }
}

/// Which byte of a block of `size` to change: half of the time one of its signatures, which end it.
pub fn place_to_change(prng: &mut Prng, size: usize) -> usize {
    let among = if prng.chance(500_000) { size } else { size.min(2 * SIGNATURE_SIZE) };
    size - 1 - prng.index(among)
}

/// Where `payload` stands in `bytes`, and its size.
fn place_of(payload: &[u8], bytes: &[u8]) -> Option<(usize, usize)> {
    let start = bytes.windows(payload.len().max(1)).position(|window| window == payload)?;
    Some((start, payload.len()))
}

/// Only the last few blocks that were filed anywhere are looked for in a message.
const FALSIFIED_AMONG: usize = 20;
