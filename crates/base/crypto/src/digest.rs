//! SHA-256 (FIPS 180-4), HMAC (RFC 2104) and HKDF (RFC 5869).

use aws_lc_rs::{digest, hkdf, hmac};
use synod_types::Digest;

/// The SHA-256 digest of the concatenation of `parts`.
///
/// ```
/// use synod_crypto::sha256;
///
/// assert_eq!(sha256(&[b"ab", b"c"]), sha256(&[b"abc"]));
/// assert!(sha256(&[b"abc"]).to_hex().starts_with("ba7816bf"));
/// ```
pub fn sha256(parts: &[&[u8]]) -> Digest {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    if let [whole] = parts {
        return one_shot(whole);
    }
    if size > GATHER_BYTES_MAX {
        let mut hasher = Hasher::default();
        parts.iter().for_each(|part| hasher.update(part));
        return hasher.finish();
    }
    let mut gathered = [0; GATHER_BYTES_MAX];
    let mut end = 0;
    for part in parts {
        gathered[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    one_shot(&gathered[..end])
}

/// Short inputs are gathered on the stack: setting up an incremental digest costs more than hashing them.
const GATHER_BYTES_MAX: usize = 256;

fn one_shot(bytes: &[u8]) -> Digest {
    digest_of(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest(bytes.try_into().expect("SHA-256 gives 32 bytes"))
}

/// A SHA-256 digest of what arrives in pieces.
#[derive(Clone)]
pub struct Hasher(digest::Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Hasher {
    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        digest_of(self.0.finish().as_ref())
    }
}

/// A key for HMAC with SHA-256.
#[derive(Clone)]
pub struct HmacKey(hmac::Key);

impl HmacKey {
    /// The key of these bytes.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The authentication code of `message`.
    pub fn authenticate(&self, message: &[u8]) -> Digest {
        digest_of(hmac::sign(&self.0, message).as_ref())
    }
}

impl std::fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HmacKey(<redacted>)")
    }
}

/// Derives 32 bytes from `secret` under one of the [`crate::labels`], with HKDF-SHA-256 without salt:
/// our secrets are uniform, so a salt would add nothing (RFC 5869, section 3.3).
///
/// `context` follows the label and a zero byte; its parts must be of fixed size, or the last alone of any size.
pub fn derive(secret: &[u8], label: &'static str, context: &[&[u8]]) -> [u8; 32] {
    let mut info: Vec<&[u8]> = vec![label.as_bytes(), &[0]];
    info.extend_from_slice(context);
    let mut out = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(secret)
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut out))
        .expect("32 bytes are within what HKDF-SHA-256 can give");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digits: &str) -> Vec<u8> {
        (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn sha256_agrees_with_fips_180_for_any_split() {
        let expected = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
        let message = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        assert_eq!(sha256(&[message]).to_hex(), expected);
        for at in 0..message.len() {
            assert_eq!(sha256(&[&message[..at], &message[at..]]).to_hex(), expected);
        }
        assert_eq!(sha256(&[]).to_hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn sha256_gives_the_same_for_parts_above_and_below_the_gathering_bound() {
        for size in [0, 1, GATHER_BYTES_MAX - 1, GATHER_BYTES_MAX, GATHER_BYTES_MAX + 1, 5000] {
            let bytes: Vec<u8> = (0..size).map(|i| i as u8).collect();
            let (a, b) = bytes.split_at(size / 3);
            assert_eq!(sha256(&[a, b]), one_shot(&bytes), "{size}");
        }
    }

    #[test]
    fn hmac_agrees_with_rfc_4231_case_2() {
        assert_eq!(
            HmacKey::new(b"Jefe").authenticate(b"what do ya want for nothing?").to_hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn derivation_agrees_with_hkdf_written_out() {
        // RFC 5869: PRK = HMAC(zeros, secret); T(1) = HMAC(PRK, info || 0x01).
        let secret = hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
        let prk = HmacKey::new(&[0; 32]).authenticate(&secret);
        let t1 = HmacKey::new(&prk.0).authenticate(b"synod seal application v1\0context\x01");
        assert_eq!(derive(&secret, crate::labels::SEAL_APPLICATION, &[b"con", b"text"]), t1.0);
    }
}
