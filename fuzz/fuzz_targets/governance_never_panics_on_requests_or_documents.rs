//! Requests, certificates, revocation lists and documents of any bytes: each is read or refused.
//!
//! Run: `cargo +nightly fuzz run governance_never_panics_on_requests_or_documents`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use synod_crypto::chain;
use synod_governance::document::Document;
use synod_governance::{Action, Caller, Env, Request, Role, execute};
use synod_kv::State;
use synod_types::{ActorId, Decode, Digest, Encode, Seqno, Time};

const NOW: Time = Time(1_800_000_000_000_000);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = Request::from_bytes(bytes) {
        assert_eq!(request.to_bytes(), bytes, "a request has one encoding");
        let env = Env { network: Digest::default(), seqno: Seqno(2), time: NOW };
        let caller = Caller { actor: ActorId::default(), role: Role::Member, key: Digest::default(), valid_until: NOW };
        assert!(execute(&State::default(), &env, &caller, &request).is_err(), "nobody is an actor yet");
    }
    if let Ok(action) = Action::from_bytes(bytes) {
        assert_eq!(action.to_bytes(), bytes, "an action has one encoding");
        let _ = action.summary();
    }
    let _ = chain::check_anchor(bytes, NOW);
    let _ = chain::check_crl(bytes, bytes, NOW);
    let _ = synod_crypto::statement::SignedStatement::read(bytes, 5);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(document) = Document::parse(text)
    {
        let _ = document.genesis_writes(NOW);
    }
});
