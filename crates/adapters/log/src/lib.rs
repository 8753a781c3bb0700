//! The smallest useful application: private messages by key.
//!
//! | request | answer |
//! |---|---|
//! | `PUT /app/log/<key>`, any bytes | 200, empty, once the message at `key` has committed |
//! | `GET /app/log/<key>` | 200, the message's bytes; 404 if there is none |
//! | `POST /app/log/<key>/random` | 200, 64 hexadecimal digits: fresh random bytes, stored at `key` |
//!
//! A key is a decimal number of 64 bits. Refusals are JSON: see [`Refusal`].
//!
//! Each write puts a digest in its receipt, see [`claims`]: who holds the receipt and the message
//! can show that it was written at that key, and who holds the receipt alone learns nothing.
//!
//! The last call shows what a framework without deterministic execution is for: its result is not
//! a function of the input and the state, and yet every node ends with the same bytes, because what
//! is replicated is the write.

mod call;
mod frontend;
mod refusal;

use std::sync::Arc;

use bytes::Bytes;
use synod_crypto::sha256;
use synod_kv::{Map, Tx, Value};
use synod_types::Digest;
use synod_worker::{Adapter, AdapterKit, CallContext, ContentType, Reply, SetupError};

use crate::call::LogCall;
use crate::frontend::LogFrontend;
pub use crate::refusal::Refusal;

/// The adapter's name in paths and in the genesis document.
pub const NAME: &str = "log";

/// The largest message, in bytes: the benchmark's are small, and a letter fits.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// The adapter, for a worker. Its settings are empty.
pub fn kit() -> AdapterKit {
    AdapterKit { name: NAME, adapter: || Box::new(Log), frontend: Arc::new(LogFrontend) }
}

/// The digest in the receipt of a write: SHA-256 over the key, 8 bytes big-endian, and the message.
///
/// ```
/// let digest = synod_log::claims(7, b"hello");
/// assert_ne!(digest, synod_log::claims(8, b"hello"));
/// ```
pub fn claims(key: u64, message: &[u8]) -> Digest {
    sha256(&[&key.to_be_bytes(), message])
}

/// The messages.
static MESSAGES: Map<u64, Value> = Map::from_static("log.messages");

/// The ordered part.
struct Log;

impl Adapter for Log {
    fn genesis(&mut self, _tx: &mut Tx<'_>, settings: &[u8]) -> Result<(), SetupError> {
        if settings.is_empty() {
            Ok(())
        } else {
            Err(SetupError { adapter: NAME, reason: "there is nothing to set".into() })
        }
    }

    fn configure(&mut self, tx: &mut Tx<'_>, _old: &[u8], new: &[u8]) -> Result<(), SetupError> {
        self.genesis(tx, new)
    }

    fn execute(&mut self, tx: &mut Tx<'_>, context: &CallContext<'_>, input: &[u8]) -> Reply {
        match LogCall::decode(input) {
            Some(LogCall::Put { key, message }) => {
                MESSAGES.put(tx, &key, &Value::new(message));
                Reply::new(200, ContentType::Binary, Bytes::new()).with_writes().with_claims(claims(key, message))
            }
            Some(LogCall::Random { key }) => {
                let drawn = draw(context);
                MESSAGES.put(tx, &key, &Value::new(&drawn.0));
                Reply::text(200, drawn.to_hex()).with_writes().with_claims(claims(key, &drawn.0))
            }
            None => Refusal::CallMalformed.reply(),
        }
    }
}

/// Randomness of this transaction's own: two transactions of a block share its seed, not their seqno.
fn draw(context: &CallContext<'_>) -> Digest {
    sha256(&[&context.block.seed, &context.seqno.0.to_le_bytes()])
}
