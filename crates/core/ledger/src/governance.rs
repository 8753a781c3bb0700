//! A governance block's public part: what everyone must know to verify what follows.
//!
//! ```text
//! format u8, node list (or none), service key (or none), administrative record (or none)
//! ```
//! Its digest is the claims digest of the block's one transaction, so that a receipt of that transaction proves it:
//! a service key that follows another is endorsed by the signature of the one before.

use std::collections::BTreeMap;

use synod_crypto::VerifyingKey;
use synod_types::codec::DecodeReason;
use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder, NodeId};

use crate::content::AdminRecord;
use crate::genesis::{decode_nodes, encode_nodes};

/// What a governance block tells everyone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GovernancePublic {
    /// The node list from the next block on, if the transaction changes it.
    pub nodes: Option<BTreeMap<NodeId, VerifyingKey>>,
    /// The service's key from the next block on, if the transaction changes it.
    pub service: Option<VerifyingKey>,
    /// The administrative part in the clear, in a network that keeps it public.
    pub admin: Option<AdminRecord>,
}

const GOVERNANCE_FORMAT: u8 = 1;

impl GovernancePublic {
    pub(crate) const fn changes_signers(&self) -> bool {
        self.nodes.is_some() || self.service.is_some()
    }
}

impl Encode for GovernancePublic {
    fn encode(&self, out: &mut Encoder) {
        GOVERNANCE_FORMAT.encode(out);
        self.nodes.is_some().encode(out);
        if let Some(nodes) = &self.nodes {
            encode_nodes(nodes, out);
        }
        self.service.encode(out);
        self.admin.encode(out);
    }
}

impl Decode for GovernancePublic {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.reading("governance public part").clone();
        if u8::decode(input)? != GOVERNANCE_FORMAT {
            return Err(at.error(DecodeReason::ValueNotAllowed));
        }
        let nodes = if bool::decode(input)? { Some(decode_nodes(input)?) } else { None };
        Ok(Self { nodes, service: Option::decode(input)?, admin: Option::decode(input)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_crypto::{NodeKey, ServiceKey};

    fn public() -> GovernancePublic {
        let node = |id: u8| (NodeId(u64::from(id)), NodeKey::from_seed(&[id; 32]).verifying_key().clone());
        GovernancePublic {
            nodes: Some([node(1), node(4)].into()),
            service: Some(ServiceKey::from_seed(&[7; 32]).verifying_key().clone()),
            admin: Some(AdminRecord { write_set: "writes".into(), detail: "ballot".into() }),
        }
    }

    #[test]
    fn it_reads_back_and_every_truncation_is_refused() {
        assert_eq!(GovernancePublic::default().to_bytes(), [1, 0, 0, 0]);
        let bytes = public().to_bytes();
        assert_eq!(GovernancePublic::from_bytes(&bytes), Ok(public()));
        for end in 0..bytes.len() {
            assert!(GovernancePublic::from_bytes(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn another_format_and_left_over_bytes_are_refused() {
        let bytes = public().to_bytes();
        assert!(GovernancePublic::from_bytes(&[&[2], &bytes[1..]].concat()).is_err());
        assert!(GovernancePublic::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    }
}
