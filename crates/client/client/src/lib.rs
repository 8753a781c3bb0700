//! The client library of Synod.
//!
//! A [`Client`] talks to the nodes of one network over TLS 1.3 with certificates on both sides. It
//! pins the service certificate: a node is whoever holds a certificate that the service signed. A
//! client sends many requests at once on one connection, gives every write a request id so that a
//! retry at another node is done once, keeps the highest transaction id it was shown, and asks
//! every node to have applied that much before it answers (`synod-at-least`), so that it reads
//! its own writes wherever it reads.
//!
//! From the bottom up: a [`Link`] is one connection as a value that its owner polls, for load
//! generators that count microseconds; a [`Connection`] is a link driven by a task, shared by
//! cloning; a [`Client`] chooses among nodes and retries.
//! [`verify_receipt`] checks a receipt offline. [`governance`] is for members: the constitution, proposals, ballots.
//!
//! ```no_run
//! use synod_client::{Client, Network, Request};
//!
//! # async fn example() -> Result<(), synod_client::ClientError> {
//! let network = Network::load("sandbox/network.json")?;
//! let client = Client::new(network)?;
//! let written = client.send(Request::put("/app/log/7", "hello")).await?;
//! println!("committed at {:?}", written.txid);
//! # Ok(())
//! # }
//! ```

mod client;
mod connection;
mod error;
mod follow;
pub mod governance;
mod identity;
mod link;
mod network;
mod receipt;
mod request;
mod response;
mod service;
mod status;
mod tls;

pub use client::{Client, ClientOptions};
pub use connection::Connection;
pub use error::ClientError;
pub use identity::Identity;
pub use link::{Link, LinkError, Purpose};
pub use network::{IdentityFiles, NETWORK_FILE, Network, NetworkFile, NodeEntry, NodeLine, service_text};
pub use receipt::{Proved, ReceiptError, Service, verify_receipt};
pub use request::{Method, Request, RequestIds};
pub use response::{ErrorBody, Response};
pub use service::{KnownKey, NodeKnows, ServiceInForce, ServicePapers};
pub use status::{NodeStatus, Outcome};
pub use tls::tls_config;
