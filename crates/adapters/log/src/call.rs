//! A call's bytes, on their way from the frontend to the ordered part.
//!
//! ```text
//! call = 0: u8, key: u64 big-endian, message: the rest
//!      | 1: u8, key: u64 big-endian
//! ```

use bytes::Bytes;

use crate::MESSAGE_BYTES_MAX;

/// A call of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogCall<'a> {
    /// Write `message` at `key`.
    Put { key: u64, message: &'a [u8] },
    /// Draw 32 bytes and write them at `key`.
    Random { key: u64 },
}

const PUT: u8 = 0;
const RANDOM: u8 = 1;

impl<'a> LogCall<'a> {
    pub fn encode(self) -> Bytes {
        let (kind, key, message) = match self {
            Self::Put { key, message } => (PUT, key, message),
            Self::Random { key } => (RANDOM, key, &[][..]),
        };
        let mut bytes = Vec::with_capacity(9 + message.len());
        bytes.push(kind);
        bytes.extend_from_slice(&key.to_be_bytes());
        bytes.extend_from_slice(message);
        bytes.into()
    }

    /// Reads a call; `None` if the bytes are not one. They came from a frontend, perhaps another node's.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (key, message) = rest.split_first_chunk()?;
        let key = u64::from_be_bytes(*key);
        match *kind {
            PUT if message.len() <= MESSAGE_BYTES_MAX => Some(Self::Put { key, message }),
            RANDOM if message.is_empty() => Some(Self::Random { key }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_reads_back_as_written_and_nothing_else_is_one() {
        let calls = [
            (LogCall::Put { key: 7, message: b"hello" }, &b"\0\0\0\0\0\0\0\0\x07hello"[..]),
            (LogCall::Put { key: 7, message: b"" }, b"\0\0\0\0\0\0\0\0\x07"),
            (LogCall::Random { key: 256 }, b"\x01\0\0\0\0\0\0\x01\0"),
        ];
        for (call, bytes) in calls {
            assert_eq!(call.encode(), bytes);
            assert_eq!(LogCall::decode(bytes), Some(call));
        }
        let oversized = LogCall::Put { key: 7, message: &vec![0; MESSAGE_BYTES_MAX + 1] }.encode();
        for bytes in
            [&b""[..], b"\0", b"\0\0\0\0\0\0\0\0", b"\x02\0\0\0\0\0\0\0\x07", b"\x01\0\0\0\0\0\0\0\x07x", &oversized]
        {
            assert_eq!(LogCall::decode(bytes), None);
        }
    }
}
