//! One request on its way to its answer, as steps; sessions of any protocol carry them out.
//!
//! ```text
//! begin -> plan -> Done                                       an answer without state
//!               -> [ReadIndex] -> [Wait] -> read -> Done      a read of a committed snapshot
//!               -> Submit -> Response -> [Wait] -> Done       a write, answered once committed
//!                         -> ProveAnew -> Prove -> Submit     the same, if it is in doubt for whom the session speaks
//!       -> Query -> Answer -> Done                            a question to the node
//! ```
//! Planning and reading run in a pool where they may take long.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use synod_governance::statement::may_propose;
use synod_node::{Answer, ClientRequest, Proof, Query, QueryAnswer, Refusal, Status};
use synod_types::{ActorId, AdapterId, RequestId, Seqno, TxId};
use synod_worker::{ActorFacts, ActorKind, ContentType, Frontend, Method, Plan, Reply, Request, SettingsRefused, Then};

use crate::bodies::Room;
use crate::governance::asked::Asked;
use crate::governance::route::GovRoute;
use crate::governance::settings;
use crate::governance::watch::Watch;
use crate::http::error::Failure;
use crate::http::head::Wishes;
use crate::http::response::Response;
use crate::identity::Speaker;
use crate::mailbox::Event;
use crate::purpose::Purpose;
use crate::router::{Route, route};
use crate::service::Service;

/// A request, as a session took it off the wire.
#[derive(Clone, Copy)]
pub struct Arrived<'a> {
    /// Who asks.
    pub speaker: &'a Speaker,
    /// What the session is for.
    pub purpose: Purpose,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: &'a str,
    /// What the headers wish.
    pub wishes: Wishes,
    /// The id of the request, if the client gave none.
    pub own_id: RequestId,
    /// The body.
    pub body: &'a [u8],
    /// The room that it takes, if it is large.
    pub room: Option<&'a Arc<Room>>,
}

/// What to do next for a request.
pub enum Step {
    /// Answer it.
    Done(Response),
    /// Hand it to the node; the token is the session's to fill in. Next: [`Event::Response`].
    Submit(ClientRequest),
    /// Ask the node. Next: [`Event::Answer`].
    Query(Query),
    /// Ask the leader how recent a snapshot must be. Next: [`Event::Answer`].
    ReadIndex,
    /// Answer it with events, on and on.
    Stream(Box<Watch>),
    /// Find out how recent the tables must be by which a write is proved anew, or wait until they are: later writes of
    /// the session must wait for this one. Next: as of [`Step::ReadIndex`] and [`Step::Wait`].
    Prove(Option<Seqno>),
    /// Wait for a snapshot. Next: [`Event::Reached`] or [`Event::Expired`].
    Wait(Seqno),
    /// Run this in the pool; it plans, so that later writes of the session must wait for it.
    PoolPlan(Job),
    /// Run this in the pool.
    PoolRead(Job),
}

/// Work for the pool, which makes the next event.
pub type Job = Box<dyn FnOnce() -> Event + Send>;

/// One request between two steps.
pub struct Exchange {
    actor: ActorFacts,
    adapter: AdapterId,
    wishes: Wishes,
    request_id: RequestId,
    proof: Proof,
    /// How often the write was to be proved anew.
    proved: u8,
    stage: Stage,
    /// When the node was handed the request, for the histogram.
    submitted: Option<Instant>,
}

/// What is awaited.
enum Stage {
    /// The pool's plan.
    Plan,
    /// The node's response.
    Calls(Then),
    /// Tables that are recent enough to prove this anew.
    Unproved(Box<Unproved>),
    /// A recent enough snapshot for this question.
    Read(Reading),
    /// A snapshot that holds the writes of the calls.
    Finish(Finish),
    /// The pool's reply.
    Pool,
    /// The node's answer; about this transaction, if about one.
    Query(Option<TxId>),
    /// Nothing any more.
    Over,
}

/// A write whose session may not speak for its actor any more.
struct Unproved {
    request: ClientRequest,
    then: Then,
}

/// A question about what is committed.
enum Reading {
    /// To the adapter.
    Adapter(Bytes),
    /// About governance.
    Governance(Asked),
    /// About the service's keys.
    Service,
}

/// Calls that are done, of which one answer is to be made.
struct Finish {
    token: Bytes,
    replies: Vec<Reply>,
    txid: TxId,
}

impl Exchange {
    /// Begins with a request.
    pub fn begin(service: &Arc<Service>, arrived: &Arrived<'_>) -> (Self, Step) {
        let Some(actor) = service.actors.find(arrived.speaker.actor()) else {
            return Self::refused(service, Refusal::NotAuthorized.into());
        };
        let found = arrived.purpose.check(arrived.target);
        let found = found.and_then(|()| route(arrived.method, arrived.target, |name| service.reader.find(name)));
        let route = match found {
            Ok(route) => route,
            Err(failure) => return Self::refused(service, failure),
        };
        if let Some(failure) = service.serving.refusal().filter(|_| !route.is_about_the_node()) {
            return Self::refused(service, failure);
        }
        let request_id = arrived.wishes.request_id.unwrap_or(arrived.own_id);
        let mut exchange = Self {
            actor,
            adapter: AdapterId(0),
            wishes: arrived.wishes,
            request_id,
            proof: arrived.speaker.proof(),
            proved: 0,
            stage: Stage::Over,
            submitted: None,
        };
        let step = match route {
            Route::App { adapter, path, query } => {
                exchange.adapter = adapter;
                exchange.plan(service, arrived, path, query)
            }
            Route::Governance(route) => exchange.govern(service, arrived, route),
            Route::Metrics => done(Reply::text(200, service.metrics.text()), None),
            Route::Service => exchange.read(service, Reading::Service),
            Route::Commit => {
                let txid = service.snapshot().1;
                done(json(&serde_json::json!({ "committed": txid.to_string() })), Some(txid))
            }
            Route::Status => exchange.query(Query::Status, None),
            Route::Transaction(txid) => exchange.query(Query::Transaction(txid), Some(txid)),
            Route::Receipt(txid) => exchange.query(Query::Receipt(txid), Some(txid)),
        };
        (exchange, step)
    }

    /// An exchange that is over with an error.
    pub fn refused(service: &Service, failure: Failure) -> (Self, Step) {
        let nobody = ActorFacts { id: ActorId::default(), kind: ActorKind::Participant };
        let exchange = Self {
            actor: nobody,
            adapter: AdapterId(0),
            wishes: Wishes::default(),
            request_id: RequestId::default(),
            proof: Proof::default(),
            proved: 0,
            stage: Stage::Over,
            submitted: None,
        };
        (exchange, fail(service, failure))
    }

    /// Goes on with what was awaited, for the one who asked. `None` for late news of something that is over.
    pub fn next(&mut self, service: &Arc<Service>, speaker: &Speaker, event: Event) -> Option<Step> {
        let step = match (std::mem::replace(&mut self.stage, Stage::Over), event) {
            (Stage::Over, _) => return None,
            (_, Event::Failed) => fail(service, internal("the request could not be worked off")),
            (Stage::Plan, Event::Planned(plan)) => self.planned(service, plan),
            (Stage::Calls(then), Event::Response(Ok(answer))) => self.answered(service, then, answer),
            (Stage::Calls(then), Event::ProveAnew(request)) if self.proved < PROOFS_MAX => {
                self.proved += 1;
                self.stage = Stage::Unproved(Box::new(Unproved { request: *request, then }));
                Step::Prove(None)
            }
            (Stage::Unproved(unproved), Event::Answer(Ok(QueryAnswer::ReadIndex(TxId { seqno, .. }))))
                if service.reader.latest().seqno < seqno =>
            {
                self.stage = Stage::Unproved(unproved);
                Step::Prove(Some(seqno))
            }
            (Stage::Unproved(unproved), Event::Answer(Ok(_)) | Event::Reached) => {
                self.prove_anew(service, speaker, *unproved)
            }
            (Stage::Calls(_), Event::ProveAnew(_)) | (Stage::Unproved(_), Event::Answer(Err(_)) | Event::Expired) => {
                fail(service, Refusal::ProveAnew.into())
            }
            (Stage::Calls(_), Event::Response(Err(refusal)))
            | (Stage::Query(_) | Stage::Read(_), Event::Answer(Err(refusal))) => fail(service, refusal.into()),
            (Stage::Query(txid), Event::Answer(Ok(answer))) => answer_query(service, answer, txid),
            (Stage::Read(question), Event::Answer(Ok(QueryAnswer::ReadIndex(txid)))) => {
                self.wishes.linearizable = false;
                let seqno = |txid: TxId| txid.seqno;
                self.wishes.at_least = self.wishes.at_least.into_iter().chain([txid]).max_by_key(|txid| seqno(*txid));
                self.read(service, question)
            }
            (Stage::Read(question), Event::Reached) => self.read(service, question),
            (Stage::Finish(finish), Event::Reached) => self.finish(service, finish),
            (Stage::Read(_) | Stage::Finish(_), Event::Expired) => not_yet_applied(service),
            (Stage::Pool, Event::Replied(reply, txid)) => done(reply, Some(txid)),
            _ => fail(service, internal("the request took an unforeseen turn")),
        };
        Some(step)
    }

    fn query(&mut self, query: Query, txid: Option<TxId>) -> Step {
        self.stage = Stage::Query(txid);
        Step::Query(query)
    }

    fn plan(&mut self, service: &Arc<Service>, arrived: &Arrived<'_>, path: &str, query: &str) -> Step {
        let (adapter, actor, method) = (self.adapter, self.actor, arrived.method);
        if arrived.body.len() <= PLAN_INLINE_BYTES_MAX {
            let plan = plan(service, adapter, &actor, &Request { method, path, query, body: arrived.body });
            return self.planned(service, plan);
        }
        self.stage = Stage::Plan;
        let (service, room) = (Arc::clone(service), arrived.room.cloned());
        let (path, query, body) = (path.to_owned(), query.to_owned(), Bytes::copy_from_slice(arrived.body));
        Step::PoolPlan(Box::new(move || {
            let _room = room;
            Event::Planned(plan(
                &service,
                adapter,
                &actor,
                &Request { method, path: &path, query: &query, body: &body },
            ))
        }))
    }

    fn planned(&mut self, service: &Arc<Service>, plan: Plan) -> Step {
        match plan {
            Plan::Answer(reply) => done(reply, None),
            Plan::Read(query) => {
                service.metrics.reads.count();
                self.read(service, Reading::Adapter(query))
            }
            Plan::Execute { calls, then } => self.submit(service, calls, then),
        }
    }

    fn submit(&mut self, service: &Service, calls: Vec<Bytes>, then: Then) -> Step {
        service.metrics.writes.count();
        self.submitted = Some(Instant::now());
        self.stage = Stage::Calls(then);
        Step::Submit(ClientRequest {
            token: 0,
            actor: self.actor.id,
            proof: self.proof,
            request_id: self.request_id,
            adapter: self.adapter,
            calls,
        })
    }

    /// Sends a write again whose session still speaks for its actor.
    fn prove_anew(&mut self, service: &Service, speaker: &Speaker, Unproved { request, then }: Unproved) -> Step {
        match speaker.prove_anew(service) {
            Ok(proof) => {
                self.stage = Stage::Calls(then);
                Step::Submit(ClientRequest { proof, ..request })
            }
            Err(failure) => fail(service, failure),
        }
    }

    fn govern(&mut self, service: &Arc<Service>, arrived: &Arrived<'_>, route: GovRoute) -> Step {
        let asked = match route {
            GovRoute::Requests => {
                self.adapter = AdapterId::GOVERNANCE;
                return self.ask_governance(service, arrived);
            }
            GovRoute::DryRun => match self.room_to_wait(service, arrived) {
                Ok(room) => Asked::DryRun { body: Bytes::copy_from_slice(arrived.body), _room: room },
                Err(failure) => return fail(service, failure),
            },
            GovRoute::Constitution => Asked::Constitution,
            GovRoute::Proposals(listed) => Asked::Proposals(listed),
            GovRoute::Proposal(id) => Asked::Proposal(id),
            GovRoute::Rules(member) => Asked::Rules(member),
            GovRoute::Events(after) => {
                let watch = Watch::begin(service, self.actor.id, self.wishes.last_event.or(after));
                return watch.map_or_else(|failure| fail(service, failure), |watch| Step::Stream(Box::new(watch)));
            }
        };
        service.metrics.reads.count();
        self.read(service, Reading::Governance(asked))
    }

    /// The room that a body takes while it waits for a thread.
    fn room_to_wait(&self, service: &Service, arrived: &Arrived<'_>) -> Result<Arc<Room>, Failure> {
        let take = || service.room_to_wait(arrived.purpose, self.actor.id, arrived.body.len());
        arrived.room.map_or_else(take, |room| Ok(Arc::clone(room)))
    }

    /// Hands a request to governance on; a proposal may have to be looked at by adapters first.
    fn ask_governance(&mut self, service: &Arc<Service>, arrived: &Arrived<'_>) -> Step {
        let request = Bytes::copy_from_slice(arrived.body);
        if !may_propose(&request) {
            return self.submit(service, vec![request], Then::Reply);
        }
        let room = match self.room_to_wait(service, arrived) {
            Ok(room) => room,
            Err(failure) => return fail(service, failure),
        };
        self.stage = Stage::Plan;
        let service = Arc::clone(service);
        Step::PoolPlan(Box::new(move || {
            let _room = room;
            Event::Planned(settings::plan(&service, request))
        }))
    }

    /// Reads if the snapshot is recent enough for the client, and otherwise says what to wait for.
    fn read(&mut self, service: &Arc<Service>, question: Reading) -> Step {
        if self.wishes.linearizable {
            self.stage = Stage::Read(question);
            return Step::ReadIndex;
        }
        let (latest, txid) = service.snapshot();
        if let Some(wanted) = self.wishes.at_least.filter(|wanted| latest.seqno < wanted.seqno) {
            self.stage = Stage::Read(question);
            return Step::Wait(wanted.seqno);
        }
        let (adapter, actor) = (self.adapter, self.actor);
        let query = match question {
            Reading::Adapter(query) => query,
            // They are replaced before the snapshot is, so that they hold what it holds at least.
            Reading::Service => return done(Reply::text(200, service.papers.text()), Some(txid)),
            Reading::Governance(asked) => {
                let room = match service.room_to_read(actor.id) {
                    Ok(room) => room,
                    Err(failure) => return fail(service, failure),
                };
                self.stage = Stage::Pool;
                let service = Arc::clone(service);
                return Step::PoolRead(Box::new(move || {
                    let _room = room;
                    let (reply, txid) = asked.answer(&service, &actor.id);
                    Event::Replied(reply, txid)
                }));
            }
        };
        let Some(frontend) = service.reader.frontend(adapter) else {
            return fail(service, Refusal::NoSuchAdapter.into());
        };
        if !frontend.takes_long(&query) {
            return done(frontend.read(&latest.state, &actor, &query), Some(txid));
        }
        self.stage = Stage::Pool;
        let service = Arc::clone(service);
        Step::PoolRead(Box::new(move || {
            // A job that waits keeps no snapshot: a later one is as good.
            let (latest, txid) = service.snapshot();
            match service.reader.frontend(adapter) {
                Some(frontend) => Event::Replied(frontend.read(&latest.state, &actor, &query), txid),
                None => Event::Failed,
            }
        }))
    }

    fn answered(&mut self, service: &Arc<Service>, then: Then, Answer { txid, mut replies }: Answer) -> Step {
        if let Some(submitted) = self.submitted.take() {
            service.metrics.commit.observe(submitted.elapsed());
        }
        match then {
            Then::Reply => match replies.pop() {
                Some(reply) => done(reply, Some(txid)),
                None => fail(service, internal("the node gave no reply")),
            },
            Then::Finish(token) => self.finish(service, Finish { token, replies, txid }),
        }
    }

    fn finish(&mut self, service: &Arc<Service>, finish: Finish) -> Step {
        let (txid, actor, adapter) = (finish.txid, self.actor, self.adapter);
        if service.reader.latest().seqno < txid.seqno {
            self.stage = Stage::Finish(finish);
            return Step::Wait(txid.seqno);
        }
        let takes_long = |frontend: &dyn Frontend| frontend.takes_long(&finish.token);
        let is_quick = !service.reader.frontend(adapter).is_some_and(takes_long);
        let inline = finish.replies.len() <= FINISH_INLINE_REPLIES_MAX && is_quick;
        let pool = Arc::clone(service);
        let job = move || match pool.reader.frontend(adapter) {
            Some(frontend) => {
                let latest = pool.reader.latest();
                Event::Replied(frontend.finish(&latest.state, &actor, &finish.token, finish.replies), txid)
            }
            None => Event::Failed,
        };
        if !inline {
            self.stage = Stage::Pool;
            return Step::PoolRead(Box::new(job));
        }
        match job() {
            Event::Replied(reply, txid) => done(reply, Some(txid)),
            _ => fail(service, Refusal::NoSuchAdapter.into()),
        }
    }
}

fn plan(service: &Service, adapter: AdapterId, actor: &ActorFacts, request: &Request<'_>) -> Plan {
    match service.reader.frontend(adapter) {
        Some(frontend) => frontend.plan(actor, request),
        None => Plan::Answer(Failure::from(Refusal::NoSuchAdapter).reply()),
    }
}

fn done(reply: Reply, txid: Option<TxId>) -> Step {
    Step::Done(Response { reply, txid })
}

fn fail(service: &Service, failure: Failure) -> Step {
    service.metrics.failures.count();
    done(failure.reply(), None)
}

fn internal(message: &str) -> Failure {
    Failure::new(500, "InternalError", message, "report this to the operator")
}

/// The only failure that is about what is committed: it says how far this node is.
fn not_yet_applied(service: &Service) -> Step {
    service.metrics.failures.count();
    let message = "this node has not applied as much of the ledger as was asked for";
    let failure = Failure::new(503, "NotYetApplied", message, "ask again, or ask another node");
    done(failure.reply(), Some(service.snapshot().1))
}

fn answer_query(service: &Service, answer: QueryAnswer, txid: Option<TxId>) -> Step {
    match answer {
        QueryAnswer::Status(status) => done(status_reply(service, &status), None),
        QueryAnswer::Transaction(status) => {
            let txid_text = txid.map(|txid| txid.to_string());
            done(json(&serde_json::json!({ "txid": txid_text, "status": status.name() })), None)
        }
        QueryAnswer::Receipt(receipt) => done(Reply::new(200, ContentType::Binary, receipt), txid),
        QueryAnswer::ReadIndex(txid) => done(json(&serde_json::json!({ "committed": txid.to_string() })), Some(txid)),
    }
}

fn status_reply(service: &Service, status: &Status) -> Reply {
    let mut shown = serde_json::json!({
        "id": status.id.0,
        "role": status.role.name(),
        "view": status.view.0,
        "leader": status.leader.map(|leader| leader.0),
        "last": status.last.to_string(),
        "committed": status.committed.to_string(),
    });
    // Only what needs somebody's attention: as a rule there is nothing.
    let refused = |(adapter, refused): (&str, SettingsRefused)| {
        let decided = service.governance.txid_of(refused.decided_at).map(|txid| txid.to_string());
        serde_json::json!({ "adapter": adapter, "decided": decided, "reason": refused.reason })
    };
    let refused: Vec<_> = service.reader.refused_settings().map(refused).collect();
    if !refused.is_empty() {
        shown["settings_refused"] = refused.into();
    }
    json(&shown)
}

fn json(value: &serde_json::Value) -> Reply {
    Reply::json(200, value.to_string())
}

/// How often a write is proved anew before its client is told to send it again: each time something about actors was
/// decided meanwhile, or a clock is ahead.
const PROOFS_MAX: u8 = 3;

/// Bodies up to this size are planned at once: a transfer with its signature takes less. Larger ones may
/// hold many signatures and go to the pool.
const PLAN_INLINE_BYTES_MAX: usize = 4 << 10;

/// Up to so many replies are put together at once.
const FINISH_INLINE_REPLIES_MAX: usize = 16;
