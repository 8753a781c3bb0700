//! What happened, for those who are told: members who watch, sessions that have to end.
//!
//! Events are not stored: whoever executes the request again gets the same.

use synod_types::{ActorId, Digest};

use crate::entries::{Decision, Source, Status};
use crate::tables::ProposalId;
use crate::tally::Choice;

/// Something that a governance transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A proposal was submitted.
    Proposed {
        /// Its id.
        id: ProposalId,
        /// Who proposed it.
        proposer: ActorId,
        /// What ballots name.
        digest: Digest,
    },
    /// A member's ballot came in.
    Voted {
        /// The proposal.
        id: ProposalId,
        /// The member.
        member: ActorId,
        /// What it says.
        choice: Choice,
        /// How it came: signed, or by which standing rule.
        source: Source,
    },
    /// A proposal was closed: accepted, rejected, failed, withdrawn or expired.
    Closed {
        /// The proposal.
        id: ProposalId,
        /// What became of it.
        decision: Decision,
    },
    /// Somebody may act from now on.
    ActorAdded {
        /// Who.
        id: ActorId,
    },
    /// An actor's certificate, pins or revocation list changed: its open sessions have to prove themselves anew.
    ActorChanged {
        /// Who.
        id: ActorId,
    },
    /// Somebody must not act any more: its open sessions end.
    ActorRemoved {
        /// Who.
        id: ActorId,
    },
    /// A member registered a standing rule.
    RuleSet {
        /// The member.
        member: ActorId,
        /// The rule's digest.
        rule: Digest,
    },
    /// A member removed a standing rule.
    RuleRemoved {
        /// The member.
        member: ActorId,
        /// The rule's digest.
        rule: Digest,
    },
}

impl Event {
    /// The status that a proposal has got, if this closed one.
    pub const fn closed_as(&self) -> Option<Status> {
        match self {
            Self::Closed { decision, .. } => Some(decision.status),
            _ => None,
        }
    }
}
