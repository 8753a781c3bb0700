//! Every label under which a key is derived or a message is signed.
//!
//! Two labels never begin alike up to their end: each is unique and ends with its version, so that
//! nothing derived or signed for one purpose serves another.

/// Derives the key that seals the application part of blocks; context: view, leader, salt.
pub const SEAL_APPLICATION: &str = "synod seal application v1";
/// Derives the key that seals the administrative part of blocks; context: view, leader, salt.
pub const SEAL_ADMIN: &str = "synod seal administration v1";
/// Derives the key that seals a node's vote record; context: the node.
pub const SEAL_VOTE: &str = "synod seal vote v1";
/// Derives the key under which commit evidence is made; no context.
pub const EVIDENCE: &str = "synod commit evidence v1";
/// Derives the check value of the application key; no context.
pub const CHECK_APPLICATION: &str = "synod check application v1";
/// Derives the check value of the administrative key; no context.
pub const CHECK_ADMIN: &str = "synod check administration v1";
/// Derives the seed of a service key that follows another, from the session key and that one; context: the network, and
/// the chain up to where it is made.
pub const NEXT_SERVICE: &str = "synod next service v1";
/// Derives a signing key from a seed; context: the purpose, and a counter.
pub const SIGNING_SEED: &str = "synod signing seed v1";

/// Precedes the digest of a block header that a node signs.
pub const SIGN_HEADER: &str = "synod block header v1";
/// Precedes the history of the service's keys, which the one in force signs.
pub const SIGN_SERVICE_HISTORY: &str = "synod service history v1";
