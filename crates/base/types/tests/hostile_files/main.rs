//! Files that hold anything: the property test beside the fuzz target of the same name.
//!
//! The scripts are the same at each run; `PROPTEST_CASES` asks for more of them.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod script;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use script::{Reached, play};

#[test]
fn a_chunk_file_of_any_bytes_is_whole_torn_or_damaged() {
    let reached = RefCell::new(Reached::default());
    let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
    let scripts = proptest::collection::vec(any::<u8>(), 0..600);
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&scripts, |script| {
        reached.borrow_mut().add(&play(&script));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let reached = reached.into_inner();
    println!("{reached:#?}");
    // The scripts went where they must: every finding was made, and behind records too.
    assert!(reached.records > 10_000 && reached.whole > 100 && reached.torn > 100, "{reached:?}");
    for part in DAMAGE {
        assert!(reached.damaged.keys().any(|name| name.contains(part)), "{part} was never found: {reached:?}");
    }
}

impl Reached {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.whole += other.whole;
        self.torn += other.torn;
        other.damaged.iter().for_each(|(name, count)| *self.damaged.entry(name.clone()).or_default() += count);
    }
}

/// What scripts can bring about without computing a CRC.
const DAMAGE: &[&str] =
    &["not a chunk file", "header changed", "never written", "payload changed", "end mark changed", "stands where"];

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}
