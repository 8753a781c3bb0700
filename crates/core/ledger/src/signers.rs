//! Under whose keys blocks verify, and how that changes.

use std::collections::BTreeMap;

use synod_crypto::VerifyingKey;
use synod_types::{Digest, NodeId};

use crate::block::SealedBlock;
use crate::genesis::NodeKeys;
use crate::governance::GovernancePublic;
use crate::header::BlockKind;

/// Under whose keys the next block of a log verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers {
    keys: NodeKeys,
    /// Keys that the last change of the node list took out. The engine may elect their nodes until it has left them
    /// out too; they may then open a view, and no more: no transaction is sealed before the engine has followed.
    retiring: BTreeMap<NodeId, VerifyingKey>,
}

impl Signers {
    /// Those of a network that begins.
    pub const fn new(keys: NodeKeys) -> Self {
        Self { keys, retiring: BTreeMap::new() }
    }

    /// The keys in force.
    pub const fn keys(&self) -> &NodeKeys {
        &self.keys
    }

    /// Whether `node` may open a view with `key`, if it is elected next.
    pub fn may_open_a_view(&self, node: NodeId, key: &VerifyingKey) -> bool {
        self.keys.node(node) == Some(key) || self.retiring.get(&node) == Some(key)
    }

    /// The same of whoever has the key with digest `key`; without one, of the slot.
    pub fn may_lead(&self, node: NodeId, key: Option<Digest>) -> bool {
        let keys = self.keys.node(node).into_iter().chain(self.retiring.get(&node));
        keys.into_iter().any(|known| key.is_none_or(|key| known.digest() == key))
    }

    /// After a governance transaction that says this.
    pub(crate) fn after(&self, public: &GovernancePublic) -> Self {
        let nodes = public.nodes.as_ref().unwrap_or(&self.keys.nodes).clone();
        let service = public.service.as_ref().unwrap_or(&self.keys.service).clone();
        let retiring = self.keys.nodes.iter().filter(|(id, key)| nodes.get(id) != Some(key));
        Self { retiring: retiring.map(|(id, key)| (*id, key.clone())).collect(), keys: NodeKeys { service, nodes } }
    }

    pub(crate) fn has_retiring(&self) -> bool {
        !self.retiring.is_empty()
    }

    pub(crate) fn without_retiring(&self) -> Self {
        Self::new(self.keys.clone())
    }
}

/// Keys under which a block may have been signed.
pub trait MaySign {
    /// The keys that the signer of `block` may have used; none if nobody of that name may sign it.
    fn node_keys(&self, block: &SealedBlock) -> impl Iterator<Item = &VerifyingKey>;

    /// The keys that the service may have used.
    fn service_keys(&self) -> impl Iterator<Item = &VerifyingKey>;
}

impl MaySign for Signers {
    fn node_keys(&self, block: &SealedBlock) -> impl Iterator<Item = &VerifyingKey> {
        let signer = block.header.signer;
        let retiring = (block.header.kind == BlockKind::ViewStart).then(|| self.retiring.get(&signer)).flatten();
        self.keys.node(signer).into_iter().chain(retiring)
    }

    fn service_keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        std::iter::once(&self.keys.service)
    }
}

/// Every key that was ever in force up to some tip: for blocks that are known by their place, and only have to be
/// told from what somebody without any of these keys could have made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHistory {
    services: Vec<VerifyingKey>,
    nodes: BTreeMap<NodeId, Vec<VerifyingKey>>,
}

impl KeyHistory {
    /// Of a network that begins.
    pub fn new(keys: &NodeKeys) -> Self {
        let nodes = keys.nodes.iter().map(|(id, key)| (*id, vec![key.clone()])).collect();
        Self { services: vec![keys.service.clone()], nodes }
    }

    /// Whether there ever was a node in the slot `node`.
    pub fn had_slot(&self, node: NodeId) -> bool {
        self.nodes.contains_key(&node)
    }

    /// Whether the key with this digest ever was that of the node in the slot `node`.
    pub fn had_key(&self, node: NodeId, key: Digest) -> bool {
        self.nodes.get(&node).into_iter().flatten().any(|known| known.digest() == key)
    }

    /// Notes keys that come into force; whether the service's is one that it had not before.
    pub fn note(&mut self, keys: &NodeKeys) -> bool {
        let is_new_service = !self.services.contains(&keys.service);
        if is_new_service {
            self.services.push(keys.service.clone());
        }
        for (id, key) in &keys.nodes {
            let known = self.nodes.entry(*id).or_default();
            if !known.contains(key) {
                known.push(key.clone());
            }
        }
        is_new_service
    }
}

impl MaySign for KeyHistory {
    fn node_keys(&self, block: &SealedBlock) -> impl Iterator<Item = &VerifyingKey> {
        self.nodes.get(&block.header.signer).into_iter().flatten().rev()
    }

    fn service_keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.services.iter().rev()
    }
}
