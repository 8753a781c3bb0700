//! Reading a constitution document.

use std::collections::BTreeMap;

use serde::Deserialize;
use synod_kv::WriteSet;
use synod_types::{ActorId, NodeId, Time};
use toml::Spanned;

use super::founding::Beside;
use super::policy::NamedPolicy;
use crate::actions::{ActionKind, AddActor, PolicyKey};
use crate::bounded::{Blob, Name};
use crate::constitution::{Constitution, Flaw, Place};
use crate::entries::{
    AdapterEntry, Address, AdminPart, AuditorEntry, AutoVote, CertificateDer, CodeEntry, CodeVerdict, Durability,
    Epochs, Measurement, NodeEntry, Pins, Platform, Proposers, Quorums, ReleaseRule, Role, Rules, ServiceEntry,
    TcbComponent, TeeRule,
};
use crate::limits::PUBLIC_KEY_BYTES_MAX;
use crate::reason::Reason;

/// A constitution as read from a document, with where in the document everything stands.
#[derive(Clone)]
pub struct Document {
    constitution: Constitution,
    text: String,
    actors: Vec<usize>,
    nodes: BTreeMap<NodeId, usize>,
    adapters: Vec<usize>,
    code: BTreeMap<Measurement, usize>,
    auditors: Vec<usize>,
    policies: BTreeMap<PolicyKey, usize>,
    proposers: BTreeMap<ActionKind, usize>,
    auto_votes: BTreeMap<ActionKind, usize>,
}

/// Something wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parsed {
    network: ParsedNetwork,
    #[serde(default)]
    member: Vec<Spanned<ParsedActor>>,
    #[serde(default)]
    participant: Vec<Spanned<ParsedActor>>,
    #[serde(default)]
    node: Vec<Spanned<ParsedNode>>,
    #[serde(default)]
    adapter: Vec<Spanned<AdapterEntry>>,
    #[serde(default)]
    code: Vec<Spanned<ParsedCode>>,
    #[serde(default)]
    release: Vec<ReleaseRule>,
    #[serde(default)]
    tee: Vec<Spanned<ParsedTee>>,
    #[serde(default)]
    policies: BTreeMap<Spanned<String>, NamedPolicy>,
    #[serde(default)]
    proposers: BTreeMap<Spanned<String>, Proposers>,
    #[serde(default)]
    auto_votes: BTreeMap<Spanned<String>, AutoVote>,
    #[serde(default)]
    settings: ParsedSettings,
    #[serde(default)]
    auditor: Vec<Spanned<AuditorEntry>>,
    #[serde(default)]
    service: ServiceEntry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParsedNetwork {
    name: Name,
    #[serde(default)]
    admin: AdminPart,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParsedActor {
    name: Name,
    /// For people; if it is there, it has to fit the certificate.
    id: Option<String>,
    certificate: Option<CertificateDer>,
    /// In a founding document, in place of `certificate`.
    certificate_file: Option<Spanned<String>>,
    #[serde(default)]
    pins: Pins,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParsedNode {
    slot: u64,
    name: Name,
    owner: Spanned<String>,
    /// Left out in a founding document.
    public_key: Option<Spanned<Blob<PUBLIC_KEY_BYTES_MAX>>>,
    address: Address,
    code: Option<Measurement>,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParsedCode {
    measurement: Measurement,
    verdict: CodeVerdict,
    framework: Name,
    adapter: Name,
    adapter_version: Name,
    source_commit: Blob<32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParsedTee {
    platform: Platform,
    allowed: bool,
    #[serde(default)]
    tcb_min: Vec<TcbComponent>,
    #[serde(default)]
    advisories_denied: Vec<Name>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParsedSettings {
    blocks: Option<Rules>,
    epochs: Option<Epochs>,
    quorums: Option<Quorums>,
    durability: Option<Durability>,
    lease_seconds: Option<u64>,
    proposal_expiry_seconds: Option<u64>,
}

impl Document {
    /// Reads a document. Whether it contradicts itself is looked at by [`Document::genesis_writes`].
    ///
    /// # Errors
    /// The first thing that is not of the documented form, or every reference that leads nowhere.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        Self::read(text, None)
    }

    /// Reads the document with which founders begin a network: in it `certificate_file` may stand in the place of an actor's
    /// `certificate`, and nodes have no `public_key` yet.
    ///
    /// # Errors
    /// As [`Document::parse`], and every file that cannot be had, and every key that is there already.
    pub fn parse_founding(text: &str, beside: &Beside<'_>) -> Result<Self, Vec<Problem>> {
        Self::read(text, Some(beside))
    }

    fn read(text: &str, beside: Option<&Beside<'_>>) -> Result<Self, Vec<Problem>> {
        let parsed: Parsed = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            vec![problem(text, at, error.message().to_owned())]
        })?;
        let mut reader = Reader { document: Self::empty(text, &parsed), beside, problems: Vec::new() };
        reader.read(parsed);
        if reader.problems.is_empty() { Ok(reader.document) } else { Err(reader.problems) }
    }

    /// The constitution.
    pub const fn constitution(&self) -> &Constitution {
        &self.constitution
    }

    /// What the genesis transaction of a network that begins at `time` writes.
    ///
    /// # Errors
    /// Every contradiction and everything that could not be in force, with its line.
    pub fn genesis_writes(&self, time: Time) -> Result<WriteSet, Vec<Problem>> {
        let located = |flaws: Vec<Flaw>| flaws.iter().map(|flaw| self.locate(flaw)).collect();
        self.constitution.genesis_writes(time).map_err(located)
    }

    /// What an adapter has against its entry, as a problem of its line; of the document as a whole if none has that name.
    pub fn adapter_problem(&self, name: &str, reason: String) -> Problem {
        let place = self.constitution.adapters.iter().position(|adapter| adapter.name.as_str() == name);
        let at = place.and_then(|place| self.adapters.get(place));
        problem(&self.text, at.copied().unwrap_or(0), reason)
    }

    /// Lists a node that the document leaves to whoever founds the network. What is wrong with it is told of the document's
    /// first line.
    pub fn add_node(&mut self, slot: NodeId, node: NodeEntry) {
        self.constitution.nodes.insert(slot, node);
    }

    fn locate(&self, flaw: &Flaw) -> Problem {
        let named = |name: &Name| match ActionKind::ALL.iter().find(|kind| kind.name() == name.as_str()) {
            Some(kind) => self.policies.get(&PolicyKey::Kind(*kind)),
            None => self.policies.get(&PolicyKey::Default),
        };
        let at = match (flaw.place, &flaw.reason) {
            (Place::Actor(place), _) => self.actors.get(place),
            (Place::Node(slot), _) => self.nodes.get(&slot),
            (Place::Whole, Reason::NodeWithoutOwner { node, .. }) => self.nodes.get(node),
            (Place::Adapter(place), _) => self.adapters.get(place),
            (Place::Code(place), _) => self.code.values().nth(place),
            (Place::Auditor(place), _) => self.auditors.get(place),
            (Place::Policy(key), _) => self.policies.get(&key),
            (Place::Proposers(kind), _) => self.proposers.get(&kind),
            (Place::AutoVote(kind), _) => self.auto_votes.get(&kind),
            (Place::Whole, Reason::PolicyUnreachable { of, .. } | Reason::PolicyMalformed { of, .. }) => named(of),
            (Place::Whole, _) => None,
        };
        problem(&self.text, at.copied().unwrap_or(0), flaw.reason.to_string())
    }

    fn empty(text: &str, parsed: &Parsed) -> Self {
        Self {
            constitution: Constitution::named(parsed.network.name.clone()),
            text: text.to_owned(),
            actors: Vec::new(),
            nodes: BTreeMap::new(),
            adapters: Vec::new(),
            code: BTreeMap::new(),
            auditors: Vec::new(),
            policies: BTreeMap::new(),
            proposers: BTreeMap::new(),
            auto_votes: BTreeMap::new(),
        }
    }
}

/// Prints the size only: who takes part is private.
impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({} bytes)", self.text.len())
    }
}

pub(super) struct Reader<'a> {
    document: Document,
    pub(super) beside: Option<&'a Beside<'a>>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn read(&mut self, parsed: Parsed) {
        self.document.constitution.network.admin = parsed.network.admin;
        parsed.member.into_iter().for_each(|actor| self.actor(Role::Member, actor));
        parsed.participant.into_iter().for_each(|actor| self.actor(Role::Participant, actor));
        parsed.node.into_iter().for_each(|node| self.node(node));
        for adapter in parsed.adapter {
            self.document.adapters.push(adapter.span().start);
            self.document.constitution.adapters.push(adapter.into_inner());
        }
        parsed.code.into_iter().for_each(|code| self.code(code));
        self.document.constitution.releases = parsed.release;
        parsed.tee.into_iter().for_each(|tee| self.tee(tee));
        self.voting(parsed.policies, parsed.proposers, parsed.auto_votes);
        let ParsedSettings { blocks, epochs, quorums, durability, lease_seconds, proposal_expiry_seconds } =
            parsed.settings;
        let constitution = &mut self.document.constitution;
        constitution.rules = blocks;
        constitution.epochs = epochs;
        constitution.quorums = quorums;
        constitution.durability = durability;
        constitution.lease_seconds = lease_seconds;
        constitution.proposal_expiry_seconds = proposal_expiry_seconds;
        constitution.service = parsed.service;
        for auditor in parsed.auditor {
            self.document.auditors.push(auditor.span().start);
            self.document.constitution.auditors.push(auditor.into_inner());
        }
    }

    fn actor(&mut self, role: Role, actor: Spanned<ParsedActor>) {
        let at = actor.span().start;
        let ParsedActor { name, id, certificate, certificate_file, pins } = actor.into_inner();
        let Some(certificate) = self.certificate(at, certificate, certificate_file) else { return };
        let found = certificate.actor_id().map(|id| id.to_hex());
        if id.is_some_and(|id| Some(id) != found) {
            self.refuse(at, format!("the id of {:?} is not that of the certificate's key", name.as_str()));
        }
        self.document.actors.push(at);
        self.document.constitution.actors.push((role, AddActor { name, certificate, pins }));
    }

    fn node(&mut self, node: Spanned<ParsedNode>) {
        let at = node.span().start;
        let ParsedNode { slot, name, owner, public_key, address, code, platform } = node.into_inner();
        let Some(owner_id) = self.id_of(owner.get_ref()) else {
            let reason = format!("there is no actor {:?}", owner.get_ref());
            return self.refuse(owner.span().start, reason);
        };
        let Some(public_key) = self.public_key(at, NodeId(slot), public_key) else { return };
        let entry = NodeEntry { name, owner: owner_id, public_key, address, code, platform };
        if self.document.nodes.insert(NodeId(slot), at).is_some() {
            self.refuse(at, format!("the slot {slot} is taken"));
        }
        self.document.constitution.nodes.insert(NodeId(slot), entry);
    }

    fn code(&mut self, code: Spanned<ParsedCode>) {
        let at = code.span().start;
        let ParsedCode { measurement, verdict, framework, adapter, adapter_version, source_commit } = code.into_inner();
        let entry = CodeEntry { verdict, framework, adapter, adapter_version, source_commit };
        if self.document.code.insert(measurement.clone(), at).is_some() {
            self.refuse(at, "there is an entry for this measurement already".into());
        }
        self.document.constitution.code.insert(measurement, entry);
    }

    fn tee(&mut self, tee: Spanned<ParsedTee>) {
        let at = tee.span().start;
        let ParsedTee { platform, allowed, tcb_min, advisories_denied } = tee.into_inner();
        let lists = crate::bounded::List::new(tcb_min).ok().zip(crate::bounded::List::new(advisories_denied).ok());
        let Some((tcb_min, advisories_denied)) = lists else {
            return self.refuse(at, "too many components or advisories".into());
        };
        let rule = TeeRule { allowed, tcb_min, advisories_denied };
        if self.document.constitution.tees.insert(platform, rule).is_some() {
            self.refuse(at, "there is a rule for this platform already".into());
        }
    }

    fn voting(
        &mut self,
        policies: BTreeMap<Spanned<String>, NamedPolicy>,
        proposers: BTreeMap<Spanned<String>, Proposers>,
        auto_votes: BTreeMap<Spanned<String>, AutoVote>,
    ) {
        for (key, policy) in policies {
            let at = key.span().start;
            let is_default = key.get_ref() == "default";
            let Some(kind) = (if is_default { Some(PolicyKey::Default) } else { self.kind(&key).map(PolicyKey::Kind) })
            else {
                continue;
            };
            match policy.resolve(&|name| self.id_of(name)) {
                Ok(policy) => drop(self.document.constitution.policies.insert(kind, policy)),
                Err(reason) => self.refuse(at, reason),
            }
            self.document.policies.insert(kind, at);
        }
        for (key, value) in proposers {
            if let Some(kind) = self.kind(&key) {
                self.document.constitution.proposers.insert(kind, value);
                self.document.proposers.insert(kind, key.span().start);
            }
        }
        for (key, value) in auto_votes {
            if let Some(kind) = self.kind(&key) {
                self.document.constitution.auto_votes.insert(kind, value);
                self.document.auto_votes.insert(kind, key.span().start);
            }
        }
    }

    fn kind(&mut self, key: &Spanned<String>) -> Option<ActionKind> {
        let kind = ActionKind::ALL.iter().copied().find(|kind| kind.name() == key.get_ref());
        if kind.is_none() {
            self.refuse(key.span().start, format!("there is no kind of action {:?}", key.get_ref()));
        }
        kind
    }

    /// The actor of this name, or with this id.
    fn id_of(&self, name: &str) -> Option<ActorId> {
        let constitution = &self.document.constitution;
        let by_id = || ActorId::from_hex(name).filter(|id| constitution.name_of(id).is_some());
        constitution.actor_named(name).or_else(by_id)
    }

    pub(super) fn refuse(&mut self, at: usize, reason: String) {
        self.problems.push(problem(&self.document.text, at, reason));
    }
}

fn problem(text: &str, at: usize, reason: String) -> Problem {
    let before = text.get(..at).unwrap_or("");
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Problem { line, column, reason }
}
