//! What consensus asks of the rest of the node.

use bytes::Bytes;
use synod_types::boundary::LogRecord;
use synod_types::{LogIndex, NodeId, View};

/// One thing to do. Effects are carried out in the order in which they come.
///
/// After a peer's message that replaces entries the order is `Truncated`, `Append`; a node that
/// becomes leader is told so after the `Append` of its view's engine entry, a node that stops being
/// leader before everything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send `bytes` to `to`. May be lost, doubled or reordered on the way, at a price in time only.
    Send {
        /// The receiver, which learns from its channel who sent this.
        to: NodeId,
        /// One message, for the receiver's `admit`.
        bytes: Bytes,
    },
    /// Entry `from` and all after it are gone: a newer leader replaced them.
    Truncated {
        /// The first entry that is gone.
        from: LogIndex,
    },
    /// Write to disk in one go, sync, then call `persisted`. Appends are written in order.
    Append(Append),
    /// The role, the view or the known leader changed.
    RoleChanged {
        /// What this node is now.
        role: Role,
        /// The view it is that in.
        view: View,
        /// The leader of that view, if known.
        leader: Option<NodeId>,
    },
    /// These entries, contiguous after those told before, are committed by a majority and synced here.
    Committed {
        /// Blocks and engine entries.
        records: Vec<LogRecord>,
    },
    /// A read asked for by `read_index` may be served from a state that covers entry `index`.
    ReadReady {
        /// What `read_index` was given.
        context: u64,
        /// Everything acknowledged before `read_index` was called is at or before this entry.
        index: LogIndex,
    },
    /// A follower lags behind what is in memory: read these from the ledger, then call
    /// `records_read` with `from` and as many as were read, or none.
    NeedRecords {
        /// The first wanted.
        from: LogIndex,
        /// The last wanted.
        to: LogIndex,
    },
}

/// One write to the log and the vote. `persisted` speaks of all of it; a crash may leave any part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// What to call `persisted` with. Rises from append to append.
    pub number: u64,
    /// Drop this entry and all after it first.
    pub truncate_from: Option<LogIndex>,
    /// The entries, contiguous; may be empty.
    pub records: Vec<LogRecord>,
    /// The vote, if it changed. It may reach the disk before or after the records.
    pub vote: Option<Vote>,
}

/// What a node must remember of elections: the view it has reached and for whom it voted in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vote {
    /// The highest view this node has seen.
    pub view: View,
    /// The node that has its vote in that view.
    pub voted_for: Option<NodeId>,
}

/// What a node is in its view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It follows the leader, or waits for one.
    Follower,
    /// It stands for election, or asks whether it may.
    Candidate,
    /// It orders transactions.
    Leader,
}
