//! Certificates and revocation lists that somebody without a key has changed: see the script for how.
//!
//! Run: `cargo +nightly fuzz run nobody_speaks_by_a_certificate_that_was_not_issued`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/base/crypto/tests/hostile_chains/script.rs"]
mod script;

fuzz_target!(|bytes: &[u8]| {
    script::play(bytes);
});
