//! The cryptography of Synod: key types, one per purpose, and the few operations on them.
//!
//! Everything is built on AWS-LC. What each key protects, and for how long, stands in the design's
//! key table; what each derived key is for stands in [`labels`].
//!
//! Nothing here reads a clock. Randomness is drawn only where a function says so (`generate`,
//! [`random_bytes`]) and inside ECDSA signing; no digest covers a signature, so two runs with the same
//! inputs agree on every digest.

mod any_key;
pub mod armour;
mod cbor;
mod certificate;
pub mod chain;
pub mod cose;
mod digest;
pub mod labels;
pub mod rotated;
mod seal;
mod secret;
mod sign;
pub mod slot;
pub mod statement;
mod verify;
pub mod x509;

pub use any_key::Algorithm;
pub use certificate::{Certificate, CertificateRefused};
pub use digest::{Hasher, HmacKey, derive, sha256};
pub use seal::{OpenError, SEAL_OVERHEAD, SealingKey};
pub use secret::{AdminKey, ApplicationKey, SALT_SIZE, SecretRefused, SessionKeys, random_bytes};
pub use sign::{Actor, ActorKey, KeyRefused, Node, NodeKey, Purpose, Service, ServiceKey, SigningKey};
pub use verify::{PUBLIC_KEY_SIZE, SIGNATURE_SIZE, Signature, SignatureInvalid, VerifyingKey};
