//! What nodes answer about governance, as far as clients read it. Fields that are not here are passed on in
//! [`Answer::body`].

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use synod_types::TxId;

/// A node's answer.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// As read.
    pub view: T,
    /// For a read: the transaction that it is as recent as. For a write: its own.
    pub txid: Option<TxId>,
    /// As the node wrote it: JSON.
    pub body: Bytes,
}

/// What a request did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Submitted {
    /// The proposal that it was about.
    pub proposal: Option<u64>,
    /// Where that proposal stands now.
    pub status: Option<String>,
}

/// The constitution.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ConstitutionView {
    /// The network's id, in hexadecimal digits.
    pub network: String,
    /// The transaction as of which it is in force.
    pub txid: String,
    /// That transaction's time, in microseconds since the Unix epoch.
    pub time: u64,
    /// The document.
    pub toml: String,
}

/// A list of proposals.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Proposals {
    /// The network's id, in hexadecimal digits.
    pub network: String,
    /// The transaction as of which the list holds.
    pub txid: String,
    /// That transaction's time, in microseconds since the Unix epoch.
    pub time: u64,
    /// The proposals.
    pub proposals: Vec<Summary>,
    /// The id after which to ask for more, if there are more.
    pub next: Option<u64>,
}

/// A proposal in short.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Summary {
    /// Its id.
    pub id: u64,
    /// What ballots name.
    pub digest: String,
    /// Where it stands.
    pub status: String,
    /// Who proposed it.
    pub proposer: String,
    /// The proposer's name.
    pub proposer_name: String,
    /// The kind of each action.
    pub kinds: Vec<String>,
    /// Each action in one line, as the node reads it.
    pub summary: Vec<String>,
    /// Why, for people.
    #[serde(default)]
    pub note: String,
    /// When it was submitted.
    pub submitted: SubmittedAt,
    /// From when on it is closed, in microseconds since the Unix epoch.
    pub expires: Option<u64>,
    /// The ballots, counted.
    pub votes: Votes,
    /// What the one who asks voted.
    pub mine: Option<String>,
}

/// When something was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SubmittedAt {
    /// By which transaction.
    pub txid: Option<String>,
    /// Its time, in microseconds since the Unix epoch.
    pub time: u64,
}

/// Ballots, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Votes {
    /// How many members there are.
    pub members: u64,
    /// How many accept.
    pub accepting: u64,
    /// How many reject.
    pub rejecting: u64,
}

/// A proposal in full.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ProposalView {
    /// The network's id, in hexadecimal digits.
    pub network: String,
    /// What lists show, too.
    #[serde(flatten)]
    pub summary: Summary,
    /// What it does, as the node reads it.
    pub actions: Vec<Value>,
    /// Each policy that applies.
    pub policies: Vec<PolicyView>,
    /// The ballots.
    pub ballots: Vec<BallotView>,
    /// What became of it.
    pub decision: Option<DecisionView>,
    /// Sixteen bytes that the proposer signed with it, in hexadecimal digits.
    pub nonce: String,
    /// From when on it is closed, as far as the proposer said so itself.
    pub expires_signed: Option<u64>,
}

/// A policy, and what it makes of the ballots.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PolicyView {
    /// The kind of action that it is for, or `default`.
    pub of: String,
    /// The policy.
    pub policy: Value,
    /// `accepted`, `rejected` or `open`.
    pub verdict: String,
}

/// One member's ballot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BallotView {
    /// The member's id, in hexadecimal digits.
    pub member: String,
    /// Its name, if it still is an actor.
    pub name: Option<String>,
    /// `accept` or `reject`.
    pub choice: String,
    /// The counter that the member wrote on it.
    pub counter: u64,
    /// The transaction that brought it.
    pub txid: Option<String>,
    /// `signed` or `standing`.
    pub source: String,
    /// The digest of the standing rule.
    pub rule: Option<String>,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct DecisionView {
    /// Where it stands.
    pub status: String,
    /// The transaction that closed it.
    pub txid: Option<String>,
    /// That transaction's time, in microseconds since the Unix epoch.
    pub time: u64,
    /// The ballots that counted.
    pub count: Votes,
    /// Each policy that applied.
    pub policies: Vec<PolicyView>,
    /// Why it failed, if it did.
    #[serde(default)]
    pub reasons: Vec<String>,
}

/// A member's standing rules.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Rules {
    /// The network's id, in hexadecimal digits.
    pub network: String,
    /// The counter of the member's newest statement on rules; the next has a higher one.
    pub counter: u64,
    /// The rules.
    pub rules: Vec<RuleView>,
}

/// A standing rule.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RuleView {
    /// Its digest.
    pub digest: String,
    /// The rule, in the form of documents.
    pub rule: Value,
    /// The transaction that registered it.
    pub txid: Option<String>,
}

/// What a proposal would change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Changes {
    /// Each difference.
    pub changes: Vec<Change>,
}

/// One difference between the constitution as it is and as it would be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Change {
    /// What it is about.
    pub what: String,
    /// What it was; nothing if it was not there.
    pub before: Option<String>,
    /// What it would be; nothing if it would not be there.
    pub after: Option<String>,
}
