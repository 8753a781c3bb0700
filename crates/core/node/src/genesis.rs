//! How a network begins: the genesis block.
//!
//! The genesis document is the network's first transaction. Its governance part (who takes part,
//! the rules, the adapters' settings) lies sealed in the ledger's first block, so that no node's
//! disk shows who takes part; only the public keys that anyone needs to check signatures are in the
//! block's public part.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use synod_crypto::{Certificate, SALT_SIZE, ServiceKey, SessionKeys, VerifyingKey};
use synod_ledger::{AdminRecord, BlockTooLarge, Content, GenesisParts, seal_genesis};
use synod_types::boundary::LogRecord;
use synod_types::{ActorId, AdapterId, Encode, NodeId, Time, limits};
use synod_worker::{ActorKind, AdapterKit, SetupError, Worker};

use crate::government::{Actor, AdapterEntry, NodeEntry, Rules, genesis_writes};

/// What a network begins with.
#[derive(Clone)]
pub struct Genesis {
    /// The organisations that govern.
    pub members: Vec<(String, Certificate)>,
    /// The organisations that only transact.
    pub participants: Vec<(String, Certificate)>,
    /// The nodes: slot, name, and the public key of the slot's credential.
    pub nodes: Vec<(NodeId, String, VerifyingKey)>,
    /// The ledger protocols, with their settings; their order gives their ids.
    pub adapters: Vec<AdapterEntry>,
    /// The rules for blocks.
    pub rules: Rules,
    /// When the network begins.
    pub time: Time,
}

/// Why a genesis document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisRefused {
    /// Nobody could govern.
    #[error("the genesis document names no member")]
    NoMember,
    /// Nobody could vote, or quorums would be unwieldy.
    #[error("the genesis document names {count} nodes; 1 to {} are allowed", limits::NODES_MAX)]
    NodeCount {
        /// How many it names.
        count: usize,
    },
    /// Two nodes have one slot, or a slot is 0.
    #[error("slot {slot} is 0 or is given to two nodes")]
    Slot {
        /// The slot.
        slot: NodeId,
    },
    /// Two actors have one key.
    #[error("{name} has the same key as another actor")]
    ActorTwice {
        /// The second of them.
        name: String,
    },
    /// The software has no such adapter.
    #[error("there is no adapter named {name}")]
    NoSuchAdapter {
        /// The name.
        name: String,
    },
    /// What the document and the adapters write does not fit one block.
    #[error("the genesis document does not fit a block")]
    TooLarge(#[from] BlockTooLarge),
    /// An adapter refuses its settings.
    #[error(transparent)]
    Settings(#[from] SetupError),
}

impl Genesis {
    /// Makes the genesis block, the first record of each node's ledger. `kits` are the adapters that the software
    /// has; `salt` is fresh randomness.
    ///
    /// # Errors
    /// If the document contradicts itself, names an adapter that there is not, or settings that it refuses.
    pub fn seal(
        &self,
        kits: &[AdapterKit],
        service_key: &ServiceKey,
        session_keys: &SessionKeys,
        salt: [u8; SALT_SIZE],
    ) -> Result<LogRecord, GenesisRefused> {
        self.check_nodes()?;
        let governance = genesis_writes(&self.actors()?, &self.node_entries(), &self.adapters, &self.rules);
        let setup = self.setup(kits)?;
        let content = Content { setup: Some(setup), ..Content::default() };
        let admin = AdminRecord { write_set: Bytes::from(governance.to_bytes()), detail: Bytes::new() };
        let keys = self.nodes.iter().map(|(id, _, key)| (*id, key.clone())).collect();
        let parts = GenesisParts { content: &content, admin: &admin, admin_is_public: false };
        Ok(seal_genesis(service_key, keys, session_keys, salt, self.time, parts)?.block.to_record())
    }

    fn check_nodes(&self) -> Result<(), GenesisRefused> {
        let count = self.nodes.len();
        if !(1..=limits::NODES_MAX).contains(&count) {
            return Err(GenesisRefused::NodeCount { count });
        }
        let mut slots = BTreeSet::from([NodeId(0)]);
        match self.nodes.iter().find(|(slot, ..)| !slots.insert(*slot)) {
            Some((slot, ..)) => Err(GenesisRefused::Slot { slot: *slot }),
            None => Ok(()),
        }
    }

    fn actors(&self) -> Result<Vec<(ActorId, Actor)>, GenesisRefused> {
        if self.members.is_empty() {
            return Err(GenesisRefused::NoMember);
        }
        let members = self.members.iter().map(|actor| (ActorKind::Member, actor));
        let participants = self.participants.iter().map(|actor| (ActorKind::Participant, actor));
        let mut actors = BTreeMap::new();
        for (kind, (name, certificate)) in members.chain(participants) {
            let certificate_der = Bytes::copy_from_slice(certificate.der());
            let actor = Actor { kind, name: name.clone(), certificate: certificate_der };
            if actors.insert(certificate.actor_id(), actor).is_some() {
                return Err(GenesisRefused::ActorTwice { name: name.clone() });
            }
        }
        Ok(actors.into_iter().collect())
    }

    fn node_entries(&self) -> Vec<(NodeId, NodeEntry)> {
        let entry = |name: &String, key: &VerifyingKey| NodeEntry {
            name: name.clone(),
            public_key: Bytes::from(key.to_spki_der()),
        };
        self.nodes.iter().map(|(id, name, key)| (*id, entry(name, key))).collect()
    }

    /// What the adapters write as the network begins.
    fn setup(&self, kits: &[AdapterKit]) -> Result<Bytes, GenesisRefused> {
        let chosen = adapters_named(kits, self.adapters.iter().map(|adapter| adapter.name.as_str()))?;
        let settings: Vec<_> =
            (0..).map(AdapterId).zip(&self.adapters).map(|(id, adapter)| (id, &adapter.settings[..])).collect();
        Ok(Bytes::from(Worker::genesis(&chosen, &settings)?.to_bytes()))
    }
}

/// The adapters of a network, in the order of their ids, out of those that the software has.
///
/// # Errors
/// If the software has no adapter of that name.
pub fn adapters_named<'a>(
    kits: &[AdapterKit],
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<AdapterKit>, GenesisRefused> {
    let named = |name: &str| {
        let kit = kits.iter().find(|kit| kit.name == name).cloned();
        kit.ok_or_else(|| GenesisRefused::NoSuchAdapter { name: name.into() })
    };
    names.into_iter().map(named).collect()
}
