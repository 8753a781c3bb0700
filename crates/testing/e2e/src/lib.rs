//! Real processes, real tools, real faults.
//!
//! A test starts a [`Sandbox`]: `synod sandbox` as a user starts it, in a temporary directory, on
//! free ports. It talks to the nodes through [`Client`], a small blocking client of its own that
//! shares no code with the client library, so that one mistake cannot hide in both. Faults are
//! `kill -9`, flipped bytes and bad input; what must hold is read back through the public doors:
//! requests, `synod node status`, `synod ledger verify`.
//!
//! The harness runs the binary that `SYNOD_BIN` names, or builds it with cargo in the profile of
//! the tests. Tools from npm and PyPI are installed once below `target/`, in pinned versions.

mod binary;
mod client;
mod load;
mod members;
mod sandbox;
mod status;
mod tools;

pub use binary::{Finished, run, shell, synod};
pub use client::{Client, Identity, Response, Tls};
pub use load::{Acknowledged, Load};
pub use members::{decide, free_ports, join_node};
pub use sandbox::{Node, Options, Sandbox, Stopped};
pub use status::{NodeStatus, leader, status, wait_until};
pub use tools::{npm_tools, python_tools};
