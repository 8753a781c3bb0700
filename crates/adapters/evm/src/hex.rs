//! Hexadecimal, as Ethereum's JSON writes it: quantities without leading zeros, data by the byte.

use std::fmt::Write as _;
use std::str::FromStr;

use alloy_primitives::{Bytes, U256, hex};
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, de};

/// Appends a quantity: `0x0`, `0x1f`.
pub(crate) fn put_quantity(out: &mut String, number: U256) {
    write!(out, "{number:#x}").expect("a string takes what it is given");
}

/// How many bytes to turn into digits at once: a log's bloom filter at most.
const CHUNK: usize = 256;

/// Appends data: `0x`, `0x00ff`.
pub(crate) fn put_data(out: &mut String, data: &[u8]) {
    out.push_str("0x");
    out.reserve(data.len() * 2);
    for chunk in data.chunks(CHUNK) {
        let mut digits = [0; 2 * CHUNK];
        let digits = hex::encode_to_str(chunk, &mut digits[..2 * chunk.len()]);
        out.push_str(digits.expect("room for two digits a byte was made"));
    }
}

/// Reads a quantity: `0x` and one to 64 digits. Leading zeros are let pass, as geth does for hashes of storage slots.
pub(crate) fn quantity(text: &str) -> Option<U256> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    U256::from_str_radix(digits, 16).ok()
}

/// Reads data: `0x` and an even number of digits.
pub(crate) fn data(text: &str) -> Option<Bytes> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    hex::decode(digits).ok().map(Bytes::from)
}

/// Reads data of exactly `N` bytes.
pub(crate) fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    hex::decode_to_array(digits).ok()
}

/// A number in JSON: hexadecimal or decimal text, or a JSON number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number<T>(pub(crate) T);

/// Data in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Data(pub(crate) Bytes);

/// A key of a JSON object: an address, or a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key<T>(pub(crate) T);

impl<'de, T: TryFrom<U256>> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;

        impl Visitor<'_> for NumberVisitor {
            type Value = U256;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, in hexadecimal with 0x or in decimal")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<U256, E> {
                Ok(U256::from(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<U256, E> {
                let decimal = || text.bytes().all(|digit| digit.is_ascii_digit()).then(|| U256::from_str(text).ok());
                let number = quantity(text).or_else(|| if text.is_empty() { None } else { decimal().flatten() });
                number.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        let number = deserializer.deserialize_any(NumberVisitor)?;
        T::try_from(number).map(Self).map_err(|_| D::Error::custom("number too large"))
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "data in hexadecimal with 0x", data).map(Self)
    }
}

impl<'de> Deserialize<'de> for Key<U256> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a slot in hexadecimal with 0x", quantity).map(Self)
    }
}

impl<'de> Deserialize<'de> for Key<alloy_primitives::Address> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let address = |text: &str| hex::decode_to_array::<_, 20>(text).ok().map(Into::into);
        text(deserializer, "an address: 40 hexadecimal digits", address).map(Self)
    }
}

/// Reads a text that `read` understands.
pub(crate) fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, D::Error> {
    struct TextVisitor<F>(&'static str, F);

    impl<T, F: Fn(&str) -> Option<T>> Visitor<'_> for TextVisitor<F> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            (self.1)(text).ok_or_else(|| E::custom(format_args!("expected {}", self.0)))
        }
    }

    deserializer.deserialize_str(TextVisitor(expected, read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_minimal_and_data_is_by_the_byte() {
        let mut out = String::new();
        for number in [0u64, 1, 31, 256] {
            put_quantity(&mut out, U256::from(number));
            out.push(' ');
        }
        put_data(&mut out, &[]);
        put_data(&mut out, &[0, 255]);
        assert_eq!(out, "0x0 0x1 0x1f 0x100 0x0x00ff");
    }

    #[test]
    fn only_hexadecimal_with_its_prefix_is_read() {
        assert_eq!(quantity("0x1f"), Some(U256::from(31)));
        assert_eq!(data("0x00ff"), Some(Bytes::from(vec![0, 255])));
        assert_eq!(array::<2>("0x00ff"), Some([0, 255]));
        for text in ["", "0x", "1f", "0xg", "0x+1", &format!("0x1{}", "0".repeat(64))] {
            assert_eq!(quantity(text), None, "{text}");
        }
        assert_eq!(data("0x0"), None);
        assert_eq!(array::<2>("0x00"), None);
    }
}
