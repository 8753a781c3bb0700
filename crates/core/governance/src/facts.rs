//! What predicates of standing rules ask, read once for all rules and actions of a proposal; and which ballots count.
//!
//! A rule votes when a proposal is filed. Its ballot counts only while it would still be given: the rule is registered,
//! within the constitution's limits, and holds of every action on the tables as they are when ballots are counted.
//! Otherwise what a limit allows once could be had as often as proposals were filed before.

use std::collections::BTreeMap;

use synod_types::{ActorId, Digest};

use crate::actions::{Action, ActionKind};
use crate::entries::{AutoVote, Role, Source};
use crate::limits::RULE_STEPS_MAX;
use crate::standing::{StandingRule, Subject};
use crate::tables::{ProposalId, Read, STANDING, Tables};
use crate::tally::Tally;

/// What is asked of the tables again and again.
pub(crate) struct Facts<'t> {
    tables: Tables<'t>,
    /// Everyone's role, and since when.
    actors: BTreeMap<ActorId, (Role, u64)>,
    nodes_of: BTreeMap<ActorId, u32>,
    limits: BTreeMap<u8, AutoVote>,
}

/// One action in its surroundings.
pub(crate) struct Case<'a> {
    pub facts: &'a Facts<'a>,
    pub proposer: ActorId,
    pub kind: ActionKind,
    pub subject: Subject,
    pub code_is_approved: bool,
    pub tee_is_allowed: bool,
    /// Nodes that the owner gets by earlier open proposals and by earlier actions of this one.
    pub nodes_pending: u32,
}

impl<'t> Facts<'t> {
    pub fn read(tables: Tables<'t>) -> Read<Self> {
        let actors = tables.actors()?.into_iter().map(|(id, actor)| (id, (actor.role, actor.since))).collect();
        let mut nodes_of: BTreeMap<ActorId, u32> = BTreeMap::new();
        for node in tables.nodes()?.values() {
            *nodes_of.entry(node.owner).or_default() += 1;
        }
        Ok(Self { tables, actors, nodes_of, limits: tables.auto_votes()? })
    }

    /// The members, by id.
    pub fn members(&self) -> impl Iterator<Item = &ActorId> {
        self.actors.iter().filter(|(_, (role, _))| *role == Role::Member).map(|(id, _)| id)
    }

    /// Whether `id` is a member.
    pub fn is_member(&self, id: &ActorId) -> bool {
        self.actors.get(id).is_some_and(|(role, _)| *role == Role::Member)
    }

    /// Whether `id` is an actor.
    pub fn is_actor(&self, id: &ActorId) -> bool {
        self.actors.contains_key(id)
    }

    /// The seqno since which `id` is an actor.
    pub fn since(&self, id: &ActorId) -> Option<u64> {
        self.actors.get(id).map(|(_, since)| *since)
    }

    /// How many nodes an actor has.
    pub fn node_count_of(&self, owner: &ActorId) -> u32 {
        self.nodes_of.get(owner).copied().unwrap_or(0)
    }

    /// The actions of a proposal as rules see them. `pending` are the nodes that earlier open proposals would give.
    pub fn cases<'a>(
        &'a self,
        proposer: ActorId,
        actions: &[Action],
        mut pending: impl FnMut(&ActorId) -> Read<u32>,
    ) -> Read<Vec<Case<'a>>> {
        let mut before: BTreeMap<ActorId, u32> = BTreeMap::new();
        let mut cases = Vec::new();
        for action in actions {
            let subject = action.rule().subject(self.tables)?;
            let nodes_pending = match subject.owner {
                Some(owner) => {
                    let count = before.get(&owner).map_or_else(|| pending(&owner), |count| Ok(*count))?;
                    before.insert(owner, count + u32::from(subject.adds_node));
                    count
                }
                None => 0,
            };
            let code_is_approved = match &subject.code {
                Some(code) => self.tables.is_code_approved(code)?,
                None => false,
            };
            let tee_is_allowed = match subject.platform {
                Some(platform) => self.tables.tee_rule(platform)?.is_some_and(|rule| rule.allowed),
                None => false,
            };
            let kind = action.kind();
            cases.push(Case { facts: self, proposer, kind, subject, code_is_approved, tee_is_allowed, nodes_pending });
        }
        Ok(cases)
    }

    /// Whether a rule that was registered at `seqno` accepts a proposal, and is within today's limits. `steps` is what
    /// may still be spent on looking; a rule for which it is not enough does not.
    pub fn accepts(&self, rule: &StandingRule, seqno: u64, cases: &[Case<'_>], steps: &mut usize) -> bool {
        cases.iter().all(|case| rule.accepts(case, seqno, steps)) && rule.check(&self.limits).is_ok()
    }

    /// The ballots on a proposal that count: those of current members, given since they became members, and by a rule
    /// only if it would still give it.
    pub fn tally(&self, id: ProposalId, proposer: ActorId, actions: &[Action]) -> Read<Tally> {
        let mut cases = None;
        let mut said = BTreeMap::new();
        for (member, ballot) in self.tables.ballots(id)? {
            if !self.counts_since(&member, ballot.seqno) {
                continue;
            }
            if let Source::Standing(rule) = &ballot.source {
                if cases.is_none() {
                    cases = Some(self.cases(proposer, actions, |_| Ok(0))?);
                }
                if !self.still_accepts(&member, rule, cases.as_deref().unwrap_or_default())? {
                    continue;
                }
            }
            said.insert(member, ballot.choice);
        }
        Ok(Tally::new(self.members().map(|member| (*member, said.get(member).copied()))))
    }

    /// Whether `member` is one, and was so when a ballot of it came at `seqno`.
    pub fn counts_since(&self, member: &ActorId, seqno: u64) -> bool {
        self.actors.get(member).is_some_and(|(role, since)| *role == Role::Member && seqno > *since)
    }

    fn still_accepts(&self, member: &ActorId, rule: &[u8], cases: &[Case<'_>]) -> Read<bool> {
        let Ok(digest) = rule.try_into().map(Digest) else { return Ok(false) };
        let record = STANDING.get(self.tables.0, &(*member, digest))?;
        Ok(record.is_some_and(|record| self.accepts(&record.rule, record.seqno, cases, &mut RULE_STEPS_MAX.clone())))
    }
}
