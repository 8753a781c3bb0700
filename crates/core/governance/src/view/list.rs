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
    /// If there are more, or may be: the one to begin after. A list of which much was passed over may end early, even
    /// without any proposal.
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
    let votes_cost = facts.members().count() * VOTE_COST;
    let mut cost = 0;
    let mut looked_at = wanted.after;
    for id in ids(tables, wanted)? {
        if cost >= LIST_COST_MAX {
            list.next = Some(looked_at);
            break;
        }
        let (is_wanted, took) = is_wanted(tables, as_of, wanted, &facts, id)?;
        cost += took;
        if is_wanted {
            if list.proposals.len() >= wanted.count_max.clamp(1, PROPOSALS_LISTED_MAX) {
                list.next = list.proposals.last().map(|last| last.id);
                break;
            }
            if let Some(proposal) = tables.proposal(id)? {
                cost += tables.proposal_size(id) + votes_cost;
                list.proposals.push(summary(tables, as_of, &facts, id, &proposal, reader)?);
            }
        }
        looked_at = id;
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

/// Whether the list shows a proposal, and what it took to find out.
fn is_wanted(
    tables: Tables<'_>,
    as_of: &AsOf<'_>,
    wanted: &Wanted<'_>,
    facts: &Facts<'_>,
    id: ProposalId,
) -> Read<(bool, usize)> {
    if wanted.which == Which::All && wanted.awaiting.is_none() {
        return Ok((true, LOOK_COST));
    }
    let mut cost = LOOK_COST;
    if let Some(member) = wanted.awaiting {
        if !facts.is_member(member) {
            return Ok((false, cost));
        }
        if let Some(ballot) = tables.ballot(id, member)? {
            // Whether a rule would still give its ballot depends on the whole proposal.
            let is_by_rule = matches!(ballot.source, Source::Standing(_));
            let proposal = if is_by_rule { tables.proposal(id)? } else { None };
            let counts = match proposal {
                Some(proposal) => {
                    cost += tables.proposal_size(id) + facts.members().count() * VOTE_COST;
                    facts.tally(id, proposal.proposer, &proposal.actions)?.of(member).flatten().is_some()
                }
                None => facts.counts_since(member, ballot.seqno),
            };
            if counts {
                return Ok((false, cost));
            }
        }
    }
    let is_open = match tables.is_closed(id) {
        true => false,
        false => tables.status(id, as_of.time)? == Some(Status::Open),
    };
    Ok((is_open == (wanted.which != Which::Closed), cost))
}

/// The most proposals of one list.
pub const PROPOSALS_LISTED_MAX: usize = 1_000;

/// A list ends when what was read for it, shown or not, has cost so many bytes. A thousand ordinary proposals cost less,
/// unless there are more than some sixty members; and it takes some tens of milliseconds.
const LIST_COST_MAX: usize = 4 << 20;

/// What it costs to look at an entry, as bytes.
const LOOK_COST: usize = 256;

/// What it costs to find out how a member voted: a microsecond, in which a few times as many bytes are read.
const VOTE_COST: usize = 64;
