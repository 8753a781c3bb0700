//! The governance tables: all maps named `gov.*`, and reading them.
//!
//! They change only by what [`crate::execute()`] and [`crate::Constitution::genesis_writes`] return. What is absent has its
//! documented default.

use std::collections::BTreeMap;

use synod_kv::{Entries, EntryRefused, KeyCodec, Lookup, Map, State};
use synod_types::{ActorId, Digest, NodeId, Seqno, Time};

use crate::actions::ActionKind;
use crate::bounded::{List, Name};
use crate::entries::{
    ActorEntry, AdapterEntry, AuditorEntry, AutoVote, BallotRecord, CodeEntry, CodeVerdict, CrlEntry, Decision,
    Durability, Epochs, Measurement, NetworkEntry, NodeEntry, Platform, Proposal, Proposers, Quorums, ReleaseRule,
    Role, RuleRecord, Rules, ServiceEntry, Settings, Status, TeeRule,
};
use crate::facts::Facts;
use crate::limits::ACTIONS_MAX;
use crate::macros::record;
use crate::policy::Policy;
use crate::tally::Tally;

/// A proposal's id: they are numbered from 1.
pub type ProposalId = u64;

/// What reading tables gives: an error if another version of the code wrote them.
pub type Read<T> = Result<T, EntryRefused>;

pub(crate) const NETWORK: Map<(), NetworkEntry> = Map::from_static("gov.network");
pub(crate) const ACTORS: Map<ActorId, ActorEntry> = Map::from_static("gov.actors");
pub(crate) const REVOKED: Map<ActorId, CrlEntry> = Map::from_static("gov.revoked");
pub(crate) const AUDITORS: Map<Digest, AuditorEntry> = Map::from_static("gov.auditors");
pub(crate) const NODES: Map<NodeId, NodeEntry> = Map::from_static("gov.nodes");
/// The highest slot that was ever given; slots are not used twice.
pub(crate) const NODES_LAST: Map<(), u64> = Map::from_static("gov.nodes_last");
pub(crate) const ADAPTERS: Map<u8, AdapterEntry> = Map::from_static("gov.adapters");
pub(crate) const CODE: Map<Vec<u8>, CodeEntry> = Map::from_static("gov.code");
/// Key digest and product to the rule.
pub(crate) const RELEASES: Map<Vec<u8>, ReleaseRule> = Map::from_static("gov.releases");
pub(crate) const TEES: Map<u8, TeeRule> = Map::from_static("gov.tees");
pub(crate) const RULES: Map<(), Rules> = Map::from_static("gov.rules");
pub(crate) const EPOCHS: Map<(), Epochs> = Map::from_static("gov.epochs");
pub(crate) const QUORUMS: Map<(), Quorums> = Map::from_static("gov.quorums");
pub(crate) const DURABILITY: Map<(), Durability> = Map::from_static("gov.durability");
pub(crate) const LEASE: Map<(), u64> = Map::from_static("gov.lease");
pub(crate) const EXPIRY: Map<(), u64> = Map::from_static("gov.expiry");
pub(crate) const SERVICE: Map<(), ServiceEntry> = Map::from_static("gov.service");
/// By kind of action; 0 is the default.
pub(crate) const POLICIES: Map<u8, Policy> = Map::from_static("gov.policies");
pub(crate) const PROPOSERS: Map<u8, Proposers> = Map::from_static("gov.proposers");
pub(crate) const AUTO_VOTES: Map<u8, AutoVote> = Map::from_static("gov.auto_votes");
/// By member and digest of the rule.
pub(crate) const STANDING: Map<(ActorId, Digest), RuleRecord> = Map::from_static("gov.standing");
/// The highest counter of a member's statements on standing rules.
pub(crate) const STANDING_COUNTERS: Map<ActorId, u64> = Map::from_static("gov.standing_counters");
pub(crate) const PROPOSALS: Map<ProposalId, Proposal> = Map::from_static("gov.proposals");
pub(crate) const PROPOSALS_LAST: Map<(), ProposalId> = Map::from_static("gov.proposals_last");
/// By digest: so that one signed proposal is submitted once.
pub(crate) const PROPOSALS_BY_DIGEST: Map<Digest, ProposalId> = Map::from_static("gov.proposals_by_digest");
pub(crate) const DECISIONS: Map<ProposalId, Decision> = Map::from_static("gov.decisions");
/// Decisions by the seqno of the transaction that closed the proposal.
pub(crate) const DECIDED: Map<(u64, ProposalId), Mark> = Map::from_static("gov.decided");
/// How much a participant proposed on a day.
pub(crate) const PROPOSED: Map<ActorId, Proposed> = Map::from_static("gov.proposed");
pub(crate) const BALLOTS: Map<(ProposalId, ActorId), BallotRecord> = Map::from_static("gov.ballots");
pub(crate) const OPEN: Map<ProposalId, OpenEntry> = Map::from_static("gov.open");
/// How many proposals of an actor are open.
pub(crate) const OPEN_OF: Map<ActorId, u32> = Map::from_static("gov.open_of");
/// How many proposals are open of those who were members, and of those who were participants, when they proposed.
pub(crate) const OPEN_BY: Map<u8, u32> = Map::from_static("gov.open_by");
/// Open proposals whose proposer has left: nobody can vote on them any more, and later transactions close them.
pub(crate) const ABANDONED: Map<ProposalId, Mark> = Map::from_static("gov.abandoned");
/// How many nodes open proposals would give an actor.
pub(crate) const NODES_PENDING: Map<ActorId, u32> = Map::from_static("gov.nodes_pending");
/// Open proposals by the time at which they expire.
pub(crate) const EXPIRING: Map<(u64, ProposalId), Mark> = Map::from_static("gov.expiring");

record! {
    /// The value of an entry that says all by being there.
    pub struct Mark {}
}

record! {
    /// What has to be undone when an open proposal closes.
    pub struct OpenEntry {
        /// Who proposed it.
        #[serde(with = "crate::shape::actor")]
        pub proposer: ActorId,
        /// The proposer's role then: in whose room it lies.
        pub role: Role,
        /// When it expires, if it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires: Option<u64>,
        /// The nodes that it would give actors, as counted when it was submitted.
        pub nodes_pending: List<PendingNodes, ACTIONS_MAX>,
    }
}

record! {
    /// How much somebody proposed on one day.
    pub struct Proposed {
        /// The day, counted from the Unix epoch by ledger time.
        pub day: u64,
        /// How many proposals.
        pub count: u32,
    }
}

record! {
    /// How many nodes a proposal would give an actor.
    pub struct PendingNodes {
        /// The actor.
        #[serde(with = "crate::shape::actor")]
        pub owner: ActorId,
        /// How many.
        pub count: u32,
    }
}

/// The key of the default policy; kinds of actions begin at 1.
pub(crate) const POLICY_DEFAULT: u8 = 0;

/// The transactions that decided each adapter's settings, in the order of the adapters' ids.
pub fn settings_decided(tables: &State) -> impl Iterator<Item = Seqno> + '_ {
    (0..=u8::MAX).map_while(|id| tables.version(ADAPTERS.name(), &[id]))
}

/// The tables, to be read.
#[derive(Clone, Copy)]
pub struct Tables<'s>(pub &'s dyn Lookup);

impl<'s> Tables<'s> {
    /// The tables as they lie in a state, or in a transaction on one.
    pub const fn new(view: &'s dyn Lookup) -> Self {
        Self(view)
    }

    /// What genesis decided for good.
    pub fn network(&self) -> Read<Option<NetworkEntry>> {
        NETWORK.get(self.0, &())
    }

    /// An actor.
    pub fn actor(&self, id: &ActorId) -> Read<Option<ActorEntry>> {
        ACTORS.get(self.0, id)
    }

    /// All actors, by id.
    pub fn actors(&self) -> Read<BTreeMap<ActorId, ActorEntry>> {
        ACTORS.range(self.0, ..).collect()
    }

    /// Whether `id` is a member.
    pub fn is_member(&self, id: &ActorId) -> Read<bool> {
        Ok(self.actor(id)?.is_some_and(|actor| actor.role == Role::Member))
    }

    /// The members, by id.
    pub fn members(&self) -> Read<BTreeMap<ActorId, ActorEntry>> {
        let mut actors = self.actors()?;
        actors.retain(|_, actor| actor.role == Role::Member);
        Ok(actors)
    }

    /// The newest revocation list of an actor.
    pub fn revoked(&self, id: &ActorId) -> Read<Option<CrlEntry>> {
        REVOKED.get(self.0, id)
    }

    /// The auditors, by the digest of their certificate's key.
    pub fn auditors(&self) -> Read<BTreeMap<Digest, AuditorEntry>> {
        AUDITORS.range(self.0, ..).collect()
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Read<Option<NodeEntry>> {
        NODES.get(self.0, &id)
    }

    /// The nodes, by slot.
    pub fn nodes(&self) -> Read<BTreeMap<NodeId, NodeEntry>> {
        NODES.range(self.0, ..).collect()
    }

    /// How many nodes an actor has.
    pub fn node_count_of(&self, owner: &ActorId) -> Read<u32> {
        let nodes = self.nodes()?;
        Ok(u32::try_from(nodes.values().filter(|node| node.owner == *owner).count()).unwrap_or(u32::MAX))
    }

    /// The adapters, in the order of their ids.
    pub fn adapters(&self) -> Read<Vec<AdapterEntry>> {
        ADAPTERS.range(self.0, ..).map(|entry| Ok(entry?.1)).collect()
    }

    /// The code manifest.
    pub fn code(&self) -> Read<BTreeMap<Vec<u8>, CodeEntry>> {
        CODE.range(self.0, ..).collect()
    }

    /// What members said of a measurement.
    pub fn code_entry(&self, measurement: &Measurement) -> Read<Option<CodeEntry>> {
        CODE.get(self.0, &measurement.to_vec())
    }

    /// Whether members approved a measurement.
    pub fn is_code_approved(&self, measurement: &Measurement) -> Read<bool> {
        Ok(self.code_entry(measurement)?.is_some_and(|entry| entry.verdict == CodeVerdict::Approved))
    }

    /// The rules for signed releases.
    pub fn releases(&self) -> Read<Vec<ReleaseRule>> {
        RELEASES.range(self.0, ..).map(|entry| Ok(entry?.1)).collect()
    }

    /// The rule for a platform; without one it is not trusted.
    pub fn tee_rule(&self, platform: Platform) -> Read<Option<TeeRule>> {
        TEES.get(self.0, &(platform as u8))
    }

    /// All settings in force, defaults filled in.
    pub fn settings(&self) -> Read<Settings> {
        Ok(Settings {
            rules: RULES.get(self.0, &())?.unwrap_or_default(),
            epochs: EPOCHS.get(self.0, &())?.unwrap_or_default(),
            quorums: QUORUMS.get(self.0, &())?.unwrap_or_default(),
            durability: DURABILITY.get(self.0, &())?.unwrap_or_default(),
            lease_seconds: LEASE.get(self.0, &())?,
            proposal_expiry_seconds: EXPIRY.get(self.0, &())?,
        })
    }

    /// How often members asked for a new identity of the service.
    pub fn service(&self) -> Read<ServiceEntry> {
        Ok(SERVICE.get(self.0, &())?.unwrap_or_default())
    }

    /// The default policy.
    pub fn policy_default(&self) -> Read<Policy> {
        Ok(POLICIES.get(self.0, &POLICY_DEFAULT)?.unwrap_or_default())
    }

    /// The policy that was set for a kind of action; `None` if the default applies.
    pub fn policy_of(&self, kind: ActionKind) -> Read<Option<Policy>> {
        POLICIES.get(self.0, &kind.tag())
    }

    /// Who may propose a kind of action.
    pub fn proposers_of(&self, kind: ActionKind) -> Read<Proposers> {
        Ok(PROPOSERS.get(self.0, &kind.tag())?.unwrap_or(kind.proposers_default()))
    }

    /// The limits of automatic votes on a kind of action; `None` if there are none.
    pub fn auto_vote(&self, kind: ActionKind) -> Read<Option<AutoVote>> {
        AUTO_VOTES.get(self.0, &kind.tag())
    }

    /// The limits of automatic votes by kind of action.
    pub(crate) fn auto_votes(&self) -> Read<BTreeMap<u8, AutoVote>> {
        AUTO_VOTES.range(self.0, ..).collect()
    }

    /// A member's standing rules, by their digests.
    pub fn standing_rules_of(&self, member: &ActorId) -> Read<BTreeMap<Digest, RuleRecord>> {
        let bounds = (*member, Digest([0; 32]))..=(*member, Digest([0xff; 32]));
        STANDING.range(self.0, bounds).map(|entry| entry.map(|((_, digest), record)| (digest, record))).collect()
    }

    /// The highest counter of a member's statements on standing rules; 0 if there was none.
    pub fn standing_counter(&self, member: &ActorId) -> Read<u64> {
        Ok(STANDING_COUNTERS.get(self.0, member)?.unwrap_or(0))
    }

    /// The id of the newest proposal; 0 if there was none.
    pub fn proposals_last(&self) -> Read<ProposalId> {
        Ok(PROPOSALS_LAST.get(self.0, &())?.unwrap_or(0))
    }

    /// A proposal.
    pub fn proposal(&self, id: ProposalId) -> Read<Option<Proposal>> {
        PROPOSALS.get(self.0, &id)
    }

    /// The id of the proposal with this digest.
    pub fn proposal_by_digest(&self, digest: &Digest) -> Read<Option<ProposalId>> {
        PROPOSALS_BY_DIGEST.get(self.0, digest)
    }

    /// What became of a proposal; `None` while it is open, or if there is none.
    pub fn decision(&self, id: ProposalId) -> Read<Option<Decision>> {
        DECISIONS.get(self.0, &id)
    }

    /// Whether a transaction has closed a proposal.
    pub(crate) fn is_closed(&self, id: ProposalId) -> bool {
        DECISIONS.has(self.0, &id)
    }

    /// The proposals that transactions closed from the seqno `from` on, ascending by seqno.
    pub(crate) fn decided(&self, from: u64) -> Entries<'s, (u64, ProposalId), Mark> {
        DECIDED.range(self.0, (from, 0)..)
    }

    /// How many bytes the entry of a proposal takes.
    pub(crate) fn proposal_size(&self, id: ProposalId) -> usize {
        self.0.get(PROPOSALS.name(), &id.key_bytes()).map_or(0, |entry| entry.as_slice().len())
    }

    /// Where a proposal stands at ledger time `at`; `None` if there is none.
    ///
    /// One whose time is over is `Expired`, and one whose proposer has left `Abandoned`, whether or not a transaction
    /// has recorded that yet.
    pub fn status(&self, id: ProposalId, at: Time) -> Read<Option<Status>> {
        if let Some(decision) = self.decision(id)? {
            return Ok(Some(decision.status));
        }
        let Some(open) = OPEN.get(self.0, &id)? else { return Ok(None) };
        if ABANDONED.has(self.0, &id) {
            return Ok(Some(Status::Abandoned));
        }
        let is_over = open.expires.is_some_and(|expires| expires <= at.0);
        Ok(Some(if is_over { Status::Expired } else { Status::Open }))
    }

    /// Open proposals, ascending by id, from `from` on, at most `count_max`. One whose time is over, or whose proposer
    /// has left, is among them until a transaction has recorded that: see [`Tables::status`].
    pub fn open_proposals(&self, from: ProposalId, count_max: usize) -> Read<Vec<ProposalId>> {
        OPEN.range(self.0, from..).take(count_max).map(|entry| Ok(entry?.0)).collect()
    }

    /// A member's ballot on a proposal.
    pub fn ballot(&self, id: ProposalId, member: &ActorId) -> Read<Option<BallotRecord>> {
        BALLOTS.get(self.0, &(id, *member))
    }

    /// All ballots on a proposal, those of former members included.
    pub fn ballots(&self, id: ProposalId) -> Read<BTreeMap<ActorId, BallotRecord>> {
        let bounds = (id, ActorId([0; 32]))..=(id, ActorId([0xff; 32]));
        BALLOTS.range(self.0, bounds).map(|entry| entry.map(|((_, member), ballot)| (member, ballot))).collect()
    }

    /// The ballots that count: those of current members, given since they became members, and by a standing rule only
    /// if it would still give it.
    pub fn tally(&self, id: ProposalId) -> Read<Tally> {
        let Some(proposal) = self.proposal(id)? else { return Ok(Tally::default()) };
        Facts::read(*self)?.tally(id, proposal.proposer, &proposal.actions)
    }

    /// The actor of this name.
    pub fn actor_named(&self, name: &Name) -> Read<Option<ActorId>> {
        Ok(self.actors()?.into_iter().find(|(_, actor)| actor.name == *name).map(|(id, _)| id))
    }
}

impl std::fmt::Debug for Tables<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tables(..)")
    }
}
