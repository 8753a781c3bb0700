//! Every limit that more than one crate relies on, with its reason. LIMITS.md lists them for operators.

use std::time::Duration;

/// How long a client may go on sending a write under one request id, counted from the first time: nodes know ids again
/// for longer than that, but not for ever.
pub const RETRY_TIME_MAX: Duration = Duration::from_secs(30);

/// The largest request body, in bytes: a contract deployment or a batch of a thousand transactions fits.
pub const REQUEST_BODY_BYTES_MAX: usize = 8 << 20;

/// The most calls that one request may hold: Ethereum tools batch up to 1,000.
pub const REQUEST_CALLS_MAX: usize = 1_000;

/// The most transactions in one block: bounds the memory that one uncommitted layer takes.
pub const BLOCK_TRANSACTIONS_MAX: usize = 4_096;

/// The largest sealed block, in bytes: one request of the largest size with its write set fits twice.
pub const BLOCK_BYTES_MAX: usize = 32 << 20;

/// The largest message between nodes, in bytes: one block of the largest size and its frame.
pub const PEER_MESSAGE_BYTES_MAX: usize = BLOCK_BYTES_MAX + (1 << 20);

/// The largest key of a map, in bytes: an address and a storage slot take 52.
pub const KEY_BYTES_MAX: usize = 1 << 10;

/// The largest value of a map, in bytes: bounds what one write set entry can take.
pub const VALUE_BYTES_MAX: usize = 8 << 20;

/// The longest name of a map, in bytes.
pub const MAP_NAME_BYTES_MAX: usize = 64;

/// The most nodes of a network: quorum arithmetic and peer lists stay small.
pub const NODES_MAX: usize = 64;
