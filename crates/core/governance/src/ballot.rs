//! Votes and withdrawals.

use synod_types::Digest;

use crate::decide::{close_withdrawn, decide};
use crate::entries::{BallotRecord, Proposal, Source, Status};
use crate::event::Event;
use crate::execute::{Statement, Work, signed, signed_by_member, statement_digest};
use crate::identity::Caller;
use crate::limits::SIGNED_BALLOT_BYTES_MAX;
use crate::reason::Refused;
use crate::statement::{BallotBody, StatementRefused, WithdrawalBody};
use crate::tables::{BALLOTS, ProposalId};

pub(crate) fn vote(work: &mut Work<'_>, caller: &Caller, statement: &Statement) -> Result<ProposalId, Refused> {
    let (ballot, member, entry) = signed_by_member::<BallotBody>(work, caller, statement)?;
    let id = ballot.proposal;
    let proposal = open_proposal(work, id, &ballot.digest)?;
    if statement.len() > SIGNED_BALLOT_BYTES_MAX {
        return Err(StatementRefused::Value { what: "a ballot takes 128 KiB at most" }.into());
    }
    if ballot.counter == 0 {
        return Err(StatementRefused::Value { what: "the counter of a ballot begins at 1" }.into());
    }
    // A ballot from before the member left and came back does not count, but its counter does.
    let last = work.tables().ballot(id, &member)?;
    // One by a rule may count no more, and what the member confirms by hand does.
    let is_by_hand = |last: &BallotRecord| matches!(last.source, Source::Signed(_));
    let says_the_same =
        last.as_ref().is_some_and(|last| is_by_hand(last) && last.seqno > entry.since && last.choice == ballot.choice);
    let counter = last.map_or(0, |last| last.counter);
    let already = Refused::AlreadyVoted { id, counter: ballot.counter, last: counter };
    if ballot.counter <= counter {
        return Err(already);
    }

    let source = Source::Signed(statement_digest(statement));
    let record = BallotRecord {
        choice: ballot.choice,
        counter: ballot.counter,
        seqno: work.env.seqno.0,
        source: source.clone(),
    };
    BALLOTS.put(&mut work.tx, &(id, member), &record);
    work.events.push(Event::Voted { id, member, choice: ballot.choice, source });
    let is_closed = decide(work, id, &proposal)?;
    // The same again is good for one thing: to count once more, after members or policies changed.
    if says_the_same && !is_closed { Err(already) } else { Ok(id) }
}

pub(crate) fn withdraw(work: &mut Work<'_>, caller: &Caller, statement: &Statement) -> Result<ProposalId, Refused> {
    let (body, actor, _) = signed::<WithdrawalBody>(work, caller, statement)?;
    let id = body.proposal;
    let proposal = open_proposal(work, id, &body.digest)?;
    if proposal.proposer != actor {
        return Err(Refused::NotTheProposer { id });
    }
    close_withdrawn(work, id, &proposal)?;
    Ok(id)
}

fn open_proposal(work: &Work<'_>, id: ProposalId, digest: &Digest) -> Result<Proposal, Refused> {
    let proposal = work.tables().proposal(id)?.ok_or(Refused::NoSuchProposal { id })?;
    if proposal.digest != *digest {
        return Err(Refused::OtherProposal { id });
    }
    match work.tables().status(id, work.env.time)? {
        Some(Status::Open) | None => Ok(proposal),
        Some(status) => Err(Refused::ProposalClosed { id, status }),
    }
}
