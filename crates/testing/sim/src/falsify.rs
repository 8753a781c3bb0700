//! Blocks that reach a follower otherwise than they left their leader's node.

use bytes::Bytes;
use synod_types::NodeId;

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
        bytes[start + self.chance.index(size)] ^= 1 << self.chance.below(8);
        bytes.into()
    }
}

/// Where `payload` stands in `bytes`, and its size.
fn place_of(payload: &[u8], bytes: &[u8]) -> Option<(usize, usize)> {
    let start = bytes.windows(payload.len().max(1)).position(|window| window == payload)?;
    Some((start, payload.len()))
}

/// Only the last few blocks that were filed anywhere are looked for in a message.
const FALSIFIED_AMONG: usize = 20;
