//! The ledger: what a block is, how it is sealed, checked, opened and verified, and the receipts made of it.
//!
//! A leader's [`Sealer`] builds each block on a [`Tip`]; a follower [`check`]s it against its own tip before
//! it acknowledges, and [`open`]s it to apply what it holds. A [`Receipt`] proves one transaction to whoever
//! knows the service's public key. A [`Verifier`] goes through ledger files without any key.
//!
//! ```text
//! log     entry 1 (genesis block) - entry 2 - ...            engine entries carry nothing
//! chain   SHA-256(chain before || entry digest)              covers every entry, engine entries included
//! leaf    SHA-256(write set digest || SHA-256(evidence) || claims)
//! root    SHA-256(root before || tree(leaves of the block))  what the service signs
//! ```
//! Evidence is `ce:<view.seqno>:<HMAC under a session key>`: it leaves the enclave only in receipts, after
//! commit, so that no transaction has a receipt before, and nobody can guess a small write set from its leaf.
//! The leaf, tree and receipt follow CCF's profile of RFC 9942, so that existing verifiers accept them; the
//! chained root is ours: its last step in a receipt is one digest on the left.
//!
//! Signatures enter no digest: signing draws randomness, and two nodes that differ in nothing else must agree.

mod block;
mod chain;
mod check;
mod content;
mod genesis;
mod governance;
mod header;
mod history;
mod leaf;
mod merkle;
mod open;
mod receipt;
mod redact;
mod seal;
mod signers;
mod tip;
mod verify;

pub use block::SealedBlock;
pub use chain::{CHAIN_START, chain_next, configuration_entry_digest, engine_entry_digest};
pub use check::{BlockRefused, check, check_alone};
pub use content::{ActorRecord, AdminRecord, CallRecord, Content, RequestRecord};
pub use genesis::{GenesisPublic, NodeKeys, check_genesis};
pub use governance::GovernancePublic;
pub use header::{BlockHeader, BlockKind};
pub use history::{HistoryRefused, SERVICE_KEYS_TOLD_MAX, ServiceHistory, ServiceTerm};
pub use leaf::{Leaf, NO_CLAIMS, evidence};
pub use open::{OpenRefused, Opened, open, open_admin};
pub use receipt::{Receipt, ReceiptRefused, VerifiedReceipt};
pub use seal::{
    BlockTooLarge, Draft, GenesisParts, Moment, Sealed, Sealer, ServiceIdentity, SignerChange, seal_genesis,
};
pub use signers::{KeyHistory, MaySign, Signers};
pub use tip::Tip;
pub use verify::{Failure, FailureReason, LastKnown, Report, TornTail, VerifiedEntry, Verifier};
