//! Messages between nodes as bytes, format 1: the codec that peer bytes meet first.
//!
//! A message is the format number, a kind, and that kind's fields, all in `synod_types::codec`'s
//! form. The sender is not in it: the channel knows. Entries carry no index: they follow the entry
//! that an append names, so there are no gaps to refuse. What has no encoding cannot arrive:
//! proposals, snapshots, the engine's local messages, and unknown fields.

use bytes::Bytes;
use synod_types::boundary::EntryKind;
use synod_types::codec::DecodeReason;
use synod_types::limits::{BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX};
use synod_types::{ConfigurationChange, Decode, DecodeError, Decoder, Encode, Encoder, LogIndex, NodeId, Seqno, View};

/// The number of this format, the first byte of each message.
pub(crate) const FORMAT: u8 = 1;

/// One message of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PeerMessage {
    /// Leader to follower: entries that follow entry `after` of view `after_view`, maybe none.
    Append { view: View, after: LogIndex, after_view: View, commit: LogIndex, entries: Vec<WireEntry> },
    /// Follower to leader: our logs agree up to `index`, and that is on my disk. Index 0 answers a
    /// leader of an older view, which learns of the newer one from it.
    Appended { view: View, index: LogIndex, commit: LogIndex },
    /// Follower to leader: I do not have the entry that your append follows. At `hint`, my log is
    /// of `hint_view`.
    Refused { view: View, after: LogIndex, hint: LogIndex, hint_view: View, commit: LogIndex },
    /// Candidate to all: vote for me in `view`; my log ends as `last` and `last_view` say.
    AskVote { view: View, ask: Ask, last: LogIndex, last_view: View, commit: LogIndex, commit_view: View },
    /// The answer. A refusal tells what is committed.
    Vote { view: View, ask: Ask, granted: bool, commit: LogIndex, commit_view: View },
    /// Leader to follower: I lead `view`. A read context asks for confirmation of that.
    Heartbeat { view: View, commit: LogIndex, read: Option<ReadContext> },
    /// The answer.
    HeartbeatSeen { view: View, commit: LogIndex, read: Option<ReadContext> },
    /// Leader to follower: stand for election at once, I hand over to you.
    TakeOver { view: View },
    /// Follower to leader: from which entry on may I serve this read?
    AskRead { read: ReadContext },
    /// The answer.
    Read { view: View, index: LogIndex, read: ReadContext },
}

/// In which sense a vote is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Whether a vote would be granted: binds nobody (PreVote, Raft dissertation, section 9.6).
    Would = 0,
    /// For a vote.
    Will = 1,
    /// For a vote, at the leader's own wish: nodes that just heard from the leader answer too.
    HandOver = 2,
}

/// One entry of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WireEntry {
    /// A sealed block.
    Block { view: View, first_seqno: Seqno, count: u32, payload: Bytes },
    /// The engine's own entry: empty.
    Engine { view: View },
    /// A change of the configuration.
    Configuration { view: View, change: ConfigurationChange },
}

impl WireEntry {
    pub fn view(&self) -> View {
        match self {
            Self::Block { view, .. } | Self::Engine { view } | Self::Configuration { view, .. } => *view,
        }
    }
}

/// Names one read: who asks, in which of its lives, and which of its reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadContext {
    pub node: NodeId,
    pub incarnation: u64,
    pub number: u64,
}

impl PeerMessage {
    /// The view that the message speaks in; a request for a read has none.
    pub fn view(&self) -> Option<View> {
        match self {
            Self::Append { view, .. }
            | Self::Appended { view, .. }
            | Self::Refused { view, .. }
            | Self::AskVote { view, .. }
            | Self::Vote { view, .. }
            | Self::Heartbeat { view, .. }
            | Self::HeartbeatSeen { view, .. }
            | Self::TakeOver { view }
            | Self::Read { view, .. } => Some(*view),
            Self::AskRead { .. } => None,
        }
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Encoder::with_capacity(self.size_hint());
        FORMAT.encode(&mut out);
        self.encode(&mut out);
        Bytes::from(out.finish())
    }

    /// Reads a message; payloads stay where they are, as slices of `bytes`.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        input.reading("message format");
        let at = input.clone();
        if u8::decode(&mut input)? != FORMAT {
            return Err(at.error(DecodeReason::ValueNotAllowed));
        }
        let message = Self::decode(&mut input, bytes)?;
        input.reading("message").finish()?;
        Ok(message)
    }

    fn size_hint(&self) -> usize {
        const FIXED: usize = 64;
        const PER_ENTRY: usize = 32;
        let entry = |entry: &WireEntry| match entry {
            WireEntry::Block { payload, .. } => PER_ENTRY + payload.len(),
            WireEntry::Engine { .. } | WireEntry::Configuration { .. } => PER_ENTRY,
        };
        match self {
            Self::Append { entries, .. } => FIXED + entries.iter().map(entry).sum::<usize>(),
            _ => FIXED,
        }
    }

    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Append { view, after, after_view, commit, entries } => {
                fields(out, kind::APPEND, &[view.0, after.0, after_view.0, commit.0]);
                out.count(entries.len());
                entries.iter().for_each(|entry| entry.encode(out));
            }
            Self::Appended { view, index, commit } => fields(out, kind::APPENDED, &[view.0, index.0, commit.0]),
            Self::Refused { view, after, hint, hint_view, commit } => {
                fields(out, kind::REFUSED, &[view.0, after.0, hint.0, hint_view.0, commit.0]);
            }
            Self::AskVote { view, ask, last, last_view, commit, commit_view } => {
                fields(out, kind::ASK_VOTE, &[view.0, last.0, last_view.0, commit.0, commit_view.0]);
                (*ask as u8).encode(out);
            }
            Self::Vote { view, ask, granted, commit, commit_view } => {
                fields(out, kind::VOTE, &[view.0, commit.0, commit_view.0]);
                (*ask as u8).encode(out);
                granted.encode(out);
            }
            Self::Heartbeat { view, commit, read } => {
                fields(out, kind::HEARTBEAT, &[view.0, commit.0]);
                read.encode(out);
            }
            Self::HeartbeatSeen { view, commit, read } => {
                fields(out, kind::HEARTBEAT_SEEN, &[view.0, commit.0]);
                read.encode(out);
            }
            Self::TakeOver { view } => fields(out, kind::TAKE_OVER, &[view.0]),
            Self::AskRead { read } => {
                fields(out, kind::ASK_READ, &[]);
                read.encode(out);
            }
            Self::Read { view, index, read } => {
                fields(out, kind::READ, &[view.0, index.0]);
                read.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>, bytes: &Bytes) -> Result<Self, DecodeError> {
        input.reading("message kind");
        let at = input.clone();
        let kind = u8::decode(input)?;
        input.reading("message");
        Ok(match kind {
            kind::APPEND => Self::Append {
                view: View::decode(input)?,
                after: LogIndex::decode(input)?,
                after_view: View::decode(input)?,
                commit: LogIndex::decode(input)?,
                entries: decode_entries(input, bytes)?,
            },
            kind::APPENDED => Self::Appended {
                view: View::decode(input)?,
                index: LogIndex::decode(input)?,
                commit: LogIndex::decode(input)?,
            },
            kind::REFUSED => Self::Refused {
                view: View::decode(input)?,
                after: LogIndex::decode(input)?,
                hint: LogIndex::decode(input)?,
                hint_view: View::decode(input)?,
                commit: LogIndex::decode(input)?,
            },
            kind::ASK_VOTE => Self::AskVote {
                view: View::decode(input)?,
                last: LogIndex::decode(input)?,
                last_view: View::decode(input)?,
                commit: LogIndex::decode(input)?,
                commit_view: View::decode(input)?,
                ask: Ask::decode(input)?,
            },
            kind::VOTE => Self::Vote {
                view: View::decode(input)?,
                commit: LogIndex::decode(input)?,
                commit_view: View::decode(input)?,
                ask: Ask::decode(input)?,
                granted: bool::decode(input)?,
            },
            kind::HEARTBEAT => Self::Heartbeat {
                view: View::decode(input)?,
                commit: LogIndex::decode(input)?,
                read: Option::decode(input)?,
            },
            kind::HEARTBEAT_SEEN => Self::HeartbeatSeen {
                view: View::decode(input)?,
                commit: LogIndex::decode(input)?,
                read: Option::decode(input)?,
            },
            kind::TAKE_OVER => Self::TakeOver { view: View::decode(input)? },
            kind::ASK_READ => Self::AskRead { read: ReadContext::decode(input)? },
            kind::READ => Self::Read {
                view: View::decode(input)?,
                index: LogIndex::decode(input)?,
                read: ReadContext::decode(input)?,
            },
            _ => return Err(at.error(DecodeReason::ValueNotAllowed)),
        })
    }
}

fn fields(out: &mut Encoder, kind: u8, numbers: &[u64]) {
    kind.encode(out);
    numbers.iter().for_each(|number| number.encode(out));
}

impl WireEntry {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Block { view, first_seqno, count, payload } => {
                (EntryKind::Block as u8).encode(out);
                view.encode(out);
                first_seqno.encode(out);
                count.encode(out);
                out.bytes(payload);
            }
            Self::Engine { view } => {
                (EntryKind::Engine as u8).encode(out);
                view.encode(out);
            }
            Self::Configuration { view, change } => {
                (EntryKind::Configuration as u8).encode(out);
                view.encode(out);
                change.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>, bytes: &Bytes) -> Result<Self, DecodeError> {
        input.reading("entry kind");
        let at = input.clone();
        let Ok(kind) = EntryKind::try_from(u8::decode(input)?) else {
            return Err(at.error(DecodeReason::ValueNotAllowed));
        };
        input.reading("entry");
        let view = View::decode(input)?;
        match kind {
            EntryKind::Engine => Ok(Self::Engine { view }),
            EntryKind::Configuration => Ok(Self::Configuration { view, change: ConfigurationChange::decode(input)? }),
            EntryKind::Block => {
                let first_seqno = Seqno::decode(input)?;
                let at = input.clone();
                let count = u32::decode(input)?;
                if count as usize > BLOCK_TRANSACTIONS_MAX {
                    return Err(at.error(DecodeReason::LengthAboveLimit));
                }
                let size = input.bytes(BLOCK_BYTES_MAX)?.len();
                let payload = bytes.slice(input.offset() - size..input.offset());
                Ok(Self::Block { view, first_seqno, count, payload })
            }
        }
    }
}

fn decode_entries(input: &mut Decoder<'_>, bytes: &Bytes) -> Result<Vec<WireEntry>, DecodeError> {
    let count = input.reading("entries").count(APPEND_ENTRIES_MAX)?;
    (0..count).map(|_| WireEntry::decode(input, bytes)).collect()
}

impl Decode for Ask {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        match u8::decode(input)? {
            0 => Ok(Self::Would),
            1 => Ok(Self::Will),
            2 => Ok(Self::HandOver),
            _ => Err(at.error(DecodeReason::ValueNotAllowed)),
        }
    }
}

impl Encode for ReadContext {
    fn encode(&self, out: &mut Encoder) {
        self.node.encode(out);
        self.incarnation.encode(out);
        self.number.encode(out);
    }
}

impl Decode for ReadContext {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { node: NodeId::decode(input)?, incarnation: u64::decode(input)?, number: u64::decode(input)? })
    }
}

/// The kinds of messages, as numbered on the wire.
mod kind {
    pub const APPEND: u8 = 1;
    pub const APPENDED: u8 = 2;
    pub const REFUSED: u8 = 3;
    pub const ASK_VOTE: u8 = 4;
    pub const VOTE: u8 = 5;
    pub const HEARTBEAT: u8 = 6;
    pub const HEARTBEAT_SEEN: u8 = 7;
    pub const TAKE_OVER: u8 = 8;
    pub const ASK_READ: u8 = 9;
    pub const READ: u8 = 10;
}

/// The most entries of one append: a leader packs 256 KiB, and each entry counts 200 bytes and its
/// payload.
pub(crate) const APPEND_ENTRIES_MAX: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;
    use synod_types::ConfigurationStep;

    const READ: ReadContext = ReadContext { node: NodeId(3), incarnation: 7, number: 1 };

    /// One message of each kind and its encoding. Changing a line here changes the format.
    fn vectors() -> Vec<(PeerMessage, &'static str)> {
        let (view, commit) = (View(2), LogIndex(4));
        let change = ConfigurationChange { step: ConfigurationStep::Promote, node: NodeId(4) };
        let entries = vec![
            WireEntry::Engine { view },
            WireEntry::Block { view, first_seqno: Seqno(9), count: 3, payload: Bytes::from_static(b"abc") },
            WireEntry::Configuration { view, change },
        ];
        let after = LogIndex(5);
        vec![
            (
                PeerMessage::Append { view, after, after_view: View(1), commit, entries },
                "0101 0200000000000000 0500000000000000 0100000000000000 0400000000000000 03000000 \
                 01 0200000000000000 00 0200000000000000 0900000000000000 03000000 03000000 616263 \
                 02 0200000000000000 01 0400000000000000",
            ),
            (
                PeerMessage::Appended { view, index: after, commit },
                "0102 0200000000000000 0500000000000000 0400000000000000",
            ),
            (
                PeerMessage::Refused { view, after, hint: LogIndex(3), hint_view: View(1), commit },
                "0103 0200000000000000 0500000000000000 0300000000000000 0100000000000000 0400000000000000",
            ),
            (
                PeerMessage::AskVote {
                    view,
                    ask: Ask::HandOver,
                    last: after,
                    last_view: View(1),
                    commit,
                    commit_view: View(1),
                },
                "0104 0200000000000000 0500000000000000 0100000000000000 0400000000000000 0100000000000000 02",
            ),
            (
                PeerMessage::Vote { view, ask: Ask::Will, granted: true, commit, commit_view: View(1) },
                "0105 0200000000000000 0400000000000000 0100000000000000 01 01",
            ),
            (PeerMessage::Heartbeat { view, commit, read: None }, "0106 0200000000000000 0400000000000000 00"),
            (
                PeerMessage::HeartbeatSeen { view, commit, read: Some(READ) },
                "0107 0200000000000000 0400000000000000 01 0300000000000000 0700000000000000 0100000000000000",
            ),
            (PeerMessage::TakeOver { view }, "0108 0200000000000000"),
            (PeerMessage::AskRead { read: READ }, "0109 0300000000000000 0700000000000000 0100000000000000"),
            (
                PeerMessage::Read { view, index: after, read: READ },
                "010a 0200000000000000 0500000000000000 0300000000000000 0700000000000000 0100000000000000",
            ),
        ]
    }

    fn hex(text: &str) -> Bytes {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn each_kind_of_message_is_written_as_its_vector_and_read_back() {
        for (message, vector) in vectors() {
            assert_eq!(message.to_bytes(), hex(vector), "{message:?}");
            assert_eq!(PeerMessage::from_bytes(&hex(vector)), Ok(message));
        }
    }

    #[test]
    fn a_message_cut_short_or_followed_by_a_byte_is_refused() {
        for (message, _) in vectors() {
            let bytes = message.to_bytes();
            for size in 0..bytes.len() {
                assert!(PeerMessage::from_bytes(&bytes.slice(..size)).is_err(), "{message:?} cut to {size}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(PeerMessage::from_bytes(&longer.into()).map_err(|e| e.reason), Err(DecodeReason::BytesLeftOver));
        }
    }

    #[test]
    fn a_payload_is_a_slice_of_the_message() {
        let (message, _) = &vectors()[0];
        let bytes = message.to_bytes();
        let PeerMessage::Append { entries, .. } = PeerMessage::from_bytes(&bytes).unwrap() else { panic!() };
        let WireEntry::Block { payload, .. } = &entries[1] else { panic!() };
        assert!(bytes.as_ptr_range().contains(&payload.as_ptr()));
    }

    #[test]
    fn what_the_format_does_not_define_is_refused_by_name() {
        let check = |text: &str, what: &str, reason| {
            let refused = PeerMessage::from_bytes(&hex(text)).unwrap_err();
            assert_eq!((refused.what, refused.reason), (what, reason), "{text}");
        };
        let append = "0101 0200000000000000 0500000000000000 0100000000000000 0400000000000000";
        check("", "message format", DecodeReason::InputEndsEarly);
        check("02 08 0200000000000000", "message format", DecodeReason::ValueNotAllowed);
        check("01 00 0200000000000000", "message kind", DecodeReason::ValueNotAllowed);
        check("01 0b 0200000000000000", "message kind", DecodeReason::ValueNotAllowed);
        // A configuration change would be a third kind of entry.
        check(&format!("{append} 01000000 03 0200000000000000"), "entry kind", DecodeReason::ValueNotAllowed);
        let change = "01000000 02 0200000000000000 03 0400000000000000";
        check(&format!("{append} {change}"), "configuration change", DecodeReason::ValueNotAllowed);
        check(&format!("{append} 01080000"), "entries", DecodeReason::LengthAboveLimit);
        check(&format!("{append} 00080000"), "entries", DecodeReason::InputEndsEarly);
        let block = "01000000 00 0200000000000000 0900000000000000";
        check(&format!("{append} {block} 01100000 00000000"), "entry", DecodeReason::LengthAboveLimit);
        check(&format!("{append} {block} 01000000 01000002"), "entry", DecodeReason::LengthAboveLimit);
        check(
            "0105 0200000000000000 0400000000000000 0100000000000000 03 01",
            "message",
            DecodeReason::ValueNotAllowed,
        );
        check(
            "0105 0200000000000000 0400000000000000 0100000000000000 01 02",
            "message",
            DecodeReason::ValueNotAllowed,
        );
    }
}
