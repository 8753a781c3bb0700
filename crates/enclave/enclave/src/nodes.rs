//! Who is a node, shared by all threads: the node list in force, and what may be believed beyond it.
//!
//! The list is what the committed governance tables say, so another node may know a newer one: its leader may have
//! joined in a transaction that this node can learn only from that leader. So a peer is accepted
//!
//! 1. if the list names its key, for that slot, whoever issued its certificate, unless that names another slot;
//! 2. otherwise if the service issued its certificate, which is valid now, no list named its key before, and a newer list may
//!    give it its slot: one above all that this node has seen in a list (slots are given in order and never twice), or one that
//!    the list names with another key. The service's key is the one in force as far as this node knows, or one that it
//!    endorses: whoever holds an earlier one deceives only nodes that have not heard of the rotation.
//!
//! A peer of the second kind is heard as a leader and as a candidate: what it sends is checked, and a block counts only
//! under a key of the list that is in force where the block stands. What it is told is what any node is told, all of it
//! sealed. What it acknowledges or grants does not count, and it takes the channel of nobody whom the list names.
//!
//! Consensus follows the list step by step, and may need nodes until others have come that the list names already. So
//! a node that the list does not name any more counts as listed for as long as this one's consensus has not left it
//! out: see [`NodeKeys::keep`].
//!
//! A key that a list named and the latest does not is otherwise one of a removed node. Its channels are closed after
//! [`REMOVED_GRACE`]. So that a node which was away meanwhile hears that it was removed, it is let in for as long, once in
//! [`REMOVED_PAUSE`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use synod_crypto::slot::{SlotRefused, endorsed_slot, slot_of};
use synod_crypto::{VerifyingKey, sha256};
use synod_governance::{NodeEntry, Shared, Tables};
use synod_kv::State;
use synod_types::limits::NODES_MAX;
use synod_types::{ActorId, NodeId, Time};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::rotation::BESIDE_MAX;

/// The keys of the nodes. Shared between threads.
#[derive(Debug)]
pub struct NodeKeys {
    /// The service's key in force, as far as this node knows.
    service: RwLock<VerifyingKey>,
    grace: Duration,
    list: watch::Sender<List>,
    /// The tables of which the list is.
    tables: Mutex<State>,
}

#[derive(Debug, Default)]
struct List {
    nodes: BTreeMap<NodeId, ActorId>,
    /// The highest slot that any list named.
    last: NodeId,
    /// The nodes that have a part, whether they are listed or not.
    circle: BTreeSet<NodeId>,
    /// The last key of each slot that is not listed any more.
    left: BTreeMap<NodeId, ActorId>,
    /// Keys that an earlier list named and this one does not.
    removed: HashMap<ActorId, Removed>,
}

/// A node that was removed.
#[derive(Debug)]
struct Removed {
    node: NodeId,
    /// When it was let in the last time.
    let_in: Option<Time>,
}

/// What speaks for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The list, or that consensus has not left it out.
    Listed,
    /// Its certificate: a newer list may name it.
    Joining,
    /// Nothing but that it was a node: it may hear that it is none any more.
    Removed,
}

/// A node as its channel proved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its slot.
    pub node: NodeId,
    /// The digest of its public key (SubjectPublicKeyInfo, DER).
    pub key: ActorId,
}

/// Why somebody is not accepted as a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotANode {
    /// It was one, and was let in to hear so a short time ago, or its slot has a new key.
    #[error("the key is that of a node that was removed")]
    Removed,
    /// Nothing speaks for it.
    #[error("the node list does not name the key")]
    Unknown(#[from] SlotRefused),
    /// It takes itself for another one: it was added in another slot than it was made for.
    #[error("the certificate is for slot {certificate}, but the node list has the key under slot {list}")]
    OtherSlot {
        /// The slot in the list.
        list: NodeId,
        /// The slot that the certificate names.
        certificate: NodeId,
    },
    /// Its certificate is for a slot that is or was another key's.
    #[error("slot {node} is not the key's")]
    OtherKey {
        /// The slot.
        node: NodeId,
    },
}

impl NodeKeys {
    /// The keys of a service of which no list is known yet.
    pub fn new(service: VerifyingKey) -> Self {
        Self {
            service: RwLock::new(service),
            grace: REMOVED_GRACE,
            list: watch::Sender::default(),
            tables: Mutex::default(),
        }
    }

    /// For how long a node that has no part any more keeps its channels.
    pub const fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// From now on these nodes have a part, whether the list names them or not.
    pub fn keep(&self, circle: BTreeSet<NodeId>) {
        self.list.send_if_modified(|list| {
            let is_new = list.circle != circle;
            list.circle = circle;
            is_new
        });
    }

    /// The service has another key from now on. What earlier ones issued speaks for nobody any more but for whom the list names.
    pub fn rotated(&self, service: VerifyingKey) {
        *self.service.write().unwrap_or_else(PoisonError::into_inner) = service;
    }

    /// From now on this list is in force, and no other.
    pub fn follow(&self, nodes: impl IntoIterator<Item = (NodeId, ActorId)>) {
        let nodes: BTreeMap<_, _> = nodes.into_iter().collect();
        self.list.send_if_modified(|list| {
            if list.nodes == nodes {
                return false;
            }
            list.last = list.last.max(nodes.keys().next_back().copied().unwrap_or_default());
            let before = std::mem::replace(&mut list.nodes, nodes);
            list.left.extend(before.iter().map(|(node, key)| (*node, *key)));
            list.left.retain(|node, _| !list.nodes.contains_key(node));
            list.removed.extend(before.into_iter().map(|(node, key)| (key, Removed { node, let_in: None })));
            list.nodes.values().for_each(|key| {
                list.removed.remove(key);
            });
            true
        });
    }

    /// From now on the node list of these governance tables is in force.
    ///
    /// # Panics
    /// If they cannot be read: the node has read them before it took them in.
    pub fn govern(&self, state: &State) {
        let before = std::mem::replace(&mut *self.tables.lock().unwrap_or_else(PoisonError::into_inner), state.clone());
        if Shared::between(&before, state).nodes() {
            return;
        }
        let nodes = Tables::new(state).nodes().expect("the node has read these tables");
        // Only keys that can be read are let into the list; another one would be nobody's.
        let key = |node: &NodeEntry| VerifyingKey::from_spki_der(&node.public_key).ok();
        self.follow(nodes.into_iter().filter_map(|(id, node)| Some((id, key_digest(&key(&node)?)))));
    }

    /// Who it is that proved to hold the key `key` of `certificate`, if that is a node at `now`; it showed the
    /// certificates `between` as well.
    ///
    /// # Errors
    /// Why it is none.
    pub fn peer(
        &self,
        key: ActorId,
        certificate: &[u8],
        between: &[CertificateDer<'_>],
        now: Time,
    ) -> Result<Peer, NotANode> {
        if let Some(known) = self.known(key, certificate, now) {
            return known;
        }
        // No lock is held over what a stranger has this node verify.
        let node = self.issued_slot(certificate, between, now)?;
        let peer = Peer { node, key };
        if self.list.borrow().accepts(peer) { Ok(peer) } else { Err(NotANode::OtherKey { node }) }
    }

    /// What the list says of who holds `key`, if it says anything.
    fn known(&self, key: ActorId, certificate: &[u8], now: Time) -> Option<Result<Peer, NotANode>> {
        let list = self.list.borrow();
        if let Some(node) = list.part_of(key) {
            // It would take what is said to the one slot for something said to the other.
            return Some(match slot_of(certificate) {
                Ok(shown) if shown != node => Err(NotANode::OtherSlot { list: node, certificate: shown }),
                _ => Ok(Peer { node, key }),
            });
        }
        let Removed { node, let_in } = list.removed.get(&key)?;
        // A slot that has a new key is the new key's alone.
        let is_free = !list.nodes.contains_key(node);
        let may_come = is_free && let_in.is_none_or(|at| now.since(at) >= REMOVED_PAUSE);
        Some(if may_come { Ok(Peer { node: *node, key }) } else { Err(NotANode::Removed) })
    }

    /// The slot of a certificate that the service issued with the key in force, or with a later one, which that endorses.
    fn issued_slot(&self, own: &[u8], between: &[CertificateDer<'_>], now: Time) -> Result<NodeId, SlotRefused> {
        let service = self.service.read().unwrap_or_else(PoisonError::into_inner).clone();
        // Whoever shows more only costs time.
        let between = between.get(..BESIDE_MAX).unwrap_or(between);
        endorsed_slot(own, between, &service, Some(now))
    }

    /// What speaks for `peer`, whose channel begins at `now`.
    pub fn begin(&self, peer: Peer, now: Time) -> Standing {
        let mut standing = Standing::Joining;
        self.list.send_if_modified(|list| {
            if list.part_of(peer.key).is_some() {
                standing = Standing::Listed;
            } else if let Some(removed) = list.removed.get_mut(&peer.key) {
                removed.let_in = Some(now);
                standing = Standing::Removed;
            }
            // Nobody is told: the list has not changed.
            false
        });
        standing
    }

    /// The slot that the list gives to a key.
    pub fn slot_of(&self, key: ActorId) -> Option<NodeId> {
        self.list.borrow().slot_of(key)
    }

    /// The nodes above `own` that have a part. None if `own` has none any more.
    pub fn above(&self, own: NodeId) -> Vec<NodeId> {
        let list = self.list.borrow();
        if list.was_removed(own) { Vec::new() } else { list.parts().filter(|node| *node > own).collect() }
    }

    /// Whether `own` had a part, and has none any more.
    pub fn has_left(&self, own: NodeId) -> bool {
        self.list.borrow().was_removed(own)
    }

    /// Whether the list names the slot of `peer`, with another key.
    pub fn is_anothers(&self, peer: Peer) -> bool {
        self.list.borrow().nodes.get(&peer.node).is_some_and(|key| *key != peer.key)
    }

    /// Whether the list names `node`.
    pub fn is_listed(&self, node: NodeId) -> bool {
        self.list.borrow().nodes.contains_key(&node)
    }

    /// The nodes that `own` dials: those with lower slots, and, if no list named `own` yet, the slots below it that a
    /// newer list may name. None if it has no part any more.
    pub fn to_dial(&self, own: NodeId) -> Vec<NodeId> {
        let list = self.list.borrow();
        if list.was_removed(own) {
            return Vec::new();
        }
        let unknown = (list.last.0 + 1).max(own.0.saturating_sub(NODES_MAX as u64))..own.0;
        let known = list.parts().filter(|node| *node < own && *node <= list.last);
        known.chain(unknown.map(NodeId)).collect()
    }

    /// Returns when the list has changed since `seen` was made or this was last called with it.
    pub async fn changed(&self, seen: &mut ListSeen) {
        if seen.0.changed().await.is_err() {
            // Nobody changes it any more.
            std::future::pending::<()>().await;
        }
    }

    /// The list as it is now, as [`NodeKeys::changed`] is told.
    pub fn seen(&self) -> ListSeen {
        ListSeen(self.list.subscribe())
    }

    /// Returns when `peer` has not been a node for so long that its channel is to be closed.
    pub async fn outstayed(&self, peer: Peer) {
        let mut list = self.list.subscribe();
        // It fails only when the list has been dropped, and with it the channels.
        while list.wait_for(|list| !list.accepts(peer)).await.is_ok() {
            if timeout(self.grace, list.wait_for(|list| list.accepts(peer))).await.is_err() {
                return;
            }
        }
    }
}

/// A list that somebody has looked at.
pub struct ListSeen(watch::Receiver<List>);

impl List {
    fn slot_of(&self, key: ActorId) -> Option<NodeId> {
        self.nodes.iter().find(|(_, known)| **known == key).map(|(node, _)| *node)
    }

    /// The slot with this key, if that has a part.
    fn part_of(&self, key: ActorId) -> Option<NodeId> {
        let left = || self.left.iter().find(|(node, known)| **known == key && self.circle.contains(node));
        self.slot_of(key).or_else(|| left().map(|(node, _)| *node))
    }

    /// The nodes that have a part.
    fn parts(&self) -> impl Iterator<Item = NodeId> + '_ {
        let unlisted = self.circle.iter().filter(|node| !self.nodes.contains_key(node));
        self.nodes.keys().chain(unlisted).copied()
    }

    /// Whether the slot was given, and is no node's any more.
    fn was_removed(&self, slot: NodeId) -> bool {
        slot <= self.last && !self.nodes.contains_key(&slot) && !self.circle.contains(&slot)
    }

    /// Whether nothing speaks against the peer: it has a part, or a list that is not known here may give it one.
    fn accepts(&self, Peer { node, key }: Peer) -> bool {
        if let Some(part) = self.part_of(key) {
            return part == node;
        }
        (self.last < node || self.nodes.contains_key(&node)) && !self.removed.contains_key(&key)
    }
}

/// The digest by which a node's key is known.
pub fn key_digest(key: &VerifyingKey) -> ActorId {
    ActorId(sha256(&[&key.to_spki_der()]).0)
}

/// For how long a removed node keeps its channels: it hears the end of the transaction that removed it, which the
/// engine sends with its next messages.
const REMOVED_GRACE: Duration = Duration::from_secs(10);

/// How often a removed node that comes again is let in.
const REMOVED_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
