//! The untrusted host of a node: sockets and files for an enclave that has neither.
//!
//! The host carries bytes and understands none of them. It listens, dials, pumps connections
//! within the credits of [`synod_types::boundary`], files log records with group commit and reads
//! them back. Whatever it does wrong, it can stop its own node and see sizes and times; it cannot
//! read or forge content.
//!
//! [`Host::open`] takes the directory and the ports; [`Host::port`] is where the enclave sends its
//! messages; [`Host::run`] works until the enclave has stopped:
//!
//! ```no_run
//! # fn start_enclave(_: impl Fn(synod_types::boundary::ToHost)) -> impl Fn(synod_types::boundary::ToEnclave) { |_| () }
//! let config = synod_host::NodeConfig::load("node.toml".as_ref())?;
//! let host = synod_host::Host::open(config)?;
//! let records = host.records(); // what the enclave resumes from
//! let port = host.port();
//! let to_enclave = start_enclave(move |message| port.send(message));
//! let reason = host.run(to_enclave, synod_host::terminated())?;
//! println!("stopped: {reason}");
//! # Ok::<(), synod_host::HostError>(())
//! ```

mod config;
mod connection;
mod disk;
mod doors;
mod error;
mod hello;
mod host;
mod ledger;
mod network;
mod peer_book;
mod record;
mod refused;
mod sync;
mod vote;
mod webhook;

pub use config::{Durability, NodeConfig};
pub use error::HostError;
pub use host::{Host, HostPort, terminated};
pub use ledger::{LedgerError, Records};
pub use webhook::WebhookUrl;
