//! Values of maps.

use std::fmt;

use bytes::Bytes;
use synod_types::limits::VALUE_BYTES_MAX;
use synod_types::{Decode, DecodeError, Encode};

use crate::inline::InlineBytes;

/// How many bytes of a value are stored in place: a word of the EVM (32) fits, and the value takes 40 bytes.
const INLINE: usize = 38;

/// A value: up to 8 MiB of bytes. Cheap to clone.
#[derive(Clone)]
pub struct Value(InlineBytes<INLINE>);

impl Value {
    /// The value with these bytes.
    ///
    /// # Panics
    /// If there are more than [`VALUE_BYTES_MAX`]: adapters cap what they store.
    pub fn new(bytes: &[u8]) -> Self {
        assert!(bytes.len() <= VALUE_BYTES_MAX, "a value has at most {VALUE_BYTES_MAX} bytes, not {}", bytes.len());
        Self(InlineBytes::new(bytes))
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The size in bytes.
    pub fn size(&self) -> usize {
        self.as_slice().len()
    }

    /// The bytes as [`Bytes`]: copied if they are few, shared if they are many.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            InlineBytes::Inline { .. } => Bytes::copy_from_slice(self.as_slice()),
            InlineBytes::Shared(bytes) => Bytes::from_owner(bytes.clone()),
        }
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes)
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Self::new(&bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::new(bytes)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(&bytes)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::new(&bytes)
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Value {}

impl fmt::Debug for Value {
    /// Prints the size only: values are private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.size())
    }
}

/// A type whose values can be stored. Everything with Synod's codec is one, and [`Value`] itself,
/// which is stored as it is.
pub trait ValueCodec: Sized {
    /// The stored form.
    fn to_value(&self) -> Value;

    /// Reads the stored form back.
    ///
    /// # Errors
    /// If `value` is not the stored form of such a value.
    fn from_value(value: &Value) -> Result<Self, DecodeError>;
}

impl<T: Encode + Decode> ValueCodec for T {
    fn to_value(&self) -> Value {
        Value::new(&self.to_bytes())
    }

    fn from_value(value: &Value) -> Result<Self, DecodeError> {
        Self::from_bytes(value.as_slice())
    }
}

impl ValueCodec for Value {
    fn to_value(&self) -> Value {
        self.clone()
    }

    fn from_value(value: &Value) -> Result<Self, DecodeError> {
        Ok(value.clone())
    }
}
