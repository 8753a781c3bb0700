//! Members who decide: who takes part, who may act, and when the service takes another key. One decision after the
//! other; each is proposed and voted through like a client's request, which is made again under its id, anywhere, until
//! it has led to what it is for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use synod_governance::bounded::{Blob, List, Name, Note};
use synod_governance::entries::{Address, CertificateDer};
use synod_governance::statement::{Body, prepare, proposal_digest};
use synod_governance::{
    Action, AddActor, BallotBody, Choice, NodeEntry, Pins, ProposalBody, RemoveActor, RemoveNode, Request,
    RotateServiceIdentity, Tables,
};
use synod_kv::State;
use synod_node::{Answer, ClientRequest, Refusal};
use synod_types::{ActorId, AdapterId, Digest, Encode, NodeId, RequestId, TxId};

use crate::check::history::PROOF;
use crate::check::secrecy::MARKER;
use crate::check::{Checked, violated};
use crate::clock::EPOCH;
use crate::consortium::{Consortium, Organisation};
use crate::prng::Prng;
use crate::site::Session;
use crate::swarm::{Decision, Delay, Who};
use crate::world::{Happening, Local, World};

/// The members at work.
#[derive(Debug)]
pub struct Governor {
    /// What is to be decided.
    queue: VecDeque<Decision>,
    /// What is being decided.
    deciding: Option<Deciding>,
    /// All requests so far, by id.
    pub asked: BTreeMap<RequestId, Asked>,
    /// Whom they removed or let in, or are about to: what is not committed yet decides already who may do what.
    turned: BTreeSet<ActorId>,
    turn: u64,
    prng: Prng,
}

/// A proposal on its way.
#[derive(Debug)]
struct Deciding {
    digest: Digest,
    /// The proposal, then each member's ballot, as they were asked for.
    requests: Vec<RequestId>,
}

/// A request to governance.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who asks.
    pub actor: ActorId,
    /// For what.
    pub call: Bytes,
    /// What was told, if it led to a transaction.
    pub answer: Option<Answer>,
}

/// How long the members wait for an answer before they ask elsewhere.
const PATIENCE: Delay = Delay { min: 200_000, max: 2_000_000 };

impl Governor {
    /// Members with nothing to do.
    pub const fn new(prng: Prng) -> Self {
        Self { queue: VecDeque::new(), deciding: None, asked: BTreeMap::new(), turned: BTreeSet::new(), turn: 0, prng }
    }

    /// Whether nothing is being decided, nor to be decided.
    pub fn is_done(&self) -> bool {
        self.deciding.is_none() && self.queue.is_empty()
    }

    /// Whether an actor of genesis was one all the time.
    pub fn has_left_alone(&self, actor: &ActorId) -> bool {
        !self.turned.contains(actor)
    }

    /// Nothing more is begun.
    pub fn retire(&mut self) {
        self.queue.clear();
    }

    /// The governance request of this id, once more, for a session that knows it as `token`.
    pub fn request(&self, request_id: RequestId, token: u64) -> ClientRequest {
        let asked = &self.asked[&request_id];
        let calls = vec![asked.call.clone()];
        ClientRequest { token, actor: asked.actor, proof: PROOF, request_id, adapter: AdapterId::GOVERNANCE, calls }
    }

    fn note(&mut self, actor: ActorId, request: &Request) -> RequestId {
        let request_id = RequestId(self.prng.bytes());
        self.asked.insert(request_id, Asked { actor, call: request.to_bytes().into(), answer: None });
        request_id
    }
}

impl World {
    /// Has members decide something, after all that they are to decide already.
    pub fn decide(&mut self, decision: Decision) {
        self.governor.queue.push_back(decision);
        if self.governor.deciding.is_none() {
            self.plan_governor_turn(0);
        }
    }

    fn plan_governor_turn(&mut self, after: u64) {
        self.governor.turn += 1;
        let turn = self.governor.turn;
        self.queue.push(self.now.plus(after), Happening::GovernorTurn { turn });
    }

    /// The members do what comes next, as far as what is committed shows.
    pub(crate) fn governor_turn(&mut self, turn: u64) {
        if self.governor.turn != turn {
            return;
        }
        if self.governor.deciding.is_none() {
            let Some(decision) = self.governor.queue.pop_front() else { return };
            self.trace.remark(self.now, NodeId(0), || format!("{decision:?}"));
            let actions = self.actions_of(decision);
            if actions.is_empty() {
                return self.plan_governor_turn(0);
            }
            self.propose(actions);
        }
        match self.next_statement() {
            Some(request_id) => {
                let after = PATIENCE.draw(&mut self.governor.prng);
                let node = *self.governor.prng.pick(&self.slots);
                self.trace.note(self.now, node, "is asked to govern", &[]);
                self.plan(200, node, Local::Govern { request_id });
                self.plan_governor_turn(after);
            }
            None => {
                self.probes.decisions += 1;
                self.governor.deciding = None;
                if self.healed_at.is_some() {
                    self.start_the_listed();
                }
                self.plan_governor_turn(0);
            }
        }
    }

    /// Switches on whoever is listed and was to come when all is over.
    pub(crate) fn start_the_listed(&mut self) {
        for node in self.truth.listed() {
            let site = &self.sites[&node];
            if site.process.is_none() && site.takes_part() {
                self.plan_start(1_000, node);
            }
        }
    }

    /// Nobody is at the other end of the members' connection.
    pub(crate) fn break_from_members(&mut self) {
        let after = self.governor.prng.between(5_000, 100_000);
        self.plan_governor_turn(after);
    }

    fn propose(&mut self, actions: Vec<Action>) {
        let consortium = self.consortium.clone();
        let proposer = &consortium.members[0];
        let body = ProposalBody {
            proposer: proposer.id(),
            nonce: Blob::new(self.governor.prng.bytes::<16>().to_vec()).expect("sixteen bytes"),
            actions: List::new(actions).expect("few actions"),
            expires: None,
            note: Note::default(),
        };
        let request = Request::Propose(sign(&consortium, proposer, &body));
        let requests = vec![self.governor.note(proposer.id(), &request)];
        self.governor.deciding = Some(Deciding { digest: proposal_digest(&consortium.network, &body), requests });
    }

    /// The statement that the decision waits for; none if it is closed.
    fn next_statement(&mut self) -> Option<RequestId> {
        let deciding = self.governor.deciding.as_ref()?;
        let tables = Tables::new(self.truth.tables());
        let Some(id) = tables.proposal_by_digest(&deciding.digest).expect(READABLE) else {
            return Some(deciding.requests[0]);
        };
        if tables.decision(id).expect(READABLE).is_some() {
            return None;
        }
        let consortium = self.consortium.clone();
        let lacks = |member: &&Organisation| tables.ballot(id, &member.id()).expect(READABLE).is_none();
        let place = consortium.members.iter().position(|member| lacks(&member))?;
        if let Some(request_id) = deciding.requests.get(1 + place) {
            return Some(*request_id);
        }
        let member = &consortium.members[place];
        let ballot = BallotBody { proposal: id, digest: deciding.digest, choice: Choice::Accept, counter: 1 };
        let request = Request::Vote(sign(&consortium, member, &ballot));
        let request_id = self.governor.note(member.id(), &request);
        self.governor.deciding.as_mut()?.requests.push(request_id);
        Some(request_id)
    }

    /// What a decision does, from where things stand.
    fn actions_of(&mut self, decision: Decision) -> Vec<Action> {
        let tables = self.truth.tables().clone();
        let tables = Tables::new(&tables);
        let listed: Vec<_> = tables.nodes().expect(READABLE).into_keys().collect();
        let remove = |node: NodeId| Action::RemoveNode(RemoveNode { node });
        match decision {
            Decision::AddNode => self.add_node(0).into_iter().collect(),
            Decision::RemoveNode { .. } if listed.len() < 2 => Vec::new(),
            Decision::RemoveNode { who } => vec![remove(self.one_of(who, &listed))],
            Decision::ReplaceNode { who } => {
                let gone = self.one_of(who, &listed);
                let gone = Some(gone).filter(|_| listed.len() > 1).map(remove);
                self.add_node(0).into_iter().flat_map(|add| gone.clone().into_iter().chain([add])).collect()
            }
            Decision::ReplaceMany => {
                let added: Vec<_> = (0..2).filter_map(|nth| self.add_node(nth)).collect();
                // A majority stays, or one of two.
                let gone = if listed.len() == 2 { 1 } else { listed.len().saturating_sub(1) / 2 };
                if added.is_empty() { added } else { listed.into_iter().take(gone).map(remove).chain(added).collect() }
            }
            Decision::RotateService => vec![Action::RotateServiceIdentity(RotateServiceIdentity {})],
            Decision::RotateServiceAndReplaceNode { who } => {
                let replaces = self.actions_of(Decision::ReplaceNode { who });
                self.actions_of(Decision::RotateService).into_iter().chain(replaces).collect()
            }
            Decision::TurnParticipant { number } => {
                let consortium = self.consortium.clone();
                let participant = &consortium.others[number % consortium.others.len()];
                self.governor.turned.insert(participant.id());
                vec![if tables.actor(&participant.id()).expect(READABLE).is_some() {
                    Action::RemoveParticipant(RemoveActor { id: participant.id() })
                } else {
                    Action::AddParticipant(AddActor {
                        name: Name::new(participant.name.as_str()).expect("a name"),
                        certificate: CertificateDer::of(&participant.certificate),
                        pins: Pins::default(),
                    })
                }]
            }
        }
    }

    fn one_of(&mut self, who: Who, listed: &[NodeId]) -> NodeId {
        let leader = self.leader().filter(|leader| who == Who::Leader && listed.contains(leader));
        leader.unwrap_or_else(|| *self.governor.prng.pick(listed))
    }

    /// Adds the machine of the `nth` slot that was never listed, if there is one, and has it started some time.
    fn add_node(&mut self, nth: usize) -> Option<Action> {
        let last = self.truth.last_listed();
        let node =
            *self.consortium.reserve.iter().filter(|slot| **slot > last && self.slots.contains(slot)).nth(nth)?;
        // Before it is let in, some time after, or only when all is over.
        if self.governor.prng.chance(self.swarm.newcomers_start_ppm) {
            let after = Delay { min: 1_000, max: 3_000_000 }.draw(&mut self.governor.prng);
            self.plan_start(after, node);
        }
        Some(Action::AddNode(NodeEntry {
            name: Name::new(format!("{MARKER} node {node}")).expect("a name"),
            owner: self.consortium.members[0].id(),
            public_key: Blob::new(self.consortium.node_key(node).verifying_key().to_spki_der()).expect("a key"),
            address: Address::new(format!("127.0.0.1:{}", 7_000 + node.0)).expect("an address"),
            code: None,
            platform: None,
        }))
    }

    /// A request of the members reaches a node.
    pub(crate) fn govern_arrives(&mut self, node: NodeId, request_id: RequestId) -> Checked {
        let token = self.session(node, Session::Govern { request_id });
        let request = self.governor.request(request_id, token);
        self.event(node, synod_node::Event::Requests(vec![request]))
    }

    /// A node answers the members.
    pub(crate) fn governed(&mut self, node: NodeId, id: RequestId, result: &Result<Answer, Refusal>) -> Checked {
        let seen = |what: String| format!("node {node} answers the members' request {id}: {what}");
        match result {
            Ok(answer) if answer.replies.iter().any(|reply| reply.writes) => {
                if self.truth.view_of(answer.txid.seqno) != Some(answer.txid.view) {
                    let what = seen(format!("with {}, which is not committed", answer.txid));
                    return violated("an answer goes out only after its transaction is committed", what);
                }
                if self.truth.tables_at() < answer.txid.seqno {
                    return violated("what governance did is told before it is answered", seen(String::new()));
                }
                let asked = self.governor.asked.get_mut(&id).expect("it was asked");
                if asked.answer.as_ref().is_some_and(|before| before != answer) {
                    return violated("a request is answered in one way", seen(answer.txid.to_string()));
                }
                asked.answer = Some(answer.clone());
            }
            // What is asked for is in order, and no leader refuses it by old tables: it can only have been done before, or have
            // to wait until more nodes answer.
            Ok(answer) if answer.replies.iter().all(|reply| matches!(reply.status, 409 | 503)) => {}
            Ok(answer) => {
                let text = answer.replies.iter().map(|reply| String::from_utf8_lossy(&reply.body).into_owned());
                return violated("members decide what is in order", seen(text.collect()));
            }
            Err(
                Refusal::NoLeader
                | Refusal::NodeRemoved
                | Refusal::Stopping
                | Refusal::LedgerUnreadable
                | Refusal::TooManyPending,
            ) => {}
            Err(refusal) => return violated("a refusal has a reason", seen(refusal.to_string())),
        }
        let after = Delay::QUICK.draw(&mut self.governor.prng);
        self.plan_governor_turn(after);
        Ok(())
    }

    /// A node tells what governance did.
    pub(crate) fn tables_told(&mut self, node: NodeId, txid: TxId, state: &State) -> Checked {
        self.truth.governed(node, txid.seqno, state)
    }
}

fn sign<const MAX: usize>(consortium: &Consortium, signer: &Organisation, body: &impl Body) -> Blob<MAX> {
    let chain = vec![signer.certificate.der().to_vec()];
    let unsigned = prepare(body, consortium.network, EPOCH, chain).expect("the key is on P-256");
    let signature = signer.key.sign(&unsigned.to_be_signed());
    Blob::new(unsigned.assemble(&signature.0)).expect("a short statement")
}

/// Why tables can be read.
pub const READABLE: &str = "a node has shown these tables";
