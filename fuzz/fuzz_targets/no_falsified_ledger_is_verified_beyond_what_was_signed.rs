//! Ledgers that somebody has falsified: see the script for how bytes become ledgers.
//!
//! Run: `cargo +nightly fuzz run no_falsified_ledger_is_verified_beyond_what_was_signed`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/core/ledger/tests/common/mod.rs"]
mod common;
#[path = "../../crates/core/ledger/tests/hostile_files/script.rs"]
mod script;

fuzz_target!(|bytes: &[u8]| {
    script::play(bytes);
});
