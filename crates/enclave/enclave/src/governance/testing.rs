//! Members who propose and vote, in a network whose node is the test.

use bytes::Bytes;
use synod_crypto::x509::{Validity, actor_certificate};
use synod_crypto::{ActorKey, Certificate, NodeKey, sha256};
use synod_governance::bounded::{Blob, List, Name, Note, TextBlob};
use synod_governance::entries::{AdapterEntry, Address, CertificateDer};
use synod_governance::statement::{Body, prepare};
use synod_governance::{
    Action, AddActor, BallotBody, Caller, Choice, Constitution, Env, NodeEntry, Outcome, Pins, ProposalBody,
    ProposalId, Refused, Request, Role, SetLease, Statement, Tables, execute,
};
use synod_kv::State;
use synod_node::{Answer, ClientRequest, Governed};
use synod_types::{ActorId, Decode, Encode, NodeId, Seqno, Time, TxId, View};
use synod_worker::Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use crate::door::{Handshake, Protocol, serve};
use crate::governance::log::LOG_BYTES_MAX;
use crate::government::Governing;
use crate::mailbox::Event;
use crate::purpose::Purpose;
use crate::testing::{NETWORK, World};

/// The time of all transactions.
pub const NOW: Time = Time(1_800_000_000_000_000);

/// An organisation.
pub struct Org {
    pub name: &'static str,
    pub id: ActorId,
    key: ActorKey,
    certificate: Certificate,
}

impl Org {
    pub fn new(name: &'static str) -> Self {
        let key = ActorKey::from_seed(&sha256(&[name.as_bytes()]).0);
        let validity = Validity { from: Time(0), until: Time(4_000_000_000_000_000) };
        let certificate = actor_certificate(&key, name, validity);
        Self { name, id: certificate.actor_id(), key, certificate }
    }

    pub fn add(&self) -> AddActor {
        let (name, certificate) = (Name::new(self.name).unwrap(), CertificateDer::of(&self.certificate));
        AddActor { name, certificate, pins: Pins::default() }
    }

    pub fn sign<B: Body>(&self, body: &B) -> Statement {
        let unsigned = prepare(body, NETWORK, NOW, vec![self.certificate.der().to_vec()]).unwrap();
        Blob::new(unsigned.assemble(&self.key.sign(&unsigned.to_be_signed()).0)).unwrap()
    }
}

/// A network with members and one participant; all that is committed is of governance.
pub struct Parliament {
    pub world: World,
    pub orgs: Vec<Org>,
    nonce: u64,
}

impl Parliament {
    /// Three members, Alpha, Beta and Gamma, and the participant Papa. Genesis is transaction 2.1.
    pub fn new() -> Self {
        Self::with_log(LOG_BYTES_MAX)
    }

    /// As [`Parliament::new`]; so many bytes of events are kept.
    pub fn with_log(log_bytes_max: usize) -> Self {
        let orgs: Vec<_> = ["Alpha", "Beta", "Gamma", "Papa"].map(Org::new).into();
        let mut constitution = Constitution::named(Name::new("test").unwrap());
        let role = |place| if place == 3 { Role::Participant } else { Role::Member };
        constitution.actors = orgs.iter().enumerate().map(|(place, org)| (role(place), org.add())).collect();
        let node = NodeEntry {
            name: Name::new("vn1").unwrap(),
            owner: orgs[0].id,
            public_key: Blob::new(NodeKey::from_seed(&[1; 32]).verifying_key().to_spki_der()).unwrap(),
            address: Address::new("vn1.example.org:7001").unwrap(),
            code: None,
            platform: None,
        };
        constitution.nodes = [(NodeId(1), node)].into();
        constitution.adapters = vec![AdapterEntry { name: Name::new("box").unwrap(), settings: TextBlob::default() }];
        let mut state = State::default();
        state.apply(&constitution.genesis_writes(NOW).unwrap(), Seqno(1));
        let world = World::with_log(log_bytes_max);
        world.service.govern(Governing::new(TxId::new(View(2), Seqno(1)), NOW, state));
        Self { world, orgs, nonce: 0 }
    }

    /// Carries out what somebody asks for in a transaction of its own, and commits it.
    pub fn request(&self, org: usize, request: &Request) -> Result<(Outcome, TxId), Refused> {
        let service = &self.world.service;
        let governing = service.government.latest();
        let actor = &self.orgs[org];
        let role = Tables(&governing.state).actor(&actor.id).unwrap().map_or(Role::Participant, |actor| actor.role);
        let txid = TxId::new(View(2), service.reader.latest().seqno.next());
        let env = Env { network: NETWORK, seqno: txid.seqno, time: NOW };
        let key = actor.certificate.spki_digest();
        let caller = Caller { actor: actor.id, role, key, valid_until: Time(u64::MAX) };
        let outcome = execute(&governing.state, &env, &caller, request)?;
        let mut state = governing.state.clone();
        state.apply(&outcome.writes, txid.seqno);
        service.views.committed(txid);
        service.governed(Governed { txid, time: NOW, state, events: outcome.events.clone() });
        self.world.publish_nothing(txid.seqno);
        Ok((outcome, txid))
    }

    /// Does what the node would with a request that came over a session.
    pub fn commit(&self, request: &ClientRequest) {
        let org = self.orgs.iter().position(|org| org.id == request.actor).unwrap();
        let (outcome, txid) = self.request(org, &Request::from_bytes(&request.calls[0]).unwrap()).unwrap();
        let reply = Reply::json(200, format!(r#"{{"proposal":{}}}"#, outcome.proposal.unwrap_or(0)));
        let answer = Answer { txid, replies: vec![reply] };
        self.world.service.office.deliver(request.token, Event::Response(Ok(answer)));
    }

    pub fn proposal(&mut self, org: usize, actions: Vec<Action>, note: &str) -> Request {
        self.nonce += 1;
        let body = ProposalBody {
            proposer: self.orgs[org].id,
            nonce: Blob::new(self.nonce.to_be_bytes().repeat(2)).unwrap(),
            actions: List::new(actions).unwrap(),
            expires: None,
            note: Note::new(note).unwrap(),
        };
        Request::Propose(self.orgs[org].sign(&body))
    }

    /// Proposes, and returns the id.
    pub fn propose(&mut self, org: usize, actions: Vec<Action>) -> ProposalId {
        let request = self.proposal(org, actions, "");
        self.request(org, &request).unwrap().0.proposal.unwrap()
    }

    /// Proposes a lease.
    pub fn propose_lease(&mut self, org: usize, seconds: u64) -> ProposalId {
        self.propose(org, vec![Action::SetLease(SetLease { seconds: Some(seconds) })])
    }

    pub fn accept(&self, org: usize, id: ProposalId) {
        let digest = Tables(&self.world.service.government.latest().state).proposal(id).unwrap().unwrap().digest;
        let ballot = BallotBody { proposal: id, digest, choice: Choice::Accept, counter: 1 };
        self.request(org, &Request::Vote(self.orgs[org].sign(&ballot))).unwrap();
    }

    /// A connection of one of them.
    pub fn connect(
        &self,
        org: usize,
        protocol: Protocol,
        window: usize,
    ) -> (DuplexStream, JoinHandle<std::io::Result<()>>) {
        self.connect_for(Purpose::Governance, org, protocol, window)
    }

    /// The same, for a purpose.
    pub fn connect_for(
        &self,
        purpose: Purpose,
        org: usize,
        protocol: Protocol,
        window: usize,
    ) -> (DuplexStream, JoinHandle<std::io::Result<()>>) {
        let (far, near) = duplex(window);
        let service = std::sync::Arc::clone(&self.world.service);
        let presented = vec![self.orgs[org].certificate.der().to_vec()];
        (far, tokio::spawn(serve(near, service, Handshake { presented, purpose, protocol })))
    }

    /// Sends one request on a connection of its own and reads up to the end.
    pub async fn ask(
        &self,
        org: usize,
        method: &str,
        target: &str,
        headers: &str,
        body: &[u8],
    ) -> (u16, String, String) {
        let (mut far, task) = self.connect(org, Protocol::Http1, 1 << 20);
        let size = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}content-length: {size}\r\n\r\n"
        );
        far.write_all(head.as_bytes()).await.unwrap();
        far.write_all(body).await.unwrap();
        if target == "/gov/requests" {
            let submitted = loop {
                tokio::task::yield_now().await;
                if let Some(requests) = self.world.submitted().pop() {
                    break requests;
                }
            };
            self.commit(&submitted[0]);
        }
        let mut answer = String::new();
        far.read_to_string(&mut answer).await.unwrap();
        task.await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
    }

    /// As [`Parliament::ask`], of a document.
    pub async fn get(&self, org: usize, target: &str) -> (u16, serde_json::Value) {
        let (status, _, body) = self.ask(org, "GET", target, "", b"").await;
        (status, serde_json::from_str(&body).unwrap())
    }
}

/// What a session sends of a request.
pub fn bytes(request: &Request) -> Bytes {
    request.to_bytes().into()
}
