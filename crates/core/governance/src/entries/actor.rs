//! Who acts, and who may read.

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use synod_crypto::{Certificate, CertificateRefused};
use synod_types::{ActorId, Decode, DecodeError, Decoder, Encode, Encoder};

use crate::bounded::{Blob, Name, Set};
use crate::limits::{CERTIFICATE_BYTES_MAX, CRL_BYTES_MAX, LIST_MAX};
use crate::macros::{record, tagged};

tagged! {
    /// What an actor may do.
    #[derive(Copy)]
    pub enum Role {
        /// Governs, and may transact.
        0 => Member,
        /// Transacts, and may run nodes.
        1 => Participant,
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Role {
    /// The role in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Participant => "participant",
        }
    }
}

record! {
    /// An organisation, or a part of one, that governs or transacts.
    pub struct ActorEntry {
        /// What it may do.
        pub role: Role,
        /// What people call it; no other actor has this name.
        pub name: Name,
        /// Its certificate. Any leaf under it that fits the pins speaks for the actor; so does the certificate's own key.
        pub certificate: CertificateDer,
        /// What a leaf must show besides.
        pub pins: Pins,
        /// The seqno of the transaction that let it in. Ballots from before, under the same key, do not count.
        pub since: u64,
    }
}

record! {
    /// What a leaf under the actor's certificate must show, so that a sibling department's leaf, or one issued for
    /// another purpose, does not speak for the actor. Of each kind that is not empty, one has to fit.
    #[derive(Default)]
    pub struct Pins {
        /// Subject alternative names, as in `dns:gov.example.org`, `email:ops@example.org`, `uri:spiffe://example.org/gov`.
        #[serde(default, skip_serializing_if = "is_empty")]
        pub san: Set<Name, LIST_MAX>,
        /// Organisational units of the subject.
        #[serde(default, skip_serializing_if = "is_empty")]
        pub organizational_unit: Set<Name, LIST_MAX>,
        /// Certificate policies, as dotted numbers.
        #[serde(default, skip_serializing_if = "is_empty")]
        pub policy_oid: Set<Name, LIST_MAX>,
        /// SHA-256 of the public key (SubjectPublicKeyInfo) of a CA between the actor's certificate and the leaf.
        #[serde(default, skip_serializing_if = "is_empty")]
        pub sub_ca: Set<Blob<32>, LIST_MAX>,
    }
}

fn is_empty<T: Ord, const MAX: usize>(set: &Set<T, MAX>) -> bool {
    set.is_empty()
}

impl Pins {
    /// Whether nothing is pinned.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

record! {
    /// The newest revocation list that an actor registered.
    pub struct CrlEntry {
        /// Its number; only a higher one replaces it.
        pub number: u64,
        /// The list, DER, signed under the actor's certificate.
        pub der: Blob<CRL_BYTES_MAX>,
    }
}

tagged! {
    /// A part of the ledger.
    #[derive(Copy)]
    pub enum Part {
        /// The applications' transactions.
        0 => Application,
        /// Governance.
        1 => Administration,
        /// Both.
        2 => Both,
    }
}

record! {
    /// Somebody who may read a part of the ledger.
    pub struct AuditorEntry {
        /// What people call the auditor.
        pub name: Name,
        /// The certificate whose key the ledger's keys are given to.
        pub certificate: CertificateDer,
        /// What may be read.
        pub part: Part,
    }
}

/// A certificate, DER; PEM in documents.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateDer(Bytes);

impl CertificateDer {
    /// The DER of `certificate`.
    pub fn of(certificate: &Certificate) -> Self {
        Self(Bytes::copy_from_slice(certificate.der()))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The certificate as read.
    ///
    /// # Errors
    /// If these bytes are none.
    pub fn read(&self) -> Result<Certificate, CertificateRefused> {
        Certificate::from_der(self.0.to_vec())
    }

    /// The actor who holds the certificate's key, if it is a certificate.
    pub fn actor_id(&self) -> Option<ActorId> {
        self.read().ok().map(|certificate| certificate.actor_id())
    }
}

impl std::fmt::Debug for CertificateDer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CertificateDer({} bytes)", self.0.len())
    }
}

impl Encode for CertificateDer {
    fn encode(&self, out: &mut Encoder) {
        out.bytes(&self.0);
    }
}

impl Decode for CertificateDer {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.bytes(CERTIFICATE_BYTES_MAX).map(|bytes| Self(Bytes::copy_from_slice(bytes)))
    }
}

impl Serialize for CertificateDer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        let certificate = self.read().map_err(S::Error::custom)?;
        serializer.serialize_str(&certificate.to_pem())
    }
}

impl<'de> Deserialize<'de> for CertificateDer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Certificate::from_pem(&text).map(|certificate| Self::of(&certificate)).map_err(D::Error::custom)
    }
}
