//! What crosses the boundary between the untrusted host and the enclave.
//!
//! Every message carries only bytes that the host may see: TLS records, sealed blocks, sealed
//! blobs, and the numbers that it needs to carry and file them. DISCLOSURE.md lists what the host
//! learns from them. Both directions are bounded by credits: a side that has not answered for
//! [`CONNECTION_WINDOW_BYTES`] of a connection is sent no more of it.

use bytes::Bytes;

use crate::{LogIndex, NodeId, Seqno, TxId, Untrusted, View};

/// How many bytes of one connection may be on their way across the boundary, in each direction:
/// enough that a thousand small requests in flight never wait for a credit.
pub const CONNECTION_WINDOW_BYTES: usize = 1 << 20;

/// A connection, numbered by the side that began it: even by the host, odd by the enclave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// The door at which a connection arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// For actors: requests over HTTP.
    Client,
    /// For the other nodes.
    Peer,
}

/// Ties an answer of the host to the request of the enclave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// From the host to the enclave.
#[derive(Debug)]
pub enum ToEnclave {
    /// A connection was accepted.
    Accepted {
        /// Its id, even.
        connection: ConnectionId,
        /// Where it arrived.
        door: Door,
    },
    /// The connection that the enclave asked for stands.
    Connected {
        /// The id that the enclave gave.
        connection: ConnectionId,
    },
    /// Bytes arrived.
    Received {
        /// On which connection.
        connection: ConnectionId,
        /// The bytes.
        bytes: Untrusted<Bytes>,
    },
    /// Bytes of a [`ToHost::Write`] were handed to the operating system.
    Written {
        /// On which connection.
        connection: ConnectionId,
        /// How many.
        size: usize,
    },
    /// The other side sends no more. It may still read: the enclave answers what it has, then closes.
    Ended {
        /// On which connection.
        connection: ConnectionId,
    },
    /// The connection ended, or could not be made.
    Closed {
        /// Which one.
        connection: ConnectionId,
    },
    /// Everything up to and including this append is on disk.
    Persisted {
        /// The append's ticket.
        ticket: Ticket,
    },
    /// The answer to a [`ToHost::ReadLedger`].
    LedgerRead {
        /// The read's ticket.
        ticket: Ticket,
        /// Records in order, or why there are none.
        records: Result<Vec<Untrusted<LogRecord>>, String>,
    },
    /// Stop in good order: finish what is in flight, then close.
    Shutdown,
}

/// From the enclave to the host.
#[derive(Debug)]
pub enum ToHost {
    /// Connect to a node; the host knows its address.
    Connect {
        /// The id of the connection to be, odd.
        connection: ConnectionId,
        /// The node to reach.
        node: NodeId,
    },
    /// Send bytes.
    Write {
        /// On which connection.
        connection: ConnectionId,
        /// The bytes.
        bytes: Bytes,
    },
    /// Bytes of a [`ToEnclave::Received`] were worked off.
    Consumed {
        /// On which connection.
        connection: ConnectionId,
        /// How many.
        size: usize,
    },
    /// Send what is left, then close.
    Close {
        /// Which connection.
        connection: ConnectionId,
    },
    /// File records.
    Append(Append),
    /// Read records back.
    ReadLedger {
        /// Ties the answer to this.
        ticket: Ticket,
        /// What to read.
        range: LedgerRange,
    },
    /// A governance transaction is committed at this node; what it did is not said.
    GovernanceHappened {
        /// This node's slot.
        node: NodeId,
        /// The transaction.
        txid: TxId,
    },
    /// The enclave has stopped, and why.
    Stopped {
        /// For the operator; holds nothing private.
        reason: String,
        /// Whether it may be started from the same disk again.
        restart: Restart,
    },
}

/// Whether a node that has stopped may be started from the same disk again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// It may: it was asked to stop, or another start may mend what went wrong.
    Allowed,
    /// It must not: the network has shown that the disk was rolled back, and another start might find a peer that
    /// has forgotten what it saw.
    Refused,
}

/// Which part of the log to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerRange {
    /// Records from `from` up to and including `to`, at least one, then as many as fit `bytes_max`.
    Indexes {
        /// The first.
        from: LogIndex,
        /// The last.
        to: LogIndex,
        /// A soft bound on the answer.
        bytes_max: usize,
    },
    /// The one record whose block holds `seqno`.
    Covering(Seqno),
}

/// One write to the log, in order with the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Append {
    /// Ties [`ToEnclave::Persisted`] to this.
    pub ticket: Ticket,
    /// Drop this record and all after it first: a newer leader replaced them.
    pub truncate_from: Option<LogIndex>,
    /// The records, contiguous.
    pub records: Vec<LogRecord>,
    /// The sealed vote record, replaced as a whole, if it changed. It is on disk before anything else of this
    /// append is done: it speaks of what a crash may leave of the rest.
    pub vote: Option<Bytes>,
}

/// One entry of the consensus log, as the host files it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its place in the log.
    pub index: LogIndex,
    /// The view in which it was proposed (the engine's term).
    pub view: View,
    /// Whose entry it is.
    pub kind: EntryKind,
    /// For a block: its first transaction. For other entries: the seqno that comes next.
    pub first_seqno: Seqno,
    /// How many transactions the block holds.
    pub count: u32,
    /// A sealed block, a configuration change, or nothing for an engine entry.
    pub payload: Bytes,
}

/// Whose entry a log entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// A block of ours, signed.
    Block = 0,
    /// The consensus engine's own entry: unsigned, covered by the next block's chain digest.
    Engine = 1,
    /// A change of who takes part in consensus: unsigned, covered by the next block's chain digest, and allowed only
    /// towards the node list that governance blocks before it say.
    Configuration = 2,
}

impl TryFrom<u8> for EntryKind {
    type Error = u8;

    fn try_from(byte: u8) -> Result<Self, u8> {
        match byte {
            0 => Ok(Self::Block),
            1 => Ok(Self::Engine),
            2 => Ok(Self::Configuration),
            other => Err(other),
        }
    }
}
