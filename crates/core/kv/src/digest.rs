//! SHA-256 of an encoding.

use aws_lc_rs::digest::{Context, SHA256};
use synod_types::Digest;

/// SHA-256 over parts that are handed over one after the other.
pub struct Sha256(Context);

impl Sha256 {
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    pub fn finish(self) -> Digest {
        Digest(self.0.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}
