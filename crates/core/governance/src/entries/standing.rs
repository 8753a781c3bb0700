//! Standing rules of members, and the limits within which they may vote.

use crate::bounded::{Blob, List};
use crate::limits::LIST_MAX;
use crate::macros::record;
use crate::standing::{Predicate, StandingRule};

record! {
    /// The limits of automatic votes on one kind of action. Without an entry a kind is never voted automatically.
    #[derive(Default)]
    pub struct AutoVote {
        /// What each rule has to demand at least.
        #[serde(default)]
        pub require: List<Predicate, LIST_MAX>,
    }
}

record! {
    /// A member's standing rule.
    pub struct RuleRecord {
        /// The rule.
        pub rule: StandingRule,
        /// The seqno of the transaction that registered it.
        pub seqno: u64,
        /// SHA-256 of what the member signed, which the ledger keeps with the request.
        pub statement: Blob<32>,
    }
}
