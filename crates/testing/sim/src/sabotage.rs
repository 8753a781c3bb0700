//! Parts of the simulation that break their contract, to see that a checker notices.
//!
//! Each is what a host or an enclave around a sound node could get wrong. No seed draws one: `tests/teeth.rs` turns
//! each on and waits for the claim that it violates. What a broken node would do is tried by hand, see the book's
//! page on testing.

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The host counts on what it reads at its start without syncing it.
    SyncsNothingAtStart,
    /// The disk's thread tells that records are synced before they are.
    TellsBeforeSync,
    /// The disk's thread replaces the vote only after it has told the node.
    FilesVotesLate,
    /// The disk's thread never replaces the vote.
    ForgetsVotes,
    /// The enclave sends answers on before the worker has done what was said before them.
    AnswersOvertakeTheWorker,
}
