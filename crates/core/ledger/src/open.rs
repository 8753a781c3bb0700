//! Opening a block: its parts in the clear, checked against its leaves.

use bytes::Bytes;
use synod_crypto::{AdminKey, OpenError, SealingKey, SessionKeys};
use synod_types::{Decode, DecodeError, Epoch, Seqno, TxId};

use crate::block::SealedBlock;
use crate::content::{AdminRecord, Content, leaves};
use crate::genesis::GenesisPublic;
use crate::governance::GovernancePublic;
use crate::header::BlockKind;
use crate::leaf::Leaf;

/// A block's parts in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The application part; none if the block has none.
    pub content: Option<Content>,
    /// The administrative part; none if the block has none.
    pub admin: Option<AdminRecord>,
    /// What each transaction's leaf is made of.
    pub leaves: Vec<Leaf>,
}

/// Opens a block that was checked.
///
/// # Errors
/// If the keys are not those it was sealed with, or what is in it does not give the leaves that it shows:
/// then its leader broke the protocol.
pub fn open(block: &SealedBlock, keys: &SessionKeys) -> Result<Opened, OpenRefused> {
    let header = &block.header;
    if header.epoch != keys.epoch {
        return Err(OpenRefused::OtherEpoch { block: header.epoch, keys: keys.epoch });
    }
    let associated = header.associated();
    let unseal = |part: &Bytes, key: SealingKey| -> Result<Option<Bytes>, OpenRefused> {
        if part.is_empty() {
            return Ok(None);
        }
        Ok(Some(key.open(header.first_seqno.0, 0, &associated.0, part).map(Bytes::from)?))
    };
    let (view, leader, salt) = (header.view, header.signer, &header.salt);
    let application = unseal(&block.application, SealingKey::application(&keys.application, view, leader, salt))?;
    let admin = unseal(&block.admin, SealingKey::admin(&keys.admin, view, leader, salt))?;

    let content = application.map(|bytes| Content::from_shared(&bytes)).transpose()?;
    let admin = match admin {
        Some(bytes) => Some(AdminRecord::from_shared(&bytes)?),
        None => public_admin(block)?,
    };
    let leaves = leaves(header.kind, content.as_ref(), admin.as_ref(), &block.public);
    check_leaves(block, &leaves, keys)?;
    Ok(Opened { content, admin, leaves })
}

/// The administrative part of a block that shows it to everyone.
fn public_admin(block: &SealedBlock) -> Result<Option<AdminRecord>, DecodeError> {
    match block.header.kind {
        BlockKind::Genesis => Ok(GenesisPublic::from_bytes(&block.public)?.admin),
        BlockKind::Governance => Ok(GovernancePublic::from_bytes(&block.public)?.admin),
        BlockKind::ViewStart | BlockKind::Application => Ok(None),
    }
}

/// Opens the administrative part alone, of a block that was checked: for an auditor, who may hold that key and no
/// other, or none where the part is public. `None` if the block has no administrative part.
///
/// That the part belongs to this block is proved by how it is sealed, or by the header's digest of the public part.
///
/// # Errors
/// If the key is missing or not the one it was sealed with, or what is in it is not a record of this version.
pub fn open_admin(block: &SealedBlock, key: Option<&AdminKey>) -> Result<Option<AdminRecord>, OpenRefused> {
    if block.admin.is_empty() {
        return Ok(public_admin(block)?);
    }
    let header = &block.header;
    let key = key.ok_or(OpenRefused::NoKey)?;
    let key = SealingKey::admin(key, header.view, header.signer, &header.salt);
    let bytes = key.open(header.first_seqno.0, 0, &header.associated().0, &block.admin)?;
    Ok(Some(AdminRecord::from_shared(&Bytes::from(bytes))?))
}

fn check_leaves(block: &SealedBlock, leaves: &[Leaf], keys: &SessionKeys) -> Result<(), OpenRefused> {
    if leaves.len() != block.leaves.len() {
        return Err(OpenRefused::LeavesDiffer { seqno: block.header.first_seqno });
    }
    let evidence_key = keys.application.evidence_key();
    for ((leaf, shown), offset) in leaves.iter().zip(&block.leaves).zip(0..) {
        let seqno = block.header.first_seqno.plus(offset);
        if leaf.digest(TxId::new(block.header.view, seqno), &evidence_key) != *shown {
            return Err(OpenRefused::LeavesDiffer { seqno });
        }
    }
    Ok(())
}

/// Why a block was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefused {
    /// The keys are of another epoch.
    #[error("block is of epoch {block}, the keys are of epoch {keys}")]
    OtherEpoch {
        /// The block's epoch.
        block: Epoch,
        /// The keys' epoch.
        keys: Epoch,
    },
    /// The administrative part is sealed, and no key is at hand.
    #[error("administrative part is sealed")]
    NoKey,
    /// A part does not open.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// What was sealed is not a part of this version.
    #[error("sealed part cannot be read: {0}")]
    Unreadable(#[from] DecodeError),
    /// What was sealed does not give the leaf that the block shows.
    #[error("transaction {seqno} does not give the leaf that its block shows")]
    LeavesDiffer {
        /// The first such transaction.
        seqno: Seqno,
    },
}
