//! Sealing: AES-256-GCM-SIV (RFC 8452) under keys derived for one view and leader.
//!
//! The nonce is not random: it is a place in the ledger. Two honest leaders never seal two things at one
//! place under one key, since view, leader and the view's fresh salt are in the derivation. A cloned
//! enclave may; then GCM-SIV still hides everything except whether both sealed the very same bytes.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use synod_types::{NodeId, View};
use zeroize::Zeroizing;

use crate::digest::derive;
use crate::labels;
use crate::secret::{AdminKey, ApplicationKey, SALT_SIZE};

/// How many bytes longer sealed bytes are than the plaintext.
pub const SEAL_OVERHEAD: usize = 16;

/// A key that seals and opens.
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    /// The key for application parts of blocks that `leader` seals in `view`, whose salt is `salt`.
    pub fn application(key: &ApplicationKey, view: View, leader: NodeId, salt: &[u8; SALT_SIZE]) -> Self {
        Self::of_view(key.expose_secret(), labels::SEAL_APPLICATION, view, leader, salt)
    }

    /// The key for administrative parts of blocks that `leader` seals in `view`, whose salt is `salt`.
    pub fn admin(key: &AdminKey, view: View, leader: NodeId, salt: &[u8; SALT_SIZE]) -> Self {
        Self::of_view(key.expose_secret(), labels::SEAL_ADMIN, view, leader, salt)
    }

    /// The key for the vote record of `node`.
    pub fn vote(key: &AdminKey, node: NodeId) -> Self {
        Self::new(&Zeroizing::new(key.vote_secret(node)))
    }

    fn of_view(secret: &[u8], label: &'static str, view: View, leader: NodeId, salt: &[u8; SALT_SIZE]) -> Self {
        let context: [&[u8]; 3] = [&view.0.to_le_bytes(), &leader.0.to_le_bytes(), salt];
        Self::new(&Zeroizing::new(derive(secret, label, &context)))
    }

    fn new(key: &[u8; 32]) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, key).expect("the key has 32 bytes")))
    }

    /// Seals `buffer` in place, from byte `from` on, and appends the tag; `associated` is bound to it.
    ///
    /// `place` and `part` make the nonce. For blocks: the first seqno, and zero.
    ///
    /// # Panics
    /// If `from` is beyond the buffer.
    pub fn seal_from(&self, place: u64, part: u32, associated: &[u8], buffer: &mut Vec<u8>, from: usize) {
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(place, part), Aad::from(associated), &mut buffer[from..])
            .expect("plaintexts are far below the 64 GiB that GCM-SIV allows");
        buffer.extend_from_slice(tag.as_ref());
    }

    /// Seals `plaintext`; see [`SealingKey::seal_from`].
    pub fn seal(&self, place: u64, part: u32, associated: &[u8], mut plaintext: Vec<u8>) -> Vec<u8> {
        self.seal_from(place, part, associated, &mut plaintext, 0);
        plaintext
    }

    /// Opens what was sealed under the same key, place, part and associated bytes.
    ///
    /// # Errors
    /// If anything differs, or a byte was changed.
    pub fn open(&self, place: u64, part: u32, associated: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let mut buffer = sealed.to_vec();
        let size =
            self.0.open_in_place(nonce(place, part), Aad::from(associated), &mut buffer).map_err(|_| OpenError)?.len();
        buffer.truncate(size);
        Ok(buffer)
    }
}

fn nonce(place: u64, part: u32) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&place.to_le_bytes());
    bytes[8..].copy_from_slice(&part.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(<redacted>)")
    }
}

/// Sealed bytes that do not open: another key or place, or changed bytes. Which of them cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed bytes do not open: changed, or sealed elsewhere or under another key")]
pub struct OpenError;

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SealingKey {
        SealingKey::application(&ApplicationKey::new([1; 32]), View(2), NodeId(3), &[4; 32])
    }

    #[test]
    fn gcm_siv_agrees_with_rfc_8452_appendix_c_2() {
        let mut secret = [0; 32];
        secret[0] = 1;
        let mut nonce = [0; 12];
        nonce[0] = 3;
        assert_eq!(nonce, [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let sealed = SealingKey::new(&secret).seal(3, 0, b"", vec![1, 0, 0, 0, 0, 0, 0, 0]);
        let hex: String = sealed.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28");
    }

    /// Computed with Python's hmac and cryptography packages. Changing one changes what old ledgers open with.
    #[test]
    fn the_keys_derived_for_a_view_are_these() {
        let tag = |key: SealingKey| -> String {
            key.seal(5, 0, b"header", Vec::new()).iter().map(|byte| format!("{byte:02x}")).collect()
        };
        assert_eq!(tag(key()), "00f56494f36e5e16456cc227b60ef6ad");
        assert_eq!(
            tag(SealingKey::admin(&AdminKey::new([1; 32]), View(2), NodeId(3), &[4; 32])),
            "2ccc329fd004d79d6cd19357eb037377"
        );
        assert_eq!(tag(SealingKey::vote(&AdminKey::new([1; 32]), NodeId(3))), "0ac23c1b257668af6a60f66e77c14f2e");
    }

    #[test]
    fn what_is_sealed_opens_only_under_the_same_key_place_part_and_associated_bytes() {
        let sealed = key().seal(5, 0, b"header", b"secret".to_vec());
        assert_eq!(sealed.len(), 6 + SEAL_OVERHEAD);
        assert_eq!(key().open(5, 0, b"header", &sealed).as_deref(), Ok(&b"secret"[..]));

        let refused = |key: &SealingKey, place, part, associated: &[u8]| {
            assert_eq!(key.open(place, part, associated, &sealed), Err(OpenError));
        };
        refused(&key(), 6, 0, b"header");
        refused(&key(), 5, 1, b"header");
        refused(&key(), 5, 0, b"heade");
        let secret = ApplicationKey::new([1; 32]);
        refused(&SealingKey::application(&secret, View(1), NodeId(3), &[4; 32]), 5, 0, b"header");
        refused(&SealingKey::application(&secret, View(2), NodeId(4), &[4; 32]), 5, 0, b"header");
        refused(&SealingKey::application(&secret, View(2), NodeId(3), &[5; 32]), 5, 0, b"header");
        refused(&SealingKey::admin(&AdminKey::new([1; 32]), View(2), NodeId(3), &[4; 32]), 5, 0, b"header");
    }

    #[test]
    fn every_flipped_byte_and_every_truncation_is_refused() {
        let sealed = key().seal(5, 0, b"", b"secret".to_vec());
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert_eq!(key().open(5, 0, b"", &flipped), Err(OpenError));
            assert_eq!(key().open(5, 0, b"", &sealed[..at]), Err(OpenError));
        }
    }
}
