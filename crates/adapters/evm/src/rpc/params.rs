//! Parameters of methods.

use std::borrow::Cow;

use alloy_primitives::{Address, B256, U256};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::RpcError;
use crate::hex;

/// The parameters of one request, by position.
#[derive(Debug)]
pub(crate) struct Params<'a>(Vec<&'a RawValue>);

impl<'a> Params<'a> {
    /// Reads the parameters: an array, or nothing.
    pub(crate) fn parse(json: Option<&'a str>) -> Result<Self, RpcError> {
        match json {
            None | Some("null") => Ok(Self(Vec::new())),
            Some(json) => serde_json::from_str(json).map(Self).map_err(|_| RpcError::invalid_params("non-array args")),
        }
    }

    /// The parameter at `place`.
    pub(crate) fn required<T: Deserialize<'a>>(&self, place: usize) -> Result<T, RpcError> {
        self.optional(place)?
            .ok_or_else(|| RpcError::invalid_params(format!("missing value for required argument {place}")))
    }

    /// The parameter at `place`, if it is there and not null.
    pub(crate) fn optional<T: Deserialize<'a>>(&self, place: usize) -> Result<Option<T>, RpcError> {
        let Some(json) = self.0.get(place).filter(|json| json.get() != "null") else { return Ok(None) };
        let refused = |error| RpcError::invalid_params(format!("invalid argument {place}: {error}"));
        serde_json::from_str(json.get()).map(Some).map_err(refused)
    }
}

macro_rules! hexadecimal {
    ($(#[$doc:meta])* $name:ident($inner:ty), $expected:literal, $read:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) struct $name(pub(crate) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                hex::text(deserializer, $expected, $read).map(Self)
            }
        }
    };
}

hexadecimal! {
    /// A quantity.
    Quantity(U256), "a quantity: hexadecimal with 0x", hex::quantity
}
hexadecimal! {
    /// A quantity of 64 bits.
    Quantity64(u64), "a quantity of at most 64 bits: hexadecimal with 0x",
    |text: &str| hex::quantity(text).and_then(|number| u64::try_from(number).ok())
}
hexadecimal! {
    /// A quantity of 128 bits.
    Quantity128(u128), "a quantity of at most 128 bits: hexadecimal with 0x",
    |text: &str| hex::quantity(text).and_then(|number| u128::try_from(number).ok())
}
hexadecimal! {
    /// An address.
    AddressParam(Address), "an address: 40 hexadecimal digits with 0x",
    |text: &str| hex::array::<20>(text).map(Address::from)
}
hexadecimal! {
    /// A hash, or another word of 32 bytes.
    Word(B256), "32 bytes: 64 hexadecimal digits with 0x", |text: &str| hex::array::<32>(text).map(B256::new)
}

/// Which block is meant: a tag, a number, or an object (EIP-1898).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BlockId {
    /// The latest committed block. `safe`, `finalized` and, for blocks, `pending` are the same: what
    /// is committed is final, and nothing else is shown.
    #[default]
    Latest,
    /// As `Latest`; but a nonce counts what is not committed yet.
    Pending,
    /// The first block.
    Earliest,
    /// The block with this number.
    Number(u64),
    /// The block with this hash.
    Hash(B256),
}

impl<'de> Deserialize<'de> for BlockId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BlockVisitor;

        impl<'de> Visitor<'de> for BlockVisitor {
            type Value = BlockId;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a block number, a tag, or an object with blockHash or blockNumber")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<BlockId, E> {
                let number = || hex::quantity(text).and_then(|number| u64::try_from(number).ok()).map(BlockId::Number);
                let hash = || hex::array::<32>(text).map(|hash| BlockId::Hash(B256::new(hash)));
                match text {
                    "latest" | "safe" | "finalized" => Ok(BlockId::Latest),
                    "pending" => Ok(BlockId::Pending),
                    "earliest" => Ok(BlockId::Earliest),
                    // 64 digits are a hash, not a number.
                    _ => hash().or_else(number).ok_or_else(|| E::custom(format_args!("{text:?} is no block"))),
                }
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<BlockId, M::Error> {
                let (mut hash, mut number) = (None, None);
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    match key.as_ref() {
                        "blockHash" => hash = map.next_value::<Option<Word>>()?,
                        "blockNumber" => number = map.next_value::<Option<Quantity64>>()?,
                        // Every block we hold is canonical, so `requireCanonical` asks for nothing more.
                        _ => drop(map.next_value::<de::IgnoredAny>()?),
                    }
                }
                match (hash, number) {
                    (Some(Word(hash)), None) => Ok(BlockId::Hash(hash)),
                    (None, Some(Quantity64(number))) => Ok(BlockId::Number(number)),
                    _ => Err(de::Error::custom("give either blockHash or blockNumber")),
                }
            }
        }

        deserializer.deserialize_any(BlockVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_named_by_tag_number_hash_or_object() {
        let hash = B256::repeat_byte(0xab);
        let rows = [
            (r#""latest""#.to_owned(), Some(BlockId::Latest)),
            (r#""safe""#.to_owned(), Some(BlockId::Latest)),
            (r#""finalized""#.to_owned(), Some(BlockId::Latest)),
            (r#""pending""#.to_owned(), Some(BlockId::Pending)),
            (r#""earliest""#.to_owned(), Some(BlockId::Earliest)),
            (r#""0x10""#.to_owned(), Some(BlockId::Number(16))),
            (format!("\"{hash}\""), Some(BlockId::Hash(hash))),
            (format!(r#"{{"blockHash":"{hash}","requireCanonical":true}}"#), Some(BlockId::Hash(hash))),
            (r#"{"blockNumber":"0x1"}"#.to_owned(), Some(BlockId::Number(1))),
            (format!(r#"{{"blockHash":"{hash}","blockNumber":"0x1"}}"#), None),
            ("{}".to_owned(), None),
            (r#""10""#.to_owned(), None),
            ("7".to_owned(), None),
            (r#""0x10000000000000000""#.to_owned(), None),
        ];
        for (json, block) in rows {
            assert_eq!(serde_json::from_str(&json).ok(), block, "{json}");
        }
    }

    #[test]
    fn parameters_are_found_by_place_and_null_is_absence() {
        let params = Params::parse(Some(r#"["0x1",null]"#)).unwrap();
        assert_eq!(params.required::<Quantity64>(0), Ok(Quantity64(1)));
        assert_eq!(params.optional::<Quantity64>(1), Ok(None));
        for (place, message) in
            [(1, "missing value for required argument 1"), (2, "missing value for required argument 2")]
        {
            let error = params.required::<Quantity64>(place).unwrap_err();
            assert_eq!((error.code, error.message.as_str()), (-32602, message));
        }
        assert!(Params::parse(Some("{}")).is_err());
        assert!(params.required::<AddressParam>(0).unwrap_err().message.starts_with("invalid argument 0: "));
    }
}
