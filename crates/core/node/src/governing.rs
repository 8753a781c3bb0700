//! Governance transactions: ordered like all others, carried out here, each in a block of its own.
//!
//! A request to [`AdapterId::GOVERNANCE`] holds one call, an encoded [`Request`]. The leader carries it out on the tables
//! at the tip, so that what was decided holds from the very next transaction on. What it writes lies in the block's
//! administrative part, beside the request itself and its answer: a retry is answered from there. Every other node
//! carries the request out again before it acknowledges the block, and so does an audit: the tables are what members
//! decided, whatever their leader says.
//!
//! The worker knows nothing of governance; so that its seqnos agree it is given an empty write set for each.

use std::sync::Arc;

use bytes::Bytes;
use synod_governance::{Caller, Env, Event, Outcome, Refused, Request, Role, Shared, Status, Tables, execute, view};
use synod_kv::{State, WriteSet};
use synod_ledger::{ActorRecord, AdminRecord, CallRecord, Content, RequestRecord, ServiceIdentity, SignerChange};
use synod_types::{AdapterId, Decode, DecodeError, Digest, Encode, Time, TxId};
use synod_worker::{ActorFacts, ActorKind, Apply, Reply, ToWorker};

use crate::audit::node_keys;
use crate::chain::Position;
use crate::event::{Action, Answer, ClientRequest, Governed, NewService, Refusal};
use crate::inbox::Waiting;
use crate::layers::{Done, Layer};
use crate::node::Node;
use crate::requests::Known;
use crate::stay::TooFewAnswer;

/// The request of a governance block in the form of an application's, with one call that writes nothing that the
/// worker knows.
///
/// # Errors
/// If the administrative part is not one of this version.
pub fn content(admin: &AdminRecord) -> Result<Content, DecodeError> {
    let mut request = RequestRecord::from_shared(&admin.detail)?;
    for call in &mut request.calls {
        call.write_set = Some(nothing());
    }
    Ok(Content { requests: vec![request], ..Content::default() })
}

/// What a governance transaction leaves.
#[derive(Clone, Debug)]
pub struct Governance {
    /// The tables after it.
    pub tables: State,
    /// What it did.
    pub events: Vec<Event>,
    /// The identity that the service takes, if it takes a new one.
    pub service: Option<Arc<ServiceIdentity>>,
}

/// The write set that the worker is given.
fn nothing() -> Bytes {
    WriteSet::default().to_bytes().into()
}

impl Node {
    /// Carries out the governance request at the front of the queue, alone in its block.
    pub(crate) fn govern(&mut self, now: Time, waiting: Waiting, actor: ActorFacts, known: impl FnOnce(TxId) -> Known) {
        let parent = self.chain.last();
        let base = TxId::new(parent.tip.tx_view, parent.tip.seqno);
        let view = parent.tip.open_view;
        let time = now.max(parent.tip.time);
        let env = Env { network: parent.tip.network, seqno: base.seqno.next(), time };
        let request = &waiting.request;
        let before = self.government.state();
        let outcome = match carry_out(before, &env, actor, request) {
            Ok(outcome) => outcome,
            Err(reply) => return self.refuse_as_leader(waiting, Ok(Answer { txid: base, replies: vec![reply] })),
        };
        let tables = after(before, &outcome.writes, &env);
        let service = rotates(before, &tables).then(|| self.seals.next_service(parent));
        let change = signer_change(before, &tables, service.as_deref());
        if let Some(Err(short)) = change.nodes.as_ref().map(|nodes| self.check_stay(now, nodes)) {
            return self.refuse_as_leader(waiting, Ok(Answer { txid: base, replies: vec![too_few(short)] }));
        }
        let reply = answer(&outcome);
        let key = self.requests.key(request.actor, request.request_id);
        let admin = AdminRecord {
            write_set: outcome.writes.to_bytes().into(),
            detail: record(request, actor, &reply).to_bytes().into(),
        };
        let moment = synod_ledger::Moment { view, time, committed: self.history.committed().seqno };
        let governance = Governance { tables, events: outcome.events, service };
        let Ok(block) = self.seals.seal_governance(parent, moment, &admin, change, governance) else {
            return self.refuse(waiting, Refusal::TooLarge);
        };
        let txid = TxId::new(view, env.seqno);
        self.requests.push(block.age, [(key, known(txid))]);
        let tables = block.tables.clone();
        let index = self.propose(block);
        self.government.push(index, tables).expect("governance reads what it has written");
        let apply = Apply { first_seqno: env.seqno, write_sets: [WriteSet::default()].into() };
        self.actions.push_back(Action::Worker(ToWorker::Apply(apply)));
        let done = Done { key, answer: Ok(Answer { txid, replies: vec![reply] }), waiting: vec![waiting] };
        self.layers.push(Layer { index, upto: txid, requests: vec![done], readers: Vec::new() });
    }

    /// A governance block of another node becomes a layer.
    pub(crate) fn note_governed(&mut self, position: &Position) {
        if position.events.is_some() {
            let pushed = self.government.push(position.record.index, position.tables.clone());
            pushed.expect("governance wrote these tables here, when the block was checked");
        }
    }

    /// A block is committed; a governance block's tables are in force for whoever reads, and its events are told.
    pub(crate) fn commit_governed(&mut self, position: &Position) {
        let Some(events) = &position.events else { return };
        if self.seals.note_keys(&position.tip) {
            self.actions.push_back(Action::ServiceRotated(NewService {
                identity: Arc::clone(&position.service),
                decided: TxId::new(position.tip.tx_view, position.tip.seqno),
                time: position.tip.time,
            }));
        }
        if !self.government.commit(position.record.index) {
            self.note_governed(position);
            self.government.commit(position.record.index);
        }
        self.actions.push_back(Action::Governed(Governed {
            txid: TxId::new(position.tip.tx_view, position.tip.seqno),
            time: position.tip.time,
            state: self.government.committed().clone(),
            events: events.to_vec(),
        }));
    }
}

/// Carries a request out on the tables. Others carry it out again: see [`crate::audit`].
fn carry_out(state: &State, env: &Env, actor: ActorFacts, request: &ClientRequest) -> Result<Outcome, Reply> {
    let [call] = &request.calls[..] else { return Err(malformed()) };
    let asked = Request::from_bytes(call).map_err(|_| malformed())?;
    let role = match actor.kind {
        ActorKind::Member => Role::Member,
        ActorKind::Participant => Role::Participant,
    };
    // The session has proved who it is, and that it may speak now.
    let caller = Caller { actor: actor.id, role, key: Digest(actor.id.0), valid_until: Time(u64::MAX) };
    execute(state, env, &caller, &asked).map_err(|refused| refusal(&refused))
}

fn after(state: &State, writes: &WriteSet, env: &Env) -> State {
    let mut after = state.clone();
    after.apply(writes, env.seqno);
    after
}

/// Whether members asked for a new identity of the service between these tables, once or more often.
pub fn rotates(before: &State, after: &State) -> bool {
    let asked = |state| Tables::new(state).service().expect("governance has read and written the tables").rotations;
    asked(before) != asked(after)
}

/// Who signs after this transaction, if it changes that; `service` is the service's new identity.
fn signer_change(before: &State, after: &State, service: Option<&ServiceIdentity>) -> SignerChange {
    let nodes = |state: &State| node_keys(state).expect("governance has read and written the tables");
    let is_same = Shared::between(before, after).nodes();
    let (before, after) = if is_same { Default::default() } else { (nodes(before), nodes(after)) };
    SignerChange {
        nodes: (before != after).then_some(after),
        service: service.map(|service| service.verifying_key().clone()),
    }
}

/// What the ledger keeps of the request.
fn record(request: &ClientRequest, actor: ActorFacts, reply: &Reply) -> RequestRecord {
    let call = |input: &Bytes| CallRecord {
        input: input.clone(),
        write_set: None,
        claims: None,
        reply: reply.to_bytes().into(),
    };
    RequestRecord {
        adapter: AdapterId::GOVERNANCE,
        actor: ActorRecord { id: actor.id, kind: actor.kind as u8 },
        request_id: request.request_id,
        calls: request.calls.iter().map(call).collect(),
    }
}

fn answer(outcome: &Outcome) -> Reply {
    let status = outcome.status.map(Status::name);
    let body = serde_json::json!({ "proposal": outcome.proposal, "status": status });
    Reply::json(200, body.to_string()).with_writes()
}

fn malformed() -> Reply {
    error(400, "MalformedRequest", "this is no governance request", "send what the client library or synod makes")
}

/// Not 409: once more of them answer, the same ballot is taken.
fn too_few(TooFewAnswer { stay, there }: TooFewAnswer) -> Reply {
    let without = "nothing could be committed any more";
    let message = match stay {
        0 => format!("none of the nodes that decide now would stay: {without}"),
        _ => format!("of the {stay} nodes that decide now and would stay, {there} answer as they are: {without}"),
    };
    error(
        503,
        "TooFewNodesAnswer",
        &message,
        "see that a majority of those that stay runs and follows, newcomers too, then send it again",
    )
}

/// What a refused request is answered: an error, and all reasons against the actions of a proposal, each by itself.
pub fn refusal(refused: &Refused) -> Reply {
    let status = match refused {
        Refused::NotAnActor { .. }
        | Refused::NotAMember { .. }
        | Refused::MayNotPropose { .. }
        | Refused::SignerIsNotCaller
        | Refused::NotTheProposer { .. } => 403,
        Refused::NoSuchProposal { .. } | Refused::NoSuchRule => 404,
        Refused::ProposalKnown { .. }
        | Refused::ProposalClosed { .. }
        | Refused::AlreadyVoted { .. }
        | Refused::CounterNotAbove { .. }
        | Refused::RuleKnown
        // Not 429: to send the same again does not help before somebody votes.
        | Refused::TooManyOpen
        | Refused::TooManyOpenOfActor => 409,
        Refused::Unreadable { .. } => 500,
        _ => 422,
    };
    let mut body =
        serde_json::json!({ "code": refused.code(), "message": refused.to_string(), "hint": refused.hint() });
    if let Refused::Actions { reasons } = refused {
        body["reasons"] = serde_json::json!(view::reasons(reasons));
    }
    Reply::json(status, serde_json::json!({ "error": body }).to_string())
}

fn error(status: u16, code: &str, message: &str, hint: &str) -> Reply {
    let body = serde_json::json!({ "error": { "code": code, "message": message, "hint": hint } });
    Reply::json(status, body.to_string())
}

#[cfg(test)]
#[path = "governing_tests.rs"]
mod tests;
