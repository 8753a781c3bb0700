//! Registering standing rules, and voting by them.

use synod_types::ActorId;

use crate::bounded::Blob;
use crate::entries::{BallotRecord, Proposal, RuleRecord, Source};
use crate::event::Event;
use crate::execute::{Statement, Work, signed_by_member, statement_digest};
use crate::facts::Facts;
use crate::identity::Caller;
use crate::limits::{RULE_STEPS_MAX, SIGNED_BALLOT_BYTES_MAX, STANDING_RULES_MAX};
use crate::reason::Refused;
use crate::statement::{RuleBody, RuleRemovalBody, StatementRefused, rule_digest};
use crate::tables::{BALLOTS, NODES_PENDING, OPEN, ProposalId, Read, STANDING, STANDING_COUNTERS};
use crate::tally::Choice;

pub(crate) fn set_rule(work: &mut Work<'_>, caller: &Caller, statement: &Statement) -> Result<(), Refused> {
    let (body, member, _) = signed_by_member::<RuleBody>(work, caller, statement)?;
    raise_counter(work, &member, body.counter)?;
    let digest = rule_digest(&body.rule);
    let known = work.tables().standing_rules_of(&member)?;
    if known.contains_key(&digest) {
        return Err(Refused::RuleKnown);
    }
    if known.len() >= STANDING_RULES_MAX {
        return Err(Refused::TooManyRules);
    }
    body.rule.check(&work.tables().auto_votes()?).map_err(|why| Refused::Rule { why })?;
    if statement.len() > SIGNED_BALLOT_BYTES_MAX {
        return Err(StatementRefused::Value { what: "a standing rule takes 128 KiB at most" }.into());
    }
    let statement = statement_digest(statement);
    let record = RuleRecord { rule: body.rule, seqno: work.env.seqno.0, statement };
    STANDING.put(&mut work.tx, &(member, digest), &record);
    work.events.push(Event::RuleSet { member, rule: digest });
    Ok(())
}

pub(crate) fn remove_rule(work: &mut Work<'_>, caller: &Caller, statement: &Statement) -> Result<(), Refused> {
    let (body, member, _) = signed_by_member::<RuleRemovalBody>(work, caller, statement)?;
    raise_counter(work, &member, body.counter)?;
    let key = (member, body.rule);
    if !STANDING.has(&work.tx, &key) {
        return Err(Refused::NoSuchRule);
    }
    STANDING.remove(&mut work.tx, &key);
    work.events.push(Event::RuleRemoved { member, rule: body.rule });
    Ok(())
}

fn raise_counter(work: &mut Work<'_>, member: &ActorId, counter: u64) -> Result<(), Refused> {
    let last = STANDING_COUNTERS.get(&work.tx, member)?.unwrap_or(0);
    if counter <= last {
        return Err(Refused::CounterNotAbove { counter, last });
    }
    STANDING_COUNTERS.put(&mut work.tx, member, &counter);
    Ok(())
}

/// Lets the members' standing rules vote on a proposal that was just filed, in the order of member ids. Returns
/// whether one did.
pub(crate) fn vote_by_rules(work: &mut Work<'_>, id: ProposalId, proposal: &Proposal) -> Read<bool> {
    let mut ballots = Vec::new();
    {
        let tables = work.tables();
        let facts = Facts::read(tables)?;
        let cases = facts.cases(proposal.proposer, &proposal.actions, |owner| pending_before(work, id, owner))?;
        for member in facts.members() {
            let mut steps = RULE_STEPS_MAX;
            for (digest, record) in tables.standing_rules_of(member)? {
                if facts.accepts(&record.rule, record.seqno, &cases, &mut steps) {
                    ballots.push((*member, digest));
                    break;
                }
            }
        }
    }
    for (member, digest) in &ballots {
        let rule = Blob::new(digest.0.to_vec()).expect("a digest has 32 bytes");
        let source = Source::Standing(rule);
        let choice = Choice::Accept;
        let record = BallotRecord { choice, counter: 0, seqno: work.env.seqno.0, source: source.clone() };
        BALLOTS.put(&mut work.tx, &(id, *member), &record);
        work.events.push(Event::Voted { id, member: *member, choice, source });
    }
    Ok(!ballots.is_empty())
}

/// The nodes that open proposals before this one would give an actor.
fn pending_before(work: &Work<'_>, id: ProposalId, owner: &ActorId) -> Read<u32> {
    let own = OPEN.get(&work.tx, &id)?.map(|open| open.nodes_pending).unwrap_or_default();
    let own = own.iter().find(|pending| pending.owner == *owner).map_or(0, |pending| pending.count);
    Ok(NODES_PENDING.get(&work.tx, owner)?.unwrap_or(0).saturating_sub(own))
}
