//! Peers that send anything to one node: see the script for how bytes become peers.
//!
//! Run: `cargo +nightly fuzz run raft_never_panics_on_peer_bytes`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/core/consensus/tests/hostile_peers/script.rs"]
mod script;

fuzz_target!(|bytes: &[u8]| {
    script::play(bytes);
});
