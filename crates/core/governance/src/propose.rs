//! Submitting proposals.

use std::collections::BTreeMap;
use std::time::Duration;

use synod_kv::Tx;
use synod_types::ActorId;

use crate::actions::Action;
use crate::bounded::List;
use crate::decide::{carry_out, decide, expire_key};
use crate::entries::{Proposal, Proposers, Role};
use crate::event::Event;
use crate::execute::{Statement, Work, signed, statement_digest};
use crate::identity::Caller;
use crate::limits::{
    PERIOD_SECONDS_MAX, PROPOSALS_A_DAY_MAX, PROPOSALS_OPEN_MAX, PROPOSALS_OPEN_OF_PARTICIPANTS_MAX,
    PROPOSALS_OPEN_PER_ACTOR_MAX, PROPOSALS_OPEN_PER_PARTICIPANT_MAX,
};
use crate::reason::{ActionReason, Refused};
use crate::rules::vote_by_rules;
use crate::statement::{ProposalBody, proposal_digest};
use crate::tables::{
    EXPIRING, Mark, NODES_PENDING, OPEN, OPEN_BY, OPEN_OF, OpenEntry, PROPOSALS, PROPOSALS_BY_DIGEST, PROPOSALS_LAST,
    PROPOSED, PendingNodes, ProposalId, Proposed, Read,
};

pub(crate) fn propose(work: &mut Work<'_>, caller: &Caller, statement: &Statement) -> Result<ProposalId, Refused> {
    let (body, proposer, entry) = signed::<ProposalBody>(work, caller, statement)?;
    if body.proposer != proposer {
        return Err(Refused::SignerIsNotCaller);
    }
    let digest = proposal_digest(&work.env.network, &body);
    if let Some(id) = work.tables().proposal_by_digest(&digest)? {
        return Err(Refused::ProposalKnown { id });
    }
    check_may_propose(work, proposer, entry.role, &body.actions)?;
    check_room(work, proposer, entry.role)?;
    let expires = expiry(work, &body)?;
    let reasons = try_out(work, &body.actions)?;
    if !reasons.is_empty() {
        return Err(Refused::Actions { reasons });
    }

    if entry.role == Role::Participant {
        count_of_day(work, proposer)?;
    }
    let id = work.tables().proposals_last()? + 1;
    let proposal = Proposal {
        proposer,
        proposer_name: entry.name,
        digest,
        actions: body.actions,
        outline: None,
        note: body.note,
        nonce: body.nonce,
        expires_signed: body.expires,
        seqno: work.env.seqno.0,
        time: work.env.time.0,
        expires,
        statement: statement_digest(statement),
    };
    file(work, id, &proposal, entry.role)?;
    work.events.push(Event::Proposed { id, proposer, digest });
    if vote_by_rules(work, id, &proposal)? {
        decide(work, id, &proposal)?;
    }
    Ok(id)
}

/// The constitution says for each kind of action whether any actor may propose it, or members only. Whoever is
/// no member proposes only what is about itself.
fn check_may_propose(work: &Work<'_>, proposer: ActorId, role: Role, actions: &[Action]) -> Result<(), Refused> {
    if actions.is_empty() {
        return Err(Refused::NoActions);
    }
    for (place, action) in (1..).zip(actions) {
        let kind = action.kind();
        let may = role == Role::Member
            || (work.tables().proposers_of(kind)? == Proposers::Actors
                && action.rule().is_about(&proposer, work.tables())?);
        if !may {
            return Err(Refused::MayNotPropose { place, kind });
        }
    }
    Ok(())
}

/// Participants have room of their own, so that whatever they propose none of members' is taken.
fn check_room(work: &Work<'_>, proposer: ActorId, role: Role) -> Result<(), Refused> {
    let (of_all, of_one) = match role {
        Role::Member => (PROPOSALS_OPEN_MAX, PROPOSALS_OPEN_PER_ACTOR_MAX),
        Role::Participant => (PROPOSALS_OPEN_OF_PARTICIPANTS_MAX, PROPOSALS_OPEN_PER_PARTICIPANT_MAX),
    };
    if OPEN_OF.get(&work.tx, &proposer)?.unwrap_or(0) >= of_one {
        return Err(Refused::TooManyOpenOfActor);
    }
    if OPEN_BY.get(&work.tx, &(role as u8))?.unwrap_or(0) >= of_all {
        return Err(Refused::TooManyOpen);
    }
    Ok(())
}

/// Something stays of each proposal for good, so who is no member proposes only so many a day.
fn count_of_day(work: &mut Work<'_>, proposer: ActorId) -> Result<(), Refused> {
    let day = work.env.time.0 / DAY_US;
    let before = PROPOSED.get(&work.tx, &proposer)?.filter(|proposed| proposed.day == day);
    let count = before.map_or(0, |proposed| proposed.count);
    if count >= PROPOSALS_A_DAY_MAX {
        return Err(Refused::TooManyToday);
    }
    PROPOSED.put(&mut work.tx, &proposer, &Proposed { day, count: count + 1 });
    Ok(())
}

/// A day in microseconds.
const DAY_US: u64 = 86_400 * 1_000_000;

fn expiry(work: &Work<'_>, body: &ProposalBody) -> Result<Option<u64>, Refused> {
    let now = work.env.time;
    let Some(expires) = body.expires else {
        let default = work.tables().settings()?.proposal_expiry_seconds;
        return Ok(default.map(|seconds| now.after(Duration::from_secs(seconds)).0));
    };
    let latest = now.after(Duration::from_secs(PERIOD_SECONDS_MAX)).0;
    if expires <= now.0 || expires > latest { Err(Refused::ExpiryOutOfRange) } else { Ok(Some(expires)) }
}

/// Every reason against the actions on the tables as they are.
fn try_out(work: &Work<'_>, actions: &[Action]) -> Read<Vec<ActionReason>> {
    let mut scratch = Tx::resume(work.state, work.tx.writes().clone());
    carry_out(&mut scratch, work.env, actions)
}

fn file(work: &mut Work<'_>, id: ProposalId, proposal: &Proposal, role: Role) -> Read<()> {
    let mut pending: BTreeMap<ActorId, u32> = BTreeMap::new();
    for action in proposal.actions.iter() {
        let subject = action.rule().subject(work.tables())?;
        if let Some(owner) = subject.owner.filter(|_| subject.adds_node) {
            *pending.entry(owner).or_default() += 1;
        }
    }
    let tx = &mut work.tx;
    for (owner, count) in &pending {
        let before = NODES_PENDING.get(tx, owner)?.unwrap_or(0);
        NODES_PENDING.put(tx, owner, &(before + count));
    }
    let pending = pending.into_iter().map(|(owner, count)| PendingNodes { owner, count }).collect();
    let nodes_pending = List::new(pending).expect("at most one for each action");
    let open = OpenEntry { proposer: proposal.proposer, role, expires: proposal.expires, nodes_pending };
    PROPOSALS_LAST.put(tx, &(), &id);
    PROPOSALS.put(tx, &id, proposal);
    PROPOSALS_BY_DIGEST.put(tx, &proposal.digest, &id);
    OPEN.put(tx, &id, &open);
    let open_of = OPEN_OF.get(tx, &proposal.proposer)?.unwrap_or(0);
    OPEN_OF.put(tx, &proposal.proposer, &(open_of + 1));
    let open_by = OPEN_BY.get(tx, &(role as u8))?.unwrap_or(0);
    OPEN_BY.put(tx, &(role as u8), &(open_by + 1));
    if let Some(key) = expire_key(id, proposal) {
        EXPIRING.put(tx, &key, &Mark {});
    }
    Ok(())
}
