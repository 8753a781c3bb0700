//! The worker: the part of a node that runs adapter code on adapter data, and holds no key.
//!
//! The manager sends batches ([`ToWorker`]); the worker answers with write sets and replies
//! ([`Executed`]) that the manager seals without parsing. State never crosses per read, so the
//! worker can become a process of its own without losing throughput.
//!
//! A ledger protocol plugs in as an [`Adapter`] (ordered execution) with a [`Frontend`]
//! (stateless work before ordering, and reads of committed snapshots).

mod adapter;
mod block;
mod message;
mod reader;
mod redact;
mod settings;
mod worker;

pub use adapter::{
    ActorFacts, ActorKind, Adapter, AdapterKit, BlockEnv, CallContext, ContentType, Frontend, Method, Plan, Reply,
    Request, SetupError, Then,
};
pub use block::{BLOCK_BYTES_FULL, CALL_BYTES_MAX};
pub use message::{Apply, Call, Execute, Executed, Outcome, ToWorker};
pub use reader::{Committed, Reader};
pub use settings::{AdapterSettings, Configure, DecidedSettings, SettingsRefused};
pub use worker::Worker;
