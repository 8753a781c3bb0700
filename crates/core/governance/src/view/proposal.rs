//! One proposal: in a line of a list, and in full.

use serde::Serialize;
use synod_types::ActorId;

use super::AsOf;
use crate::actions::{Action, ActionKind};
use crate::decide::{count, judge};
use crate::entries::{BallotRecord, Count, Decision, PolicyCount, Proposal, Source, Status};
use crate::facts::Facts;
use crate::tables::{ProposalId, Read, Tables};
use crate::tally::Choice;

/// A proposal in short.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its id.
    pub id: ProposalId,
    /// What ballots name.
    pub digest: String,
    /// Where it stands, see [`Status::name`].
    pub status: &'static str,
    /// Who proposed it.
    pub proposer: String,
    /// The proposer's name at that time.
    pub proposer_name: String,
    /// The kind of each action, in order.
    pub kinds: Vec<ActionKind>,
    /// Each action in one line for people, in order; what it quotes is escaped, and what is very long ends in dots.
    pub summary: Vec<String>,
    /// Why, for people; what is long is cut once it is closed.
    pub note: String,
    /// When it was submitted.
    pub submitted: Submitted,
    /// The ledger time from which on it is closed, if ever.
    pub expires: Option<u64>,
    /// The ballots that count; once it is closed, those that counted.
    pub votes: Count,
    /// What the reader says to it.
    pub mine: Option<Choice>,
}

/// When something was submitted.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Submitted {
    /// By which transaction.
    pub txid: Option<String>,
    /// Its ledger time.
    pub time: u64,
}

/// A proposal in full.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ProposalView {
    /// The network.
    pub network: String,
    /// The transaction as of which this holds.
    pub txid: String,
    /// The ledger time of that transaction.
    pub time: u64,
    /// What lists show, too.
    #[serde(flatten)]
    pub summary: Summary,
    /// The random bytes that the proposer signed with it. With them and what follows anybody can make the digest of an
    /// open proposal again.
    pub nonce: String,
    /// The time from which on it is closed as far as the proposer said so.
    pub expires_signed: Option<u64>,
    /// What it does, in order; none once it is closed: then the ledger has them, and [`Summary::summary`] the gist.
    pub actions: Vec<Action>,
    /// Each policy that applies and what it makes of the ballots; once ballots decided it, what it made of them.
    pub policies: Vec<PolicyCount>,
    /// All ballots, by their members' ids.
    pub ballots: Vec<BallotView>,
    /// What became of it.
    pub decision: Option<DecisionView>,
}

/// One member's ballot.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct BallotView {
    /// The member.
    pub member: String,
    /// Its name; none if it is no actor any more.
    pub name: Option<String>,
    /// What it says.
    pub choice: Choice,
    /// The counter that the member wrote on it.
    pub counter: u64,
    /// The transaction that brought it.
    pub txid: Option<String>,
    /// How it came: `signed`, or by a `standing` rule.
    pub source: &'static str,
    /// The digest of the standing rule.
    pub rule: Option<String>,
}

/// What became of a proposal.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct DecisionView {
    /// Where it stands, see [`Status::name`].
    pub status: &'static str,
    /// The transaction that closed it.
    pub txid: Option<String>,
    /// Its ledger time.
    pub time: u64,
    /// The ballots that counted.
    pub count: Count,
    /// Each policy that applied, and what it made of the ballots; none if no ballots decided it.
    pub policies: Vec<PolicyCount>,
    /// Why it failed, if it did.
    pub reasons: Vec<String>,
}

impl DecisionView {
    /// This decision, for people.
    pub fn new(decision: &Decision, as_of: &AsOf<'_>) -> Self {
        Self {
            status: decision.status.name(),
            txid: as_of.txid_text(decision.seqno),
            time: decision.time,
            count: decision.count,
            policies: decision.policies.to_vec(),
            reasons: decision.reasons.iter().map(|note| note.as_str().to_owned()).collect(),
        }
    }
}

/// The proposal `id` in full, as `reader` sees it; `None` if there is none.
///
/// # Errors
/// If another version of the code wrote the tables.
pub fn proposal(
    tables: Tables<'_>,
    as_of: &AsOf<'_>,
    id: ProposalId,
    reader: Option<&ActorId>,
) -> Read<Option<ProposalView>> {
    let Some(proposal) = tables.proposal(id)? else { return Ok(None) };
    let facts = Facts::read(tables)?;
    let decision = tables.decision(id)?;
    let policies = match &decision {
        Some(decision) => decision.policies.to_vec(),
        None => judge(tables, &proposal.actions, &facts.tally(id, proposal.proposer, &proposal.actions)?)?,
    };
    let ballot = |(member, ballot): (ActorId, BallotRecord)| -> Read<BallotView> {
        let name = tables.actor(&member)?.map(|actor| actor.name.as_str().to_owned());
        let (source, rule) = source(&ballot.source);
        let txid = as_of.txid_text(ballot.seqno);
        Ok(BallotView {
            member: member.to_hex(),
            name,
            choice: ballot.choice,
            counter: ballot.counter,
            txid,
            source,
            rule,
        })
    };
    let ballots = tables.ballots(id)?.into_iter().map(ballot).collect::<Read<_>>()?;
    Ok(Some(ProposalView {
        network: as_of.network.to_hex(),
        txid: as_of.txid.to_string(),
        time: as_of.time.0,
        summary: summary(tables, as_of, &facts, id, &proposal, reader)?,
        nonce: proposal.nonce.to_hex(),
        expires_signed: proposal.expires_signed,
        actions: proposal.actions.to_vec(),
        policies,
        ballots,
        decision: decision.map(|decision| DecisionView::new(&decision, as_of)),
    }))
}

/// How a ballot came, and by which rule.
pub(super) fn source(source: &Source) -> (&'static str, Option<String>) {
    match source {
        Source::Signed(_) => ("signed", None),
        Source::Standing(rule) => ("standing", Some(rule.to_hex())),
    }
}

/// A proposal in short.
pub(super) fn summary(
    tables: Tables<'_>,
    as_of: &AsOf<'_>,
    facts: &Facts<'_>,
    id: ProposalId,
    proposal: &Proposal,
    reader: Option<&ActorId>,
) -> Read<Summary> {
    let (status, votes, mine) = match tables.decision(id)? {
        Some(decision) => {
            let ballot = reader.map_or(Ok(None), |reader| tables.ballot(id, reader))?;
            (decision.status, decision.count, ballot.map(|ballot| ballot.choice))
        }
        None => {
            let tally = facts.tally(id, proposal.proposer, &proposal.actions)?;
            let status = tables.status(id, as_of.time)?.unwrap_or(Status::Open);
            (status, count(&tally), reader.and_then(|reader| tally.of(reader)).flatten())
        }
    };
    Ok(Summary {
        id,
        digest: proposal.digest.to_hex(),
        status: status.name(),
        proposer: proposal.proposer.to_hex(),
        proposer_name: proposal.proposer_name.as_str().to_owned(),
        kinds: proposal.kinds(),
        summary: proposal.lines(),
        note: proposal.note.as_str().to_owned(),
        submitted: Submitted { txid: as_of.txid_text(proposal.seqno), time: proposal.time },
        expires: proposal.expires,
        votes,
        mine,
    })
}
