//! The networks that are simulated: keys, names and genesis block, made once for all seeds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use synod_crypto::{ActorKey, AdminKey, ApplicationKey, Certificate, NodeKey, ServiceKey, SessionKeys, VerifyingKey};
use synod_governance::{Role, Rules};
use synod_kv::State;
use synod_ledger::SealedBlock;
use synod_node::Genesis;
use synod_types::boundary::LogRecord;
use synod_types::{ActorId, Digest, Epoch, NodeId};
use synod_worker::{ActorFacts, ActorKind, AdapterKit};

use crate::check::secrecy::MARKER;
use crate::clock::EPOCH;
use crate::swarm::RuleSet;

/// A network as it begins.
#[derive(Debug)]
pub struct Consortium {
    /// The slots of genesis.
    pub nodes: Vec<NodeId>,
    /// Slots for machines that members may add.
    pub reserve: Vec<NodeId>,
    /// The members.
    pub members: Vec<Organisation>,
    /// The participants, and the one who is in no table.
    pub others: Vec<Organisation>,
    /// The governance tables of genesis.
    pub tables: State,
    /// Who acts; the last one is in no table and may do nothing.
    pub actors: Vec<ActorFacts>,
    /// The network's id.
    pub network: Digest,
    /// The genesis block.
    pub genesis: LogRecord,
    service_key: ServiceKey,
    node_keys: BTreeMap<NodeId, NodeKey>,
}

/// Who acts, with what it signs with.
#[derive(Clone, Debug)]
pub struct Organisation {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: ActorKey,
    /// Its certificate.
    pub certificate: Certificate,
}

impl Organisation {
    /// Its id.
    pub fn id(&self) -> ActorId {
        self.certificate.actor_id()
    }

    fn facts(&self, kind: ActorKind) -> ActorFacts {
        ActorFacts { id: self.id(), kind }
    }
}

/// How many nodes members may add to a network.
pub const RESERVE: u64 = 4;

/// How many actors the tables name.
pub const ACTORS: usize = 5;

impl Consortium {
    /// The network of `nodes` nodes under these rules; made at the first call.
    pub fn of(nodes: u64, rules: RuleSet) -> Arc<Self> {
        static MADE: Mutex<BTreeMap<(u64, RuleSet), Arc<Consortium>>> = Mutex::new(BTreeMap::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(made.entry((nodes, rules)).or_insert_with(|| Arc::new(Self::found(nodes, rules))))
    }

    fn found(count: u64, rules: RuleSet) -> Self {
        let nodes: Vec<_> = (1..=count).map(NodeId).collect();
        let reserve: Vec<_> = (count + 1..=count + RESERVE).map(NodeId).collect();
        let slots = nodes.iter().chain(&reserve);
        let node_keys: BTreeMap<_, _> = slots.map(|node| (*node, NodeKey::from_seed(&seed(b'n', node.0)))).collect();
        let service_key = ServiceKey::from_seed(&seed(b's', 0));
        let mut organisations = certificates().into_iter().zip(0..).map(|(certificate, number)| {
            let key = ActorKey::from_seed(&seed(b'a', number));
            Organisation { name: format!("{MARKER} actor {number}"), key, certificate }
        });
        let members: Vec<_> = organisations.by_ref().take(2).collect();
        let others: Vec<_> = organisations.collect();
        let participants = &others[..ACTORS - members.len()];
        let actors = members
            .iter()
            .map(|member| member.facts(ActorKind::Member))
            .chain(others.iter().map(|other| other.facts(ActorKind::Participant)))
            .collect();
        let mut genesis = Genesis::new(&format!("{MARKER} network"), EPOCH).expect("a name");
        genesis.constitution.rules = Some(rules.into());
        let roles = members.iter().map(|actor| (Role::Member, actor));
        for (role, actor) in roles.chain(participants.iter().map(|actor| (Role::Participant, actor))) {
            genesis.add_actor(role, &actor.name, &actor.certificate).expect("a name");
        }
        let owner = members[0].id();
        for node in &nodes {
            let (name, address) = (format!("{MARKER} node {node}"), format!("127.0.0.1:{}", 7_000 + node.0));
            genesis.add_node(*node, &name, owner, node_keys[node].verifying_key(), &address).expect("a name");
        }
        genesis.add_adapter(synod_log::NAME, "").expect("a name");
        let genesis = genesis
            .seal(&kits(), &service_key, &session_keys(), seed(b'g', count))
            .expect("the genesis document of the simulation is in order");
        let block = SealedBlock::from_shared(&genesis.payload).expect("the genesis block was just made");
        let mut audit = synod_node::Audit::new(Some(session_keys().admin));
        audit.block(&block).expect("the genesis block was just made");
        let (network, tables) = (block.header.network, audit.tables().clone());
        Self { nodes, reserve, members, others, tables, actors, network, genesis, service_key, node_keys }
    }

    /// The credential of a slot.
    pub fn node_key(&self, node: NodeId) -> NodeKey {
        self.node_keys[&node].clone()
    }

    /// The service identity.
    pub fn service_key(&self) -> ServiceKey {
        self.service_key.clone()
    }

    /// What outsiders pin.
    pub const fn service(&self) -> &VerifyingKey {
        self.service_key.verifying_key()
    }

    /// Whether the tables of genesis name this actor.
    pub fn is_actor(&self, id: ActorId) -> bool {
        self.actors[..ACTORS].iter().any(|actor| actor.id == id)
    }
}

/// The certificates of the actors and of one stranger, self-signed, with the marker in their names. They lie in a
/// file because making them draws randomness, and nothing in a run may depend on it.
fn certificates() -> Vec<Certificate> {
    let certificates = include_str!("actors.pem").split_inclusive("-----END CERTIFICATE-----\n");
    certificates.map(|text| Certificate::from_pem(text).expect("the file holds certificates")).collect()
}

/// The session keys of the first epoch.
pub fn session_keys() -> SessionKeys {
    SessionKeys {
        epoch: Epoch(1),
        application: ApplicationKey::new(seed(b'p', 1)),
        admin: AdminKey::new(seed(b'p', 2)),
    }
}

/// The adapters that the software has.
pub fn kits() -> Vec<AdapterKit> {
    vec![synod_log::kit()]
}

fn seed(purpose: u8, number: u64) -> [u8; 32] {
    let mut seed = [purpose; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    seed
}

impl From<RuleSet> for Rules {
    fn from(rules: RuleSet) -> Self {
        match rules {
            RuleSet::Default => Self::default(),
            RuleSet::Tight => Self { block_calls_max: 4, blocks_uncommitted_max: 2, ..Self::default() },
            RuleSet::Serial => Self { blocks_uncommitted_max: 1, ..Self::default() },
        }
    }
}
