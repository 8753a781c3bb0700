//! Counting ballots, and what follows.

use std::collections::{BTreeMap, BTreeSet};

use synod_kv::{KeyCodec, Map, Tx};
use synod_types::ActorId;

use crate::actions::{Action, PolicyKey, Roster, Scene, key_name};
use crate::bounded::List;
use crate::check::{check, check_kept};
use crate::entries::{Count, Decision, PolicyCount, Proposal, Status};
use crate::event::Event;
use crate::execute::{Env, Work, actor_changes};
use crate::facts::Facts;
use crate::limits::EXPIRED_PER_TRANSACTION_MAX;
use crate::policy::{Policy, Verdict};
use crate::reason::{ActionReason, notes};
use crate::tables::{
    ABANDONED, DECIDED, DECISIONS, EXPIRING, Mark, NODES_PENDING, OPEN, OPEN_BY, OPEN_OF, POLICY_DEFAULT, PROPOSALS,
    ProposalId, Read, Tables,
};
use crate::tally::Tally;

/// Counts the ballots on an open proposal. If all policies that apply accept, its actions take effect; if one can no
/// longer accept, it is rejected. Returns whether it was closed.
///
/// The policies and members are those of before the proposal's own actions.
pub(crate) fn decide(work: &mut Work<'_>, id: ProposalId, proposal: &Proposal) -> Read<bool> {
    let tally = Facts::read(work.tables())?.tally(id, proposal.proposer, &proposal.actions)?;
    let policies: Vec<_> = judge(work.tables(), &proposal.actions, &tally)?;
    if policies.iter().any(|policy| policy.verdict == Verdict::Rejected) {
        close(work, id, proposal, Status::Rejected, (&tally, policies), &[])?;
        return Ok(true);
    }
    if policies.iter().any(|policy| policy.verdict == Verdict::Open) {
        return Ok(false);
    }
    // What was possible when the proposal was submitted may not be any more.
    let mut scratch = Tx::resume(work.state, work.tx.writes().clone());
    let reasons = carry_out(&mut scratch, work.env, &proposal.actions)?;
    if !reasons.is_empty() {
        close(work, id, proposal, Status::Failed, (&tally, policies), &reasons)?;
        return Ok(true);
    }
    let touched = proposal.actions.iter().flat_map(|action| action.rule().actors()).collect();
    let changes = actor_changes(&touched, work.tables(), Tables(&scratch))?;
    work.tx = scratch;
    close(work, id, proposal, Status::Accepted, (&tally, policies), &[])?;
    work.events.extend(changes.events);
    abandon(work, &changes.gone)?;
    Ok(true)
}

/// Marks the open proposals of those who left: they are closed by later transactions, some with each, so that the
/// removal of somebody with many is no larger than that of another.
fn abandon(work: &mut Work<'_>, gone: &BTreeSet<ActorId>) -> Read<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let open: Vec<_> = OPEN.range(&work.tx, ..).collect::<Result<_, _>>()?;
    for (id, _) in open.iter().filter(|(_, open)| gone.contains(&open.proposer)) {
        ABANDONED.put(&mut work.tx, id, &Mark {});
    }
    Ok(())
}

/// Closes the proposals whose proposer has left, then those whose time is over, oldest first, up to a number. Of such
/// a decision the policies are not kept, so that no policies make it large.
pub(crate) fn close_expired(work: &mut Work<'_>) -> Read<()> {
    let bound = (work.env.time.0, ProposalId::MAX);
    let abandoned: Vec<_> =
        ABANDONED.range(work.state, ..).take(EXPIRED_PER_TRANSACTION_MAX).collect::<Result<_, _>>()?;
    let over: Vec<_> = EXPIRING
        .range(work.state, ..=bound)
        .filter(|entry| !matches!(entry, Ok(((_, id), _)) if ABANDONED.has(work.state, id)))
        .take(EXPIRED_PER_TRANSACTION_MAX - abandoned.len())
        .collect::<Result<_, _>>()?;
    if abandoned.is_empty() && over.is_empty() {
        return Ok(());
    }
    // What is closed here changes nothing of what ballots are counted by.
    let facts = Facts::read(Tables(work.state))?;
    let abandoned = abandoned.into_iter().map(|(id, _)| (id, Status::Abandoned));
    for (id, status) in abandoned.chain(over.into_iter().map(|((_, id), _)| (id, Status::Expired))) {
        if let Some(proposal) = work.tables().proposal(id)? {
            let tally = facts.tally(id, proposal.proposer, &proposal.actions)?;
            close(work, id, &proposal, status, (&tally, Vec::new()), &[])?;
        }
    }
    Ok(())
}

/// Closes a proposal that its proposer takes back.
pub(crate) fn close_withdrawn(work: &mut Work<'_>, id: ProposalId, proposal: &Proposal) -> Read<()> {
    let tally = Facts::read(work.tables())?.tally(id, proposal.proposer, &proposal.actions)?;
    close(work, id, proposal, Status::Withdrawn, (&tally, Vec::new()), &[])
}

/// Where a proposal stands after what was done so far.
pub(crate) fn status_of(work: &Work<'_>, id: ProposalId) -> Read<Status> {
    Ok(work.tables().status(id, work.env.time)?.expect("a request is about a proposal that there is"))
}

/// The entry of a proposal in the list of those that expire, if it does.
pub(crate) fn expire_key(id: ProposalId, proposal: &Proposal) -> Option<(u64, ProposalId)> {
    proposal.expires.map(|expires| (expires, id))
}

/// Every reason against carrying these actions out on `tx`, which is left as they leave it.
///
/// Reasons against single actions come first; what they leave behind is looked at if there are none.
pub(crate) fn carry_out(tx: &mut Tx<'_>, env: &Env, actions: &[Action]) -> Read<Vec<ActionReason>> {
    let nodes = Tables(tx).nodes()?;
    let mut all = Vec::new();
    let touched: Vec<_> = actions.iter().map(|action| action.rule().actors()).collect();
    let mut roster = Roster::default();
    if actions.iter().any(|action| action.kind().is_about_actors()) {
        roster = Roster::read(Tables(tx))?;
    }
    for (place, (action, touched)) in actions.iter().zip(&touched).enumerate() {
        let mut reasons = Vec::new();
        let scene = Scene { tables: Tables(tx), env, kind: action.kind(), roster: &roster };
        action.rule().check(&scene, &mut reasons)?;
        if reasons.is_empty() {
            action.rule().apply(action.kind(), env, tx)?;
            roster.follow(touched, Tables(tx))?;
        }
        all.extend(reasons.into_iter().map(|reason| ActionReason { action: Some(place), reason }));
    }
    if all.is_empty() {
        let left_behind = check(Tables(tx))?;
        let too_few = if left_behind.is_empty() { check_kept(&nodes, &Tables(tx).nodes()?) } else { None };
        all.extend(left_behind.into_iter().chain(too_few).map(|reason| ActionReason { action: None, reason }));
    }
    Ok(all)
}

/// Each policy that applies to one of these actions, once, and what it makes of the ballots.
pub(crate) fn judge(tables: Tables<'_>, actions: &[Action], tally: &Tally) -> Read<Vec<PolicyCount>> {
    let mut policies: BTreeMap<u8, Policy> = BTreeMap::new();
    for key in actions.iter().flat_map(Action::decided_by) {
        let of_kind = match key {
            PolicyKey::Kind(kind) => tables.policy_of(kind)?.map(|policy| (kind.tag(), policy)),
            PolicyKey::Default => None,
        };
        let (key, policy) = match of_kind {
            Some(found) => found,
            None => (POLICY_DEFAULT, tables.policy_default()?),
        };
        policies.insert(key, policy);
    }
    let judged = policies.into_iter().map(|(key, policy)| {
        let verdict = policy.judge(tally);
        PolicyCount { of: key_name(key), policy, verdict }
    });
    Ok(judged.collect())
}

fn close(
    work: &mut Work<'_>,
    id: ProposalId,
    proposal: &Proposal,
    status: Status,
    (tally, policies): (&Tally, Vec<PolicyCount>),
    reasons: &[ActionReason],
) -> Read<()> {
    let decision = Decision {
        status,
        seqno: work.env.seqno.0,
        time: work.env.time.0,
        count: count(tally),
        policies: List::new(policies).expect("at most one for each kind of action"),
        reasons: notes(reasons),
    };
    let tx = &mut work.tx;
    DECISIONS.put(tx, &id, &decision);
    DECIDED.put(tx, &(decision.seqno, id), &Mark {});
    PROPOSALS.put(tx, &id, &proposal.closed());
    if let Some(open) = OPEN.get(tx, &id)? {
        for pending in open.nodes_pending.iter() {
            lower(tx, &NODES_PENDING, &pending.owner, pending.count)?;
        }
        lower(tx, &OPEN_BY, &(open.role as u8), 1)?;
    }
    if ABANDONED.has(tx, &id) {
        ABANDONED.remove(tx, &id);
    }
    OPEN.remove(tx, &id);
    lower(tx, &OPEN_OF, &proposal.proposer, 1)?;
    if let Some(key) = expire_key(id, proposal) {
        EXPIRING.remove(tx, &key);
    }
    work.events.push(Event::Closed { id, decision });
    Ok(())
}

fn lower<K: KeyCodec>(tx: &mut Tx<'_>, counters: &Map<K, u32>, key: &K, by: u32) -> Read<()> {
    match counters.get(tx, key)?.unwrap_or(0).saturating_sub(by) {
        0 => counters.remove(tx, key),
        left => counters.put(tx, key, &left),
    }
    Ok(())
}

/// How many members there are, and say what.
pub(crate) fn count(tally: &Tally) -> Count {
    let small = |count: u64| u32::try_from(count).expect("there are at most a thousand members");
    Count { members: small(tally.members()), accepting: small(tally.accepting()), rejecting: small(tally.rejecting()) }
}
