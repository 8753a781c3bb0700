//! Secrets that are bytes, each its own type: zeroized when dropped, and never printed.

use std::fmt;

use aws_lc_rs::rand;
use synod_types::{Digest, Epoch, NodeId};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::armour;
use crate::digest::{HmacKey, derive};
use crate::labels;
use crate::sign::ServiceKey;

/// The size of a view's salt, in bytes.
pub const SALT_SIZE: usize = 32;

/// `N` random bytes from the operating system, by way of AWS-LC.
///
/// The deterministic core never calls this: it is handed seeds and salts.
///
/// # Panics
/// If the system has no randomness to give; nothing can go on safely then.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system gives randomness");
    bytes
}

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; Self::SIZE]);

        impl $name {
            /// The size in bytes.
            pub const SIZE: usize = 32;

            /// The key of these bytes.
            pub const fn new(bytes: [u8; Self::SIZE]) -> Self {
                Self(bytes)
            }

            /// A new random key.
            pub fn generate() -> Self {
                Self(random_bytes())
            }

            /// The bytes. Whoever calls this answers for where they go.
            pub const fn expose_secret(&self) -> &[u8; Self::SIZE] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    };
}

secret! {
    /// The session key of one epoch for application data.
    ApplicationKey
}
secret! {
    /// The session key of one epoch for administrative data: who asked, from where, with which result.
    AdminKey
}

impl ApplicationKey {
    /// The key under which the epoch's commit evidence is made.
    pub fn evidence_key(&self) -> HmacKey {
        HmacKey::new(&derive(&self.0, labels::EVIDENCE, &[]))
    }

    /// A value that only this key gives, and that tells nothing about it.
    pub fn check_value(&self) -> Digest {
        Digest(derive(&self.0, labels::CHECK_APPLICATION, &[]))
    }

    /// The service's key that follows `previous` in `network`, where the log before it has the digest `chain`.
    ///
    /// Nodes make it and tell nobody. It takes this key, the service's key before, and the ledger: who may read
    /// applications' data lacks the second, who came by the service's key alone the first. The chain covers all that came
    /// before, so no two places give the same key.
    pub fn next_service_key(&self, previous: &ServiceKey, network: Digest, chain: Digest) -> ServiceKey {
        // Two uniform secrets of fixed size: whoever lacks either cannot tell what is extracted from chance.
        let mut both = Zeroizing::new([0; 2 * Self::SIZE]);
        both[..Self::SIZE].copy_from_slice(&self.0);
        both[Self::SIZE..].copy_from_slice(&*previous.expose_scalar());
        let seed = derive(&*both, labels::NEXT_SERVICE, &[&network.0, &chain.0]);
        ServiceKey::from_seed(&Zeroizing::new(seed))
    }
}

impl AdminKey {
    /// A value that only this key gives, and that tells nothing about it.
    pub fn check_value(&self) -> Digest {
        Digest(derive(&self.0, labels::CHECK_ADMIN, &[]))
    }

    /// As PEM, for a file that only an auditor may read: it opens the administrative parts of the ledger and nothing
    /// else.
    pub fn to_pem(&self) -> String {
        armour::encode(ADMIN_KEY_TAG, &self.0)
    }

    /// Reads what [`AdminKey::to_pem`] writes.
    ///
    /// # Errors
    /// If `text` is anything else.
    pub fn from_pem(text: &str) -> Result<Self, SecretRefused> {
        let mut bytes = armour::decode(ADMIN_KEY_TAG, text).ok_or(SecretRefused)?;
        let key = bytes[..].try_into().map(Self).map_err(|_| SecretRefused);
        bytes.zeroize();
        key
    }

    pub(crate) fn vote_secret(&self, node: NodeId) -> [u8; 32] {
        derive(&self.0, labels::SEAL_VOTE, &[&node.0.to_le_bytes()])
    }
}

/// The session keys of one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKeys {
    /// The epoch.
    pub epoch: Epoch,
    /// For application data.
    pub application: ApplicationKey,
    /// For administrative data.
    pub admin: AdminKey,
}

impl SessionKeys {
    /// Fresh keys for `epoch`.
    pub fn generate(epoch: Epoch) -> Self {
        Self { epoch, application: ApplicationKey::generate(), admin: AdminKey::generate() }
    }

    /// As PEM, for a file that only the node may read.
    pub fn to_pem(&self) -> String {
        let mut bytes = self.epoch.0.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.application.0);
        bytes.extend_from_slice(&self.admin.0);
        let text = armour::encode(SESSION_KEYS_TAG, &bytes);
        bytes.zeroize();
        text
    }

    /// Reads what [`SessionKeys::to_pem`] writes.
    ///
    /// # Errors
    /// If `text` is anything else.
    pub fn from_pem(text: &str) -> Result<Self, SecretRefused> {
        let mut bytes = armour::decode(SESSION_KEYS_TAG, text).ok_or(SecretRefused)?;
        let keys = Self::from_bytes(&bytes);
        bytes.zeroize();
        keys
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, SecretRefused> {
        let bytes: &[u8; 4 + 32 + 32] = bytes.try_into().map_err(|_| SecretRefused)?;
        let array = |at: usize| std::array::from_fn(|i| bytes[at + i]);
        Ok(Self {
            epoch: Epoch(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
            application: ApplicationKey(array(4)),
            admin: AdminKey(array(36)),
        })
    }
}

const SESSION_KEYS_TAG: &str = "SYNOD SESSION KEYS V1";
const ADMIN_KEY_TAG: &str = "SYNOD ADMIN KEY V1";

/// A text that is not such keys in PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not keys of this kind in PEM of version 1")]
pub struct SecretRefused;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let keys = SessionKeys {
            epoch: Epoch(1),
            application: ApplicationKey::new([0xab; 32]),
            admin: AdminKey::new([0xcd; 32]),
        };
        let printed = format!("{keys:?}");
        assert!(printed.contains("<redacted>"));
        for trace in ["171", "205", "ab, ", "abab", "cdcd"] {
            assert!(!printed.contains(trace), "{trace} in {printed}");
        }
    }

    #[test]
    fn session_keys_read_back_from_pem_and_nothing_else_does() {
        let keys = SessionKeys::generate(Epoch(7));
        let text = keys.to_pem();
        assert_eq!(SessionKeys::from_pem(&text), Ok(keys));
        let shorter = armour::encode(SESSION_KEYS_TAG, &[1; 67]);
        let other_tag = text.replace("V1", "V2");
        for bad in ["", "abc", &shorter, &other_tag] {
            assert_eq!(SessionKeys::from_pem(bad), Err(SecretRefused), "{bad}");
        }
    }

    #[test]
    fn an_auditors_key_reads_back_from_pem_and_nothing_else_does() {
        let keys = SessionKeys::generate(Epoch(7));
        let text = keys.admin.to_pem();
        assert_eq!(AdminKey::from_pem(&text), Ok(keys.admin.clone()));
        let shorter = armour::encode(ADMIN_KEY_TAG, &[1; 31]);
        for bad in ["", "abc", &shorter, &text.replace("V1", "V2"), &keys.to_pem()] {
            assert_eq!(AdminKey::from_pem(bad), Err(SecretRefused), "{bad}");
        }
        assert_eq!(SessionKeys::from_pem(&text), Err(SecretRefused));
    }

    /// Computed with Python's hmac package; changing it takes from a network whose service was rotated its key.
    #[test]
    fn the_next_service_key_depends_on_session_key_previous_key_network_and_history() {
        let next = |key, previous, network, chain| {
            let previous = ServiceKey::from_seed(&[previous; 32]);
            ApplicationKey::new([key; 32]).next_service_key(&previous, Digest([network; 32]), Digest([chain; 32]))
        };
        let known = ServiceKey::from_seed(&NEXT_SEED);
        assert_eq!(next(1, 4, 2, 3).verifying_key(), known.verifying_key());
        for other in [next(9, 4, 2, 3), next(1, 9, 2, 3), next(1, 4, 9, 3), next(1, 4, 2, 9), next(1, 4, 3, 2)] {
            assert_ne!(other.verifying_key(), known.verifying_key());
        }
        let read = ServiceKey::from_pem(&ServiceKey::from_seed(&[4; 32]).expose_pem()).unwrap();
        let next = ApplicationKey::new([1; 32]).next_service_key(&read, Digest([2; 32]), Digest([3; 32]));
        assert_eq!(next.verifying_key(), known.verifying_key(), "a key in a file is the same key");
    }

    const NEXT_SEED: [u8; 32] = [
        0x88, 0xff, 0x6a, 0x1f, 0x61, 0x97, 0x66, 0x18, 0x44, 0xa9, 0x21, 0x33, 0x6b, 0x30, 0xe8, 0xca, 0xd1, 0x3b,
        0xdb, 0x48, 0xf5, 0xa6, 0x2f, 0xf5, 0x47, 0x50, 0x09, 0x82, 0xf1, 0x0d, 0xcf, 0x60,
    ];

    #[test]
    fn check_values_tell_keys_and_purposes_apart() {
        let (application, admin) = (ApplicationKey::new([1; 32]), AdminKey::new([1; 32]));
        assert_ne!(application.check_value(), admin.check_value());
        assert_ne!(application.check_value(), ApplicationKey::new([2; 32]).check_value());
        assert_ne!(application.check_value().0, application.0);
    }
}
