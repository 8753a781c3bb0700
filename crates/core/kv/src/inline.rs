//! Bytes that live inside their owner while they are few.
//!
//! Writing to a persistent map copies the nodes on the way down, and a node holds many entries.
//! An entry that is copied byte by byte costs a few nanoseconds; one that points elsewhere costs
//! a reference count in a cold cache line. So what is small is stored in place.

use std::sync::Arc;

/// Immutable bytes: up to `N` of them in place, more on the heap and shared. `N` is below 256.
#[derive(Clone)]
pub enum InlineBytes<const N: usize> {
    /// `bytes[..size]`.
    Inline {
        size: u8,
        bytes: [u8; N],
    },
    Shared(Arc<[u8]>),
}

impl<const N: usize> InlineBytes<N> {
    pub fn new(content: &[u8]) -> Self {
        const { assert!(N < 256, "the size is one byte") };
        match u8::try_from(content.len()) {
            Ok(size) if content.len() <= N => {
                let mut bytes = [0; N];
                bytes[..content.len()].copy_from_slice(content);
                Self::Inline { size, bytes }
            }
            _ => Self::Shared(content.into()),
        }
    }

    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline { size, bytes } => &bytes[..usize::from(*size)],
            Self::Shared(bytes) => bytes,
        }
    }
}
