//! The bounded codec: how Synod's own formats are written and read.
//!
//! Integers are little-endian and of fixed width; a byte string is a `u32` length and the bytes;
//! a list is a `u32` count and the items. There is one encoding of each value, so digests of
//! encodings are stable. Reading never allocates more than the input holds, and every failure
//! says what was being read and where.

use bytes::Bytes;

/// Why an encoding was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset} while reading {what}")]
pub struct DecodeError {
    /// What was being read.
    pub what: &'static str,
    /// The offset in the input at which reading stopped.
    pub offset: usize,
    /// What is wrong there.
    pub reason: DecodeReason,
}

/// What is wrong with an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeReason {
    /// The input is shorter than its content claims.
    #[error("input ends early")]
    InputEndsEarly,
    /// A length or count is above the limit of its kind.
    #[error("length above the limit")]
    LengthAboveLimit,
    /// Bytes follow the last field.
    #[error("bytes left over")]
    BytesLeftOver,
    /// A value that the format does not define, or not in this order.
    #[error("value not allowed")]
    ValueNotAllowed,
}

/// A value with one canonical encoding.
pub trait Encode {
    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Encoder);

    /// The encoding on its own.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        self.encode(&mut out);
        out.finish()
    }
}

/// A value that can be read back from its canonical encoding.
pub trait Decode: Sized {
    /// Reads one value from the front of `input`.
    ///
    /// # Errors
    /// If the front of `input` is not an encoding of such a value.
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError>;

    /// Reads one value that is all of `bytes`.
    ///
    /// # Errors
    /// If `bytes` is not exactly one encoding of such a value.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        let value = Self::decode(&mut input)?;
        input.finish()?;
        Ok(value)
    }
}

/// Collects an encoding.
#[derive(Debug, Default)]
pub struct Encoder {
    buffer: Vec<u8>,
}

impl Encoder {
    /// An encoder with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { buffer: Vec::with_capacity(capacity) }
    }

    /// Appends `bytes` as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends a length and `bytes`.
    ///
    /// # Panics
    /// If `bytes` is 4 GiB or longer: every caller caps sizes far below.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    /// Appends the count of a list, before its items.
    ///
    /// # Panics
    /// If `count` does not fit 32 bits: every caller caps sizes far below.
    pub fn count(&mut self, count: usize) {
        u32::try_from(count).expect("lengths are capped far below 4 GiB").encode(self);
    }

    /// Appends a count and the items' encodings.
    pub fn list<T: Encode>(&mut self, items: &[T]) {
        self.count(items.len());
        items.iter().for_each(|item| item.encode(self));
    }

    /// The size so far, in bytes.
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// The encoding.
    pub fn finish(self) -> Vec<u8> {
        self.buffer
    }
}

/// Reads an encoding from the front.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    input: &'a [u8],
    offset: usize,
    what: &'static str,
}

impl<'a> Decoder<'a> {
    /// A decoder at the start of `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input, offset: 0, what: "value" }
    }

    /// Names what is read from here on, for errors.
    pub const fn reading(&mut self, what: &'static str) -> &mut Self {
        self.what = what;
        self
    }

    /// An error at the current place.
    pub const fn error(&self, reason: DecodeReason) -> DecodeError {
        DecodeError { what: self.what, offset: self.offset, reason }
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.input[self.offset..]
    }

    /// The offset of the next byte to read.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Reads `size` bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn raw(&mut self, size: usize) -> Result<&'a [u8], DecodeError> {
        let bytes = self.rest().get(..size).ok_or(self.error(DecodeReason::InputEndsEarly))?;
        self.offset += size;
        Ok(bytes)
    }

    /// Reads an array of fixed size.
    ///
    /// # Errors
    /// If fewer bytes are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        Ok(self.raw(N)?.try_into().expect("raw returned N bytes"))
    }

    /// Reads a length of at most `size_max` and that many bytes.
    ///
    /// # Errors
    /// If the length is above `size_max` or fewer bytes are left.
    pub fn bytes(&mut self, size_max: usize) -> Result<&'a [u8], DecodeError> {
        let size = self.count(size_max)?;
        self.raw(size)
    }

    /// Reads the count of a list of at most `count_max` items.
    ///
    /// An item takes at least one byte, so a count above what is left is refused before anything is allocated.
    ///
    /// # Errors
    /// If the count is above `count_max` or above the bytes left.
    pub fn count(&mut self, count_max: usize) -> Result<usize, DecodeError> {
        let at = self.clone();
        let count = u32::decode(self)? as usize;
        if count > count_max {
            return Err(at.error(DecodeReason::LengthAboveLimit));
        }
        if count > self.rest().len() {
            return Err(at.error(DecodeReason::InputEndsEarly));
        }
        Ok(count)
    }

    /// Reads a count of at most `count_max` and that many items.
    ///
    /// # Errors
    /// If the count is too large or an item is refused.
    pub fn list<T: Decode>(&mut self, count_max: usize) -> Result<Vec<T>, DecodeError> {
        let count = self.count(count_max)?;
        (0..count).map(|_| T::decode(self)).collect()
    }

    /// Ends reading.
    ///
    /// # Errors
    /// If bytes are left over.
    pub const fn finish(&self) -> Result<(), DecodeError> {
        if self.offset == self.input.len() { Ok(()) } else { Err(self.error(DecodeReason::BytesLeftOver)) }
    }
}

macro_rules! integer {
    ($($kind:ty),*) => {$(
        impl Encode for $kind {
            fn encode(&self, out: &mut Encoder) {
                out.raw(&self.to_le_bytes());
            }
        }

        impl Decode for $kind {
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                input.array().map(Self::from_le_bytes)
            }
        }
    )*};
}

integer!(u8, u16, u32, u64);

impl Encode for bool {
    fn encode(&self, out: &mut Encoder) {
        u8::from(*self).encode(out);
    }
}

impl Decode for bool {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        match u8::decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(at.error(DecodeReason::ValueNotAllowed)),
        }
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Encoder) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        if bool::decode(input)? { T::decode(input).map(Some) } else { Ok(None) }
    }
}

impl Encode for Bytes {
    fn encode(&self, out: &mut Encoder) {
        out.bytes(self);
    }
}

impl Encode for [u8] {
    fn encode(&self, out: &mut Encoder) {
        out.bytes(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut out = Encoder::default();
        7u8.encode(&mut out);
        0x1234u16.encode(&mut out);
        Some(u64::MAX).encode(&mut out);
        None::<u32>.encode(&mut out);
        out.bytes(b"bytes");
        out.list(&[1u32, 2, 3]);
        let encoding = out.finish();

        let mut input = Decoder::new(&encoding);
        assert_eq!(u8::decode(&mut input), Ok(7));
        assert_eq!(u16::decode(&mut input), Ok(0x1234));
        assert_eq!(Option::<u64>::decode(&mut input), Ok(Some(u64::MAX)));
        assert_eq!(Option::<u32>::decode(&mut input), Ok(None));
        assert_eq!(input.bytes(5), Ok(&b"bytes"[..]));
        assert_eq!(input.list::<u32>(3), Ok(vec![1, 2, 3]));
        assert_eq!(input.finish(), Ok(()));
    }

    #[test]
    fn a_length_above_its_limit_or_above_the_input_is_refused_before_anything_is_read() {
        let encoding = [200, 0, 0, 0, 1];
        let refused = |limit| Decoder::new(&encoding).reading("list").bytes(limit).map_err(|e| (e.offset, e.reason));
        assert_eq!(refused(199), Err((0, DecodeReason::LengthAboveLimit)));
        assert_eq!(refused(200), Err((0, DecodeReason::InputEndsEarly)));
    }

    #[test]
    fn left_over_bytes_and_undefined_values_are_refused() {
        assert_eq!(u8::from_bytes(&[1, 2]).map_err(|e| e.reason), Err(DecodeReason::BytesLeftOver));
        assert_eq!(bool::from_bytes(&[2]).map_err(|e| e.reason), Err(DecodeReason::ValueNotAllowed));
        assert_eq!(
            u32::from_bytes(&[1, 2]).map_err(|e| e.to_string()),
            Err("input ends early at byte 0 while reading value".into())
        );
    }
}
