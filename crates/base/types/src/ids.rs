//! Identifiers and times. Each is its own type, so that a seqno is never passed for a view.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::codec::{Decode, DecodeError, Decoder, Encode, Encoder};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Encoder) {
                self.0.encode(out);
            }
        }

        impl Decode for $name {
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                <$inner>::decode(input).map(Self)
            }
        }
    };
}

number! {
    /// A leader's term of office. Rises with each election; 0 is before the first.
    View(u64)
}
number! {
    /// A transaction's place in the one order of the network. The genesis transaction is 1.
    Seqno(u64)
}
number! {
    /// A place in the consensus engine's log, where engine entries count too. The genesis block is at 1.
    LogIndex(u64)
}
number! {
    /// A node's slot in the governed node list. Slots begin at 1; 0 is no node.
    NodeId(u64)
}
number! {
    /// A period under one set of session keys. The first is 1.
    Epoch(u32)
}
number! {
    /// An adapter's place in the genesis document's list of adapters.
    AdapterId(u8)
}

impl Seqno {
    /// The seqno after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The seqno `count` places after this one.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

impl LogIndex {
    /// The index after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A transaction id: the view in which the leader ordered the transaction, and its seqno.
///
/// Written `view.seqno`, as in `2.14`.
///
/// ```
/// use synod_types::TxId;
///
/// let id: TxId = "2.14".parse()?;
/// assert_eq!((id.view.0, id.seqno.0), (2, 14));
/// assert_eq!(id.to_string(), "2.14");
/// # Ok::<(), synod_types::ids::ParseTxIdError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TxId {
    /// The view in which the transaction was ordered.
    pub view: View,
    /// The transaction's place in the order.
    pub seqno: Seqno,
}

impl TxId {
    /// The id of transaction `seqno`, ordered in `view`.
    pub const fn new(view: View, seqno: Seqno) -> Self {
        Self { view, seqno }
    }
}

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.view, self.seqno)
    }
}

/// A text that is not `view.seqno`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction id is not of the form view.seqno, such as 2.14")]
pub struct ParseTxIdError;

/// The largest view, seqno or index: no running network comes near (a million a second for 146,000 years), and sums with
/// small numbers stay in range everywhere.
pub const NUMBER_MAX: u64 = 1 << 62;

impl FromStr for TxId {
    type Err = ParseTxIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (view, seqno) = text.split_once('.').ok_or(ParseTxIdError)?;
        let number = |digits: &str| {
            // `parse` alone would accept a leading plus sign.
            let is_number = digits.bytes().all(|b| b.is_ascii_digit());
            let number = if is_number { digits.parse().ok() } else { None };
            number.filter(|number| *number <= NUMBER_MAX).ok_or(ParseTxIdError)
        };
        Ok(Self::new(View(number(view)?), Seqno(number(seqno)?)))
    }
}

impl Encode for TxId {
    fn encode(&self, out: &mut Encoder) {
        self.view.encode(out);
        self.seqno.encode(out);
    }
}

impl Decode for TxId {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { view: View::decode(input)?, seqno: Seqno::decode(input)? })
    }
}

macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident[$size:literal]) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $size]);

        impl $name {
            /// The size in bytes.
            pub const SIZE: usize = $size;

            /// The bytes as lower-case hexadecimal digits.
            pub fn to_hex(&self) -> String {
                self.to_string()
            }

            /// Reads the form that `to_hex` writes; `None` for anything else.
            pub fn from_hex(text: &str) -> Option<Self> {
                let digits = text.as_bytes();
                if digits.len() != 2 * $size {
                    return None;
                }
                let mut bytes = [0; $size];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let digit = |c: u8| char::from(c).to_digit(16);
                    *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
                }
                Some(Self(bytes))
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Encoder) {
                out.raw(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                input.array().map(Self)
            }
        }
    };
}

fixed_bytes! {
    /// A SHA-256 digest.
    Digest[32]
}
fixed_bytes! {
    /// Who acts: the SHA-256 digest of the actor's public key (SubjectPublicKeyInfo, DER).
    ActorId[32]
}
fixed_bytes! {
    /// The id under which an actor sends one write, so that a retry is done once.
    RequestId[16]
}

/// A point in time: microseconds since the Unix epoch. A node's own `Time` never runs backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// The time `delay` after this one; the far end of time if that overflows.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX)))
    }

    /// The time passed since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since the Unix epoch.
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl Encode for Time {
    fn encode(&self, out: &mut Encoder) {
        self.0.encode(out);
    }
}

impl Decode for Time {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        u64::decode(input).map(Self)
    }
}

impl AdapterId {
    /// Stands for governance, which is no adapter: a network has far fewer.
    pub const GOVERNANCE: Self = Self(u8::MAX);

    /// Stands for the settings of adapters, which are handed over on nobody's behalf: a network has far fewer adapters.
    pub const SETTINGS: Self = Self(u8::MAX - 1);
}

/// The server name (SNI) of connections for governance. Nodes keep room for these, so that no load of applications
/// keeps members from deciding; they serve `/gov/` on them and nowhere else. Nobody resolves the name: a client dials
/// a node's address, and pins the service's key.
pub const GOVERNANCE_NAME: &str = "governance.synod.internal";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_id_reads_back_as_written_and_nothing_else_is_one() {
        for text in ["0.0", "2.14", "4611686018427387904.1"] {
            assert_eq!(text.parse::<TxId>().unwrap().to_string(), text);
        }
        for text in [
            "",
            ".",
            "2",
            "2.",
            ".3",
            "2.3.4",
            "+2.3",
            "2.-3",
            "2.18446744073709551616",
            "2.18446744073709551615",
            "4611686018427387905.1",
            " 2.3",
        ] {
            assert_eq!(text.parse::<TxId>(), Err(ParseTxIdError), "{text}");
        }
    }

    #[test]
    fn a_digest_reads_back_from_its_hexadecimal_form() {
        let digest = Digest(std::array::from_fn(|i| i as u8));
        assert_eq!(Digest::from_hex(&digest.to_hex()), Some(digest));
        assert_eq!(Digest::from_hex("00"), None);
        assert_eq!(Digest::from_hex(&"zz".repeat(32)), None);
        assert_eq!(Digest::from_hex(&"é".repeat(32)), None);
    }
}
