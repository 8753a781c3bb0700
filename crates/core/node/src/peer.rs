//! What nodes say to each other over their secure channels.
//!
//! Consensus messages are one kind among others and stay opaque here: [`synod_consensus`] checks them.

use bytes::Bytes;
use synod_consensus::Promise;
use synod_types::codec::DecodeReason;
use synod_types::{
    ActorId, AdapterId, Decode, DecodeError, Decoder, Encode, Encoder, LogIndex, RequestId, Seqno, Time, TxId, View,
    limits,
};
use synod_worker::Reply;

use crate::batch::FORWARDED_MAX;
use crate::event::{Answer, ClientRequest, Proof, Refusal, Response};
use crate::resume::Circle;

/// A message from one node to another.
#[derive(Clone, PartialEq, Eq)]
pub enum PeerMessage {
    /// For the consensus engine.
    Consensus(Bytes),
    /// Writes of a follower's clients, for the leader. Tokens are the follower's.
    Forward(Vec<ClientRequest>),
    /// Answers to forwarded writes.
    ForwardReply(Vec<Response>),
    /// A restarted node asks what its peers remember of it.
    Resume,
    /// The answer to [`PeerMessage::Resume`].
    Remembered {
        /// All that the answering node saw the other promise since it started itself.
        promise: Promise,
        /// The nodes that it knows of.
        circle: Circle,
    },
    /// A node tells how far its log is synced.
    Synced {
        /// The view of the last entry.
        view: View,
        /// The index of the last entry.
        index: LogIndex,
    },
    /// To a node that members have removed, and that consensus has left out: a slot is not used again.
    Removed,
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
            Self::Resume => 3u8.encode(out),
            Self::Remembered { promise, circle } => {
                4u8.encode(out);
                promise.encode(out);
                circle.known_at.encode(out);
                for nodes in [&circle.voters, &circle.others] {
                    out.list(&nodes.iter().copied().collect::<Vec<_>>());
                }
            }
            Self::Synced { view, index } => {
                5u8.encode(out);
                view.encode(out);
                index.encode(out);
            }
            Self::Removed => 6u8.encode(out),
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
            3 => Self::Resume,
            4 => {
                let (promise, known_at) = (Promise::decode(&mut input)?, LogIndex::decode(&mut input)?);
                let mut nodes = || Ok(input.reading("nodes").list(CIRCLE_NODES_MAX)?.into_iter().collect());
                Self::Remembered { promise, circle: Circle { known_at, voters: nodes()?, others: nodes()? } }
            }
            5 => Self::Synced { view: View::decode(&mut input)?, index: LogIndex::decode(&mut input)? },
            6 => Self::Removed,
            _ => return Err(input.error(DecodeReason::ValueNotAllowed)),
        };
        input.finish()?;
        Ok(message)
    }
}

/// The most nodes of whom a node knows: those that were listed and those that are, if all were replaced at once.
const CIRCLE_NODES_MAX: usize = 2 * limits::NODES_MAX;

impl Encode for ClientRequest {
    fn encode(&self, out: &mut Encoder) {
        self.token.encode(out);
        self.actor.encode(out);
        self.proof.encode(out);
        self.request_id.encode(out);
        self.adapter.encode(out);
        out.list(&self.calls);
    }
}

impl Decode for ClientRequest {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let token = u64::decode(input.reading("forwarded request"))?;
        let actor = ActorId::decode(input)?;
        let proof = Proof::decode(input)?;
        let request_id = RequestId::decode(input)?;
        let adapter = AdapterId::decode(input)?;
        let count = input.count(limits::REQUEST_CALLS_MAX)?;
        let calls = (0..count)
            .map(|_| input.bytes(limits::PEER_MESSAGE_BYTES_MAX).map(Bytes::copy_from_slice))
            .collect::<Result<_, _>>()?;
        Ok(Self { token, actor, proof, request_id, adapter, calls })
    }
}

impl Encode for Proof {
    fn encode(&self, out: &mut Encoder) {
        self.seqno.encode(out);
        self.valid_until.encode(out);
    }
}

impl Decode for Proof {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { seqno: Seqno::decode(input)?, valid_until: Time::decode(input)? })
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
    use synod_types::NodeId;

    use super::*;

    fn messages() -> Vec<PeerMessage> {
        let request = ClientRequest {
            token: 7,
            actor: ActorId([1; 32]),
            proof: Proof { seqno: Seqno(14), valid_until: Time(99) },
            request_id: RequestId([2; 16]),
            adapter: AdapterId(1),
            calls: vec![Bytes::from_static(b"a"), Bytes::new()],
        };
        let answer = Answer { txid: "2.14".parse().unwrap(), replies: vec![Reply::text(200, "done").with_writes()] };
        vec![
            PeerMessage::Consensus(Bytes::from_static(b"engine")),
            PeerMessage::Forward(vec![request]),
            PeerMessage::ForwardReply(vec![
                Response { token: 7, result: Ok(answer) },
                Response { token: 8, result: Err(Refusal::TooManyPending) },
            ]),
            PeerMessage::Resume,
            PeerMessage::Remembered {
                promise: Promise::acknowledged(View(3), LogIndex(9), View(2)),
                circle: Circle {
                    known_at: LogIndex(8),
                    voters: [NodeId(1), NodeId(3)].into(),
                    others: [NodeId(4)].into(),
                },
            },
            PeerMessage::Synced { view: View(3), index: LogIndex(9) },
            PeerMessage::Removed,
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
}
