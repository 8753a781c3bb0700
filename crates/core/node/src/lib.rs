//! The node: joins ledger, consensus, governance and the worker into one deterministic value.
//!
//! [`Node`] takes events and times and gives actions; it has no clock, socket, file or thread, so
//! production drives it with threads and sockets and the simulation with a seed. [`Start`] makes a
//! node of what a disk holds; [`Genesis`] makes the block with which a network begins.
//!
//! # A write's way through
//! ```text
//!  Requests  --admit-->  inbox  --order, authorize-->  Execute to the worker
//!            Executed  --seal, sign-->  block proposed: Append (own disk) and Send (peers) at once
//!            Committed by a quorum  --Commit to the worker-->  Respond
//! ```
//! A follower forwards its clients' writes and answers them when the leader does. A leader that
//! loses its view drops only the block at its worker; blocks it proposed stay as layers until the
//! log truncates or commits them, and whoever waited for a truncated one waits for the next block.
//!
//! # Invariants
//! - Nothing is acknowledged to the leader that was not checked against our own chain.
//! - The worker's layers are exactly the uncommitted blocks that this node executed or inherited as leader.
//! - An answer goes out only after the block it depends on is committed, and after the worker was told.
//! - A request id leads to at most one committed execution within the table's window.

mod audit;
mod batch;
mod chain;
mod clients;
mod event;
mod follower;
pub mod genesis;
mod governing;
pub mod government;
mod history;
mod inbox;
mod indexes;
mod latecomers;
mod layers;
mod leader;
mod membership;
mod node;
mod peer;
mod probe;
mod queries;
mod reads;
mod redact;
mod refused;
mod request_digest;
mod requests;
mod resume;
mod room;
mod sealing;
mod settings;
mod start;
mod stay;
mod steps;
mod strangers;
mod synced;
mod unheeded;
mod vote_record;

pub use audit::{Audit, AuditRefused, Audited};
pub use event::{
    Action, Answer, ClientRequest, Event, Governed, NewService, Proof, Query, QueryAnswer, Refusal, Response, Role,
    Serving, Status, StopReason, TxStatus,
};
pub use genesis::{Genesis, GenesisRefused, adapters_named};
pub use governing::refusal as governance_refusal;
pub use inbox::{
    GOVERNANCE_RUN_MAX, PATIENCE, WAITING_BYTES_MAX, WAITING_GOVERNANCE_BYTES_MAX,
    WAITING_GOVERNANCE_BYTES_PER_ACTOR_MAX, WAITING_GOVERNANCE_REQUESTS_MAX, WAITING_GOVERNANCE_REQUESTS_PER_ACTOR_MAX,
    WAITING_REQUESTS_MAX,
};
pub use node::Node;
pub use probe::{NoProbe, Probe, Stage};
pub use reads::{CLIENT_READS_AT_ONCE_MAX, CLIENT_READS_WAITING_MAX};
pub use requests::WINDOW;
pub use sealing::CheckRefused;
pub use start::{Config, Start, StartError, Times};
pub use unheeded::BLOCK_TIME_AHEAD_MAX;
