//! What clients asked for and what they were told.

use std::collections::BTreeMap;

use bytes::Bytes;
use synod_node::{Answer, ClientRequest, Proof, Refusal, TxStatus};
use synod_types::{AdapterId, NodeId, RequestId, Seqno, Time, TxId};
use synod_worker::{ActorFacts, Frontend, Method, Plan, Reply, Request};

use super::secrecy::MARKER;
use super::truth::Truth;
use super::{Checked, violated};

/// What clients have proved: theirs are no certificates, so that it holds for good.
pub const PROOF: Proof = Proof { seqno: Seqno(u64::MAX), valid_until: Time(u64::MAX) };

/// One call of the log adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Write a message.
    Put {
        /// At this key.
        key: u64,
        /// The message; the marker stands in it.
        message: String,
    },
    /// Draw random bytes.
    Random {
        /// For this key.
        key: u64,
    },
    /// Bytes that are no call: refused when executed, and no transaction.
    Malformed,
}

/// A request that a client made, perhaps several times under one id.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who.
    pub actor: ActorFacts,
    /// Under which id.
    pub request_id: RequestId,
    /// What.
    pub calls: Vec<Call>,
    /// The calls as the frontend planned them.
    pub planned: Vec<Bytes>,
    /// The last transaction that anyone had been told of when it was first made.
    pub floor: Seqno,
    /// What was told.
    pub answer: Option<Answer>,
    /// How often it was made.
    pub times: u32,
}

/// A read of a committed snapshot.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The node asked.
    pub node: NodeId,
    /// The snapshot's last transaction.
    pub seqno: Seqno,
    /// The key read.
    pub key: u64,
    /// What was there.
    pub found: Reply,
}

/// All requests, answers and reads.
#[derive(Debug, Default)]
pub struct History {
    asked: Vec<Asked>,
    by_id: BTreeMap<RequestId, usize>,
    /// The last transaction that anyone was told of.
    told: Seqno,
    /// Reads, to be compared with a replay.
    pub observations: Vec<Observation>,
    /// Final words on transactions.
    pub statuses: Vec<(NodeId, TxId, TxStatus)>,
    /// Receipts that were handed out.
    pub receipts: Vec<(TxId, Bytes)>,
}

impl History {
    /// Notes a new request; returns its number.
    pub fn ask(
        &mut self,
        actor: ActorFacts,
        request_id: RequestId,
        calls: Vec<Call>,
        frontend: &dyn Frontend,
    ) -> usize {
        let planned = calls.iter().map(|call| call.plan(&actor, frontend)).collect();
        let number = self.asked.len();
        let asked = Asked { actor, request_id, calls, planned, floor: self.told, answer: None, times: 0 };
        self.asked.push(asked);
        assert!(self.by_id.insert(request_id, number).is_none(), "request ids are drawn apart");
        number
    }

    /// The request, once more, for a session that knows it as `token`.
    pub fn request(&mut self, number: usize, token: u64) -> ClientRequest {
        let asked = &mut self.asked[number];
        asked.times += 1;
        let (actor, request_id, calls) = (asked.actor.id, asked.request_id, asked.planned.clone());
        ClientRequest { token, actor, proof: PROOF, request_id, adapter: AdapterId(0), calls }
    }

    /// The last transaction that anyone was told of.
    pub const fn told(&self) -> Seqno {
        self.told
    }

    /// All requests.
    pub fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// The request of this id.
    pub fn by_id(&self, id: RequestId) -> Option<&Asked> {
        self.by_id.get(&id).map(|number| &self.asked[*number])
    }

    /// A node tells a client that a request was done.
    ///
    /// # Errors
    /// If it is not committed, was told otherwise before, or is not what was asked for.
    pub fn answered(&mut self, node: NodeId, number: usize, answer: &Answer, truth: &Truth) -> Checked {
        let asked = &mut self.asked[number];
        let seen =
            |what: &str| format!("node {node} answers request {} with {}: {what}", asked.request_id, answer.txid);
        if truth.view_of(answer.txid.seqno) != Some(answer.txid.view) {
            return violated("an answer goes out only after its transaction is committed", seen("not committed"));
        }
        let fits = asked.calls.len() == answer.replies.len()
            && asked.calls.iter().zip(&answer.replies).all(|(call, reply)| call.fits(reply));
        if !fits {
            return violated("each call is answered", seen(&format!("{:?}", answer.replies)));
        }
        if !asked.writes() {
            return Ok(());
        }
        if answer.txid.seqno <= asked.floor {
            return violated("the order keeps real time", seen(&format!("asked after {} was told", asked.floor)));
        }
        match &asked.answer {
            Some(before) if before != answer => {
                violated("a request is answered in one way", seen(&format!("before with {}", before.txid)))
            }
            _ => {
                asked.answer = Some(answer.clone());
                self.told = self.told.max(answer.txid.seqno);
                Ok(())
            }
        }
    }

    /// A node tells a client that a request was not done.
    ///
    /// # Errors
    /// If there is no reason for such a refusal.
    pub fn refused(&self, node: NodeId, number: usize, refusal: Refusal, is_actor: bool) -> Checked {
        let justified = match refusal {
            Refusal::NotAuthorized => !is_actor,
            Refusal::NoLeader
            | Refusal::NodeRemoved
            | Refusal::Stopping
            | Refusal::LedgerUnreadable
            | Refusal::TooManyPending => true,
            _ => false,
        };
        if justified {
            return Ok(());
        }
        let id = self.asked[number].request_id;
        violated("a refusal has a reason", format!("node {node} refuses request {id}: {refusal}"))
    }

    /// A node names the transaction from which on a read is linearizable; `floor` had been told when it was asked.
    ///
    /// # Errors
    /// If that misses something.
    pub fn read_index(node: NodeId, floor: Seqno, answered: TxId) -> Checked {
        if answered.seqno >= floor {
            return Ok(());
        }
        let seen = format!("node {node} says {answered}, though seqno {floor} had been told");
        violated("a linearizable read sees all that was told before", seen)
    }

    /// A transaction id that someone was told, or one near it.
    pub fn some_txid(&self, place: usize) -> Option<TxId> {
        let told: Vec<_> =
            self.asked.iter().filter(|asked| asked.writes()).filter_map(|asked| asked.answer.as_ref()).collect();
        (!told.is_empty()).then(|| told[place % told.len()].txid)
    }
}

impl Asked {
    /// Whether it leads to transactions.
    pub fn writes(&self) -> bool {
        self.calls.iter().any(|call| *call != Call::Malformed)
    }
}

impl Call {
    /// A call that writes a message of its own.
    pub fn put(key: u64, request: RequestId) -> Self {
        Self::Put { key, message: format!("{MARKER} {request}") }
    }

    /// A call that writes a message of the largest size.
    pub fn put_large(key: u64, request: RequestId) -> Self {
        let mut message = format!("{MARKER} {request} ");
        message.push_str(&".".repeat(synod_log::MESSAGE_BYTES_MAX - message.len()));
        Self::Put { key, message }
    }

    fn plan(&self, actor: &ActorFacts, frontend: &dyn Frontend) -> Bytes {
        let (method, path, body) = match self {
            Self::Put { key, message } => (Method::Put, key.to_string(), message.as_bytes()),
            Self::Random { key } => (Method::Post, format!("{key}/random"), &b""[..]),
            Self::Malformed => return Bytes::from_static(b"\xff"),
        };
        match frontend.plan(actor, &Request { method, path: &path, query: "", body }) {
            Plan::Execute { mut calls, .. } if calls.len() == 1 => calls.remove(0),
            other => panic!("the log plans one call for a write, not {other:?}"),
        }
    }

    fn fits(&self, reply: &Reply) -> bool {
        match self {
            Self::Put { .. } => (reply.status, reply.body.len(), reply.writes) == (200, 0, true),
            Self::Random { .. } => (reply.status, reply.body.len(), reply.writes) == (200, 64, true),
            Self::Malformed => (reply.status, reply.writes) == (400, false),
        }
    }
}
