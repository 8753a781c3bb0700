//! Signing keys, one type per purpose.

use std::fmt;
use std::marker::PhantomData;

use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use zeroize::Zeroizing;

use crate::armour;
use crate::digest::derive;
use crate::labels;
use crate::verify::{Signature, VerifyingKey, labelled};

/// What a signing key is for.
pub trait Purpose {
    /// The purpose in one word, for printing and derivation.
    const NAME: &'static str;
}

/// Signs receipts and endorses nodes; what clients pin.
#[derive(Clone, Copy, Debug)]
pub enum Service {}

/// Signs block headers and TLS handshakes of one node.
#[derive(Clone, Copy, Debug)]
pub enum Node {}

/// Signs the requests and TLS handshakes of one actor.
#[derive(Clone, Copy, Debug)]
pub enum Actor {}

impl Purpose for Service {
    const NAME: &'static str = "service";
}

impl Purpose for Node {
    const NAME: &'static str = "node";
}

impl Purpose for Actor {
    const NAME: &'static str = "actor";
}

/// The key of the service's identity.
pub type ServiceKey = SigningKey<Service>;
/// The key of one node.
pub type NodeKey = SigningKey<Node>;
/// The key of one actor.
pub type ActorKey = SigningKey<Actor>;

/// A private key on P-256. AWS-LC holds it, and cleanses its memory when it is dropped.
#[derive(Clone)]
pub struct SigningKey<P> {
    pair: EcdsaKeyPair,
    public: VerifyingKey,
    purpose: PhantomData<fn() -> P>,
}

impl<P: Purpose> SigningKey<P> {
    /// A new random key.
    pub fn generate() -> Self {
        Self::of_pair(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("the system gives randomness"))
    }

    /// The key that `seed` and the purpose determine: as secret as the seed. For keys that several
    /// must come to alike: see [`crate::ApplicationKey::next_service_key`], and simulations and tests.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        // A candidate that is zero or not below the group's order is skipped; one in 2^32 is.
        (0u8..=u8::MAX)
            .find_map(|counter| {
                let context: [&[u8]; 2] = [&[counter], P::NAME.as_bytes()];
                let scalar = Zeroizing::new(derive(seed, labels::SIGNING_SEED, &context));
                Self::from_scalar(&scalar).ok()
            })
            .expect("256 candidates do not all miss the group's order")
    }

    /// RFC 5915's ECPrivateKey around a scalar, without the public key, which AWS-LC computes.
    fn from_scalar(scalar: &[u8; 32]) -> Result<Self, KeyRefused> {
        let mut der = Zeroizing::new(vec![0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20]);
        der.extend_from_slice(scalar);
        der.extend_from_slice(&[0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
        EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
            .map(Self::of_pair)
            .map_err(|_| KeyRefused { purpose: P::NAME })
    }

    fn of_pair(pair: EcdsaKeyPair) -> Self {
        let public = VerifyingKey::from_point(pair.public_key().as_ref()).expect("a key pair's point is on the curve");
        Self { pair, public, purpose: PhantomData }
    }

    /// Reads a PKCS #8 private key, DER.
    ///
    /// # Errors
    /// If `der` is not a P-256 key in this form.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyRefused> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map(Self::of_pair)
            .map_err(|_| KeyRefused { purpose: P::NAME })
    }

    /// Reads a PKCS #8 private key, PEM.
    ///
    /// # Errors
    /// If `text` is not a P-256 key in this form.
    pub fn from_pem(text: &str) -> Result<Self, KeyRefused> {
        let der = armour::decode(PKCS8_TAG, text).ok_or(KeyRefused { purpose: P::NAME })?;
        Self::from_pkcs8_der(&Zeroizing::new(der))
    }

    /// The private key as PKCS #8, DER. Whoever calls this answers for where it goes.
    pub fn expose_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.pair.to_pkcs8v1().expect("a key of ours can be written").as_ref().to_vec())
    }

    /// The private key as PKCS #8, PEM. Whoever calls this answers for where it goes.
    pub fn expose_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(armour::encode(PKCS8_TAG, &self.expose_pkcs8_der()))
    }

    /// The private key itself, big-endian: for what is derived from it.
    pub(crate) fn expose_scalar(&self) -> Zeroizing<[u8; 32]> {
        let scalar = AsBigEndian::<EcPrivateKeyBin<'_>>::as_be_bytes(&self.pair.private_key());
        let scalar = scalar.expect("a key of ours can be written");
        Zeroizing::new(scalar.as_ref().try_into().expect("a scalar of P-256 has 32 bytes"))
    }

    /// The public key.
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs `message` as it is. For formats that separate their domain themselves: COSE, X.509, TLS.
    pub fn sign(&self, message: &[u8]) -> Signature {
        // AWS-LC draws the nonce itself; the generator in the signature of `sign` is not used.
        let signature = self.pair.sign(&SystemRandom::new(), message).expect("signing with a checked key succeeds");
        Signature(signature.as_ref().try_into().expect("a fixed-size signature has 64 bytes"))
    }

    /// Signs `message` under one of the [`crate::labels`].
    pub fn sign_labelled(&self, label: &'static str, message: &[u8]) -> Signature {
        self.sign(&labelled(label, message))
    }
}

const PKCS8_TAG: &str = "PRIVATE KEY";

impl<P: Purpose> fmt::Debug for SigningKey<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {:?}, <redacted>)", P::NAME, self.public)
    }
}

/// Bytes that are not a private key on P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{purpose} key is not a P-256 private key in PKCS #8")]
pub struct KeyRefused {
    /// What the key was to be for.
    pub purpose: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_types::{Decode, Encode};

    #[test]
    fn a_signature_verifies_under_its_key_message_and_label_only() {
        let (key, other) = (NodeKey::generate(), NodeKey::generate());
        let signature = key.sign_labelled(labels::SIGN_HEADER, b"message");
        let public = key.verifying_key();
        assert!(public.verify_labelled(labels::SIGN_HEADER, b"message", &signature).is_ok());
        assert!(public.verify_labelled(labels::SIGN_HEADER, b"massage", &signature).is_err());
        assert!(public.verify_labelled("another label v1", b"message", &signature).is_err());
        assert!(public.verify(b"message", &signature).is_err());
        assert!(other.verifying_key().verify_labelled(labels::SIGN_HEADER, b"message", &signature).is_err());
        for at in 0..64 {
            let mut flipped = signature;
            flipped.0[at] ^= 1;
            assert!(public.verify_labelled(labels::SIGN_HEADER, b"message", &flipped).is_err());
        }
    }

    #[test]
    fn a_private_key_reads_back_from_pem_and_damaged_pem_is_refused() {
        let key = ServiceKey::generate();
        let text = key.expose_pem();
        assert_eq!(ServiceKey::from_pem(&text).unwrap().verifying_key(), key.verifying_key());
        for bad in ["", "x", &text.replace("PRIVATE", "EC PRIVATE"), &key.verifying_key().to_spki_pem()] {
            assert!(ServiceKey::from_pem(bad).is_err());
        }
        let der = key.expose_pkcs8_der();
        for end in 0..der.len() {
            assert!(ServiceKey::from_pkcs8_der(&der[..end]).is_err());
        }
    }

    #[test]
    fn a_seed_gives_one_key_per_purpose() {
        let key = NodeKey::from_seed(&[7; 32]);
        assert_eq!(key.verifying_key(), NodeKey::from_seed(&[7; 32]).verifying_key());
        assert_ne!(key.verifying_key(), NodeKey::from_seed(&[8; 32]).verifying_key());
        assert_ne!(key.verifying_key(), ServiceKey::from_seed(&[7; 32]).verifying_key());
        let signature = key.sign(b"m");
        assert!(key.verifying_key().verify(b"m", &signature).is_ok());
    }

    #[test]
    fn a_public_key_reads_back_and_a_point_off_the_curve_is_refused() {
        let key = ActorKey::generate();
        let public = key.verifying_key();
        assert_eq!(VerifyingKey::from_spki_der(&public.to_spki_der()).as_ref(), Ok(public));
        assert_eq!(VerifyingKey::from_bytes(&public.to_bytes()).as_ref(), Ok(public));
        let mut off = *public.point();
        off[64] ^= 1;
        assert!(VerifyingKey::from_point(&off).is_err());
        assert!(VerifyingKey::from_point(&[0; 65]).is_err());
        for end in 0..65 {
            assert!(VerifyingKey::from_bytes(&public.point()[..end]).is_err());
        }
        let der = public.to_spki_der();
        for at in 0..26 {
            let mut changed = der.clone();
            changed[at] ^= 1;
            assert!(VerifyingKey::from_spki_der(&changed).is_err());
        }
    }

    #[test]
    fn a_private_key_is_never_printed() {
        assert!(format!("{:?}", ServiceKey::generate()).contains("<redacted>"));
    }
}
