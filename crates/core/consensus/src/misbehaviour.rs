//! What a peer can do wrong, by name.

use synod_types::{ConfigurationChange, DecodeError, LogIndex, NodeId, Seqno, View};

/// Why a peer's message was refused. Nothing of it took effect, and this node goes on.
///
/// Nodes are attested to run this code, so each of these means a bug, a broken machine, or a disk
/// that lost what it had synced, on one side or the other; the text says what contradicts what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerMisbehaved {
    /// The sender is this node itself, or no node.
    #[error("node {from} is not a peer of this node")]
    NotAPeer {
        /// The sender.
        from: NodeId,
    },
    /// The message is above the limit of its kind.
    #[error("message of {size} bytes is above the limit")]
    MessageTooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// The bytes are no message. A proposal and a snapshot have no encoding.
    #[error("malformed message")]
    Malformed(#[from] DecodeError),
    /// A view or an index is beyond what any run of the protocol reaches.
    #[error("{what} {found} is beyond anything this network can have reached")]
    NumberOutOfRange {
        /// Which number.
        what: &'static str,
        /// Its value.
        found: u64,
    },
    /// The view is too far above ours for the elections that could have been held.
    #[error("view {found} is too far above our view {ours}")]
    ViewJump {
        /// The message's view.
        found: View,
        /// This node's view.
        ours: View,
    },
    /// Two nodes claim to lead one view.
    #[error("acts as leader of view {view}, whose leader is node {leader}")]
    SecondLeader {
        /// The view.
        view: View,
        /// The leader known before.
        leader: NodeId,
    },
    /// Entries whose views fall, or are above the message's view.
    #[error("entry {index} of view {found} follows view {after} in a message of view {message}")]
    ViewsOutOfOrder {
        /// The entry.
        index: LogIndex,
        /// Its view.
        found: View,
        /// The view of the entry before.
        after: View,
        /// The view of the message.
        message: View,
    },
    /// A change of the configuration that is no step from where it stands.
    #[error("entry {index} is no step from who takes part before it: {change}")]
    NotAStep {
        /// The entry.
        index: LogIndex,
        /// What it would change.
        change: ConfigurationChange,
    },
    /// A block that does not begin with the seqno that comes next.
    #[error("entry {index} begins at seqno {found} where {expected} comes next")]
    SeqnoGap {
        /// The entry.
        index: LogIndex,
        /// Its first seqno.
        found: Seqno,
        /// The seqno after the entry before.
        expected: Seqno,
    },
    /// An entry contradicts one that is committed: a majority acknowledged ours.
    #[error("entry {index} of view {found} contradicts the committed entry of view {committed}")]
    ConflictsWithCommitted {
        /// The entry.
        index: LogIndex,
        /// Its view as the peer claims.
        found: View,
        /// Its view here.
        committed: View,
    },
    /// Two entries share index and view and differ.
    #[error("entry {index} of view {view} differs from the one we hold")]
    EntryDiffers {
        /// The entry.
        index: LogIndex,
        /// Its view.
        view: View,
    },
    /// The leader believes that we hold more than we do: it errs, or our disk lost synced entries.
    #[error("commit {commit} is beyond our last entry {last}: the leader errs or our disk lost synced entries")]
    CommitBeyondLog {
        /// The commit index claimed.
        commit: LogIndex,
        /// Our last entry.
        last: LogIndex,
    },
    /// A follower acknowledges or refuses what we never sent.
    #[error("speaks of entry {index} of our log, which ends at {last}")]
    AckBeyondLog {
        /// The entry it speaks of.
        index: LogIndex,
        /// Our last entry.
        last: LogIndex,
    },
    /// A follower refuses the genesis block, which all nodes begin with.
    #[error("refuses entry {index}, at or below the genesis block: it belongs to another network")]
    GenesisRefused {
        /// The entry it refuses.
        index: LogIndex,
    },
    /// A refusal whose hint lies after what is refused.
    #[error("refuses entry {index} with a hint at {hint}, which lies after it")]
    HintBeyondRefusal {
        /// The entry it refuses.
        index: LogIndex,
        /// The hint.
        hint: LogIndex,
    },
    /// A vote is granted that this node has not asked for, or has forgotten asking for.
    #[error("grants a vote in view {view} that we did not ask for in view {ours}")]
    VoteNotAskedFor {
        /// The view of the vote.
        view: View,
        /// This node's view.
        ours: View,
    },
    /// A candidate whose log is of the view it stands for, or beyond it.
    #[error("asks for a vote in view {view} with a log that ends in view {last}")]
    CandidateAheadOfItself {
        /// The view it stands for.
        view: View,
        /// The view of its last entry.
        last: View,
    },
    /// A read context that names another node than the one it must.
    #[error("read context of node {found} where node {expected} must be named")]
    ForeignReadContext {
        /// The node it names.
        found: NodeId,
        /// The node it must name.
        expected: NodeId,
    },
}
