//! What manager and worker say to each other.

use std::sync::Arc;

use bytes::Bytes;
use synod_kv::WriteSet;
use synod_types::{AdapterId, Decode, DecodeError, Digest, Seqno};

use crate::{ActorFacts, BlockEnv, Configure, Reply};

/// From the manager to the worker. The worker handles them strictly in order.
#[derive(Clone, Debug)]
pub enum ToWorker {
    /// Execute calls on the tip as one block; answered by [`Executed`].
    Execute(Execute),
    /// Hand settings to an adapter as the next block on the tip, and answer with [`Executed`].
    Configure(Configure),
    /// Add a block that another node executed, as a layer on the tip.
    Apply(Apply),
    /// Drop every layer above this seqno.
    Truncate {
        /// The last seqno to keep: that of a layer, or what is committed.
        to: Seqno,
    },
    /// Merge the layers up to this seqno into the committed state and publish a snapshot of it.
    Commit {
        /// The last seqno of a layer, or what is committed already: that changes nothing.
        upto: Seqno,
    },
}

/// Calls to execute on the tip, in order, as one block.
///
/// The worker executes no further call once the block has grown to [`crate::BLOCK_BYTES_FULL`]; it
/// answers the rest with a refusal (status 503, code `BlockFull`).
#[derive(Clone, Debug)]
pub struct Execute {
    /// The block's facts. `env.first_seqno` is the tip's seqno plus one.
    pub env: BlockEnv,
    /// The calls, at least one, at most [`synod_types::limits::BLOCK_TRANSACTIONS_MAX`].
    pub calls: Vec<Call>,
}

/// One call of an adapter: becomes one transaction if it writes.
#[derive(Clone)]
pub struct Call {
    /// The adapter to run.
    pub adapter: AdapterId,
    /// On whose behalf.
    pub actor: ActorFacts,
    /// What the adapter's [`crate::Frontend::plan`] made of the request.
    pub input: Bytes,
}

/// The layer that an [`Execute`] or a [`Configure`] left on the tip.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The block's facts, as they were given.
    pub env: BlockEnv,
    /// One per call, in order. Those with writes took the seqnos from `env.first_seqno` on, in order;
    /// if there is none, no layer was left.
    pub outcomes: Vec<Outcome>,
}

impl Executed {
    /// How many transactions the block holds.
    pub fn count(&self) -> u64 {
        self.outcomes.iter().filter(|outcome| outcome.write_set.is_some()).count() as u64
    }
}

/// What became of one call.
#[derive(Clone)]
pub struct Outcome {
    /// The canonical write set, if the call wrote; such a call is a transaction.
    pub write_set: Option<Bytes>,
    /// A digest of the adapter's choice that the transaction's receipt will carry.
    pub claims: Option<Digest>,
    /// The answer, to be given once the block (or, without writes, what came before it) has committed.
    pub reply: Reply,
}

/// A block that another node executed.
#[derive(Clone)]
pub struct Apply {
    /// The first transaction's seqno: the tip's plus one.
    pub first_seqno: Seqno,
    /// One per transaction, at least one. Shared, so that whoever read them may keep them.
    pub write_sets: Arc<[WriteSet]>,
}

impl Apply {
    /// Reads the write sets of a block from their canonical encodings.
    ///
    /// # Errors
    /// If one is not such an encoding: then the block must not be applied, nor acknowledged before.
    pub fn from_encoded<'b>(
        first_seqno: Seqno,
        write_sets: impl IntoIterator<Item = &'b Bytes>,
    ) -> Result<Self, DecodeError> {
        let write_sets = write_sets.into_iter().map(|bytes| WriteSet::from_bytes(bytes));
        Ok(Self { first_seqno, write_sets: write_sets.collect::<Result<_, _>>()? })
    }
}
