//! A small world around sessions: a real worker with one adapter, and a node that commits on demand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;
use synod_crypto::Certificate;
use synod_governance::bounded::{Blob, Name};
use synod_governance::entries::{CertificateDer, CrlEntry};
use synod_governance::{ActorEntry, Pins, Role};
use synod_kv::{Map, State, Tx, Value};
use synod_node::{Answer, ClientRequest, Event as NodeEvent, Query, QueryAnswer, Refusal};
use synod_types::{ActorId, AdapterId, Digest, Seqno, Time, TxId, View};
use synod_worker::{
    ActorFacts, ActorKind, Adapter, AdapterKit, Apply, BlockEnv, Call, CallContext, Configure, ContentType,
    DecidedSettings, Execute, Frontend, Method, Plan, Reply, Request, SetupError, Then, ToWorker, Worker,
};

use crate::clock::{Calendar, Clock};
use crate::governance::Governance;
use crate::governance::log::LOG_BYTES_MAX;
use crate::government::Governing;
use crate::mailbox::Event;
use crate::manager_port::{ManagerPort, ToManager};
use crate::pool::Pools;
use crate::service::Service;

/// The actor that may do everything.
pub const ACTOR: ActorId = ActorId([1; 32]);

/// The network.
pub const NETWORK: Digest = Digest([0x5e; 32]);

const VALUES: Map<Bytes, Value> = Map::from_static("box.values");

/// `PUT box/<key>` keeps the body, `GET box/<key>` gives it back, `POST box/<n>` makes n calls and adds up
/// their replies, `GET box/slow` runs in the pool, `GET box/panic` panics there, `GET box/held` stays there.
struct BoxAdapter(Arc<Gate>);

/// Holds reads until it is opened, and counts them.
#[derive(Default)]
pub struct Gate {
    state: Mutex<(bool, usize)>,
    changed: Condvar,
    /// How many reads of any kind were done.
    pub reads: AtomicUsize,
}

impl Gate {
    /// Lets all go on, from now on.
    pub fn open(&self) {
        self.state.lock().unwrap().0 = true;
        self.changed.notify_all();
    }

    /// How many have come.
    pub fn came(&self) -> usize {
        self.state.lock().unwrap().1
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        drop(self.changed.wait_while(state, |(is_open, _)| !*is_open).unwrap());
    }
}

impl Adapter for BoxAdapter {
    fn genesis(&mut self, _: &mut Tx<'_>, _: &[u8]) -> Result<(), SetupError> {
        Ok(())
    }

    fn configure(&mut self, _: &mut Tx<'_>, _: &[u8], new: &[u8]) -> Result<(), SetupError> {
        let refused = || SetupError { adapter: "box", reason: "a box stays shut".into() };
        if new == b"open" { Err(refused()) } else { Ok(()) }
    }

    fn execute(&mut self, tx: &mut Tx<'_>, _: &CallContext<'_>, input: &[u8]) -> Reply {
        let mut parts = input.splitn(2, |byte| *byte == b'=');
        let (key, value) = (parts.next().unwrap_or(b""), parts.next().unwrap_or(b""));
        VALUES.put(tx, &Bytes::copy_from_slice(key), &Value::new(value));
        Reply::text(200, format!("kept {}", String::from_utf8_lossy(key))).with_writes()
    }
}

impl Frontend for BoxAdapter {
    fn plan(&self, _: &ActorFacts, request: &Request<'_>) -> Plan {
        match request.method {
            Method::Get => Plan::Read(Bytes::copy_from_slice(request.path.as_bytes())),
            Method::Put => {
                let call = [request.path.as_bytes(), b"=", request.body].concat();
                Plan::Execute { calls: vec![call.into()], then: Then::Reply }
            }
            Method::Post => {
                let calls = (0..request.path.parse().unwrap()).map(|i| Bytes::from(format!("{i}=x"))).collect();
                Plan::Execute { calls, then: Then::Finish(Bytes::from_static(b"sum")) }
            }
            Method::Delete => Plan::Answer(Reply::text(405, "kept for ever")),
        }
    }

    fn read(&self, state: &State, _: &ActorFacts, query: &[u8]) -> Reply {
        assert_ne!(query, b"panic", "as asked");
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        if query == b"held" {
            self.0.pass();
        }
        match VALUES.get(state, &Bytes::copy_from_slice(query)) {
            Ok(Some(value)) => Reply::new(200, ContentType::Binary, value.to_bytes()),
            _ => Reply::text(404, "nothing kept"),
        }
    }

    fn takes_long(&self, query: &[u8]) -> bool {
        [&b"slow"[..], b"panic", b"held"].contains(&query)
    }

    fn finish(&self, state: &State, _: &ActorFacts, _: &[u8], replies: Vec<Reply>) -> Reply {
        Reply::text(200, format!("{} replies, {} kept", replies.len(), state.len(VALUES.name())))
    }
}

/// A service whose node is the test.
pub struct World {
    pub service: Arc<Service>,
    /// Where `GET box/held` waits.
    pub gate: Arc<Gate>,
    worker: Mutex<Worker>,
    inbox: Mutex<Receiver<ToManager>>,
}

impl World {
    pub fn new() -> Self {
        Self::with_log(LOG_BYTES_MAX)
    }

    /// A world that keeps so many bytes of governance events.
    pub fn with_log(log_bytes_max: usize) -> Self {
        let gate = Arc::<Gate>::default();
        let frontend = Arc::new(BoxAdapter(Arc::clone(&gate)));
        let kit = AdapterKit { name: "box", adapter: || Box::new(BoxAdapter(Arc::default())), frontend };
        let worker = Worker::new(&[kit]);
        let (sender, inbox) = channel();
        let actor = ActorFacts { id: ACTOR, kind: ActorKind::Participant };
        let (pools, governance) = (Pools::start().unwrap(), Governance::new(NETWORK, log_bytes_max));
        let port = ManagerPort::new(sender);
        let service = Arc::new(Service::new(worker.reader(), Calendar::new(Clock::start()), port, pools, governance));
        service.actors.replace([actor]);
        service.serving.set(synod_node::Serving::Now);
        let world = Self { service, gate, worker: Mutex::new(worker), inbox: Mutex::new(inbox) };
        let genesis = synod_kv::WriteSet::default();
        world.handle(ToWorker::Apply(Apply { first_seqno: Seqno(1), write_sets: [genesis].into() }));
        world.publish(Seqno(1));
        world
    }

    /// From now on these are the actors, and [`ACTOR`] is none.
    pub fn govern(&self, tables: &Tables) {
        self.govern_at(tables, Time(1_700_000_000_000_000));
    }

    /// The same, from a transaction of this time.
    pub fn govern_at(&self, tables: &Tables, time: Time) {
        let txid = TxId::new(View(2), tables.seqno);
        self.service.govern(Governing::new(txid, time, tables.state.clone()));
    }

    fn handle(&self, message: ToWorker) -> Option<synod_worker::Executed> {
        self.worker.lock().unwrap().handle(message)
    }

    /// Commits a transaction that writes nothing that adapters know.
    pub fn publish_nothing(&self, seqno: Seqno) {
        let nothing = synod_kv::WriteSet::default();
        self.handle(ToWorker::Apply(Apply { first_seqno: seqno, write_sets: [nothing].into() }));
        self.publish(seqno);
    }

    /// Commits up to `seqno`, and tells those who waited for it.
    pub fn publish(&self, seqno: Seqno) {
        self.service.views.committed(TxId::new(View(2), seqno));
        self.handle(ToWorker::Commit { upto: seqno });
        for token in self.service.waits.take_reached(seqno) {
            self.service.office.deliver(token, Event::Reached);
        }
    }

    /// What the sessions have sent since the last call, one list for each message.
    pub fn submitted(&self) -> Vec<Vec<ClientRequest>> {
        let requests = |message| match message {
            ToManager::Event(NodeEvent::Requests(requests)) => requests,
            other => panic!("{other:?}"),
        };
        self.inbox.lock().unwrap().try_iter().map(requests).collect()
    }

    /// The queries that the sessions have sent since the last call.
    pub fn queries(&self) -> Vec<(u64, Query)> {
        let query = |message| match message {
            ToManager::Event(NodeEvent::Query { token, query }) => (token, query),
            other => panic!("{other:?}"),
        };
        self.inbox.lock().unwrap().try_iter().map(query).collect()
    }

    /// Answers a query.
    pub fn answer(&self, token: u64, result: Result<QueryAnswer, Refusal>) {
        if !self.service.answered_read_index(token, &result) {
            self.service.office.deliver(token, Event::Answer(result));
        }
    }

    /// Hands the adapter settings that were decided at seqno `at`, and commits that.
    pub fn configure(&self, at: u64, settings: &'static str) {
        let first_seqno = self.worker.lock().unwrap().tip().next();
        let env = BlockEnv { view: View(2), first_seqno, time: Time(0), seed: [0; 32] };
        let decided = DecidedSettings { adapter: AdapterId(0), at: Seqno(at), settings: settings.into() };
        self.handle(ToWorker::Configure(Configure { env, decided })).unwrap();
        self.publish(first_seqno);
    }

    /// Executes a request as a block of its own, commits it and answers it.
    pub fn commit(&self, request: &ClientRequest) {
        let (answer, last) = self.execute(request);
        self.publish(last);
        self.service.office.deliver(request.token, Event::Response(Ok(answer)));
    }

    /// Says of a request that its session is to be looked at again.
    pub fn doubt(&self, request: &ClientRequest) {
        self.service.office.deliver(request.token, Event::ProveAnew(Box::new(request.clone())));
    }

    /// Executes a request as a block of its own.
    pub fn execute(&self, request: &ClientRequest) -> (Answer, Seqno) {
        let actor = ActorFacts { id: request.actor, kind: ActorKind::Participant };
        let first_seqno = self.worker.lock().unwrap().tip().next();
        let env = BlockEnv { view: View(2), first_seqno, time: Time(0), seed: [0; 32] };
        let call = |input: &Bytes| Call { adapter: request.adapter, actor, input: input.clone() };
        let calls: Vec<_> = request.calls.iter().map(call).collect();
        let last = first_seqno.plus(calls.len() as u64 - 1);
        let executed = self.handle(ToWorker::Execute(Execute { env, calls })).unwrap();
        let replies = executed.outcomes.into_iter().map(|outcome| outcome.reply).collect();
        (Answer { txid: TxId::new(View(2), last), replies }, last)
    }
}

/// Governance tables with actors only.
#[derive(Clone, Default)]
pub struct Tables {
    state: State,
    seqno: Seqno,
}

impl Tables {
    /// With an actor more, or with another entry for one.
    #[must_use]
    pub fn with(self, role: Role, certificate: &Certificate, pins: Pins) -> Self {
        let id = certificate.actor_id();
        let entry = ActorEntry {
            role,
            name: Name::new(id.to_string()).unwrap(),
            certificate: CertificateDer::of(certificate),
            pins,
            since: 1,
        };
        self.write(|tx| ACTORS.put(tx, &id, &entry))
    }

    /// Without an actor.
    #[must_use]
    pub fn without(self, certificate: &Certificate) -> Self {
        self.write(|tx| ACTORS.remove(tx, &certificate.actor_id()))
    }

    /// With a revocation list of an actor.
    #[must_use]
    pub fn with_crl(self, certificate: &Certificate, number: u64, der: Vec<u8>) -> Self {
        let entry = CrlEntry { number, der: Blob::new(der).unwrap() };
        self.write(|tx| REVOKED.put(tx, &certificate.actor_id(), &entry))
    }

    fn write(mut self, change: impl FnOnce(&mut Tx<'_>)) -> Self {
        let before = self.state.clone();
        let mut tx = Tx::new(&before);
        change(&mut tx);
        self.seqno = self.seqno.next();
        self.state.apply(&tx.into_write_set(), self.seqno);
        self
    }
}

const ACTORS: Map<ActorId, ActorEntry> = Map::from_static("gov.actors");
const REVOKED: Map<ActorId, CrlEntry> = Map::from_static("gov.revoked");

/// Lets every task run until none can go on.
pub async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// What the body of an error says.
pub fn error_code(body: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(body).unwrap();
    json["error"]["code"].as_str().unwrap().to_owned()
}
