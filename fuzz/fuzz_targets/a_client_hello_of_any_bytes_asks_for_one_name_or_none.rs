//! What a TLS client sends first, of any bytes: more of it never changes what the host made of it.
//!
//! Run: `cargo +nightly fuzz run a_client_hello_of_any_bytes_asks_for_one_name_or_none`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/host/host/src/hello.rs"]
mod hello;

const NAME: &str = "governance.synod";

fuzz_target!(|bytes: &[u8]| {
    let mut known = None;
    for end in 0..=bytes.len().min(hello::HELLO_BYTES_MAX) {
        let asks = hello::asks_for(&bytes[..end], NAME);
        assert!(known.is_none() || asks == known, "what was known of it changes with byte {end}");
        known = asks;
    }
    if known == Some(true) {
        assert!(bytes.windows(NAME.len()).any(|window| window == NAME.as_bytes()));
        assert_eq!(hello::asks_for(bytes, "somebody.else"), Some(false));
    }
});
