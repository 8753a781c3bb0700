//! Public keys that others bring: on P-256, P-384, or Ed25519; and RSA where only certificates are signed with it.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use crate::verify::SignatureInvalid;

/// How a statement is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The algorithm that goes with this SubjectPublicKeyInfo; `None` for a kind of key that signs no statements.
    pub fn of_spki(der: &[u8]) -> Option<Self> {
        let (rest, spki) = SubjectPublicKeyInfo::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let curve =
            || spki.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok()).map(|oid| oid.to_id_string());
        match spki.algorithm.algorithm.to_id_string().as_str() {
            EC_PUBLIC_KEY if curve()? == P256 => Some(Self::Es256),
            EC_PUBLIC_KEY if curve()? == P384 => Some(Self::Es384),
            ED25519_KEY => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// The argument of COSE's (negative) number of the algorithm: RFC 9053, sections 2.1 and 2.2.
    pub(crate) const fn cose_argument(self) -> u64 {
        match self {
            Self::Es256 => 6,
            Self::EdDsa => 7,
            Self::Es384 => 34,
        }
    }

    pub(crate) const fn from_cose_argument(argument: u64) -> Option<Self> {
        match argument {
            6 => Some(Self::Es256),
            7 => Some(Self::EdDsa),
            34 => Some(Self::Es384),
            _ => None,
        }
    }

    /// Checks a signature in COSE's form under the key of a SubjectPublicKeyInfo, which has to be this algorithm's.
    ///
    /// # Errors
    /// If the key is of another kind, or the signature does not fit.
    pub fn verify(self, spki_der: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureInvalid> {
        if Self::of_spki(spki_der) != Some(self) {
            return Err(SignatureInvalid);
        }
        let algorithm: &dyn VerificationAlgorithm = match self {
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
            Self::EdDsa => &ED25519,
        };
        verify_raw(algorithm, spki_der, message, signature)
    }
}

/// Checks the signature of a certificate or revocation list, in X.509's form.
pub(crate) fn verify_x509(
    spki_der: &[u8],
    algorithm: &AlgorithmIdentifier<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureInvalid> {
    let algorithm: &dyn VerificationAlgorithm = match algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.10045.4.3.2" if Algorithm::of_spki(spki_der) == Some(Algorithm::Es256) => &ECDSA_P256_SHA256_ASN1,
        "1.2.840.10045.4.3.3" if Algorithm::of_spki(spki_der) == Some(Algorithm::Es384) => &ECDSA_P384_SHA384_ASN1,
        "1.3.101.112" => &ED25519,
        "1.2.840.113549.1.1.11" => &RSA_PKCS1_2048_8192_SHA256,
        "1.2.840.113549.1.1.12" => &RSA_PKCS1_2048_8192_SHA384,
        "1.2.840.113549.1.1.13" => &RSA_PKCS1_2048_8192_SHA512,
        _ => return Err(SignatureInvalid),
    };
    verify_raw(algorithm, spki_der, message, signature)
}

fn verify_raw(
    algorithm: &'static dyn VerificationAlgorithm,
    spki_der: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureInvalid> {
    let (_, spki) = SubjectPublicKeyInfo::from_der(spki_der).map_err(|_| SignatureInvalid)?;
    let key = UnparsedPublicKey::new(algorithm, spki.subject_public_key.data.as_ref());
    key.verify(message, signature).map_err(|_| SignatureInvalid)
}

const EC_PUBLIC_KEY: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const ED25519_KEY: &str = "1.3.101.112";

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

    const P384_PREFIX: [u8; 23] = [
        0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
        0x00, 0x22, 0x03, 0x62, 0x00,
    ];
    const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

    #[test]
    fn each_algorithm_verifies_under_its_own_kind_of_key_only() {
        let es256 = crate::ActorKey::generate();
        let es384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let eddsa = Ed25519KeyPair::generate().unwrap();
        let message = b"message";
        let rows = [
            (Algorithm::Es256, es256.verifying_key().to_spki_der(), es256.sign(message).0.to_vec()),
            (
                Algorithm::Es384,
                [&P384_PREFIX, es384.public_key().as_ref()].concat(),
                es384.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            ),
            (
                Algorithm::EdDsa,
                [&ED25519_PREFIX, eddsa.public_key().as_ref()].concat(),
                eddsa.sign(message).as_ref().to_vec(),
            ),
        ];
        for (algorithm, spki, signature) in &rows {
            assert_eq!(Algorithm::of_spki(spki), Some(*algorithm));
            assert_eq!(algorithm.verify(spki, message, signature), Ok(()));
            assert!(algorithm.verify(spki, b"massage", signature).is_err());
            assert!(algorithm.verify(spki, message, &signature[1..]).is_err());
            for (other, ..) in rows.iter().filter(|(other, ..)| other != algorithm) {
                assert!(other.verify(spki, message, signature).is_err());
            }
            assert_eq!(Algorithm::from_cose_argument(algorithm.cose_argument()), Some(*algorithm));
        }
        assert_eq!(Algorithm::of_spki(b"no key"), None);
    }
}
