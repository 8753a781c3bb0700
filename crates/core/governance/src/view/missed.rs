//! What happened to proposals, found in the tables alone: for those who were away for longer than events are kept.
//!
//! A transaction's events come in an order that `execute` gives them: proposals whose proposer had left, those that expired, then what was asked
//! for (a proposal and the votes of standing rules, a ballot, a withdrawal), then what that decided. So the place
//! of each can be found again, and whoever counts by places misses none and sees none twice.

use std::collections::BTreeSet;

use synod_kv::{KeyCodec, State};
use synod_types::{Seqno, Time};

use crate::entries::{Decision, Source, Status};
use crate::event::Event;
use crate::limits::EXPIRED_PER_TRANSACTION_MAX;
use crate::tables::{PROPOSALS, ProposalId, Read, Tables};

/// Where an event lies in the order of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventPlace {
    /// The seqno of its transaction.
    pub seqno: Seqno,
    /// Its place among the transaction's events, from 1.
    pub place: u32,
}

impl EventPlace {
    /// The place of the last event that the transaction can have.
    pub const fn end_of(seqno: Seqno) -> Self {
        Self { seqno, place: u32::MAX }
    }
}

/// The events `Proposed` and `Closed` after the place `after` and before transaction `until`, in order: the
/// earliest, about `count` of them, fewer if their proposals are large, and at least one if there is any.
///
/// # Errors
/// If another version of the code wrote the tables.
pub fn missed(state: &State, after: EventPlace, until: Seqno, count: usize) -> Read<Vec<(EventPlace, Event)>> {
    let tables = Tables(state);
    let mut found = Found { count_max: count.max(2 * OF_TRANSACTION_MAX + 1), entries: BTreeSet::new(), is_cut: false };
    for id in first_since(state, after.seqno)?..=tables.proposals_last()? {
        let Some(seqno) = submitted(state, id)?.filter(|seqno| *seqno < until) else { break };
        if !found.add(seqno, What::Proposed, id) {
            break;
        }
    }
    for entry in tables.decided(after.seqno.0) {
        let ((seqno, id), _) = entry?;
        let seqno = Seqno(seqno);
        if seqno >= until {
            break;
        }
        if let Some(decision) = tables.decision(id)? {
            let what = match decision.status {
                Status::Abandoned => What::Abandoned,
                Status::Expired => What::Expired,
                _ => What::Closed,
            };
            if !found.add(seqno, what, id) {
                break;
            }
        }
    }
    let mut events = Vec::new();
    let mut bytes = 0;
    for of_one in found.whole().chunk_by(|a, b| a.0 == b.0) {
        if bytes >= PROPOSAL_BYTES_MISSED_MAX && !events.is_empty() {
            break;
        }
        bytes += of_one.iter().map(|(_, _, id)| tables.proposal_size(*id)).sum::<usize>();
        events.extend(of_transaction(tables, of_one)?.into_iter().filter(|(place, _)| *place > after));
    }
    Ok(events)
}

/// The ledger time of an event that [`missed`] found.
///
/// # Errors
/// If another version of the code wrote the tables.
pub fn event_time(event: &Event, tables: Tables<'_>) -> Read<Time> {
    Ok(Time(match event {
        Event::Proposed { id, .. } => tables.proposal(*id)?.map_or(0, |proposal| proposal.time),
        Event::Closed { decision, .. } => decision.time,
        _ => 0,
    }))
}

/// What happened to a proposal, in the order in which a transaction tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Abandoned,
    Expired,
    Proposed,
    Closed,
}

type Entry = (Seqno, What, ProposalId);

/// The earliest things found.
struct Found {
    /// More than the transaction that `after` is in and the next one can have, so that there is always progress.
    count_max: usize,
    entries: BTreeSet<Entry>,
    /// Whether later ones were dropped.
    is_cut: bool,
}

impl Found {
    /// Whether it is among the earliest.
    fn add(&mut self, seqno: Seqno, what: What, id: ProposalId) -> bool {
        let entry = (seqno, what, id);
        self.entries.insert(entry);
        if self.entries.len() <= self.count_max {
            return true;
        }
        self.is_cut = true;
        self.entries.pop_last() != Some(entry)
    }

    /// The entries of those transactions of which none was dropped.
    fn whole(self) -> Vec<Entry> {
        let mut entries: Vec<_> = self.entries.into_iter().collect();
        if self.is_cut
            && let Some((last, _, _)) = entries.last().copied()
        {
            entries.retain(|(seqno, _, _)| *seqno < last);
        }
        entries
    }
}

/// The events of one transaction, with their places.
fn of_transaction(tables: Tables<'_>, entries: &[Entry]) -> Read<Vec<(EventPlace, Event)>> {
    let mut expired = Vec::new();
    let mut events = Vec::new();
    for (seqno, what, id) in entries {
        let Some(proposal) = tables.proposal(*id)? else { continue };
        let place = |place: usize| EventPlace { seqno: *seqno, place: u32::try_from(place).unwrap_or(u32::MAX) };
        match (what, tables.decision(*id)?) {
            (What::Abandoned, Some(decision)) => expired.push((what, None, *id, decision)),
            // They are closed in the order of their times.
            (What::Expired, Some(decision)) => expired.push((what, proposal.expires, *id, decision)),
            (What::Proposed, _) => {
                let event = Event::Proposed { id: *id, proposer: proposal.proposer, digest: proposal.digest };
                events.push((place(expired.len() + 1), event));
            }
            (What::Closed, Some(decision)) => {
                let before = expired.len() + told_before(tables, *id, Seqno(proposal.seqno), &decision)?;
                events.push((place(before + 1), Event::Closed { id: *id, decision }));
            }
            (_, None) => {}
        }
    }
    expired.sort_by_key(|(what, expires, id, _)| (**what, *expires, *id));
    let seqno = entries.first().map_or_else(Seqno::default, |(seqno, _, _)| *seqno);
    let expired = (1..).zip(expired).map(|(place, (_, _, id, decision))| {
        let event = Event::Closed { id, decision };
        (EventPlace { seqno, place }, event)
    });
    Ok(expired.chain(events).collect())
}

/// How many events of what was asked for come before the one that closed a proposal.
fn told_before(tables: Tables<'_>, id: ProposalId, submitted: Seqno, decision: &Decision) -> Read<usize> {
    if decision.status == Status::Withdrawn {
        return Ok(0);
    }
    if submitted.0 != decision.seqno {
        // The ballot that decided it.
        return Ok(1);
    }
    // Rules decided it as it was submitted, and a ballot on a closed proposal is never replaced.
    let ballots = tables.ballots(id)?;
    let by_rules = ballots.values().filter(|ballot| matches!(ballot.source, Source::Standing(_)));
    Ok(1 + by_rules.count())
}

/// The first proposal that was submitted at `seqno` or later: ids ascend with seqnos.
fn first_since(state: &State, seqno: Seqno) -> Read<ProposalId> {
    let (mut from, mut to) = (1, Tables(state).proposals_last()? + 1);
    while from < to {
        let middle = from + (to - from) / 2;
        if submitted(state, middle)?.is_some_and(|at| at >= seqno) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    Ok(from)
}

/// When a proposal was submitted. The entry of an open one never changed, so that is when it was written; that of a
/// closed one is small, and says it.
fn submitted(state: &State, id: ProposalId) -> Read<Option<Seqno>> {
    let tables = Tables(state);
    if tables.is_closed(id) {
        return Ok(tables.proposal(id)?.map(|proposal| Seqno(proposal.seqno)));
    }
    Ok(state.version(PROPOSALS.name(), &id.key_bytes()))
}

/// The most things that one transaction does to proposals: some expire, one is submitted, one is closed.
const OF_TRANSACTION_MAX: usize = EXPIRED_PER_TRANSACTION_MAX + 2;

/// After so many bytes of proposals no more are read at once: some tens of milliseconds.
const PROPOSAL_BYTES_MISSED_MAX: usize = 4 << 20;
