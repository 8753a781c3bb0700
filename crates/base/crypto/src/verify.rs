//! Public keys and signatures: ECDSA on P-256 with SHA-256 (FIPS 186-5), in fixed-size form.

use std::fmt;
use std::hash::{Hash, Hasher};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use synod_types::codec::DecodeReason;
use synod_types::{ActorId, Decode, DecodeError, Decoder, Digest, Encode, Encoder};

use crate::armour;
use crate::digest::sha256;

/// The size of a signature, in bytes: r and s, 32 bytes each, big-endian.
pub const SIGNATURE_SIZE: usize = 64;

/// The size of a public key, in bytes: an uncompressed point.
pub const PUBLIC_KEY_SIZE: usize = 65;

/// A signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; SIGNATURE_SIZE]);

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

impl Encode for Signature {
    fn encode(&self, out: &mut Encoder) {
        out.raw(&self.0);
    }
}

impl Decode for Signature {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.array().map(Self)
    }
}

/// A public key: a point that is on the curve.
#[derive(Clone)]
pub struct VerifyingKey {
    point: [u8; PUBLIC_KEY_SIZE],
    parsed: ParsedPublicKey,
}

impl VerifyingKey {
    /// The key of this uncompressed point (SEC 1, section 2.3.3).
    ///
    /// # Errors
    /// If `point` is not on the curve, or not in this form.
    pub fn from_point(point: &[u8]) -> Result<Self, SignatureInvalid> {
        let point: [u8; PUBLIC_KEY_SIZE] = point.try_into().map_err(|_| SignatureInvalid)?;
        if point[0] != UNCOMPRESSED {
            return Err(SignatureInvalid);
        }
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| SignatureInvalid)?;
        Ok(Self { point, parsed })
    }

    /// The key of this SubjectPublicKeyInfo (RFC 5480), which must be DER and name P-256 by its identifier.
    ///
    /// # Errors
    /// If `der` is anything else.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, SignatureInvalid> {
        Self::from_point(der.strip_prefix(&SPKI_PREFIX).ok_or(SignatureInvalid)?)
    }

    /// The SubjectPublicKeyInfo, DER.
    pub fn to_spki_der(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.point].concat()
    }

    /// The SubjectPublicKeyInfo, PEM.
    pub fn to_spki_pem(&self) -> String {
        armour::encode("PUBLIC KEY", &self.to_spki_der())
    }

    /// The uncompressed point.
    pub const fn point(&self) -> &[u8; PUBLIC_KEY_SIZE] {
        &self.point
    }

    /// The digest of the SubjectPublicKeyInfo: how keys are named.
    pub fn digest(&self) -> Digest {
        sha256(&[&SPKI_PREFIX, &self.point])
    }

    /// The actor who holds this key.
    pub fn actor_id(&self) -> ActorId {
        ActorId(self.digest().0)
    }

    /// Checks that the holder of this key signed `message`.
    ///
    /// # Errors
    /// If not.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureInvalid> {
        self.parsed.verify_sig(message, &signature.0).map_err(|_| SignatureInvalid)
    }

    /// Checks that the holder of this key signed `message` under `label`; see [`crate::SigningKey::sign_labelled`].
    ///
    /// # Errors
    /// If not.
    pub fn verify_labelled(
        &self,
        label: &'static str,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), SignatureInvalid> {
        self.verify(&labelled(label, message), signature)
    }
}

pub(crate) fn labelled(label: &'static str, message: &[u8]) -> Vec<u8> {
    [label.as_bytes(), &[0], message].concat()
}

const UNCOMPRESSED: u8 = 4;

/// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING of 65 bytes follows }.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.point == other.point
    }
}

impl Eq for VerifyingKey {}

impl Hash for VerifyingKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.point.hash(state);
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.digest())
    }
}

impl Encode for VerifyingKey {
    fn encode(&self, out: &mut Encoder) {
        out.raw(&self.point);
    }
}

impl Decode for VerifyingKey {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.reading("public key").clone();
        Self::from_point(input.raw(PUBLIC_KEY_SIZE)?).map_err(|_| at.error(DecodeReason::ValueNotAllowed))
    }
}

/// A signature that does not fit, or a public key that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signature or public key is not valid")]
pub struct SignatureInvalid;
