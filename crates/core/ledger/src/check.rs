//! What a follower checks of a block before it acknowledges it, and a verifier of every block in a file.

use synod_crypto::sha256;
use synod_types::{ConfigurationChange, Decode, DecodeError, Epoch, LogIndex, NodeId, Seqno, Time, View, limits};

use crate::block::SealedBlock;
use crate::governance::GovernancePublic;
use crate::header::BlockKind;
use crate::merkle::next_root;
use crate::signers::MaySign;
use crate::tip::Tip;

/// Checks that `block` continues `tip` and that one of its nodes and the service signed it; returns the tip it leaves.
///
/// What is sealed is not looked at: see [`crate::open`]. Nor is a clock: how far ahead a block's time may be
/// is for the caller to decide.
///
/// # Errors
/// The first thing that does not fit.
pub fn check(block: &SealedBlock, tip: &Tip) -> Result<Tip, BlockRefused> {
    check_continues(block, tip)?;
    let public = check_whole(block, &*tip.signers)?;
    if block.header.kind == BlockKind::Governance && block.admin.is_empty() != tip.admin_is_public {
        return Err(BlockRefused::ShapeNotAllowed { kind: block.header.kind });
    }
    Ok(tip.after(block, public.as_ref()))
}

/// Checks that `block` is whole and that a node and the service of `keys` signed it, wherever it stands.
///
/// For a block that is known by its place, and read back from where others could have changed it.
///
/// # Errors
/// The first thing that does not fit.
pub fn check_alone(block: &SealedBlock, keys: &impl MaySign) -> Result<(), BlockRefused> {
    check_whole(block, keys).map(|_| ())
}

fn check_whole(block: &SealedBlock, keys: &impl MaySign) -> Result<Option<GovernancePublic>, BlockRefused> {
    check_shape(block)?;
    check_parts(block)?;
    let public = read_public(block)?;
    let signer = block.header.signer;
    let mut node_keys = keys.node_keys(block).peekable();
    if node_keys.peek().is_none() {
        return Err(BlockRefused::SignerUnknown { signer });
    }
    if !node_keys.any(|key| block.header_signed(key)) {
        return Err(BlockRefused::NodeSignatureInvalid { signer });
    }
    if !keys.service_keys().any(|key| block.service_signed(key)) {
        return Err(BlockRefused::ServiceSignatureInvalid);
    }
    Ok(public)
}

/// What a governance block tells everyone; none for the others, which tell nothing. The administrative part lies
/// either there or sealed.
fn read_public(block: &SealedBlock) -> Result<Option<GovernancePublic>, BlockRefused> {
    if block.header.kind != BlockKind::Governance {
        return Ok(None);
    }
    let public = GovernancePublic::from_bytes(&block.public).map_err(BlockRefused::PublicPartUnreadable)?;
    if public.admin.is_some() == block.admin.is_empty() {
        Ok(Some(public))
    } else {
        Err(BlockRefused::ShapeNotAllowed { kind: block.header.kind })
    }
}

fn check_continues(block: &SealedBlock, tip: &Tip) -> Result<(), BlockRefused> {
    let header = &block.header;
    if header.network != tip.network {
        return Err(BlockRefused::OtherNetwork);
    }
    tip.check_follows(header.index, header.view)?;
    // A leader's first entry is the engine's.
    if header.view != tip.entry_view {
        return Err(BlockRefused::ViewNotBegun { view: header.view });
    }
    if header.chain != tip.chain {
        return Err(BlockRefused::OtherHistory);
    }
    if header.first_seqno != tip.seqno.next() {
        return Err(BlockRefused::SeqnoOutOfOrder { expected: tip.seqno.next(), found: header.first_seqno });
    }
    if header.parent_root != tip.root {
        return Err(BlockRefused::OtherParentRoot);
    }
    if header.epoch != tip.epoch {
        return Err(BlockRefused::OtherEpoch { expected: tip.epoch, found: header.epoch });
    }
    if header.time < tip.time {
        return Err(BlockRefused::TimeBackwards { before: tip.time, found: header.time });
    }
    if header.committed < tip.committed || header.committed > tip.seqno {
        return Err(BlockRefused::CommittedOutOfRange { found: header.committed });
    }
    check_view(block, tip)
}

/// A view is opened by exactly one block, before any other of that view.
fn check_view(block: &SealedBlock, tip: &Tip) -> Result<(), BlockRefused> {
    let header = &block.header;
    let opens = header.kind == BlockKind::ViewStart;
    if opens != (header.view > tip.open_view) {
        return Err(if opens {
            BlockRefused::ViewOpenedTwice { view: header.view }
        } else {
            BlockRefused::ViewNotOpened { view: header.view }
        });
    }
    if !opens && header.salt != tip.salt {
        return Err(BlockRefused::OtherSalt);
    }
    Ok(())
}

/// What each kind of block may hold.
fn check_shape(block: &SealedBlock) -> Result<(), BlockRefused> {
    let (count, application, admin) =
        (block.header.count as usize, !block.application.is_empty(), !block.admin.is_empty());
    let fits = match block.header.kind {
        BlockKind::Genesis => false,
        BlockKind::ViewStart => count == 0 && !application && !admin,
        BlockKind::Application => (1..=limits::BLOCK_TRANSACTIONS_MAX).contains(&count) && application && !admin,
        BlockKind::Governance => count == 1 && !application,
    };
    let is_public = block.header.kind == BlockKind::Governance;
    let fits = fits && block.leaves.len() == count && block.public.is_empty() != is_public;
    if fits { Ok(()) } else { Err(BlockRefused::ShapeNotAllowed { kind: block.header.kind }) }
}

/// That the header's digests are those of the leaves and parts.
pub(crate) fn check_parts(block: &SealedBlock) -> Result<(), BlockRefused> {
    let header = &block.header;
    if block.leaves.len() != header.count as usize || next_root(header.parent_root, &block.leaves) != header.root {
        return Err(BlockRefused::LeavesChanged);
    }
    for (part, digest, refused) in [
        (&block.public, header.public, BlockRefused::PublicPartChanged),
        (&block.application, header.application, BlockRefused::ApplicationPartChanged),
        (&block.admin, header.admin, BlockRefused::AdminPartChanged),
    ] {
        if sha256(&[part]) != digest {
            return Err(refused);
        }
    }
    Ok(())
}

/// Why a block was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockRefused {
    /// It belongs to another network.
    #[error("block is of another network")]
    OtherNetwork,
    /// It does not stand at the next index.
    #[error("entry {found} stands where {expected} belongs")]
    IndexOutOfOrder {
        /// The index that belongs here.
        expected: LogIndex,
        /// The index found.
        found: LogIndex,
    },
    /// Its view is before the last entry's.
    #[error("view {found} follows view {before}")]
    ViewBackwards {
        /// The last entry's view.
        before: View,
        /// The entry's view.
        found: View,
    },
    /// The log entries before it are not those it was built on.
    #[error("block was built on another history")]
    OtherHistory,
    /// Its first transaction is not the next.
    #[error("transaction {found} stands where {expected} belongs")]
    SeqnoOutOfOrder {
        /// The seqno that belongs here.
        expected: Seqno,
        /// The seqno found.
        found: Seqno,
    },
    /// It was built on another root.
    #[error("block was built on another root")]
    OtherParentRoot,
    /// It is of another epoch.
    #[error("epoch {found} stands where {expected} belongs")]
    OtherEpoch {
        /// The epoch in force.
        expected: Epoch,
        /// The block's epoch.
        found: Epoch,
    },
    /// Its time is before the last block's.
    #[error("time {} us follows {} us", found.0, before.0)]
    TimeBackwards {
        /// The last block's time.
        before: Time,
        /// The block's time.
        found: Time,
    },
    /// What it says is committed was said to be less before, or is not yet in the ledger.
    #[error("block says that {found} is committed, against what stands before it")]
    CommittedOutOfRange {
        /// What it says.
        found: Seqno,
    },
    /// An entry of the engine stands where its view has begun already.
    #[error("view {view} begins twice")]
    ViewBegunTwice {
        /// The view.
        view: View,
    },
    /// A block stands in a view that no entry of the engine began.
    #[error("view {view} was not begun")]
    ViewNotBegun {
        /// The view.
        view: View,
    },
    /// A block stands in a view that no block opened.
    #[error("view {view} was not opened")]
    ViewNotOpened {
        /// The view.
        view: View,
    },
    /// A second block opens a view.
    #[error("view {view} is opened twice")]
    ViewOpenedTwice {
        /// The view.
        view: View,
    },
    /// A change of the configuration that governance did not decide.
    #[error("the node list does not ask for the configuration change: {change}")]
    ConfigurationNotGoverned {
        /// The change.
        change: ConfigurationChange,
    },
    /// Its salt is not its view's.
    #[error("block has another salt than its view")]
    OtherSalt,
    /// It holds what its kind may not, or lacks what it must.
    #[error("block of kind {kind:?} holds what it may not, or lacks what it must")]
    ShapeNotAllowed {
        /// The block's kind.
        kind: BlockKind,
    },
    /// Leaves and root do not fit.
    #[error("leaves and root do not fit")]
    LeavesChanged,
    /// The public part is not the one the header names.
    #[error("public part is not the one that the header names")]
    PublicPartChanged,
    /// The sealed application part is not the one the header names.
    #[error("application part is not the one that the header names")]
    ApplicationPartChanged,
    /// The sealed administrative part is not the one the header names.
    #[error("administrative part is not the one that the header names")]
    AdminPartChanged,
    /// Its signer is not in the node list.
    #[error("signer {signer} is not in the node list")]
    SignerUnknown {
        /// The signer.
        signer: NodeId,
    },
    /// The signer's signature does not fit.
    #[error("signature of node {signer} does not fit")]
    NodeSignatureInvalid {
        /// The signer.
        signer: NodeId,
    },
    /// The service's signature does not fit.
    #[error("signature of the service does not fit")]
    ServiceSignatureInvalid,
    /// It is not what a genesis block must be.
    #[error("not a genesis block")]
    NotAGenesisBlock,
    /// Its public part cannot be read.
    #[error("public part cannot be read: {0}")]
    PublicPartUnreadable(#[source] DecodeError),
}
