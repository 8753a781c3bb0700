//! Keys of maps, and how typed keys become bytes in the same order.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;

use smallvec::SmallVec;
use synod_types::limits::KEY_BYTES_MAX;

use crate::inline::InlineBytes;

/// How many bytes of a key are stored in place: an Ethereum address and a storage slot (52) fit,
/// and the key takes 56 bytes.
const INLINE: usize = 54;

/// A key: up to 1 KiB of bytes, ordered as bytes. Cheap to clone.
#[derive(Clone)]
pub struct Key(InlineBytes<INLINE>);

impl Key {
    /// The key with these bytes.
    ///
    /// # Panics
    /// If there are more than [`KEY_BYTES_MAX`]: adapters check what users name before they use it as a key.
    pub fn new(bytes: &[u8]) -> Self {
        assert!(bytes.len() <= KEY_BYTES_MAX, "a key has at most {KEY_BYTES_MAX} bytes, not {}", bytes.len());
        Self(InlineBytes::new(bytes))
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes)
    }
}

impl<const N: usize> From<[u8; N]> for Key {
    fn from(bytes: [u8; N]) -> Self {
        Self::new(&bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for Key {
    fn from(bytes: &[u8; N]) -> Self {
        Self::new(bytes)
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl fmt::Debug for Key {
    /// Prints the size only: keys may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.as_slice().len())
    }
}

/// Where a typed key is written; small keys take no allocation.
pub type KeyBuffer = SmallVec<[u8; 64]>;

/// A type whose values are keys of a map: their bytes are ordered as the values are.
pub trait KeyCodec: Sized {
    /// Appends the bytes.
    fn write_key(&self, out: &mut KeyBuffer);

    /// Reads the value back from all of `bytes`; `None` if no value has these bytes.
    fn read_key(bytes: &[u8]) -> Option<Self>;

    /// The bytes on their own.
    fn key_bytes(&self) -> KeyBuffer {
        let mut out = KeyBuffer::new();
        self.write_key(&mut out);
        out
    }
}

/// A key type whose values all have the same size, so that another part of the key may follow.
pub trait FixedKey: KeyCodec {
    /// The size in bytes.
    const SIZE: usize;
}

macro_rules! integer_key {
    ($($kind:ty),*) => {$(
        impl KeyCodec for $kind {
            fn write_key(&self, out: &mut KeyBuffer) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn read_key(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_be_bytes)
            }
        }

        impl FixedKey for $kind {
            const SIZE: usize = size_of::<$kind>();
        }
    )*};
}

integer_key!(u8, u16, u32, u64, u128);

impl<const N: usize> KeyCodec for [u8; N] {
    fn write_key(&self, out: &mut KeyBuffer) {
        out.extend_from_slice(self);
    }

    fn read_key(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

impl<const N: usize> FixedKey for [u8; N] {
    const SIZE: usize = N;
}

macro_rules! newtype_key {
    ($($kind:ident($inner:ty)),*) => {$(
        impl KeyCodec for synod_types::$kind {
            fn write_key(&self, out: &mut KeyBuffer) {
                self.0.write_key(out);
            }

            fn read_key(bytes: &[u8]) -> Option<Self> {
                <$inner>::read_key(bytes).map(Self)
            }
        }

        impl FixedKey for synod_types::$kind {
            const SIZE: usize = <$inner as FixedKey>::SIZE;
        }
    )*};
}

newtype_key!(Seqno(u64), View(u64), NodeId(u64), Digest([u8; 32]), ActorId([u8; 32]), RequestId([u8; 16]));

impl KeyCodec for () {
    fn write_key(&self, _out: &mut KeyBuffer) {}

    fn read_key(bytes: &[u8]) -> Option<Self> {
        bytes.is_empty().then_some(())
    }
}

impl KeyCodec for Vec<u8> {
    fn write_key(&self, out: &mut KeyBuffer) {
        out.extend_from_slice(self);
    }

    fn read_key(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

impl KeyCodec for bytes::Bytes {
    fn write_key(&self, out: &mut KeyBuffer) {
        out.extend_from_slice(self);
    }

    fn read_key(bytes: &[u8]) -> Option<Self> {
        Some(Self::copy_from_slice(bytes))
    }
}

impl KeyCodec for String {
    fn write_key(&self, out: &mut KeyBuffer) {
        out.extend_from_slice(self.as_bytes());
    }

    fn read_key(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(Self::from)
    }
}

impl<A: FixedKey, B: KeyCodec> KeyCodec for (A, B) {
    fn write_key(&self, out: &mut KeyBuffer) {
        self.0.write_key(out);
        self.1.write_key(out);
    }

    fn read_key(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_at_checked(A::SIZE)?;
        Some((A::read_key(first)?, B::read_key(rest)?))
    }
}

impl<A: FixedKey, B: FixedKey> FixedKey for (A, B) {
    const SIZE: usize = A::SIZE + B::SIZE;
}

impl<A: FixedKey, B: FixedKey, C: KeyCodec> KeyCodec for (A, B, C) {
    fn write_key(&self, out: &mut KeyBuffer) {
        self.0.write_key(out);
        self.1.write_key(out);
        self.2.write_key(out);
    }

    fn read_key(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_at_checked(A::SIZE)?;
        let (second, rest) = rest.split_at_checked(B::SIZE)?;
        Some((A::read_key(first)?, B::read_key(second)?, C::read_key(rest)?))
    }
}

impl<A: FixedKey, B: FixedKey, C: FixedKey> FixedKey for (A, B, C) {
    const SIZE: usize = A::SIZE + B::SIZE + C::SIZE;
}
