//! A host over real sockets and files, with the test in the enclave's place.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod connections;
mod disk;
mod doors;
mod webhook;
mod world;
