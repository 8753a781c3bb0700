//! Peers that send anything: the property test beside the fuzz target of the same name.
//!
//! The scripts are the same at each run; `PROPTEST_CASES` asks for more of them.

mod script;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use script::{Reached, play};

#[test]
fn raft_never_panics_on_peer_bytes() {
    let reached = RefCell::new(Reached::default());
    let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
    let scripts = proptest::collection::vec(any::<u8>(), 0..1_500);
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
    // The scripts went where they must: every role took messages, every refusal was given.
    for role in ["follower", "candidate", "leader"] {
        assert!(reached.admitted.get(role).is_some_and(|count| *count > 100), "{role}: {reached:?}");
    }
    for name in REFUSALS {
        assert!(reached.refused.contains_key(*name), "{name} was never given: {reached:?}");
    }
    assert!(reached.truncations > 0 && reached.commits > 0 && reached.ledger_reads > 0, "{reached:?}");
}

impl Reached {
    pub fn add(&mut self, other: &Self) {
        other.admitted.iter().for_each(|(role, count)| *self.admitted.entry(role).or_default() += count);
        other.refused.iter().for_each(|(name, count)| *self.refused.entry(name.clone()).or_default() += count);
        self.truncations += other.truncations;
        self.commits += other.commits;
        self.ledger_reads += other.ledger_reads;
    }
}

/// Those that short scripts can provoke: a message too large is a test of its own.
const REFUSALS: &[&str] = &[
    "NotAPeer",
    "Malformed",
    "NumberOutOfRange",
    "ViewJump",
    "SecondLeader",
    "ViewsOutOfOrder",
    "SeqnoGap",
    "ConflictsWithCommitted",
    "EntryDiffers",
    "CommitBeyondLog",
    "AckBeyondLog",
    "GenesisRefused",
    "HintBeyondRefusal",
    "VoteNotAskedFor",
    "CandidateAheadOfItself",
    "ForeignReadContext",
];

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}
