//! Reads outside JSON-RPC.

use synod_types::codec::DecodeReason;
use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder};

use crate::instance::NAME_SIZE_MAX;

/// A read outside JSON-RPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// Which instances there are.
    Instances,
    /// What is known of one.
    Instance(String),
    /// What execution computed for a closed block of one.
    Block(String, u64),
}

impl Encode for Query {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Instances => 0u8.encode(out),
            Self::Instance(name) => {
                1u8.encode(out);
                out.bytes(name.as_bytes());
            }
            Self::Block(name, number) => {
                2u8.encode(out);
                out.bytes(name.as_bytes());
                number.encode(out);
            }
        }
    }
}

impl Decode for Query {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input.reading("query"))? {
            0 => Ok(Self::Instances),
            1 => Ok(Self::Instance(name(input)?)),
            2 => Ok(Self::Block(name(input)?, u64::decode(input)?)),
            _ => Err(input.error(DecodeReason::ValueNotAllowed)),
        }
    }
}

fn name(input: &mut Decoder<'_>) -> Result<String, DecodeError> {
    let refused = input.error(DecodeReason::ValueNotAllowed);
    String::from_utf8(input.bytes(NAME_SIZE_MAX)?.to_vec()).map_err(|_| refused)
}
