//! The words that every part of Synod shares: identifiers, times, limits, the bounded codec,
//! and what crosses the host boundary.
//!
//! This crate is all that the untrusted host may know. It names no key type, no ledger protocol
//! and nothing that is private to the service: see [`boundary`] for what the host carries and
//! [`chunk`] for how it files what it carries.

pub mod boundary;
pub mod chunk;
pub mod codec;
mod configuration;
pub mod ids;
pub mod limits;
mod redact;
mod untrusted;

pub use codec::{Decode, DecodeError, Decoder, Encode, Encoder};
pub use configuration::{CONFIGURATION_CHANGE_SIZE, Configuration, ConfigurationChange, ConfigurationStep};
pub use ids::{
    ActorId, AdapterId, Digest, Epoch, GOVERNANCE_NAME, LogIndex, NodeId, RequestId, Seqno, Time, TxId, View,
};
pub use redact::ByteCount;
pub use untrusted::Untrusted;
