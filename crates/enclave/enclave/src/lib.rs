//! The trusted part of a node: sessions, the manager's loop and the worker's loop.
//!
//! ```text
//!  host --ToEnclave--> [sessions: TLS, HTTP]  --requests-->  [manager: Node]  --Execute-->  [worker: Worker]
//!       <--ToHost----         ^  \--reads: committed snapshots----- | --answers-- | <--Executed--/
//!                              \------------------------------------/             |
//!       <--Append, ReadLedger ----------------------------------------------------/
//! ```
//! Three threads, and a small pool for requests that take long to plan or read. Everything between
//! them goes in batches: one message for all requests of a burst, one for all answers of a block.
//!
//! [`Enclave::start`] reads the ledger and starts the threads; [`Enclave::port`] takes the host's
//! messages. The host learns sizes and times of what crosses, which DISCLOSURE.md lists.

mod actors;
mod bodies;
mod clock;
mod credentials;
mod dial;
mod door;
mod enclave;
mod exchange;
mod fair;
mod governance;
mod government;
#[cfg(test)]
#[path = "../tests/network/house.rs"]
mod house;
mod http;
mod hub;
mod identity;
mod ids;
mod mailbox;
mod manager;
mod manager_port;
mod metrics;
mod nodes;
mod peers;
mod pool;
mod purpose;
mod rotation;
mod router;
mod scratch;
mod service;
mod serving;
mod slot;
mod stream;
#[cfg(test)]
mod testing;
mod tls;
mod views;
mod waits;
mod worker;

pub use enclave::{Enclave, EnclaveError, EnclavePort, Setup, redact_panics};
pub use slot::SlotUnknown;
pub use tls::TlsSetupError;
