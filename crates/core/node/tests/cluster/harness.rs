//! Nodes and workers joined by an instant network, each on an instant disk.

#[path = "harness/disks.rs"]
pub mod disks;
#[path = "harness/settable.rs"]
mod settable;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use synod_crypto::{ActorKey, Certificate, NodeKey, ServiceKey, SessionKeys, VerifyingKey, x509};
use synod_ledger::Receipt;
use synod_node::{
    Action, Answer, ClientRequest, Config, Event, Genesis, Governed, Node, Proof, Query, QueryAnswer, Refusal, Role,
    Serving, Start, StartError, Status, StopReason,
};
use synod_types::boundary::{Append, LedgerRange, LogRecord};
use synod_types::{
    ActorId, AdapterId, Digest, Encode, Encoder, Epoch, NodeId, RequestId, Seqno, Time, TxId, Untrusted,
};
use synod_worker::{ActorFacts, ActorKind, AdapterKit, Method, Plan, Request, Worker};

/// One node with its worker and its disk.
struct Machine {
    node: Option<Node>,
    worker: Worker,
    log: Vec<LogRecord>,
    vote: Option<Bytes>,
    starts: u8,
    /// How far its clock is ahead of the cluster's, in microseconds.
    ahead: i64,
}

impl Machine {
    fn clock(&self, now: Time) -> Time {
        Time(now.0.checked_add_signed(self.ahead).unwrap())
    }
}

pub struct Cluster {
    machines: BTreeMap<NodeId, Machine>,
    events: VecDeque<(NodeId, Event)>,
    /// From whom to whom nothing gets through.
    blocked: BTreeSet<(NodeId, NodeId)>,
    /// Whose long blocks are changed on their way.
    pub garbled: Option<NodeId>,
    /// The most reads for clients that one node had under way at once.
    pub reads_at_once: usize,
    /// What nodes sent to slots for which there is no machine.
    pub to_strangers: Vec<Bytes>,
    /// Why nodes stopped by themselves.
    stops: BTreeMap<NodeId, StopReason>,
    /// Which node crashes in its next append, and how many entries are on its disk then.
    crash: Option<(NodeId, usize)>,
    now: Time,
    kits: Vec<AdapterKit>,
    keys: BTreeMap<NodeId, NodeKey>,
    service_key: ServiceKey,
    session_keys: SessionKeys,
    member: ActorId,
    /// What those who write from now on have proved.
    pub proof: Proof,
    /// The member's key and certificate.
    pub founder: (ActorKey, Certificate),
    /// What each node has told of governance since its last start, its replay included.
    pub governed: BTreeMap<NodeId, Vec<Governed>>,
    /// Who has a part, as each node told last.
    pub circles: BTreeMap<NodeId, BTreeSet<NodeId>>,
    /// How each said the last time that it serves clients.
    pub serving: BTreeMap<NodeId, Serving>,
    /// The keys that nodes were started with the last time.
    proved: BTreeMap<NodeId, Digest>,
    /// The keys that each node has told the service got since its last start, its replay included.
    pub rotated: BTreeMap<NodeId, Vec<VerifyingKey>>,
    answers: BTreeMap<u64, Result<Answer, Refusal>>,
    query_answers: BTreeMap<u64, Result<QueryAnswer, Refusal>>,
    last_token: u64,
}

/// The call that stores `message` under `key`.
pub fn put(key: u64, message: &str) -> Bytes {
    let request = Request { method: Method::Put, path: &key.to_string(), query: "", body: message.as_bytes() };
    match synod_log::kit().frontend.plan(&member_facts(ActorId::default()), &request) {
        Plan::Execute { mut calls, .. } => calls.remove(0),
        other => panic!("not a write: {other:?}"),
    }
}

/// A call that the adapter refuses.
pub fn refused_call() -> Bytes {
    Bytes::from_static(b"\xff\xff\xff")
}

const fn member_facts(id: ActorId) -> ActorFacts {
    ActorFacts { id, kind: ActorKind::Member }
}

impl Cluster {
    pub fn new(nodes: u64) -> Self {
        Self::with_clock(nodes, NodeId(1), 0)
    }

    /// A cluster with a leader whose clock is ahead of all others, in seconds; behind, if that is negative.
    pub fn led_by_clock_ahead(nodes: u64, seconds: i64) -> (Self, NodeId) {
        // Elections depend on how time passes, not on what time it is.
        let leader = Self::new(nodes).run_until_leader();
        let mut cluster = Self::with_clock(nodes, leader, seconds);
        assert_eq!(cluster.run_until_leader(), leader);
        (cluster, leader)
    }

    pub fn with_clock(nodes: u64, node: NodeId, seconds_ahead: i64) -> Self {
        let ids = (1..=nodes).map(NodeId);
        let keys: BTreeMap<_, _> = ids.map(|id| (id, NodeKey::from_seed(&[id.0 as u8; 32]))).collect();
        let service_key = ServiceKey::from_seed(&[100; 32]);
        let session_keys = SessionKeys::generate(Epoch(1));
        let actor_key = ActorKey::from_seed(&[101; 32]);
        let now = Time(1_800_000_000_000_000);
        let certificate = x509::actor_certificate(
            &actor_key,
            "Port of Antwerp",
            x509::Validity { from: Time(0), until: Time(now.0 + 1_000_000_000_000) },
        );
        let member = certificate.actor_id();
        let kits = vec![settable::kit()];
        // Long ago, so that a slow clock is not held up by it: time never runs backwards along the ledger.
        let mut genesis = Genesis::new("network", Time(now.0 - 3_600_000_000)).unwrap();
        genesis.add_actor(synod_governance::Role::Member, "Port of Antwerp", &certificate).unwrap();
        for (id, key) in &keys {
            let (name, address) = (format!("node {id}"), format!("127.0.0.1:{}", 7_000 + id.0));
            genesis.add_node(*id, &name, member, key.verifying_key(), &address).unwrap();
        }
        genesis.add_adapter("log", "").unwrap();
        let first = genesis.seal(&kits, &service_key, &session_keys, [1; 32]).unwrap();
        let machine = || Machine {
            node: None,
            worker: Worker::new(&kits),
            log: vec![first.clone()],
            vote: None,
            starts: 0,
            ahead: 0,
        };
        let machines = keys.keys().map(|id| (*id, machine())).collect();
        let mut cluster = Self {
            machines,
            events: VecDeque::new(),
            blocked: BTreeSet::new(),
            garbled: None,
            reads_at_once: 0,
            to_strangers: Vec::new(),
            stops: BTreeMap::new(),
            crash: None,
            now,
            kits: kits.clone(),
            keys,
            service_key,
            session_keys,
            member,
            proof: FOR_EVER,
            founder: (actor_key, certificate),
            governed: BTreeMap::new(),
            circles: BTreeMap::new(),
            serving: BTreeMap::new(),
            proved: BTreeMap::new(),
            rotated: BTreeMap::new(),
            answers: BTreeMap::new(),
            query_answers: BTreeMap::new(),
            last_token: 0,
        };
        cluster.machines.get_mut(&node).unwrap().ahead = seconds_ahead * 1_000_000;
        cluster.start_all();
        cluster
    }

    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        let running: Vec<_> =
            self.machines.iter().filter(|(_, machine)| machine.node.is_some()).map(|(id, _)| *id).collect();
        running.into_iter()
    }

    pub fn now(&self) -> Time {
        self.now
    }

    pub fn status(&self, node: NodeId) -> Status {
        self.machines[&node].node.as_ref().unwrap().status()
    }

    /// How many entries the log of `node` holds.
    pub fn entries(&self, node: NodeId) -> usize {
        self.machines[&node].log.len()
    }

    pub fn read(&self, node: NodeId, key: u64) -> Option<String> {
        let reader = self.machines[&node].worker.reader();
        let frontend = reader.frontend(AdapterId(0)).unwrap();
        let request = Request { method: Method::Get, path: &key.to_string(), query: "", body: b"" };
        let facts = member_facts(self.member);
        let Plan::Read(query) = frontend.plan(&facts, &request) else { panic!("not a read") };
        let reply = frontend.read(&reader.latest().state, &facts, &query);
        (reply.status == 200).then(|| String::from_utf8(reply.body.to_vec()).unwrap())
    }

    pub fn write(&mut self, node: NodeId, id: u8, call: Bytes) -> Result<Answer, Refusal> {
        self.write_as(self.member, node, id, call)
    }

    pub fn write_as_stranger(&mut self, node: NodeId, call: Bytes) -> Result<Answer, Refusal> {
        self.write_as(ActorId([9; 32]), node, 1, call)
    }

    fn write_as(&mut self, actor: ActorId, node: NodeId, id: u8, call: Bytes) -> Result<Answer, Refusal> {
        let token = self.next_token();
        let request = ClientRequest {
            token,
            actor,
            proof: self.proof,
            request_id: RequestId([id; 16]),
            adapter: AdapterId(0),
            calls: vec![call],
        };
        self.events.push_back((node, Event::Requests(vec![request])));
        self.run_until(|cluster| cluster.answers.remove(&token))
    }

    /// Sends a write under a token of the caller's choice; the answer waits for [`Self::answer`].
    pub fn submit(&mut self, node: NodeId, token: u64, id: u8, call: Bytes) {
        let (actor, request_id) = (self.member, RequestId([id; 16]));
        let request =
            ClientRequest { token, actor, proof: self.proof, request_id, adapter: AdapterId(0), calls: vec![call] };
        self.events.push_back((node, Event::Requests(vec![request])));
    }

    /// Sends a write of somebody under a token of the caller's choice.
    pub fn submit_by(&mut self, actor: ActorId, node: NodeId, token: u64, call: Bytes) {
        let request_id = RequestId([0xff; 16]);
        let request =
            ClientRequest { token, actor, proof: self.proof, request_id, adapter: AdapterId(0), calls: vec![call] };
        self.events.push_back((node, Event::Requests(vec![request])));
    }

    /// Sends a request of the member's to governance under a token of the caller's choice.
    pub fn submit_governance(&mut self, node: NodeId, token: u64, id: u8, call: Bytes) {
        self.submit_governance_as(self.member, node, token, (id, call));
    }

    /// Sends a request of somebody's to governance under a token of the caller's choice.
    pub fn submit_governance_by(&mut self, actor: ActorId, node: NodeId, token: u64, call: Bytes) {
        self.submit_governance_as(actor, node, token, (0xff, call));
    }

    fn submit_governance_as(&mut self, actor: ActorId, node: NodeId, token: u64, (id, call): (u8, Bytes)) {
        let request_id = RequestId([id; 16]);
        let (adapter, calls) = (AdapterId::GOVERNANCE, vec![call]);
        let request = ClientRequest { token, actor, proof: self.proof, request_id, adapter, calls };
        self.events.push_back((node, Event::Requests(vec![request])));
    }

    /// Has `node` hear a message that `from` never sent.
    pub fn tell(&mut self, node: NodeId, from: NodeId, message: Vec<u8>) {
        let bytes = Untrusted::new(Bytes::from(message));
        self.events.push_back((node, Event::PeerMessage { from, bytes }));
    }

    /// Tells `node` that a channel to `peer` stands, which has proved to hold the key with digest `key`.
    pub fn prove(&mut self, node: NodeId, peer: NodeId, key: Digest) {
        self.events.push_back((node, Event::PeerProved { peer, key }));
        self.events.push_back((node, Event::PeerConnected(peer)));
    }

    /// A write of the member's as one node forwards it to another.
    pub fn forwarded(&self, id: u8, call: Bytes) -> Vec<u8> {
        let (actor, request_id) = (self.member, RequestId([id; 16]));
        let request =
            ClientRequest { token: 7, actor, proof: self.proof, request_id, adapter: AdapterId(0), calls: vec![call] };
        let mut out = Encoder::default();
        1u8.encode(&mut out);
        out.list(&[request]);
        out.finish()
    }

    pub fn answer(&mut self, token: u64) -> Result<Answer, Refusal> {
        self.run_until(|cluster| cluster.answers.remove(&token))
    }

    /// Runs until `node` has filed more than `entries` entries.
    pub fn run_until_filed(&mut self, node: NodeId, entries: usize) {
        self.run_until(|cluster| (cluster.entries(node) > entries).then_some(()));
    }

    /// Asks governance, as `actor`, under a request id.
    pub fn govern(&mut self, node: NodeId, actor: ActorId, id: u8, call: Bytes) -> Result<Answer, Refusal> {
        self.request(node, actor, id, AdapterId::GOVERNANCE, call)
    }

    /// Writes as somebody.
    pub fn write_by(&mut self, actor: ActorId, node: NodeId, id: u8, call: Bytes) -> Result<Answer, Refusal> {
        self.request(node, actor, id, AdapterId(0), call)
    }

    fn request(
        &mut self,
        node: NodeId,
        actor: ActorId,
        id: u8,
        adapter: AdapterId,
        call: Bytes,
    ) -> Result<Answer, Refusal> {
        let token = self.next_token();
        let request = ClientRequest {
            token,
            actor,
            proof: self.proof,
            request_id: RequestId([id; 16]),
            adapter,
            calls: vec![call],
        };
        self.events.push_back((node, Event::Requests(vec![request])));
        self.run_until(|cluster| cluster.answers.remove(&token))
    }

    /// Sends requests at once, each under an id of its own, and waits for all answers.
    pub fn request_at_once(
        &mut self,
        node: NodeId,
        actor: ActorId,
        calls: &[(AdapterId, Bytes)],
    ) -> Vec<Result<Answer, Refusal>> {
        let calls: Vec<_> = calls.iter().map(|(adapter, call)| (actor, *adapter, call.clone())).collect();
        self.requests_at_once(node, &calls)
    }

    /// Sends requests of several actors at once, in this order, and waits for all answers.
    pub fn requests_at_once(
        &mut self,
        node: NodeId,
        calls: &[(ActorId, AdapterId, Bytes)],
    ) -> Vec<Result<Answer, Refusal>> {
        let tokens = self.send_at_once(node, calls);
        tokens.into_iter().map(|token| self.answer(token)).collect()
    }

    /// Sends requests of several actors at once, in this order. Returns their tokens.
    pub fn send_at_once(&mut self, node: NodeId, calls: &[(ActorId, AdapterId, Bytes)]) -> Vec<u64> {
        let tokens: Vec<_> = calls.iter().map(|_| self.next_token()).collect();
        let request = |(token, (actor, adapter, call)): (&u64, &(ActorId, AdapterId, Bytes))| ClientRequest {
            token: *token,
            actor: *actor,
            proof: self.proof,
            request_id: RequestId(u128::from(*token).to_le_bytes()),
            adapter: *adapter,
            calls: vec![call.clone()],
        };
        let requests = tokens.iter().zip(calls).map(request).collect();
        self.events.push_back((node, Event::Requests(requests)));
        tokens
    }

    /// Whether a request is answered, and its answer not looked at yet.
    pub fn is_answered(&self, token: u64) -> bool {
        self.answers.contains_key(&token)
    }

    /// Makes a machine for the slot `node`, with the genesis block alone; it is started later. Returns its credential.
    pub fn add_machine(&mut self, node: NodeId) -> synod_crypto::VerifyingKey {
        let key = NodeKey::from_seed(&[node.0 as u8; 32]);
        let public = key.verifying_key().clone();
        self.keys.insert(node, key);
        let genesis = self.machines.values().next().unwrap().log[0].clone();
        let worker = Worker::new(&self.kits);
        let machine = Machine { node: None, worker, log: vec![genesis], vote: None, starts: 0, ahead: 0 };
        self.machines.insert(node, machine);
        public
    }

    /// Gives a machine another credential, for its next start.
    pub fn replace_credential(&mut self, node: NodeId, seed: u8) -> synod_crypto::VerifyingKey {
        let key = NodeKey::from_seed(&[seed; 32]);
        let public = key.verifying_key().clone();
        self.keys.insert(node, key);
        public
    }

    /// The governance tables as committed at a node.
    pub fn tables(&self, node: NodeId) -> synod_kv::State {
        self.machines[&node].node.as_ref().unwrap().government().committed().clone()
    }

    /// The records on a node's disk.
    pub fn log(&self, node: NodeId) -> &[LogRecord] {
        &self.machines[&node].log
    }

    /// The keys under which blocks are sealed.
    pub const fn session_keys(&self) -> &SessionKeys {
        &self.session_keys
    }

    /// Sends one write per call at once, all under one id.
    pub fn write_at_once(&mut self, node: NodeId, id: u8, calls: &[Bytes]) -> Vec<Result<Answer, Refusal>> {
        let tokens: Vec<_> = calls.iter().map(|_| self.next_token()).collect();
        let request = |(token, call): (&u64, &Bytes)| ClientRequest {
            token: *token,
            actor: self.member,
            proof: self.proof,
            request_id: RequestId([id; 16]),
            adapter: AdapterId(0),
            calls: vec![call.clone()],
        };
        let requests = tokens.iter().zip(calls).map(request).collect();
        self.events.push_back((node, Event::Requests(requests)));
        tokens.into_iter().map(|token| self.run_until(|cluster| cluster.answers.remove(&token))).collect()
    }

    /// Sends one write per call at once, and waits for all answers.
    pub fn write_many(&mut self, node: NodeId, calls: &[Bytes]) {
        let first = self.last_token + 1;
        let request = |(token, call): (u64, &Bytes)| ClientRequest {
            token,
            actor: self.member,
            proof: self.proof,
            request_id: RequestId(u128::from(token).to_le_bytes()),
            adapter: AdapterId(0),
            calls: vec![call.clone()],
        };
        let requests: Vec<_> = (first..).zip(calls).map(request).collect();
        self.last_token += requests.len() as u64;
        let wanted = requests.len();
        self.events.push_back((node, Event::Requests(requests)));
        self.run_until(|cluster| (cluster.answers.len() == wanted).then_some(()));
        assert!(std::mem::take(&mut self.answers).into_values().all(|answer| answer.is_ok()));
    }

    pub fn query(&mut self, node: NodeId, query: Query) -> Result<QueryAnswer, Refusal> {
        let token = self.next_token();
        self.events.push_back((node, Event::Query { token, query }));
        self.run_until(|cluster| cluster.query_answers.remove(&token))
    }

    /// Asks all `queries` at once.
    pub fn ask_many(&mut self, node: NodeId, queries: &[Query]) {
        for query in queries {
            let token = self.next_token();
            self.events.push_back((node, Event::Query { token, query: *query }));
        }
    }

    /// Asks all `queries` at once, and waits for all answers; they come in the order of the questions.
    pub fn query_many(&mut self, node: NodeId, queries: &[Query]) -> Vec<Result<QueryAnswer, Refusal>> {
        self.ask_many(node, queries);
        self.run_until(|cluster| (cluster.query_answers.len() == queries.len()).then_some(()));
        std::mem::take(&mut self.query_answers).into_values().collect()
    }

    /// Lets nothing through between nodes of the one side and nodes of the other.
    pub fn part(&mut self, one: &[NodeId], other: &[NodeId]) {
        for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b))) {
            self.blocked.extend([(a, b), (b, a)]);
        }
        let blocked = &self.blocked;
        let gets_through = |to: NodeId, event: &Event| match event {
            Event::PeerMessage { from, .. } | Event::PeerConnected(from) => !blocked.contains(&(*from, to)),
            _ => true,
        };
        self.events.retain(|(to, event)| gets_through(*to, event));
    }

    /// Lets nothing through from one node to another, and everything the other way.
    pub fn silence(&mut self, from: NodeId, to: NodeId) {
        self.blocked.insert((from, to));
    }

    /// Lets everything through again, over the channels that there were.
    pub fn unpart(&mut self) {
        self.blocked.clear();
    }

    /// Tells `node` that a channel to `peer` stands.
    fn connect(&mut self, node: NodeId, peer: NodeId) {
        if let Some(key) = self.proved.get(&peer).copied() {
            self.events.push_back((node, Event::PeerProved { peer, key }));
        }
        self.events.push_back((node, Event::PeerConnected(peer)));
    }

    /// Lets everything through again, over new channels.
    pub fn join(&mut self) {
        for (from, to) in std::mem::take(&mut self.blocked) {
            self.connect(to, from);
        }
    }

    fn next_token(&mut self) -> u64 {
        self.last_token += 1;
        self.last_token
    }

    /// The service's key at the network's beginning.
    pub const fn first_service(&self) -> &VerifyingKey {
        self.service_key.verifying_key()
    }

    pub fn verify_receipt(&self, receipt: &[u8], txid: TxId) {
        let verified = Receipt::verify(receipt, self.service_key.verifying_key()).unwrap();
        assert_eq!(verified.txid, txid);
    }

    pub fn run_until_leader(&mut self) -> NodeId {
        self.run_until(|cluster| cluster.nodes().find(|node| cluster.status(*node).role == Role::Leader))
    }

    pub fn set_clock_forward(&mut self, node: NodeId, seconds: i64) {
        self.machines.get_mut(&node).unwrap().ahead += seconds * 1_000_000;
    }

    /// Runs for a second of virtual time.
    pub fn run_idle(&mut self) {
        self.run_for(Duration::from_secs(1));
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now.after(time);
        self.run_until(|cluster| (cluster.now >= until).then_some(()));
    }

    pub fn restart(&mut self, node: NodeId) {
        self.stop(node);
        self.start(node);
    }

    /// Restarts the nodes that run, all at once.
    pub fn restart_all_running(&mut self) {
        let nodes: Vec<_> = self.nodes().collect();
        nodes.iter().for_each(|node| self.stop(*node));
        nodes.into_iter().for_each(|node| self.start(node));
    }

    pub fn restart_all(&mut self) {
        let nodes: Vec<_> = self.nodes().collect();
        nodes.iter().for_each(|node| self.stop(*node));
        self.start_all();
    }

    pub fn shut_down(&mut self, node: NodeId) {
        self.events.push_back((node, Event::Shutdown));
        self.run_until(|cluster| cluster.machines[&node].node.is_none().then_some(()));
    }

    pub fn stop(&mut self, node: NodeId) {
        self.machines.get_mut(&node).unwrap().node = None;
        self.events.retain(|(to, _)| *to != node);
    }

    fn start_all(&mut self) {
        let nodes: Vec<_> = self.machines.keys().copied().collect();
        nodes.into_iter().for_each(|node| self.start(node));
    }

    pub fn start(&mut self, id: NodeId) {
        self.try_start(id).unwrap();
    }

    pub fn try_start(&mut self, id: NodeId) -> Result<(), StartError> {
        let machine = self.machines.get_mut(&id).unwrap();
        machine.starts += 1;
        machine.worker = Worker::new(&self.kits);
        let config = Config {
            id,
            node_key: self.keys[&id].clone(),
            service_key: self.service_key.clone(),
            session_keys: self.session_keys.clone(),
            seed: [id.0 as u8 ^ machine.starts << 4; 32],
            times: None,
        };
        let mut records = machine.log.iter().cloned().map(Untrusted::new);
        let mut start = Start::new(config, records.next().unwrap())?;
        for record in records {
            start.push(record)?;
        }
        let (mut told, mut rotated) = (Vec::new(), Vec::new());
        while let Some(action) = start.poll_action() {
            match action {
                Action::Worker(message) => drop(machine.worker.handle(message)),
                Action::Governed(governed) => told.push(governed),
                Action::ServiceRotated(service) => rotated.push(service.verifying_key().clone()),
                _ => {}
            }
        }
        self.governed.insert(id, told);
        self.rotated.insert(id, rotated);
        self.proved.insert(id, self.keys[&id].verifying_key().digest());
        // Until it says otherwise.
        self.serving.insert(id, Serving::NotYet);
        machine.node = Some(start.finish(machine.clock(self.now), machine.vote.clone().map(Untrusted::new))?);
        self.work_off_actions(id);
        for peer in self.nodes().filter(|peer| *peer != id).collect::<Vec<_>>() {
            if !self.blocked.contains(&(id, peer)) {
                self.connect(id, peer);
                self.connect(peer, id);
            }
        }
        Ok(())
    }

    /// Runs until `done` gives something; a minute of virtual time is more than anything takes.
    pub fn run_until<T>(&mut self, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = self.now.after(Duration::from_secs(60));
        loop {
            if let Some(result) = done(self) {
                return result;
            }
            let states = || self.nodes().map(|node| self.status(node)).collect::<Vec<_>>();
            assert!(self.now < deadline, "nothing happens any more: {:?}", states());
            self.step();
        }
    }

    pub fn step(&mut self) {
        if let Some((node, event)) = self.events.pop_front() {
            return self.deliver(node, event);
        }
        let next = self.machines.iter().filter_map(|(id, machine)| {
            let due = machine.node.as_ref()?.poll_timeout()?;
            Some((Time(due.0.checked_add_signed(-machine.ahead)?), *id))
        });
        let (at, node) = next.min().expect("some node waits for something");
        self.now = self.now.max(at);
        self.deliver(node, Event::Timeout);
    }

    fn deliver(&mut self, node: NodeId, event: Event) {
        let Some(machine) = self.machines.get_mut(&node) else {
            self.to_strangers.extend(match event {
                Event::PeerMessage { bytes, .. } => bytes.check(Ok::<_, ()>).ok(),
                _ => None,
            });
            return;
        };
        let now = machine.clock(self.now);
        let Some(running) = &mut machine.node else { return };
        running.handle(now, event);
        self.work_off_actions(node);
        let reads = self.events.iter().filter(|(to, event)| *to == node && matches!(event, Event::LedgerRead { .. }));
        self.reads_at_once = self.reads_at_once.max(reads.count());
    }

    fn work_off_actions(&mut self, id: NodeId) {
        let machine = self.machines.get_mut(&id).unwrap();
        while let Some(action) = machine.node.as_mut().and_then(Node::poll_action) {
            match action {
                Action::Send { to, .. } if self.blocked.contains(&(id, to)) => {}
                Action::Send { to, bytes } => {
                    let bytes = if self.garbled == Some(id) { garble(bytes) } else { bytes };
                    self.events.push_back((to, Event::PeerMessage { from: id, bytes: Untrusted::new(bytes) }));
                }
                Action::Append(mut append) if !append.records.is_empty() && self.crash.is_some_and(|it| it.0 == id) => {
                    let (_, kept) = self.crash.take().unwrap();
                    append.records.truncate(kept);
                    file(machine, append);
                    machine.node = None;
                }
                Action::Append(append) => {
                    let ticket = append.ticket;
                    file(machine, append);
                    self.events.push_back((id, Event::Persisted(ticket)));
                }
                Action::ReadLedger { ticket, range } => {
                    let records = Ok(read(&machine.log, range).into_iter().map(Untrusted::new).collect());
                    self.events.push_back((id, Event::LedgerRead { ticket, records }));
                }
                Action::Worker(message) => {
                    if let Some(executed) = machine.worker.handle(message) {
                        self.events.push_back((id, Event::Executed(executed)));
                    }
                }
                Action::Respond(responses) => {
                    self.answers.extend(responses.into_iter().map(|response| (response.token, response.result)));
                }
                Action::ProveAnew(requests) => {
                    self.answers.extend(requests.into_iter().map(|it| (it.token, Err(Refusal::ProveAnew))));
                }
                Action::Answer { token, result } => drop(self.query_answers.insert(token, result)),
                Action::Committed { .. } => {}
                Action::Circle(nodes) => drop(self.circles.insert(id, nodes)),
                Action::Serving(serving) => drop(self.serving.insert(id, serving)),
                Action::ServiceRotated(service) => {
                    self.rotated.entry(id).or_default().push(service.verifying_key().clone());
                }
                Action::Governed(governed) => self.governed.entry(id).or_default().push(governed),
                Action::Stop { reason } => {
                    self.stops.insert(id, reason);
                    machine.node = None;
                }
            }
        }
    }
}

/// What needs no looking again.
pub const FOR_EVER: Proof = Proof { seqno: Seqno(u64::MAX), valid_until: Time(u64::MAX) };

/// Changes a byte in the middle of a message with a long block, which is what the block holds.
fn garble(bytes: Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    // Forwarded requests are of another kind, and stay as they are.
    if bytes.len() > 4_096 && bytes[0] == 0 {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }
    bytes.into()
}

fn file(machine: &mut Machine, append: Append) {
    if let Some(from) = append.truncate_from {
        machine.log.retain(|record| record.index < from);
    }
    machine.log.extend(append.records);
    machine.vote = append.vote.or(machine.vote.take());
}

fn read(log: &[LogRecord], range: LedgerRange) -> Vec<LogRecord> {
    let wanted = |record: &&LogRecord| match range {
        LedgerRange::Indexes { from, to, .. } => (from..=to).contains(&record.index),
        LedgerRange::Covering(seqno) => {
            record.count > 0
                && (record.first_seqno.0..record.first_seqno.0 + u64::from(record.count)).contains(&seqno.0)
        }
    };
    log.iter().filter(wanted).cloned().collect()
}
