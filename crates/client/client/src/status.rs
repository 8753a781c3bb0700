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
