//! The constitution as one value: what genesis writes, and what the tables say at any later time.

use std::collections::{BTreeMap, BTreeSet};

use synod_kv::{Lookup, State, Tx, WriteSet};
use synod_types::{ActorId, Digest, NodeId, Seqno, Time};

use crate::actions::{
    Action, ActionKind, AddActor, ApproveCode, DenyCode, PolicyKey, Roster, Scene, SetAutoVote, SetBlocks,
    SetDurability, SetEpochs, SetLease, SetPolicy, SetProposalExpiry, SetProposers, SetQuorums, SetReleaseRule,
    SetTeeRule, check_node,
};
use crate::check::check;
use crate::entries::{
    AdapterEntry, AdminPart, AuditorEntry, AutoVote, CodeEntry, CodeVerdict, Durability, Epochs, Measurement,
    NetworkEntry, NodeEntry, Platform, Proposers, Quorums, ReleaseRule, Role, Rules, ServiceEntry, TeeRule,
};
use crate::execute::Env;
use crate::limits::ADAPTERS_MAX;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::tables::{
    ADAPTERS, AUTO_VOTES, CODE, DURABILITY, EPOCHS, EXPIRY, LEASE, NETWORK, NODES, NODES_LAST, POLICIES,
    POLICY_DEFAULT, PROPOSERS, QUORUMS, RULES, Read, SERVICE, Tables,
};

/// The constitution. What is `None`, or absent from a list, has its documented default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constitution {
    /// What genesis decides for good.
    pub network: NetworkEntry,
    /// The members and participants.
    pub actors: Vec<(Role, AddActor)>,
    /// The nodes by slot.
    pub nodes: BTreeMap<NodeId, NodeEntry>,
    /// The adapters, in the order of their ids.
    pub adapters: Vec<AdapterEntry>,
    /// The code manifest.
    pub code: BTreeMap<Measurement, CodeEntry>,
    /// The rules for signed releases.
    pub releases: Vec<ReleaseRule>,
    /// The TEE manifest.
    pub tees: BTreeMap<Platform, TeeRule>,
    /// How proposals are decided.
    pub policies: BTreeMap<PolicyKey, Policy>,
    /// Who may propose.
    pub proposers: BTreeMap<ActionKind, Proposers>,
    /// The limits of automatic votes.
    pub auto_votes: BTreeMap<ActionKind, AutoVote>,
    /// The rules for blocks.
    pub rules: Option<Rules>,
    /// How long session keys are used, and kept.
    pub epochs: Option<Epochs>,
    /// How many nodes decide.
    pub quorums: Option<Quorums>,
    /// When a node acknowledges a block.
    pub durability: Option<Durability>,
    /// How long a node may run before it has to prove itself anew, in seconds.
    pub lease_seconds: Option<u64>,
    /// How long proposals stay open if they do not say, in seconds.
    pub proposal_expiry_seconds: Option<u64>,
    /// Who may read parts of the ledger.
    pub auditors: Vec<AuditorEntry>,
    /// How often members asked for a new identity of the service.
    pub service: ServiceEntry,
}

/// A reason against a constitution, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Where.
    pub place: Place,
    /// The reason.
    pub reason: Reason,
}

/// A part of a constitution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The member or participant at this place of [`Constitution::actors`].
    Actor(usize),
    /// The node in this slot.
    Node(NodeId),
    /// The adapter at this place.
    Adapter(usize),
    /// The measurement at this place.
    Code(usize),
    /// The auditor at this place.
    Auditor(usize),
    /// A policy.
    Policy(PolicyKey),
    /// Who may propose a kind of action.
    Proposers(ActionKind),
    /// The limits of automatic votes on a kind of action.
    AutoVote(ActionKind),
    /// All of it together.
    Whole,
}

impl Constitution {
    /// A constitution that says nothing but the name of its network.
    pub fn named(name: crate::bounded::Name) -> Self {
        Self {
            network: NetworkEntry { name, admin: AdminPart::default() },
            actors: Vec::new(),
            nodes: BTreeMap::new(),
            adapters: Vec::new(),
            code: BTreeMap::new(),
            releases: Vec::new(),
            tees: BTreeMap::new(),
            policies: BTreeMap::new(),
            proposers: BTreeMap::new(),
            auto_votes: BTreeMap::new(),
            rules: None,
            epochs: None,
            quorums: None,
            durability: None,
            lease_seconds: None,
            proposal_expiry_seconds: None,
            auditors: Vec::new(),
            service: ServiceEntry::default(),
        }
    }

    /// What the genesis transaction of a network that begins at `time` writes.
    ///
    /// # Errors
    /// Every reason against it.
    pub fn genesis_writes(&self, time: Time) -> Result<WriteSet, Vec<Flaw>> {
        let state = State::default();
        let mut genesis = Genesis { tx: Tx::new(&state), time, flaws: Vec::new(), roster: Roster::default() };
        self.write(&mut genesis).expect("tables that were written here can be read");
        if genesis.flaws.is_empty() { Ok(genesis.tx.into_write_set()) } else { Err(genesis.flaws) }
    }

    /// The constitution that the tables hold; `None` before genesis.
    ///
    /// # Errors
    /// If another version of the code wrote the tables.
    pub fn from_state(state: &dyn Lookup) -> Read<Option<Self>> {
        let tables = Tables(state);
        let Some(network) = tables.network()? else { return Ok(None) };
        let mut constitution = Self::named(network.name.clone());
        constitution.network = network;
        constitution.actors = tables
            .actors()?
            .into_values()
            .map(|actor| (actor.role, AddActor { name: actor.name, certificate: actor.certificate, pins: actor.pins }))
            .collect();
        // Members first, each by name: as people look for them.
        constitution.actors.sort_by(|(a, x), (b, y)| (*a as u8, &x.name).cmp(&(*b as u8, &y.name)));
        constitution.nodes = tables.nodes()?;
        constitution.adapters = tables.adapters()?;
        for entry in CODE.range(state, ..) {
            let (key, entry) = entry?;
            constitution.code.insert(Measurement::new(key).expect("keys are measurements"), entry);
        }
        constitution.releases = tables.releases()?;
        for platform in Platform::ALL {
            if let Some(rule) = tables.tee_rule(*platform)? {
                constitution.tees.insert(*platform, rule);
            }
        }
        constitution.read_voting(state)?;
        constitution.rules = RULES.get(state, &())?;
        constitution.epochs = EPOCHS.get(state, &())?;
        constitution.quorums = QUORUMS.get(state, &())?;
        constitution.durability = DURABILITY.get(state, &())?;
        constitution.lease_seconds = LEASE.get(state, &())?;
        constitution.proposal_expiry_seconds = EXPIRY.get(state, &())?;
        constitution.auditors = tables.auditors()?.into_values().collect();
        constitution.service = tables.service()?;
        Ok(Some(constitution))
    }

    /// The id of the actor of this name.
    pub fn actor_named(&self, name: &str) -> Option<ActorId> {
        let actor = self.actors.iter().find(|(_, actor)| actor.name.as_str() == name);
        actor.and_then(|(_, actor)| actor.certificate.actor_id())
    }

    /// The name of the actor with this id.
    pub fn name_of(&self, id: &ActorId) -> Option<&str> {
        let actor = self.actors.iter().find(|(_, actor)| actor.certificate.actor_id() == Some(*id));
        actor.map(|(_, actor)| actor.name.as_str())
    }

    /// The names of all actors: for who looks up many.
    pub fn names(&self) -> BTreeMap<ActorId, &str> {
        let name = |(_, actor): &'_ (Role, AddActor)| actor.certificate.actor_id();
        self.actors.iter().filter_map(|actor| Some((name(actor)?, actor.1.name.as_str()))).collect()
    }

    fn read_voting(&mut self, state: &dyn Lookup) -> Read<()> {
        for entry in POLICIES.range(state, ..) {
            let (key, policy) = entry?;
            let key = if key == POLICY_DEFAULT { Some(PolicyKey::Default) } else { kind_of(key).map(PolicyKey::Kind) };
            self.policies.extend(key.map(|key| (key, policy)));
        }
        for entry in PROPOSERS.range(state, ..) {
            let (key, proposers) = entry?;
            self.proposers.extend(kind_of(key).map(|kind| (kind, proposers)));
        }
        for entry in AUTO_VOTES.range(state, ..) {
            let (key, limit) = entry?;
            self.auto_votes.extend(kind_of(key).map(|kind| (kind, limit)));
        }
        Ok(())
    }

    /// Genesis is carried out as proposals are: by the same actions, with the same checks.
    fn write(&self, genesis: &mut Genesis<'_>) -> Read<()> {
        NETWORK.put(&mut genesis.tx, &(), &self.network);
        for (place, (role, actor)) in self.actors.iter().enumerate() {
            let action = match role {
                Role::Member => Action::AddMember(actor.clone()),
                Role::Participant => Action::AddParticipant(actor.clone()),
            };
            genesis.act(Place::Actor(place), &action)?;
        }
        for (place, (measurement, entry)) in self.code.iter().enumerate() {
            code_actions(measurement, entry).iter().try_for_each(|action| genesis.act(Place::Code(place), action))?;
        }
        for (platform, rule) in &self.tees {
            genesis.act(
                Place::Whole,
                &Action::SetTeeRule(SetTeeRule { platform: *platform, value: Some(rule.clone()) }),
            )?;
        }
        for rule in &self.releases {
            let value = Some(crate::actions::ReleaseValue { svn_min: rule.svn_min });
            let action = SetReleaseRule { key: rule.key, product: rule.product.clone(), value };
            genesis.act(Place::Whole, &Action::SetReleaseRule(action))?;
        }
        self.write_nodes(genesis)?;
        self.write_adapters(genesis);
        self.write_voting(genesis)?;
        self.write_settings(genesis)?;
        for (place, auditor) in self.auditors.iter().enumerate() {
            genesis.act(Place::Auditor(place), &Action::GrantAuditor(auditor.clone()))?;
        }
        if self.service != ServiceEntry::default() {
            SERVICE.put(&mut genesis.tx, &(), &self.service);
        }
        if genesis.flaws.is_empty() {
            let reasons = check(Tables(&genesis.tx))?;
            genesis.flaws.extend(reasons.into_iter().map(|reason| Flaw { place: Place::Whole, reason }));
        }
        Ok(())
    }

    fn write_nodes(&self, genesis: &mut Genesis<'_>) -> Read<()> {
        for (slot, node) in &self.nodes {
            let mut reasons = Vec::new();
            let env = genesis.env();
            let scene =
                Scene { tables: Tables(&genesis.tx), env: &env, kind: ActionKind::AddNode, roster: &genesis.roster };
            check_node(node, None, &scene, &mut reasons)?;
            if slot.0 == 0 {
                reasons.push(Reason::NoSuchNode { node: *slot });
            }
            genesis.flaws.extend(reasons.into_iter().map(|reason| Flaw { place: Place::Node(*slot), reason }));
            NODES.put(&mut genesis.tx, slot, node);
            NODES_LAST.put(&mut genesis.tx, &(), &slot.0);
        }
        Ok(())
    }

    fn write_adapters(&self, genesis: &mut Genesis<'_>) {
        let mut names = BTreeSet::new();
        for (place, adapter) in self.adapters.iter().enumerate() {
            let mut refuse = |reason| genesis.flaws.push(Flaw { place: Place::Adapter(place), reason });
            if !names.insert(&adapter.name) {
                refuse(Reason::NameTaken { name: adapter.name.clone() });
            }
            match u8::try_from(place) {
                Ok(id) if place < ADAPTERS_MAX => ADAPTERS.put(&mut genesis.tx, &id, adapter),
                _ => refuse(Reason::TooManyEntries { what: "adapters" }),
            }
        }
    }

    fn write_voting(&self, genesis: &mut Genesis<'_>) -> Read<()> {
        for (key, policy) in &self.policies {
            let kind = match key {
                PolicyKey::Default => None,
                PolicyKey::Kind(kind) => Some(*kind),
            };
            genesis.act(Place::Policy(*key), &Action::SetPolicy(SetPolicy { kind, value: Some(policy.clone()) }))?;
        }
        for (kind, proposers) in &self.proposers {
            genesis.act(
                Place::Proposers(*kind),
                &Action::SetProposers(SetProposers { kind: *kind, value: Some(*proposers) }),
            )?;
        }
        for (kind, limit) in &self.auto_votes {
            genesis.act(
                Place::AutoVote(*kind),
                &Action::SetAutoVote(SetAutoVote { kind: *kind, value: Some(limit.clone()) }),
            )?;
        }
        Ok(())
    }

    fn write_settings(&self, genesis: &mut Genesis<'_>) -> Read<()> {
        let actions = [
            self.rules.map(|value| Action::SetBlocks(SetBlocks { value: Some(value) })),
            self.epochs.map(|value| Action::SetEpochs(SetEpochs { value: Some(value) })),
            self.quorums.map(|value| Action::SetQuorums(SetQuorums { value: Some(value) })),
            self.durability.map(|value| Action::SetDurability(SetDurability { value: Some(value) })),
            self.lease_seconds.map(|seconds| Action::SetLease(SetLease { seconds: Some(seconds) })),
            self.proposal_expiry_seconds
                .map(|seconds| Action::SetProposalExpiry(SetProposalExpiry { seconds: Some(seconds) })),
        ];
        actions.iter().flatten().try_for_each(|action| genesis.act(Place::Whole, action))
    }
}

struct Genesis<'s> {
    tx: Tx<'s>,
    time: Time,
    flaws: Vec<Flaw>,
    roster: Roster,
}

impl Genesis<'_> {
    /// Nothing was before genesis: whoever is there from the beginning is there since 0.
    fn env(&self) -> Env {
        Env { network: Digest::default(), seqno: Seqno(0), time: self.time }
    }

    fn act(&mut self, place: Place, action: &Action) -> Read<()> {
        let env = self.env();
        let mut reasons = Vec::new();
        let scene = Scene { tables: Tables(&self.tx), env: &env, kind: action.kind(), roster: &self.roster };
        action.rule().check(&scene, &mut reasons)?;
        if reasons.is_empty() {
            action.rule().apply(action.kind(), &env, &mut self.tx)?;
            self.roster.follow(&action.rule().actors(), Tables(&self.tx))?;
        }
        self.flaws.extend(reasons.into_iter().map(|reason| Flaw { place, reason }));
        Ok(())
    }
}

fn kind_of(key: u8) -> Option<ActionKind> {
    ActionKind::from_tag(key)
}

/// A denied build is approved first, so that what is known of it is on record.
fn code_actions(measurement: &Measurement, entry: &CodeEntry) -> Vec<Action> {
    let verdict = entry.verdict;
    let entry = entry.clone();
    let approve = Action::ApproveCode(ApproveCode {
        measurement: measurement.clone(),
        framework: entry.framework,
        adapter: entry.adapter,
        adapter_version: entry.adapter_version,
        source_commit: entry.source_commit,
    });
    let deny = || Action::DenyCode(DenyCode { measurement: measurement.clone(), name: None });
    [Some(approve), (verdict == CodeVerdict::Denied).then(deny)].into_iter().flatten().collect()
}
