//! Which slot of the network is this node's.
//!
//! A node of the genesis block is the one whose key it holds. Any other shows what the service gave it: the certificate
//! of its slot. Whether it is in the node list, now or some day, the ledger says.

use synod_crypto::slot::{SlotRefused, issued_slot};
use synod_crypto::{Certificate, VerifyingKey};
use synod_ledger::GenesisPublic;
use synod_types::NodeId;

use crate::nodes::{NodeKeys, Peer, key_digest};

/// Why a node does not know which one it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotUnknown {
    /// Certificate and key are of two slots.
    #[error("the slot's certificate is not for the slot's key")]
    OtherKey,
    /// Neither genesis block nor certificate tells.
    #[error("the genesis block does not name the slot's key, and its certificate does not tell a slot")]
    NotTold(#[from] SlotRefused),
    /// They contradict each other.
    #[error("the certificate is for slot {certificate}, but the network knows the key as that of slot {list}")]
    Differs {
        /// The slot that the certificate names.
        certificate: NodeId,
        /// The slot under which the key is listed.
        list: NodeId,
    },
}

/// The slot of the node that holds `key`. Its certificate's dates do not matter: whoever is listed stays a node.
pub fn own_slot(certificate: &Certificate, key: &VerifyingKey, genesis: &GenesisPublic) -> Result<NodeId, SlotUnknown> {
    if certificate.verifying_key().as_ref() != Ok(key) {
        return Err(SlotUnknown::OtherKey);
    }
    let listed = genesis.keys.nodes.iter().find(|(_, known)| *known == key).map(|(slot, _)| *slot);
    let shown = issued_slot(certificate.der(), &genesis.keys.service, None);
    match (listed, shown) {
        (Some(list), Ok(certificate)) if list != certificate => Err(SlotUnknown::Differs { certificate, list }),
        (Some(slot), _) => Ok(slot),
        (None, shown) => Ok(shown?),
    }
}

/// Compares the slot with the node list of the ledger as far as it was read.
pub fn check_listed(own: Peer, nodes: &NodeKeys) -> Result<(), SlotUnknown> {
    match nodes.slot_of(own.key) {
        Some(list) if list != own.node => Err(SlotUnknown::Differs { certificate: own.node, list }),
        _ => Ok(()),
    }
}

/// Tells the operator what a node that is not listed waits for, and when it is listed.
pub async fn tell_place(own: Peer, nodes: &NodeKeys) {
    let mut seen = nodes.seen();
    if nodes.slot_of(own.key).is_some() {
        return;
    }
    let (slot, key) = (own.node, own.key);
    tracing::info!(%slot, %key, "not in the node list yet: waits until a proposal that adds this key is accepted");
    loop {
        nodes.changed(&mut seen).await;
        match check_listed(own, nodes) {
            Ok(()) if nodes.slot_of(own.key).is_none() => {}
            Ok(()) => return tracing::info!(%slot, "in the node list now"),
            Err(error) => {
                let hint = "stop it, and make its directory anew with that slot";
                return tracing::error!(%error, hint, "this node cannot take part");
            }
        }
    }
}

/// The node with this slot and this key.
pub fn peer(node: NodeId, key: &VerifyingKey) -> Peer {
    Peer { node, key: key_digest(key) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use synod_crypto::x509::{Validity, node_certificate};
    use synod_crypto::{NodeKey, ServiceKey, SessionKeys};
    use synod_ledger::{AdminRecord, Content, GenesisParts, check_genesis, seal_genesis};
    use synod_types::{Epoch, Time};

    use super::*;

    fn key(node: u8) -> VerifyingKey {
        NodeKey::from_seed(&[node; 32]).verifying_key().clone()
    }

    /// A network of nodes 1 and 2 whose service holds key 9.
    fn genesis(service: &ServiceKey) -> GenesisPublic {
        let keys: BTreeMap<_, _> = [1, 2].map(|node| (NodeId(node.into()), key(node))).into();
        let (content, admin) = (Content::default(), AdminRecord::default());
        let parts = GenesisParts { content: &content, admin: &admin, admin_is_public: false };
        let session = SessionKeys::generate(Epoch(1));
        let sealed = seal_genesis(service, keys, &session, [0; 32], Time(1), parts).unwrap();
        check_genesis(&sealed.block).unwrap().0
    }

    #[test]
    fn the_genesis_block_tells_by_the_key_and_else_the_certificate_does() {
        let service = ServiceKey::from_seed(&[9; 32]);
        let genesis = genesis(&service);
        let slot = |issuer: &ServiceKey, slot, holder| {
            // Long over.
            let validity = Validity { from: Time(0), until: Time(1_000_000) };
            let certificate = node_certificate(issuer, NodeId(slot), &key(holder), &[], validity).unwrap();
            own_slot(&certificate, &key(holder), &genesis)
        };
        assert_eq!(slot(&service, 2, 2), Ok(NodeId(2)));
        assert_eq!(slot(&ServiceKey::generate(), 7, 2), Ok(NodeId(2)));
        assert_eq!(slot(&service, 4, 4), Ok(NodeId(4)));
        assert_eq!(slot(&service, 2, 4), Ok(NodeId(2)), "a slot may have got a new key since");
        assert!(matches!(slot(&ServiceKey::generate(), 4, 4), Err(SlotUnknown::NotTold(_))));
        let differs = SlotUnknown::Differs { certificate: NodeId(1), list: NodeId(2) };
        assert_eq!(slot(&service, 1, 2), Err(differs));
        let validity = Validity { from: Time(0), until: Time(1_000_000) };
        let of_four = node_certificate(&service, NodeId(4), &key(4), &[], validity).unwrap();
        assert_eq!(own_slot(&of_four, &key(2), &genesis), Err(SlotUnknown::OtherKey));
    }

    #[test]
    fn a_list_that_gives_the_key_another_slot_is_noticed() {
        let nodes = NodeKeys::new(ServiceKey::from_seed(&[9; 32]).verifying_key().clone());
        let own = peer(NodeId(4), &key(4));
        assert_eq!(check_listed(own, &nodes), Ok(()));
        nodes.follow([(NodeId(4), own.key)]);
        assert_eq!(check_listed(own, &nodes), Ok(()));
        nodes.follow([(NodeId(5), own.key)]);
        let differs = SlotUnknown::Differs { certificate: NodeId(4), list: NodeId(5) };
        assert_eq!(check_listed(own, &nodes), Err(differs));
    }
}
