//! The governance tables: who acts, which nodes there are, and the rules in force.
//!
//! They lie in maps named `gov.*`, in the node and not in the worker, and change only by
//! governance transactions. Until members can vote, the genesis transaction is the only one.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use synod_kv::{EntryRefused, Map, State, Tx, WriteSet};
use synod_types::{
    ActorId, AdapterId, Decode, DecodeError, Decoder, Encode, Encoder, NodeId, Seqno, codec::DecodeReason, limits,
};
use synod_worker::{ActorFacts, ActorKind};

const ACTORS: Map<ActorId, Actor> = Map::from_static("gov.actors");
const NODES: Map<NodeId, NodeEntry> = Map::from_static("gov.nodes");
const ADAPTERS: Map<u8, AdapterEntry> = Map::from_static("gov.adapters");
const RULES: Map<(), Rules> = Map::from_static("gov.rules");

/// An organisation that governs or transacts.
#[derive(Clone, PartialEq, Eq)]
pub struct Actor {
    /// What it may do.
    pub kind: ActorKind,
    /// What people call it.
    pub name: String,
    /// Its certificate, X.509 in DER.
    pub certificate: Bytes,
}

/// A slot in the node list.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeEntry {
    /// What people call it.
    pub name: String,
    /// The key that signs its blocks and proves it on channels: SubjectPublicKeyInfo, DER.
    pub public_key: Bytes,
}

/// A ledger protocol that the network runs.
#[derive(Clone, PartialEq, Eq)]
pub struct AdapterEntry {
    /// Its name, as in paths.
    pub name: String,
    /// Its settings, in a form of its own.
    pub settings: Bytes,
}

/// The rules for blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A block closes at this many calls at the latest.
    pub block_calls_max: u32,
    /// A block closes when its oldest request has waited this long while earlier blocks were not yet committed,
    /// in microseconds.
    pub block_delay_us: u64,
    /// How many blocks may be executed ahead of the committed one.
    pub blocks_uncommitted_max: u32,
}

impl Default for Rules {
    /// Blocks that take a few milliseconds to execute and sync, and enough of them under way that
    /// neither the worker nor the disk waits for the other.
    fn default() -> Self {
        Self { block_calls_max: 1_000, block_delay_us: 2_000, blocks_uncommitted_max: 8 }
    }
}

impl Rules {
    /// [`Rules::block_delay_us`] as a duration.
    pub const fn block_delay(&self) -> Duration {
        Duration::from_micros(self.block_delay_us)
    }
}

/// The tables at the committed tip, with what each request needs at hand.
#[derive(Default)]
pub struct Government {
    state: State,
    actors: HashMap<ActorId, ActorFacts>,
    adapters: Vec<String>,
    rules: Rules,
}

/// The write set that fills the tables.
pub fn genesis_writes(
    actors: &[(ActorId, Actor)],
    nodes: &[(NodeId, NodeEntry)],
    adapters: &[AdapterEntry],
    rules: &Rules,
) -> WriteSet {
    let nothing = State::default();
    let mut tx = Tx::new(&nothing);
    for (id, actor) in actors {
        ACTORS.put(&mut tx, id, actor);
    }
    for (id, node) in nodes {
        NODES.put(&mut tx, id, node);
    }
    for (place, adapter) in (0..).zip(adapters) {
        ADAPTERS.put(&mut tx, &place, adapter);
    }
    RULES.put(&mut tx, &(), rules);
    tx.into_write_set()
}

impl Government {
    /// Takes in a committed governance transaction.
    ///
    /// # Errors
    /// If the tables then hold an entry that is not one of theirs.
    pub fn apply(&mut self, writes: &WriteSet, seqno: Seqno) -> Result<(), EntryRefused> {
        self.state.apply(writes, seqno);
        self.actors = ACTORS
            .range(&self.state, ..)
            .map(|entry| entry.map(|(id, actor)| (id, ActorFacts { id, kind: actor.kind })))
            .collect::<Result<_, _>>()?;
        self.adapters =
            ADAPTERS.range(&self.state, ..).map(|entry| Ok(entry?.1.name)).collect::<Result<_, EntryRefused>>()?;
        self.rules = RULES.get(&self.state, &())?.unwrap_or_default();
        Ok(())
    }

    /// What an actor may do; `None` if it is neither member nor participant.
    pub fn actor(&self, id: &ActorId) -> Option<ActorFacts> {
        self.actors.get(id).copied()
    }

    /// Everyone who may do anything, in no particular order.
    pub fn actors(&self) -> impl Iterator<Item = ActorFacts> + '_ {
        self.actors.values().copied()
    }

    /// Whether the network has this adapter.
    pub fn has_adapter(&self, id: AdapterId) -> bool {
        usize::from(id.0) < self.adapters.len()
    }

    /// The adapters' names, in the order of their ids.
    pub fn adapters(&self) -> &[String] {
        &self.adapters
    }

    /// The adapters with their settings.
    ///
    /// # Errors
    /// If an entry is not one of the table's.
    pub fn adapter_entries(&self) -> Result<Vec<AdapterEntry>, EntryRefused> {
        ADAPTERS.range(&self.state, ..).map(|entry| Ok(entry?.1)).collect()
    }

    /// The nodes.
    ///
    /// # Errors
    /// If an entry is not one of the table's.
    pub fn nodes(&self) -> Result<BTreeMap<NodeId, NodeEntry>, EntryRefused> {
        NODES.range(&self.state, ..).collect()
    }

    /// The rules in force.
    pub const fn rules(&self) -> Rules {
        self.rules
    }

    /// The tables.
    pub const fn state(&self) -> &State {
        &self.state
    }
}

fn text(input: &mut Decoder<'_>, what: &'static str) -> Result<String, DecodeError> {
    let bytes = input.reading(what).bytes(NAME_BYTES_MAX)?;
    String::from_utf8(bytes.to_vec()).map_err(|_| input.error(DecodeReason::ValueNotAllowed))
}

fn blob(input: &mut Decoder<'_>, what: &'static str, size_max: usize) -> Result<Bytes, DecodeError> {
    input.reading(what).bytes(size_max).map(Bytes::copy_from_slice)
}

impl Encode for Actor {
    fn encode(&self, out: &mut Encoder) {
        (self.kind as u8).encode(out);
        out.bytes(self.name.as_bytes());
        self.certificate.encode(out);
    }
}

impl Decode for Actor {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let kind = match u8::decode(input.reading("kind of an actor"))? {
            0 => ActorKind::Member,
            1 => ActorKind::Participant,
            _ => return Err(input.error(DecodeReason::ValueNotAllowed)),
        };
        Ok(Self {
            kind,
            name: text(input, "name of an actor")?,
            certificate: blob(input, "certificate of an actor", CERTIFICATE_BYTES_MAX)?,
        })
    }
}

impl Encode for NodeEntry {
    fn encode(&self, out: &mut Encoder) {
        out.bytes(self.name.as_bytes());
        self.public_key.encode(out);
    }
}

impl Decode for NodeEntry {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: text(input, "name of a node")?,
            public_key: blob(input, "public key of a node", CERTIFICATE_BYTES_MAX)?,
        })
    }
}

impl Encode for AdapterEntry {
    fn encode(&self, out: &mut Encoder) {
        out.bytes(self.name.as_bytes());
        self.settings.encode(out);
    }
}

impl Decode for AdapterEntry {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: text(input, "name of an adapter")?,
            settings: blob(input, "settings of an adapter", limits::VALUE_BYTES_MAX)?,
        })
    }
}

impl Encode for Rules {
    fn encode(&self, out: &mut Encoder) {
        self.block_calls_max.encode(out);
        self.block_delay_us.encode(out);
        self.blocks_uncommitted_max.encode(out);
    }
}

impl Decode for Rules {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.reading("rules for blocks");
        let rules = Self {
            block_calls_max: u32::decode(input)?,
            block_delay_us: u64::decode(input)?,
            blocks_uncommitted_max: u32::decode(input)?,
        };
        let sensible = (1..=limits::BLOCK_TRANSACTIONS_MAX).contains(&(rules.block_calls_max as usize))
            && (1..=BLOCKS_UNCOMMITTED_MAX).contains(&rules.blocks_uncommitted_max);
        if sensible { Ok(rules) } else { Err(input.error(DecodeReason::ValueNotAllowed)) }
    }
}

/// The longest name of an actor, a node or an adapter: room for a legal name.
pub const NAME_BYTES_MAX: usize = 256;

/// The largest certificate or public key: an RSA-4096 certificate with a page of extensions fits.
pub const CERTIFICATE_BYTES_MAX: usize = 16 << 10;

/// The most blocks that a constitution may allow ahead of the committed one: bounds the layers in memory.
pub const BLOCKS_UNCOMMITTED_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(kind: ActorKind) -> Actor {
        Actor { kind, name: "Port of Antwerp".into(), certificate: Bytes::from_static(b"certificate") }
    }

    #[test]
    fn the_tables_hold_what_genesis_wrote() {
        let (member, participant, stranger) = (ActorId([1; 32]), ActorId([2; 32]), ActorId([3; 32]));
        let actors = [(member, actor(ActorKind::Member)), (participant, actor(ActorKind::Participant))];
        let nodes = [(NodeId(1), NodeEntry { name: "node 1".into(), public_key: Bytes::from_static(b"key") })];
        let adapters = ["log", "evm"].map(|name| AdapterEntry { name: name.into(), settings: Bytes::new() });
        let rules = Rules { block_calls_max: 7, ..Rules::default() };

        let mut government = Government::default();
        government.apply(&genesis_writes(&actors, &nodes, &adapters, &rules), Seqno(1)).unwrap();

        assert_eq!(government.actor(&member).unwrap().kind, ActorKind::Member);
        assert_eq!(government.actor(&participant).unwrap().kind, ActorKind::Participant);
        assert_eq!(government.actor(&stranger), None);
        assert_eq!(government.nodes().unwrap(), BTreeMap::from(nodes));
        assert_eq!(government.adapters(), ["log", "evm"]);
        assert_eq!(government.rules(), rules);
    }

    #[test]
    fn rules_that_would_stop_the_network_are_refused() {
        for rules in [
            Rules { block_calls_max: 0, ..Rules::default() },
            Rules { block_calls_max: 1 << 20, ..Rules::default() },
            Rules { blocks_uncommitted_max: 0, ..Rules::default() },
            Rules { blocks_uncommitted_max: 1_000, ..Rules::default() },
        ] {
            assert!(Rules::from_bytes(&rules.to_bytes()).is_err(), "{rules:?}");
        }
    }
}
