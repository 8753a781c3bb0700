//! Between the engine's messages and ours.

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use synod_types::{Decode, Encode, LogIndex, NodeId, Seqno, View};

use crate::format::{Ask, PeerMessage, ReadContext, WireEntry};
use crate::log::{change_of, context, facts};

/// The engine's `message` in our form. `None` for what is never sent: this node proposes only as
/// leader, takes no snapshots, and hands over leadership only as leader.
pub(crate) fn from_engine(message: &Message) -> Option<PeerMessage> {
    let (view, commit) = (View(message.term), LogIndex(message.commit));
    Some(match message.msg_type {
        MessageType::MsgAppend => PeerMessage::Append {
            view,
            after: LogIndex(message.index),
            after_view: View(message.log_term),
            commit,
            entries: message.entries.iter().map(wire_entry).collect(),
        },
        MessageType::MsgAppendResponse if message.reject => PeerMessage::Refused {
            view,
            after: LogIndex(message.index),
            hint: LogIndex(message.reject_hint),
            hint_view: View(message.log_term),
            commit,
        },
        MessageType::MsgAppendResponse => PeerMessage::Appended { view, index: LogIndex(message.index), commit },
        MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => PeerMessage::AskVote {
            view,
            ask: ask(message),
            last: LogIndex(message.index),
            last_view: View(message.log_term),
            commit,
            commit_view: View(message.commit_term),
        },
        MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse => PeerMessage::Vote {
            view,
            ask: ask(message),
            granted: !message.reject,
            commit,
            commit_view: View(message.commit_term),
        },
        MessageType::MsgHeartbeat => PeerMessage::Heartbeat { view, commit, read: read_context(&message.context) },
        MessageType::MsgHeartbeatResponse => {
            PeerMessage::HeartbeatSeen { view, commit, read: read_context(&message.context) }
        }
        MessageType::MsgTimeoutNow => PeerMessage::TakeOver { view },
        MessageType::MsgReadIndex => PeerMessage::AskRead { read: entry_context(message)? },
        MessageType::MsgReadIndexResp => {
            PeerMessage::Read { view, index: LogIndex(message.index), read: entry_context(message)? }
        }
        MessageType::MsgPropose
        | MessageType::MsgSnapshot
        | MessageType::MsgTransferLeader
        | MessageType::MsgHup
        | MessageType::MsgBeat
        | MessageType::MsgUnreachable
        | MessageType::MsgSnapStatus
        | MessageType::MsgCheckQuorum => return None,
    })
}

/// `message` from `from` to `to` in the engine's form.
pub(crate) fn to_engine(from: NodeId, to: NodeId, message: PeerMessage) -> Message {
    let mut out = Message { from: from.0, to: to.0, ..Message::default() };
    // A request for a read carries no view: the engine would take one for a local message's.
    out.term = message.view().map_or(0, |view| view.0);
    match message {
        PeerMessage::Append { after, after_view, commit, entries, .. } => {
            out.msg_type = MessageType::MsgAppend;
            (out.index, out.log_term, out.commit) = (after.0, after_view.0, commit.0);
            let entries = (after.0 + 1..).zip(entries).map(|(index, entry)| engine_entry(index, entry));
            out.entries = entries.collect::<Vec<_>>().into();
        }
        PeerMessage::Appended { index, commit, .. } => {
            out.msg_type = MessageType::MsgAppendResponse;
            (out.index, out.commit) = (index.0, commit.0);
        }
        PeerMessage::Refused { after, hint, hint_view, commit, .. } => {
            out.msg_type = MessageType::MsgAppendResponse;
            out.reject = true;
            (out.index, out.reject_hint, out.log_term, out.commit) = (after.0, hint.0, hint_view.0, commit.0);
        }
        PeerMessage::AskVote { ask, last, last_view, commit, commit_view, .. } => {
            out.msg_type = match ask {
                Ask::Would => MessageType::MsgRequestPreVote,
                Ask::Will | Ask::HandOver => MessageType::MsgRequestVote,
            };
            if ask == Ask::HandOver {
                out.context = Bytes::from_static(raft::CAMPAIGN_TRANSFER);
            }
            (out.index, out.log_term, out.commit, out.commit_term) = (last.0, last_view.0, commit.0, commit_view.0);
        }
        PeerMessage::Vote { ask, granted, commit, commit_view, .. } => {
            out.msg_type = match ask {
                Ask::Would => MessageType::MsgRequestPreVoteResponse,
                Ask::Will | Ask::HandOver => MessageType::MsgRequestVoteResponse,
            };
            out.reject = !granted;
            (out.commit, out.commit_term) = (commit.0, commit_view.0);
        }
        PeerMessage::Heartbeat { commit, read, .. } => {
            out.msg_type = MessageType::MsgHeartbeat;
            out.commit = commit.0;
            out.context = context_bytes(read);
        }
        PeerMessage::HeartbeatSeen { commit, read, .. } => {
            out.msg_type = MessageType::MsgHeartbeatResponse;
            out.commit = commit.0;
            out.context = context_bytes(read);
        }
        PeerMessage::TakeOver { .. } => out.msg_type = MessageType::MsgTimeoutNow,
        PeerMessage::AskRead { read } => {
            out.msg_type = MessageType::MsgReadIndex;
            out.entries = vec![read_entry(read)].into();
        }
        PeerMessage::Read { index, read, .. } => {
            out.msg_type = MessageType::MsgReadIndexResp;
            out.index = index.0;
            out.entries = vec![read_entry(read)].into();
        }
    }
    out
}

/// A block, or an engine entry, at `index`.
pub(crate) fn engine_entry(index: u64, entry: WireEntry) -> Entry {
    let mut out = Entry { index, term: entry.view().0, ..Entry::default() };
    match entry {
        WireEntry::Engine { .. } => {}
        WireEntry::Block { first_seqno, count, payload, .. } => {
            out.context = context(first_seqno.0, count);
            out.data = payload;
        }
        WireEntry::Configuration { change, .. } => {
            out.set_entry_type(EntryType::EntryConfChangeV2);
            out.data = change.to_bytes().into();
        }
    }
    out
}

fn wire_entry(entry: &Entry) -> WireEntry {
    let view = View(entry.term);
    if let Some(change) = change_of(entry) {
        return WireEntry::Configuration { view, change };
    }
    match facts(entry) {
        None => WireEntry::Engine { view },
        Some((first_seqno, count)) => {
            WireEntry::Block { view, first_seqno: Seqno(first_seqno), count, payload: entry.data.clone() }
        }
    }
}

fn ask(message: &Message) -> Ask {
    match message.msg_type {
        MessageType::MsgRequestPreVote | MessageType::MsgRequestPreVoteResponse => Ask::Would,
        _ if message.context == raft::CAMPAIGN_TRANSFER => Ask::HandOver,
        _ => Ask::Will,
    }
}

/// The bytes that the engine carries for `read`.
pub(crate) fn context_bytes(read: Option<ReadContext>) -> Bytes {
    read.map_or_else(Bytes::new, |read| Bytes::from(read.to_bytes()))
}

/// What the engine carried: our own bytes, or none.
pub(crate) fn read_context(bytes: &[u8]) -> Option<ReadContext> {
    ReadContext::from_bytes(bytes).ok()
}

fn read_entry(read: ReadContext) -> Entry {
    Entry { data: context_bytes(Some(read)), ..Entry::default() }
}

fn entry_context(message: &Message) -> Option<ReadContext> {
    read_context(&message.entries.first()?.data)
}
