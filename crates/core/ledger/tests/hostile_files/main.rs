//! Ledgers that somebody has falsified: the property test beside the fuzz target of the same name.
//!
//! The scripts are the same at each run; `PROPTEST_CASES` asks for more of them.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "../common/mod.rs"]
mod common;
mod script;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use script::{Reached, play};

#[test]
fn no_falsified_ledger_is_verified_beyond_what_was_signed() {
    let reached = RefCell::new(Reached::default());
    let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
    let scripts = proptest::collection::vec(any::<u8>(), 0..200);
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
    // The scripts went where they must: ledgers of every length were found sound, every refusal was given.
    assert!((1..=8).all(|blocks| reached.accepted.contains_key(&blocks)), "{reached:?}");
    for name in REFUSALS {
        assert!(reached.refused.contains_key(name), "{name} was never given: {reached:?}");
    }
}

impl Reached {
    fn add(&mut self, other: &Self) {
        other.accepted.iter().for_each(|(blocks, count)| *self.accepted.entry(*blocks).or_default() += count);
        other.refused.iter().for_each(|(name, count)| *self.refused.entry(name).or_default() += count);
    }
}

/// All but `OtherService`, which needs somebody who expects another one.
const REFUSALS: &[&str] = &[
    "Damaged",
    "EndsEarly",
    "OtherNetwork",
    "RecordsMissing",
    "NameDiffers",
    "NotABlock",
    "RecordDiffers",
    "Refused",
    "NoGenesis",
];

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}
