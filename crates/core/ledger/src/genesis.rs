//! The genesis block's public part: the keys with which anyone verifies the ledger.

use std::collections::BTreeMap;

use synod_crypto::{SALT_SIZE, SessionKeys, VerifyingKey, sha256};
use synod_types::codec::DecodeReason;
use synod_types::{Decode, DecodeError, Decoder, Digest, Encode, Encoder, LogIndex, NodeId, Seqno, limits};

use crate::block::SealedBlock;
use crate::chain::CHAIN_START;
use crate::check::{BlockRefused, check_parts};
use crate::content::AdminRecord;
use crate::header::BlockKind;
use crate::tip::Tip;

/// What the genesis block tells everyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisPublic {
    /// The keys of service and nodes.
    pub keys: NodeKeys,
    /// The check value of the first epoch's application key.
    pub application_check: Digest,
    /// The check value of the first epoch's administrative key.
    pub admin_check: Digest,
    /// The administrative part in the clear, in a network that keeps it public; it then stays so.
    pub admin: Option<AdminRecord>,
}

/// The public keys under which blocks verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeKeys {
    /// The service's, under which roots and receipts verify.
    pub service: VerifyingKey,
    /// The nodes', under which headers verify.
    pub nodes: BTreeMap<NodeId, VerifyingKey>,
}

impl NodeKeys {
    /// The key of `node`, if it is in the list.
    pub fn node(&self, node: NodeId) -> Option<&VerifyingKey> {
        self.nodes.get(&node)
    }
}

impl GenesisPublic {
    /// The id of a network that begins with this and with this salt.
    pub fn network(&self, salt: &[u8; SALT_SIZE]) -> Digest {
        sha256(&[NETWORK_LABEL, salt, &self.to_bytes()])
    }

    /// Whether `keys` are the network's, for a node that was handed a file of them.
    pub fn fits(&self, keys: &SessionKeys) -> bool {
        keys.application.check_value() == self.application_check && keys.admin.check_value() == self.admin_check
    }
}

const NETWORK_LABEL: &[u8] = b"synod network v1\0";
const GENESIS_FORMAT: u8 = 1;

impl Encode for GenesisPublic {
    fn encode(&self, out: &mut Encoder) {
        GENESIS_FORMAT.encode(out);
        self.keys.service.encode(out);
        encode_nodes(&self.keys.nodes, out);
        self.application_check.encode(out);
        self.admin_check.encode(out);
        self.admin.encode(out);
    }
}

impl Decode for GenesisPublic {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.reading("genesis public part").clone();
        if u8::decode(input)? != GENESIS_FORMAT {
            return Err(at.error(DecodeReason::ValueNotAllowed));
        }
        let keys = NodeKeys { service: VerifyingKey::decode(input)?, nodes: decode_nodes(input)? };
        Ok(Self {
            keys,
            application_check: Digest::decode(input)?,
            admin_check: Digest::decode(input)?,
            admin: Option::decode(input)?,
        })
    }
}

pub(crate) fn encode_nodes(nodes: &BTreeMap<NodeId, VerifyingKey>, out: &mut Encoder) {
    out.count(nodes.len());
    for (id, key) in nodes {
        id.encode(out);
        key.encode(out);
    }
}

/// Reads a node list, in its one encoding: slots begin at 1, and stand in order.
pub(crate) fn decode_nodes(input: &mut Decoder<'_>) -> Result<BTreeMap<NodeId, VerifyingKey>, DecodeError> {
    let count = input.reading("node list").count(limits::NODES_MAX)?;
    let mut nodes = BTreeMap::new();
    for _ in 0..count {
        let at = input.clone();
        let id = NodeId::decode(input)?;
        if nodes.last_key_value().map_or(NodeId(0), |(last, _)| *last) >= id {
            return Err(at.error(DecodeReason::ValueNotAllowed));
        }
        nodes.insert(id, VerifyingKey::decode(input)?);
    }
    Ok(nodes)
}

/// Checks a genesis block, and returns what it says and where it leaves the log.
///
/// The block vouches for its own service key: whoever does not know that key otherwise learns it here.
///
/// # Errors
/// If the block is not a genesis block, or not signed by the service key in it.
pub fn check_genesis(block: &SealedBlock) -> Result<(GenesisPublic, Tip), BlockRefused> {
    let header = &block.header;
    let shape = header.kind == BlockKind::Genesis
        && header.index == LogIndex(1)
        && header.first_seqno == Seqno(1)
        && header.count == 1
        && header.signer == NodeId(0)
        && header.committed == Seqno(0)
        && header.chain == CHAIN_START
        && header.parent_root == Digest::default();
    if !shape {
        return Err(BlockRefused::NotAGenesisBlock);
    }
    let public = GenesisPublic::from_bytes(&block.public).map_err(BlockRefused::PublicPartUnreadable)?;
    if public.admin.is_some() != block.admin.is_empty() {
        return Err(BlockRefused::NotAGenesisBlock);
    }
    if public.network(&header.salt) != header.network {
        return Err(BlockRefused::OtherNetwork);
    }
    check_parts(block)?;
    if !block.header_signed(&public.keys.service) {
        return Err(BlockRefused::NodeSignatureInvalid { signer: header.signer });
    }
    if !block.service_signed(&public.keys.service) {
        return Err(BlockRefused::ServiceSignatureInvalid);
    }
    let tip = Tip::after_genesis(block, &public);
    Ok((public, tip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_crypto::{NodeKey, ServiceKey};

    fn public() -> GenesisPublic {
        let node = |id: u8| (NodeId(u64::from(id)), NodeKey::from_seed(&[id; 32]).verifying_key().clone());
        let nodes = [node(1), node(2), node(9)].into_iter().collect();
        let keys = NodeKeys { service: ServiceKey::from_seed(&[7; 32]).verifying_key().clone(), nodes };
        let admin = AdminRecord { write_set: "writes".into(), detail: "document".into() };
        GenesisPublic { keys, application_check: Digest([1; 32]), admin_check: Digest([2; 32]), admin: Some(admin) }
    }

    #[test]
    fn it_reads_back_and_every_truncation_is_refused() {
        let bytes = public().to_bytes();
        assert_eq!(GenesisPublic::from_bytes(&bytes), Ok(public()));
        for end in 0..bytes.len() {
            assert!(GenesisPublic::from_bytes(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn nodes_out_of_order_doubled_or_without_a_slot_are_refused() {
        let entry = 8 + synod_crypto::PUBLIC_KEY_SIZE;
        let first = 1 + synod_crypto::PUBLIC_KEY_SIZE + 4;
        let with_id = |place: usize, id: u8| {
            let mut bytes = public().to_bytes();
            bytes[first + place * entry] = id;
            GenesisPublic::from_bytes(&bytes).is_ok()
        };
        assert!(with_id(0, 1) && with_id(2, 3));
        assert!(!with_id(0, 0) && !with_id(1, 1) && !with_id(2, 2) && !with_id(0, 5));
    }

    #[test]
    fn networks_with_other_keys_or_another_salt_have_other_ids() {
        let other = GenesisPublic { admin_check: Digest([3; 32]), ..public() };
        let sealed = GenesisPublic { admin: None, ..public() };
        let ids = [public(), other, sealed].map(|public| public.network(&[0; 32]));
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2] && ids[0] != public().network(&[1; 32]));
    }
}
