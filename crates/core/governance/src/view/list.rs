//! Lists of proposals, in pages.

use serde::Serialize;
use synod_types::ActorId;

use super::AsOf;
use super::proposal::{Summary, summary};
use crate::entries::{Source, Status};
use crate::facts::Facts;
use crate::tables::{ProposalId, Read, Tables};

/// Which proposals a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// By where they stand.
    pub which: Which,
    /// Only those on which this member has not voted; then only open ones are shown.
    pub awaiting: Option<&'a ActorId>,
    /// Only those after this one; 0 for all.
    pub after: ProposalId,
    /// At most so many, and never more than [`PROPOSALS_LISTED_MAX`].
    pub count_max: usize,
}

/// Proposals by where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those on which members can vote.
    Open,
    /// All others.
    Closed,
    /// All.
    All,
}

/// Proposals, ascending by id.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ProposalList {
    /// The network.
    pub network: String,
    /// The transaction as of which this holds.
    pub txid: String,
    /// The ledger time of that transaction.
    pub time: u64,
    /// The proposals.
    pub proposals: Vec<Summary>,
    /// If there are more: the one to begin after.
    pub next: Option<ProposalId>,
}

/// The proposals that are `wanted`, as `reader` sees them.
///
/// # Errors
/// If another version of the code wrote the tables.
pub fn proposals(
    tables: Tables<'_>,
    as_of: &AsOf<'_>,
    wanted: &Wanted<'_>,
    reader: Option<&ActorId>,
) -> Read<ProposalList> {
    let mut list = ProposalList {
        network: as_of.network.to_hex(),
        txid: as_of.txid.to_string(),
        time: as_of.time.0,
        proposals: Vec::new(),
        next: None,
    };
    let facts = Facts::read(tables)?;
    let mut bytes = 0;
    for id in ids(tables, wanted)? {
        if !is_wanted(tables, as_of, wanted, &facts, id)? {
            continue;
        }
        let is_full = list.proposals.len() >= wanted.count_max.clamp(1, PROPOSALS_LISTED_MAX);
        if is_full || bytes >= PROPOSAL_BYTES_LISTED_MAX {
            list.next = list.proposals.last().map(|last| last.id);
            break;
        }
        let Some(proposal) = tables.proposal(id)? else { continue };
        bytes += tables.proposal_size(id);
        list.proposals.push(summary(tables, as_of, &facts, id, &proposal, reader)?);
    }
    Ok(list)
}

/// The proposals to look at: open ones by their own list, so that no number of closed ones makes that slow.
fn ids(tables: Tables<'_>, wanted: &Wanted<'_>) -> Read<Box<dyn Iterator<Item = ProposalId>>> {
    let first = wanted.after.saturating_add(1);
    if wanted.which == Which::Open || wanted.awaiting.is_some() {
        return Ok(Box::new(tables.open_proposals(first, usize::MAX)?.into_iter()));
    }
    Ok(Box::new(first..=tables.proposals_last()?))
}

fn is_wanted(
    tables: Tables<'_>,
    as_of: &AsOf<'_>,
    wanted: &Wanted<'_>,
    facts: &Facts<'_>,
    id: ProposalId,
) -> Read<bool> {
    if wanted.which == Which::All && wanted.awaiting.is_none() {
        return Ok(true);
    }
    if let Some(member) = wanted.awaiting
        && (!facts.is_member(member) || has_voted(tables, facts, id, member)?)
    {
        return Ok(false);
    }
    let is_open = match tables.is_closed(id) {
        true => false,
        false => tables.status(id, as_of.time)? == Some(Status::Open),
    };
    Ok(is_open == (wanted.which != Which::Closed))
}

/// Whether there is a ballot of the member that counts.
fn has_voted(tables: Tables<'_>, facts: &Facts<'_>, id: ProposalId, member: &ActorId) -> Read<bool> {
    let Some(ballot) = tables.ballot(id, member)? else { return Ok(false) };
    match (ballot.source, tables.proposal(id)?) {
        (Source::Standing(_), Some(proposal)) => {
            let tally = facts.tally(id, proposal.proposer, &proposal.actions)?;
            Ok(tally.of(member).flatten().is_some())
        }
        _ => Ok(facts.counts_since(member, ballot.seqno)),
    }
}

/// The most proposals of one list.
pub const PROPOSALS_LISTED_MAX: usize = 1_000;

/// A list ends when the entries of what it shows have so many bytes: they hold all that a summary quotes.
/// A thousand ordinary proposals take less.
const PROPOSAL_BYTES_LISTED_MAX: usize = 4 << 20;
