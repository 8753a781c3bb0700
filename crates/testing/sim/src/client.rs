//! Clients: each does one thing after the other, at nodes of chance, and asks again elsewhere when it
//! hears nothing, under the same request id.

use synod_node::{Answer, Query, QueryAnswer, Refusal, Response, TxStatus};
use synod_types::limits::RETRY_TIME_MAX;
use synod_types::{NodeId, RequestId, TxId, View};
use synod_worker::ActorFacts;

use crate::check::history::{Call, History, Observation};
use crate::check::{Checked, audit, violated};
use crate::clock::Instant;
use crate::consortium::{ACTORS, Consortium, kits};
use crate::prng::Prng;
use crate::site::Session;
use crate::swarm::{Delay, Workload};
use crate::trace::short;
use crate::world::{Happening, Local, Question, World};

/// One client.
#[derive(Debug)]
pub struct Client {
    actor: ActorFacts,
    /// How many operations are left.
    left: usize,
    /// Operations at given nodes, done before all others.
    errands: Vec<NodeId>,
    /// The request that it waits for, and when it first made it.
    waits_for: Option<(usize, Instant)>,
    /// The last transaction that it was told of.
    high_water: TxId,
    /// Counts what it does, so that a timer of something done is not taken for one of something else.
    turn: u64,
    prng: Prng,
}

/// How long a client goes on asking, in microseconds.
const GIVES_UP_AFTER: u64 = RETRY_TIME_MAX.as_micros() as u64;

/// How often a client looks again for a snapshot that is recent enough, 20 ms apart.
const LOOKS: u32 = 100;

impl Client {
    /// Client `number` of a cluster. Number 0 is a stranger, who may do nothing.
    pub fn new(number: usize, consortium: &Consortium, workload: &Workload, prng: Prng) -> Self {
        let actor = if number == 0 { ACTORS } else { (number - 1) % ACTORS };
        let left = if number == 0 { workload.operations.min(1) } else { workload.operations };
        Self {
            actor: consortium.actors[actor],
            left,
            errands: Vec::new(),
            waits_for: None,
            high_water: TxId::default(),
            turn: 0,
            prng,
        }
    }

    /// Whether it has nothing to do and waits for nothing.
    pub fn is_done(&self) -> bool {
        self.left == 0 && self.waits_for.is_none() && self.errands.is_empty()
    }
}

impl World {
    /// A client does what comes next.
    pub(crate) fn client_turn(&mut self, number: usize, turn: u64) {
        let client = &mut self.clients[number];
        if client.turn != turn {
            return;
        }
        client.turn += 1;
        if let Some((request, since)) = client.waits_for {
            if self.now.since(since) >= GIVES_UP_AFTER {
                self.probes.given_up += 1;
                client.waits_for = None;
                return self.plan_client_turn(number, 0);
            }
            self.probes.asked_again += 1;
            return self.ask(number, request, None);
        }
        if let Some(node) = client.errands.pop() {
            let request = self.new_write(number);
            return self.ask(number, request, Some(node));
        }
        if client.left == 0 {
            return;
        }
        client.left -= 1;
        self.operate(number);
    }

    fn operate(&mut self, number: usize) {
        let keys = self.swarm.workload.keys;
        let client = &mut self.clients[number];
        let (key, kind) = (client.prng.below(keys), client.prng.below(20));
        let writes = number == 0 || kind < 12;
        if writes {
            let request = self.new_request(number);
            return self.ask(number, request, None);
        }
        let node = *client.prng.pick(&self.slots);
        let at_least = if client.prng.chance(500_000) { client.high_water } else { TxId::default() };
        let place = client.prng.next_u64() as usize;
        let some_txid = self.history.some_txid(place);
        let (view_off, seqno_off, ahead) = (client.prng.below(3), client.prng.below(3), client.prng.between(1, 6));
        let what = match (kind, some_txid) {
            (12..16, _) | (18.., None) => Local::Look { key, at_least, patience: LOOKS },
            (16, _) | (_, None) => Local::Question(Question::ReadIndex(key)),
            // Often one that nobody was told of: not committed yet, or never.
            (17, Some(txid)) => {
                Local::Question(Question::Receipt(TxId::new(txid.view, txid.seqno.plus(ahead * seqno_off))))
            }
            (_, Some(txid)) => {
                let view = View((txid.view.0 + view_off).saturating_sub(1));
                Local::Question(Question::Status(TxId::new(view, txid.seqno.plus(ahead * seqno_off))))
            }
        };
        let after = Delay::QUICK.draw(&mut client.prng);
        self.plan(after, node, what);
        self.think(number);
    }

    /// Makes up a request.
    fn new_request(&mut self, number: usize) -> usize {
        let Workload { keys, calls_max, .. } = self.swarm.workload;
        let client = &mut self.clients[number];
        let request_id = RequestId(client.prng.bytes());
        let count = client.prng.between(1, calls_max);
        let calls = (0..count)
            .map(|_| (client.prng.below(keys), client.prng.below(10)))
            .map(|(key, kind)| match kind {
                0..7 => Call::put(key, request_id),
                7..9 => Call::Random { key },
                _ => Call::Malformed,
            })
            .collect();
        self.note_request(number, request_id, calls)
    }

    /// A request that writes one message.
    pub(crate) fn new_write(&mut self, number: usize) -> usize {
        self.new_write_of(number, Call::put)
    }

    /// A request that makes one call.
    pub(crate) fn new_write_of(&mut self, number: usize, call: impl Fn(u64, RequestId) -> Call) -> usize {
        let client = &mut self.clients[number];
        let request_id = RequestId(client.prng.bytes());
        let key = client.prng.below(self.swarm.workload.keys);
        self.note_request(number, request_id, vec![call(key, request_id)])
    }

    fn note_request(&mut self, number: usize, request_id: RequestId, calls: Vec<Call>) -> usize {
        let kits = kits();
        self.history.ask(self.clients[number].actor, request_id, calls, &*kits[0].frontend)
    }

    /// Sends a request to a node, or to one of chance, and sets the time after which another is asked.
    fn ask(&mut self, number: usize, request: usize, node: Option<NodeId>) {
        let Workload { patience, hedges_ppm, .. } = self.swarm.workload;
        let client = &mut self.clients[number];
        let copies = if client.prng.chance(hedges_ppm) { 2 } else { 1 };
        let mut arrivals = Vec::new();
        for _ in 0..copies {
            let drawn = *client.prng.pick(&self.slots);
            arrivals.push((Delay::QUICK.draw(&mut client.prng), node.unwrap_or(drawn)));
        }
        let since = client.waits_for.map_or(self.now, |(_, since)| since);
        client.waits_for = Some((request, since));
        let patience = patience.draw(&mut client.prng);
        let id = short(&self.history.asked()[request].request_id.0);
        for (after, node) in arrivals {
            self.trace.note(self.now, node, "is asked", &[("client", number as u64), ("request", id)]);
            self.plan(after, node, Local::Ask { client: number, request });
        }
        self.plan_client_turn(number, patience);
    }

    /// A request reaches a node.
    pub(crate) fn ask_arrives(&mut self, node: NodeId, client: usize, request: usize) -> Checked {
        let token = self.session(node, Session::Write { client, request });
        let request = self.history.request(request, token);
        self.event(node, synod_node::Event::Requests(vec![request]))
    }

    /// A question reaches a node.
    pub(crate) fn question_arrives(&mut self, node: NodeId, question: Question) -> Checked {
        let floor = self.history.told();
        let (session, query) = match question {
            Question::ReadIndex(key) => (Session::ReadIndex { key, floor }, Query::ReadIndex),
            Question::Status(txid) => (Session::Status(txid), Query::Transaction(txid)),
            Question::Receipt(txid) => (Session::Receipt(txid), Query::Receipt(txid)),
        };
        let token = self.session(node, session);
        self.event(node, synod_node::Event::Query { token, query })
    }

    pub(crate) fn session(&mut self, node: NodeId, session: Session) -> u64 {
        self.tokens += 1;
        let token = self.tokens;
        if let Some(process) = self.process(node) {
            process.sessions.insert(token, session);
        }
        token
    }

    /// A node answers a request.
    pub(crate) fn response(&mut self, node: NodeId, response: Response) -> Checked {
        let session = self.process(node).and_then(|process| process.sessions.remove(&response.token));
        if let Some(Session::Govern { request_id }) = session {
            return self.governed(node, request_id, &response.result);
        }
        let Some(Session::Write { client, request }) = session else {
            return violated("each request is answered once", format!("node {node} answers token {}", response.token));
        };
        match &response.result {
            Ok(answer) => {
                let seqno = answer.txid.seqno.0;
                self.trace.note(self.now, node, "answers", &[("client", client as u64), ("seqno", seqno)]);
                self.history.answered(node, request, answer, &self.truth)?;
                self.probes.answered += 1;
            }
            Err(refusal) => {
                self.trace.note(self.now, node, "refuses", &[("client", client as u64), ("why", *refusal as u64)]);
                let actor = self.clients[client].actor.id;
                let is_actor = self.consortium.is_actor(actor) && self.governor.has_left_alone(&actor);
                self.history.refused(node, request, *refusal, is_actor)?;
                self.probes.refused += 1;
            }
        }
        let after = Delay::QUICK.draw(&mut self.chance);
        self.queue.push(self.now.plus(after), Happening::Told { client, request, result: response.result });
        Ok(())
    }

    /// A node answers a question.
    pub(crate) fn query_answer(&mut self, node: NodeId, token: u64, result: Result<QueryAnswer, Refusal>) -> Checked {
        let Some(session) = self.process(node).and_then(|process| process.sessions.remove(&token)) else {
            return violated("each question is answered once", format!("node {node} answers token {token}"));
        };
        match (session, result) {
            (_, Err(_)) => self.probes.questions_refused += 1,
            (Session::ReadIndex { key, floor }, Ok(QueryAnswer::ReadIndex(txid))) => {
                self.probes.read_indexes += 1;
                History::read_index(node, floor, txid)?;
                return self.look(node, key, txid, LOOKS);
            }
            (Session::Status(txid), Ok(QueryAnswer::Transaction(status))) => {
                self.probes.invalid += u64::from(status == TxStatus::Invalid);
                if status == TxStatus::Committed {
                    self.truth.must_be_committed(node, txid)?;
                }
                self.history.statuses.push((node, txid, status));
            }
            (Session::Receipt(txid), Ok(QueryAnswer::Receipt(bytes))) => {
                self.probes.receipts += 1;
                self.truth.must_be_committed(node, txid)?;
                self.history.receipts.push((txid, bytes));
            }
            (session, Ok(answer)) => {
                return violated("a question gets its own answer", format!("node {node}: {session:?}, {answer:?}"));
            }
        }
        Ok(())
    }

    /// A client reads at a node, once its snapshot holds `at_least`.
    pub(crate) fn look(&mut self, node: NodeId, key: u64, at_least: TxId, patience: u32) -> Checked {
        let actor = self.consortium.actors[0];
        let Some(process) = self.process(node) else { return Ok(()) };
        let snapshot = process.reader.latest();
        if snapshot.seqno < at_least.seqno {
            if patience > 0 {
                self.plan(20_000, node, Local::Look { key, at_least, patience: patience - 1 });
            }
            return Ok(());
        }
        // Before genesis is applied there is nothing to see and nobody to ask.
        if snapshot.seqno.0 > 0 {
            let found = audit::read(&process.reader, &actor, key);
            self.probes.reads += 1;
            self.history.observations.push(Observation { node, seqno: snapshot.seqno, key, found });
        }
        Ok(())
    }

    /// A client hears what became of its request.
    pub(crate) fn client_told(&mut self, number: usize, request: usize, result: &Result<Answer, Refusal>) {
        let client = &mut self.clients[number];
        if client.waits_for.is_none_or(|(waits_for, _)| waits_for != request) {
            return;
        }
        match result {
            Ok(answer) => {
                client.high_water = client.high_water.max(answer.txid);
                client.waits_for = None;
                self.think(number);
            }
            Err(Refusal::NotAuthorized) => {
                self.probes.strangers_refused += 1;
                client.waits_for = None;
                self.think(number);
            }
            Err(_) => self.client_lost(number, request),
        }
    }

    /// A client's request got no answer, and will get none: it asks again soon.
    pub(crate) fn client_lost(&mut self, number: usize, request: usize) {
        let client = &mut self.clients[number];
        if client.waits_for.is_some_and(|(waits_for, _)| waits_for == request) {
            let after = client.prng.between(5_000, 100_000);
            self.plan_client_turn(number, after);
        }
    }

    /// Nobody is at the other end of a client's connection.
    pub(crate) fn break_connection(&mut self, client: usize, request: usize) {
        let after = Delay::QUICK.draw(&mut self.chance);
        self.queue.push(self.now.plus(after), Happening::Broken { client, request });
    }

    fn think(&mut self, number: usize) {
        let think = self.swarm.workload.think;
        let after = think.draw(&mut self.clients[number].prng);
        self.plan_client_turn(number, after);
    }

    fn plan_client_turn(&mut self, number: usize, after: u64) {
        let client = &mut self.clients[number];
        client.turn += 1;
        let turn = client.turn;
        self.queue.push(self.now.plus(after), Happening::ClientTurn { client: number, turn });
    }

    /// Has a client forget what it was up to and write once at each of `nodes`.
    pub(crate) fn send_on_errands(&mut self, number: usize, nodes: &[NodeId]) {
        let client = &mut self.clients[number];
        client.left = 0;
        client.errands.extend_from_slice(nodes);
        if client.waits_for.is_none() {
            self.plan_client_turn(number, 0);
        }
    }
}
