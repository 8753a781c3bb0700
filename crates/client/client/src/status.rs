//! How a node says it is.

use serde::{Deserialize, Serialize};
use synod_types::TxId;

/// A node's answer to `GET /node/status`, as far as clients read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The node's slot.
    pub id: u64,
    /// `leader`, `follower`, `candidate` or `resuming`.
    pub role: String,
    /// The view it is in.
    pub view: u64,
    /// The leader of that view, if known.
    #[serde(default)]
    pub leader: Option<u64>,
    /// The last transaction in its log, `view.seqno`.
    pub last: String,
    /// The last transaction it knows committed, `view.seqno`.
    pub committed: String,
}

impl NodeStatus {
    /// Whether the node leads.
    pub fn is_leader(&self) -> bool {
        self.role == "leader"
    }

    /// The last transaction the node knows committed.
    pub fn committed(&self) -> Option<TxId> {
        self.committed.parse().ok()
    }
}

/// What became of a transaction id, as a node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Outcome {
    /// The node has not heard of it.
    Unknown,
    /// Ordered, not committed yet.
    Pending,
    /// Committed: it stays.
    Committed,
    /// Never committed: another transaction has its place.
    Invalid,
}

impl Outcome {
    /// Whether it stays so.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Committed | Self::Invalid)
    }
}
