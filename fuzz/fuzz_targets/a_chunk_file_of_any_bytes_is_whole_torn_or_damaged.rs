//! Chunk files that hold anything: see the script for how bytes become files.
//!
//! Run: `cargo +nightly fuzz run a_chunk_file_of_any_bytes_is_whole_torn_or_damaged`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/base/types/tests/hostile_files/script.rs"]
mod script;

fuzz_target!(|bytes: &[u8]| {
    script::play(bytes);
});
