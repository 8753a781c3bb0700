//! What goes into a node and what comes out.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use synod_crypto::VerifyingKey;
use synod_kv::State;
use synod_ledger::ServiceIdentity;
use synod_types::boundary::{Append, LedgerRange, LogRecord, Restart, Ticket};
use synod_types::{ActorId, AdapterId, Digest, NodeId, RequestId, Seqno, Time, TxId, Untrusted, View};
use synod_worker::{Executed, Reply, ToWorker};

/// Something that happened, with the time at which it is handled as an argument of its own.
#[derive(Debug)]
pub enum Event {
    /// Whoever speaks over the channel of `peer` that stands next holds this key. Where nothing is said of it, it is the one
    /// of the slot.
    PeerProved {
        /// Whose channel it is.
        peer: NodeId,
        /// The digest of the key (SubjectPublicKeyInfo, DER).
        key: Digest,
    },
    /// A channel to another node stands, in both directions.
    PeerConnected(NodeId),
    /// A message came over the channel of `from`, whose identity the channel has proved.
    PeerMessage {
        /// The sender.
        from: NodeId,
        /// The message.
        bytes: Untrusted<Bytes>,
    },
    /// The channel to another node is gone; what was on its way may be lost.
    PeerClosed(NodeId),
    /// Writes arrived from clients of this node.
    Requests(Vec<ClientRequest>),
    /// A question about this node or its ledger.
    Query {
        /// Comes back with the answer.
        token: u64,
        /// The question.
        query: Query,
    },
    /// The worker executed a block.
    Executed(Executed),
    /// An [`Action::Append`] and all before it are on disk.
    Persisted(Ticket),
    /// The answer to an [`Action::ReadLedger`].
    LedgerRead {
        /// The ticket of the read.
        ticket: Ticket,
        /// Records in order, or why there are none.
        records: Result<Vec<Untrusted<LogRecord>>, String>,
    },
    /// The time that [`crate::Node::poll_timeout`] named has come.
    Timeout,
    /// Stop in good order: a leader hands its leadership over first.
    Shutdown,
}

/// A write, authenticated and planned, not yet authorized.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientRequest {
    /// Comes back with the response.
    pub token: u64,
    /// Who asks, as proved by the session.
    pub actor: ActorId,
    /// How recent that proof is.
    pub proof: Proof,
    /// The id under which a retry is the same request.
    pub request_id: RequestId,
    /// The adapter to call.
    pub adapter: AdapterId,
    /// The calls that [`synod_worker::Frontend::plan`] made of the request, at least one.
    pub calls: Vec<Bytes>,
}

impl ClientRequest {
    /// The bytes that this request holds while it waits.
    pub(crate) fn size(&self) -> usize {
        self.calls.iter().map(Bytes::len).sum()
    }
}

/// On what a session's word for its actor rests. The node that orders a request may know of later decisions than
/// the one that the session is with, so it compares them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// The last governance transaction of the tables by which the session's certificates speak for the actor.
    pub seqno: Seqno,
    /// The last moment at which all of them are valid.
    pub valid_until: Time,
}

/// A question about this node or its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// How is the node?
    Status,
    /// What became of this transaction?
    Transaction(TxId),
    /// The receipt of this committed transaction.
    Receipt(TxId),
    /// From which committed transaction on is a read linearizable, if it began now?
    ReadIndex,
}

/// The answer to a [`Query`].
#[derive(Clone, PartialEq, Eq)]
pub enum QueryAnswer {
    /// To [`Query::Status`].
    Status(Status),
    /// To [`Query::Transaction`].
    Transaction(TxStatus),
    /// To [`Query::Receipt`]: a COSE receipt, ready to hand out.
    Receipt(Bytes),
    /// To [`Query::ReadIndex`]: a snapshot that holds this transaction is recent enough.
    ReadIndex(TxId),
}

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The node's slot.
    pub id: NodeId,
    /// What it does.
    pub role: Role,
    /// The view it is in.
    pub view: View,
    /// The leader of that view, if known.
    pub leader: Option<NodeId>,
    /// The last transaction in its log.
    pub last: TxId,
    /// The last transaction it knows committed.
    pub committed: TxId,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Waits for its peers to confirm what its disk holds.
    Resuming,
    /// Follows a leader, or waits for one, and does not count: members have not listed it, or it has not caught up.
    Joining,
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Orders and executes.
    Leader,
    /// Takes part no more: members have removed it.
    Removed,
}

impl Role {
    /// The word for it, as shown to users.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resuming => "resuming",
            Self::Joining => "joining",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
            Self::Removed => "removed",
        }
    }
}

/// Whether a node serves clients. What it tells of itself it always does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serving {
    /// Not yet: members have not listed it, or its key, or it has not caught up. It may not know who is an actor now.
    #[default]
    NotYet,
    /// It does.
    Now,
    /// No more: members have removed it, and it hears of nothing that they decide since.
    NoMore,
}

/// An identity that the service has taken.
#[derive(Clone, Debug)]
pub struct NewService {
    /// The identity. It signs from the next transaction on.
    pub identity: Arc<ServiceIdentity>,
    /// The transaction in which members decided so, which the identity before it has signed.
    pub decided: TxId,
    /// The time of its block.
    pub time: Time,
}

impl NewService {
    /// The public key.
    pub fn verifying_key(&self) -> &VerifyingKey {
        self.identity.verifying_key()
    }
}

/// What became of a transaction id. `Committed` and `Invalid` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxStatus {
    /// This node has not heard of it.
    Unknown,
    /// Ordered in this node's log, not yet committed.
    Pending,
    /// Committed: it stays.
    Committed,
    /// Another transaction was committed at its seqno, or none of its view can be any more.
    Invalid,
}

impl TxStatus {
    /// The word for it, as shown to users.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Pending => "Pending",
            Self::Committed => "Committed",
            Self::Invalid => "Invalid",
        }
    }
}

/// Something to do, in the order given.
pub enum Action {
    /// Send a message to a node; it may be lost.
    Send {
        /// The receiver.
        to: NodeId,
        /// The message, for the secure channel only: it may hold plaintext.
        bytes: Bytes,
    },
    /// File records, then tell [`Event::Persisted`].
    Append(Append),
    /// Read records back, then tell [`Event::LedgerRead`].
    ReadLedger {
        /// Ties the answer to this.
        ticket: Ticket,
        /// What to read.
        range: LedgerRange,
    },
    /// Hand a message to the worker.
    Worker(ToWorker),
    /// Answer clients.
    Respond(Vec<Response>),
    /// Nothing was done of these requests of clients: what their sessions proved may not hold any more by the tables of
    /// the node that orders. Each may come again once it was proved anew, by tables that hold all that is committed.
    ProveAnew(Vec<ClientRequest>),
    /// Answer a query.
    Answer {
        /// The query's token.
        token: u64,
        /// The answer, or why there is none.
        result: Result<QueryAnswer, Refusal>,
    },
    /// This transaction and all before it are committed, and the worker was told.
    Committed {
        /// Its id.
        txid: TxId,
        /// Its block's time.
        time: Time,
    },
    /// The transaction that was just said to be committed gave the service a new identity. Its request is answered
    /// afterwards.
    ServiceRotated(NewService),
    /// The transaction that was just said to be committed is one of governance. Its request is answered afterwards.
    Governed(Governed),
    /// These nodes, this one among them if it is one, have a part from now on: they are listed, or consensus has not
    /// left them out. Without channels between them the node list is not followed.
    Circle(BTreeSet<NodeId>),
    /// Serve clients so from now on. The answers to those who were waiting come before.
    Serving(Serving),
    /// The node stops for good; nothing comes after this.
    Stop {
        /// Why. Holds nothing private.
        reason: StopReason,
    },
}

/// A committed governance transaction.
#[derive(Clone)]
pub struct Governed {
    /// Its id.
    pub txid: TxId,
    /// Its ledger time.
    pub time: Time,
    /// The governance tables after it.
    pub state: State,
    /// What it did, in order.
    pub events: Vec<synod_governance::Event>,
}

/// The answer to a [`ClientRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The request's token.
    pub token: u64,
    /// One reply per call, or why the request was not done.
    pub result: Result<Answer, Refusal>,
}

/// What a request led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's last transaction, committed; for a request that wrote nothing, the last one it saw.
    pub txid: TxId,
    /// One reply per call, in order.
    pub replies: Vec<Reply>,
}

/// Why a request was not done. The same request, under the same id, may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum Refusal {
    /// The bound on waiting requests is reached.
    #[error("too many requests are waiting")]
    TooManyPending = 0,
    /// The actor is neither member nor participant at the point of ordering.
    #[error("the actor is neither a member nor a participant of this network")]
    NotAuthorized = 1,
    /// No leader answered within the time that a request may wait, or a leader that was lost may have done it.
    #[error("no leader answered in time")]
    NoLeader = 2,
    /// The request holds no call, or more than the limit.
    #[error("the number of calls in the request is not allowed")]
    CallCountNotAllowed = 3,
    /// The transaction is not committed, so there is no receipt for it.
    #[error("the transaction is not committed")]
    NotCommitted = 4,
    /// The ledger could not be read at that place.
    #[error("the ledger could not be read")]
    LedgerUnreadable = 5,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping = 6,
    /// The request names an adapter that the network does not have.
    #[error("the network has no such adapter")]
    NoSuchAdapter = 7,
    /// What the request alone writes and answers does not fit a block.
    #[error("the request writes or answers more than fits a block")]
    TooLarge = 8,
    /// The actor asked for something else under the same id before.
    #[error("the request id was used for another request")]
    RequestIdReused = 9,
    /// Members have removed the node.
    #[error("this node was removed from the network")]
    NodeRemoved = 10,
    /// The node does not know yet whether its disk holds all that it promised.
    #[error("the node is starting, and its peers have not confirmed yet what its disk holds")]
    Starting = 11,
    /// What the session proved rests on tables that have changed since, or its certificates expired.
    #[error("for whom the session speaks may have been decided otherwise since it was looked at")]
    ProveAnew = 12,
}

impl Refusal {
    /// What is said instead when the request may have been done all the same.
    pub(crate) const fn in_doubt(self) -> Self {
        match self {
            Self::Stopping | Self::LedgerUnreadable => self,
            _ => Self::NoLeader,
        }
    }
}

impl TryFrom<u8> for Refusal {
    type Error = u8;

    fn try_from(byte: u8) -> Result<Self, u8> {
        [
            Self::TooManyPending,
            Self::NotAuthorized,
            Self::NoLeader,
            Self::CallCountNotAllowed,
            Self::NotCommitted,
            Self::LedgerUnreadable,
            Self::Stopping,
            Self::NoSuchAdapter,
            Self::TooLarge,
            Self::RequestIdReused,
            Self::NodeRemoved,
            Self::Starting,
            Self::ProveAnew,
        ]
        .into_iter()
        .find(|refusal| *refusal as u8 == byte)
        .ok_or(byte)
    }
}

/// Why a node stopped. [`StopReason::restart`] says what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// It was asked to.
    #[error("shut down as asked")]
    Shutdown,
    /// A peer saw this node acknowledge more than its disk holds.
    #[error(
        "the disk of node {node} was rolled back: node {witness} saw it acknowledge entry {seen_index} of view {seen_view}, its log ends at entry {own_index} of view {own_view}"
    )]
    DiskRolledBack {
        /// This node.
        node: NodeId,
        /// The peer that saw more.
        witness: NodeId,
        /// The view of the entry that was acknowledged.
        seen_view: u64,
        /// The index of that entry.
        seen_index: u64,
        /// The view of the last entry on disk.
        own_view: u64,
        /// The index of that entry.
        own_index: u64,
    },
    /// A peer saw this node vote or speak in a later view than its disk remembers, or give a vote that it does not.
    #[error(
        "the disk of node {node} was rolled back: node {witness} saw it vote or speak in view {seen_view}, which its vote record of view {own_view} does not hold"
    )]
    VoteRolledBack {
        /// This node.
        node: NodeId,
        /// The peer that saw more.
        witness: NodeId,
        /// The view in which it was seen.
        seen_view: u64,
        /// The view on disk.
        own_view: u64,
    },
    /// Members have given this node's slot another credential.
    #[error("the credential of node {node} was replaced: start it with the new one")]
    CredentialReplaced {
        /// This node.
        node: NodeId,
    },
}

impl StopReason {
    /// Whether the node may be started from the same disk again.
    pub const fn restart(&self) -> Restart {
        match self {
            Self::Shutdown => Restart::Allowed,
            Self::DiskRolledBack { .. } | Self::VoteRolledBack { .. } => Restart::Refused,
            Self::CredentialReplaced { .. } => Restart::Allowed,
        }
    }
}
