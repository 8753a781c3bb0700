//! What nodes say to each other over their secure channels.
//!
//! Consensus messages are one kind among others and stay opaque here: [`synod_consensus`] checks them.

use bytes::Bytes;
use synod_types::codec::DecodeReason;
use synod_types::{
    ActorId, AdapterId, Decode, DecodeError, Decoder, Encode, Encoder, LogIndex, RequestId, TxId, View, limits,
};
use synod_worker::Reply;

use crate::batch::FORWARDED_MAX;
use crate::event::{Answer, ClientRequest, Refusal, Response};

/// A message from one node to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerMessage {
    /// For the consensus engine.
    Consensus(Bytes),
    /// Writes of a follower's clients, for the leader. Tokens are the follower's.
    Forward(Vec<ClientRequest>),
    /// Answers to forwarded writes.
    ForwardReply(Vec<Response>),
    /// A restarted node asks what its peers remember of it.
    Resume {
        /// What its disk holds.
        held: Held,
    },
    /// The answer to [`PeerMessage::Resume`].
    Remembered {
        /// Whether the answering node is itself still resuming, and so remembers nothing.
        resuming: bool,
        /// The most that the answering node saw the other acknowledge and vote for.
        seen: Held,
    },
}

/// How far a node's disk, or another node's memory of it, reaches. Ordered by view first: a log's end
/// only ever moves up in this order, because only an entry of a later view replaces others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The view of the last entry.
    pub view: View,
    /// The index of the last entry.
    pub index: LogIndex,
    /// The last view in which the node voted or which it acknowledged.
    pub voted: View,
}

impl Held {
    /// The end of the log, in the order in which it only moves up.
    pub const fn log_end(&self) -> (u64, u64) {
        (self.view.0, self.index.0)
    }

    /// Takes in that the log's end was seen at `index`, an entry of `view`.
    pub fn saw_log_end(&mut self, view: View, index: LogIndex) {
        if (view.0, index.0) > self.log_end() {
            (self.view, self.index) = (view, index);
        }
    }

    /// Takes in a vote.
    pub fn saw_vote(&mut self, view: View) {
        self.voted = self.voted.max(view);
    }
}

impl Encode for Held {
    fn encode(&self, out: &mut Encoder) {
        self.view.encode(out);
        self.index.encode(out);
        self.voted.encode(out);
    }
}

impl Decode for Held {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.reading("log end of a node");
        Ok(Self { view: View::decode(input)?, index: LogIndex::decode(input)?, voted: View::decode(input)? })
    }
}

impl Encode for PeerMessage {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Consensus(bytes) => {
                0u8.encode(out);
                out.raw(bytes);
            }
            Self::Forward(requests) => {
                1u8.encode(out);
                out.list(requests);
            }
            Self::ForwardReply(responses) => {
                2u8.encode(out);
                out.list(responses);
            }
            Self::Resume { held } => {
                3u8.encode(out);
                held.encode(out);
            }
            Self::Remembered { resuming, seen } => {
                4u8.encode(out);
                resuming.encode(out);
                seen.encode(out);
            }
        }
    }
}

impl PeerMessage {
    /// Reads a message that is all of `bytes`; a consensus message stays a slice of them.
    ///
    /// # Errors
    /// If `bytes` is not the encoding of a message.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        let message = match u8::decode(input.reading("peer message"))? {
            0 => return Ok(Self::Consensus(bytes.slice(1..))),
            1 => Self::Forward(input.reading("forwarded requests").list(FORWARDED_MAX)?),
            2 => Self::ForwardReply(input.reading("forwarded answers").list(FORWARDED_MAX)?),
            3 => Self::Resume { held: Held::decode(&mut input)? },
            4 => Self::Remembered { resuming: bool::decode(&mut input)?, seen: Held::decode(&mut input)? },
            _ => return Err(input.error(DecodeReason::ValueNotAllowed)),
        };
        input.finish()?;
        Ok(message)
    }
}

impl Encode for ClientRequest {
    fn encode(&self, out: &mut Encoder) {
        self.token.encode(out);
        self.actor.encode(out);
        self.request_id.encode(out);
        self.adapter.encode(out);
        out.list(&self.calls);
    }
}

impl Decode for ClientRequest {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let token = u64::decode(input.reading("forwarded request"))?;
        let actor = ActorId::decode(input)?;
        let request_id = RequestId::decode(input)?;
        let adapter = AdapterId::decode(input)?;
        let count = input.count(limits::REQUEST_CALLS_MAX)?;
        let calls = (0..count)
            .map(|_| input.bytes(limits::PEER_MESSAGE_BYTES_MAX).map(Bytes::copy_from_slice))
            .collect::<Result<_, _>>()?;
        Ok(Self { token, actor, request_id, adapter, calls })
    }
}

impl Encode for Response {
    fn encode(&self, out: &mut Encoder) {
        self.token.encode(out);
        match &self.result {
            Ok(answer) => {
                true.encode(out);
                answer.txid.encode(out);
                out.list(&answer.replies);
            }
            Err(refusal) => {
                false.encode(out);
                (*refusal as u8).encode(out);
            }
        }
    }
}

impl Decode for Response {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let token = u64::decode(input.reading("forwarded answer"))?;
        let result = if bool::decode(input)? {
            Ok(Answer { txid: TxId::decode(input)?, replies: input.list::<Reply>(limits::REQUEST_CALLS_MAX)? })
        } else {
            let refusal = u8::decode(input)?;
            Err(Refusal::try_from(refusal).map_err(|_| input.error(DecodeReason::ValueNotAllowed))?)
        };
        Ok(Self { token, result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Vec<PeerMessage> {
        let request = ClientRequest {
            token: 7,
            actor: ActorId([1; 32]),
            request_id: RequestId([2; 16]),
            adapter: AdapterId(1),
            calls: vec![Bytes::from_static(b"a"), Bytes::new()],
        };
        let answer = Answer { txid: "2.14".parse().unwrap(), replies: vec![Reply::text(200, "done").with_writes()] };
        let held = Held { view: View(2), index: LogIndex(9), voted: View(3) };
        vec![
            PeerMessage::Consensus(Bytes::from_static(b"engine")),
            PeerMessage::Forward(vec![request]),
            PeerMessage::ForwardReply(vec![
                Response { token: 7, result: Ok(answer) },
                Response { token: 8, result: Err(Refusal::TooManyPending) },
            ]),
            PeerMessage::Resume { held },
            PeerMessage::Remembered { resuming: true, seen: held },
        ]
    }

    #[test]
    fn every_message_reads_back_as_written() {
        for message in messages() {
            assert_eq!(PeerMessage::from_bytes(&message.to_bytes().into()), Ok(message));
        }
    }

    #[test]
    fn a_cut_or_lengthened_message_is_refused() {
        for message in messages().into_iter().skip(1) {
            let whole = message.to_bytes();
            for size in 0..whole.len() {
                assert!(PeerMessage::from_bytes(&whole[..size].to_vec().into()).is_err(), "{message:?} cut to {size}");
            }
            let longer = [&whole[..], &[0]].concat();
            assert!(PeerMessage::from_bytes(&longer.into()).is_err(), "{message:?} lengthened");
        }
    }

    #[test]
    fn a_log_end_of_a_later_view_is_further_even_at_a_lower_index() {
        let mut seen = Held { view: View(2), index: LogIndex(9), voted: View(2) };
        seen.saw_log_end(View(2), LogIndex(8));
        assert_eq!(seen.log_end(), (2, 9));
        seen.saw_log_end(View(3), LogIndex(5));
        assert_eq!(seen.log_end(), (3, 5));
        seen.saw_vote(View(1));
        assert_eq!(seen.voted, View(2));
    }
}
