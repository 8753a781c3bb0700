//! Proposals, ballots and decisions, as they stay readable.

use synod_types::{ActorId, Digest};

use crate::actions::{Action, ActionKind};
use crate::bounded::{Blob, List, Name, Note};
use crate::limits::{ACTIONS_MAX, REASONS_MAX};
use crate::macros::{record, tagged};
use crate::policy::{Policy, Verdict};
use crate::tally::Choice;

record! {
    /// A proposal as submitted; what became of it is its [`Decision`]. As it closes an outline takes the place of its
    /// actions, and its note is cut: the tables stay in memory for good, and the ledger has the whole of it.
    pub struct Proposal {
        /// Who proposed it.
        #[serde(with = "crate::shape::actor")]
        pub proposer: ActorId,
        /// The proposer's name at that time.
        pub proposer_name: Name,
        /// What ballots name.
        #[serde(with = "crate::shape::digest")]
        pub digest: Digest,
        /// What to do, all or nothing, in this order. Empty once it is closed.
        pub actions: List<Action, ACTIONS_MAX>,
        /// What there was to do, once it is closed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub outline: Option<Outline>,
        /// Why, for people. Cut once it is closed.
        pub note: Note,
        /// The random bytes that the proposer signed with it: the digest covers them.
        pub nonce: Blob<16>,
        /// The time from which on it is closed as far as the proposer said so, and the digest covers it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires_signed: Option<u64>,
        /// The seqno of the transaction that submitted it.
        pub seqno: u64,
        /// The ledger time of its submission, in microseconds since the Unix epoch.
        pub time: u64,
        /// The ledger time from which on it is closed, if ever: as signed, or by the constitution.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires: Option<u64>,
        /// SHA-256 of what the proposer signed, which the ledger keeps with the request.
        pub statement: Blob<32>,
    }
}

record! {
    /// What stays of a closed proposal's actions.
    pub struct Outline {
        /// The kind of each action, in order.
        pub kinds: List<ActionKind, ACTIONS_MAX>,
        /// Each action in one line for people, in order; all together take [`OUTLINE_BYTES_MAX`] at most.
        pub lines: List<Note, ACTIONS_MAX>,
    }
}

impl Proposal {
    /// The kind of each action, in order.
    pub fn kinds(&self) -> Vec<ActionKind> {
        match &self.outline {
            Some(outline) => outline.kinds.to_vec(),
            None => self.actions.iter().map(Action::kind).collect(),
        }
    }

    /// Each action in one line of bounded length, in order.
    pub fn lines(&self) -> Vec<String> {
        match &self.outline {
            Some(outline) => outline.lines.iter().map(|line| line.as_str().to_owned()).collect(),
            None => self.actions.iter().map(|action| cut(action.summary(), LINE_BYTES_MAX)).collect(),
        }
    }

    /// What stays of the proposal once it is closed.
    pub(crate) fn closed(&self) -> Self {
        let each = OUTLINE_BYTES_MAX / self.actions.len().max(1);
        let lines = self.lines().into_iter().map(|line| Note::lossy(&cut(line, each))).collect();
        let outline = Outline {
            kinds: List::new(self.kinds()).expect("one for each action"),
            lines: List::new(lines).expect("one for each action"),
        };
        let note = Note::lossy(&cut(self.note.as_str().to_owned(), OUTLINE_NOTE_BYTES_MAX));
        Self { actions: List::default(), outline: Some(outline), note, ..self.clone() }
    }
}

/// The text, or as much of it as fits into so many bytes with dots at its end.
fn cut(text: String, bytes_max: usize) -> String {
    const DOTS: &str = "…";
    if text.len() <= bytes_max {
        return text;
    }
    let end = text.floor_char_boundary(bytes_max.saturating_sub(DOTS.len()));
    format!("{}{DOTS}", &text[..end])
}

/// How long a line about an action is before it is cut: names, an id and an address fit, a policy of sixty members does
/// not.
const LINE_BYTES_MAX: usize = 1_000;

/// The most bytes that the lines about a closed proposal's actions take: some forty nodes fit.
pub const OUTLINE_BYTES_MAX: usize = 4 << 10;

/// The most bytes that stay of a closed proposal's note: some sentences.
pub const OUTLINE_NOTE_BYTES_MAX: usize = 512;

tagged! {
    /// Where a proposal stands.
    #[derive(Copy)]
    pub enum Status {
        /// Members can vote.
        0 => Open,
        /// Its actions took effect.
        1 => Accepted,
        /// Members voted against it.
        2 => Rejected,
        /// Its proposer took it back.
        3 => Withdrawn,
        /// Its time is over.
        4 => Expired,
        /// Members accepted it, but what had happened in between made it impossible; nothing took effect.
        5 => Failed,
        /// Its proposer left, or goes under another key.
        6 => Abandoned,
    }
}

impl Status {
    /// The word for it, as programs read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Accepted => "Accepted",
            Self::Rejected => "Rejected",
            Self::Withdrawn => "Withdrawn",
            Self::Expired => "Expired",
            Self::Failed => "Failed",
            Self::Abandoned => "Abandoned",
        }
    }
}

record! {
    /// What became of a proposal.
    pub struct Decision {
        /// Where it stands. Never [`Status::Open`].
        pub status: Status,
        /// The seqno of the transaction that closed it.
        pub seqno: u64,
        /// The ledger time of that transaction.
        pub time: u64,
        /// How many voted how when it was closed.
        pub count: Count,
        /// Each policy that applied, and what it made of the ballots; none if no ballots decided it.
        pub policies: List<PolicyCount, ACTIONS_MAX>,
        /// Why it failed, if it did: each reason's code and text.
        #[serde(default)]
        pub reasons: List<Note, REASONS_MAX>,
    }
}

record! {
    /// Ballots of current members, counted.
    #[derive(Copy, Default)]
    pub struct Count {
        /// How many members there are.
        pub members: u32,
        /// How many accept.
        pub accepting: u32,
        /// How many reject.
        pub rejecting: u32,
    }
}

record! {
    /// A policy and what it made of the ballots.
    pub struct PolicyCount {
        /// The kinds of actions that it applied to; `default` if it is the default policy.
        pub of: Name,
        /// The policy.
        pub policy: Policy,
        /// Its verdict.
        pub verdict: Verdict,
    }
}

record! {
    /// One member's ballot. A newer one replaces it until the proposal closes.
    pub struct BallotRecord {
        /// What it says.
        pub choice: Choice,
        /// The counter that the member wrote on it; the next must be higher. 0 for automatic votes.
        pub counter: u64,
        /// The seqno of the transaction that brought it.
        pub seqno: u64,
        /// How it came.
        pub source: Source,
    }
}

tagged! {
    /// How a ballot came.
    pub enum Source {
        /// The member signed it: SHA-256 of the statement, which the ledger keeps with the request.
        0 => Signed(Blob<32>),
        /// The member's standing rule voted: the digest of the rule.
        1 => Standing(Blob<32>),
    }
}
