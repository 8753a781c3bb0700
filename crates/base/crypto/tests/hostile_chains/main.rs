//! Certificates and revocation lists that hold anything: the property test beside the fuzz target of the same name.
//!
//! The scripts are the same at each run; `PROPTEST_CASES` asks for more of them.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod script;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use script::{Reached, play};

#[test]
fn nobody_speaks_by_a_certificate_that_was_not_issued() {
    let reached = RefCell::new(Reached::default());
    let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
    let scripts = proptest::collection::vec(any::<u8>(), 0..60);
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&scripts, |script| {
        reached.borrow_mut().add(play(&script));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let reached = reached.into_inner();
    println!("{reached:#?}");
    // The scripts went where they must: some change nothing that counts, others get far before they are refused.
    assert!(reached.chains > 100 && reached.lists > 100, "{reached:?}");
    for part in REFUSALS {
        assert!(
            reached.refused.iter().any(|refused| refused.contains(part)),
            "{part} was never the reason: {reached:?}"
        );
    }
}

impl Reached {
    fn add(&mut self, other: Self) {
        self.chains += other.chains;
        self.lists += other.lists;
        self.refused.extend(other.refused);
    }
}

/// What scripts can bring about without a key.
const REFUSALS: &[&str] = &["Malformed", "OtherAuthority", "Signature", "Revoked"];

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}
