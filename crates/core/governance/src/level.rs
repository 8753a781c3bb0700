//! Types that hold themselves: read level by level, and only so deep.
//!
//! A decoder that followed whatever the bytes say could be led deeper than the stack reaches.

use synod_types::codec::DecodeReason;
use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder};

use crate::bounded::List;
use crate::limits::{DEPTH_MAX, LIST_MAX};

/// A type that holds others of its kind.
pub trait Level: Decode {
    /// Reads a value that lies `depth` levels deep; 1 is the outermost.
    ///
    /// # Errors
    /// If the input is none, or nests too deeply.
    fn decode_level(input: &mut Decoder<'_>, depth: usize) -> Result<Self, DecodeError>;
}

/// Reads the parts of a value that lies `depth` levels deep.
///
/// # Errors
/// If a part is refused, or would lie deeper than [`DEPTH_MAX`].
pub fn below<T: Level>(input: &mut Decoder<'_>, depth: usize) -> Result<List<T, LIST_MAX>, DecodeError> {
    if depth >= DEPTH_MAX {
        return Err(input.error(DecodeReason::ValueNotAllowed));
    }
    let count = input.count(LIST_MAX)?;
    let parts = (0..count).map(|_| T::decode_level(input, depth + 1)).collect::<Result<_, _>>()?;
    Ok(List::new(parts).expect("the count was capped"))
}

/// Writes these one after the other.
pub fn all(out: &mut Encoder, parts: &[&dyn Encode]) {
    parts.iter().for_each(|part| part.encode(out));
}
