//! A network of organisations with keys, and its tables.

use std::collections::BTreeMap;

use synod_crypto::x509::{Validity, actor_certificate};
use synod_crypto::{ActorKey, Certificate, NodeKey};
use synod_governance::bounded::{Blob, List, Name, Note};
use synod_governance::entries::{AdapterEntry, Address, CertificateDer, Role};
use synod_governance::statement::{Body, prepare, proposal_digest};
use synod_governance::view::{AsOf, EventPlace, Wanted, Which, missed, proposals};
use synod_governance::*;
use synod_kv::State;
use synod_types::{ActorId, Digest, NodeId, Seqno, Time, TxId, View};

pub const NETWORK: Digest = Digest([0x5e; 32]);
pub const START: Time = Time(1_800_000_000_000_000);

/// An organisation whose certificate is its own key's.
#[derive(Clone)]
pub struct Org {
    pub name: &'static str,
    pub key: ActorKey,
    pub certificate: Certificate,
}

impl Org {
    pub fn new(name: &'static str) -> Self {
        let seed = synod_crypto::sha256(&[name.as_bytes()]);
        let key = ActorKey::from_seed(&seed.0);
        let certificate = actor_certificate(&key, name, Validity::days(START, 3_650));
        Self { name, key, certificate }
    }

    pub fn id(&self) -> ActorId {
        self.certificate.actor_id()
    }

    pub fn add(&self) -> AddActor {
        AddActor {
            name: Name::new(self.name).unwrap(),
            certificate: CertificateDer::of(&self.certificate),
            pins: Pins::default(),
        }
    }

    pub fn caller(&self, role: Role) -> Caller {
        Caller {
            actor: self.id(),
            role,
            key: self.certificate.spki_digest(),
            valid_until: self.certificate.valid_until(),
        }
    }

    pub fn sign<B: Body>(&self, network: Digest, body: &B) -> Statement {
        let unsigned = prepare(body, network, START, vec![self.certificate.der().to_vec()]).unwrap();
        let signature = self.key.sign(&unsigned.to_be_signed());
        Blob::new(unsigned.assemble(&signature.0)).unwrap()
    }
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn node(label: &str, owner: ActorId) -> NodeEntry {
    let key = NodeKey::from_seed(&synod_crypto::sha256(&[label.as_bytes()]).0);
    NodeEntry {
        name: name(label),
        owner,
        public_key: Blob::new(key.verifying_key().to_spki_der()).unwrap(),
        address: Address::new(format!("{label}.example.org:7001")).unwrap(),
        code: None,
        platform: None,
    }
}

/// The tables, and the next transaction's facts.
pub struct World {
    pub state: State,
    pub seqno: Seqno,
    pub time: Time,
    /// All events since genesis, with their places.
    pub events: Vec<(EventPlace, Event)>,
    nonce: u64,
}

impl World {
    pub fn genesis(members: &[&Org]) -> Self {
        Self::of(&constitution(members))
    }

    pub fn of(constitution: &Constitution) -> Self {
        let mut state = State::default();
        state.apply(&constitution.genesis_writes(START).unwrap(), Seqno(1));
        Self { state, seqno: Seqno(1), time: START, events: Vec::new(), nonce: 0 }
    }

    pub fn tables(&self) -> Tables<'_> {
        Tables(&self.state)
    }

    /// Carries a request out and, if it is accepted, applies what it writes.
    pub fn request(&mut self, org: &Org, request: &Request) -> Result<Outcome, Refused> {
        let env = Env { network: NETWORK, seqno: self.seqno.next(), time: self.time };
        let role = self.tables().actor(&org.id()).unwrap().map_or(Role::Participant, |actor| actor.role);
        let outcome = execute(&self.state, &env, &org.caller(role), request)?;
        assert_eq!(execute(&self.state, &env, &org.caller(role), request), Ok(outcome.clone()), "executed again");
        self.seqno = env.seqno;
        self.state.apply(&outcome.writes, self.seqno);
        let place = |place| EventPlace { seqno: env.seqno, place };
        self.events.extend((1..).map(place).zip(outcome.events.iter().cloned()));
        Ok(outcome)
    }

    pub fn body(&mut self, org: &Org, actions: Vec<Action>) -> ProposalBody {
        self.nonce += 1;
        ProposalBody {
            proposer: org.id(),
            nonce: Blob::new(self.nonce.to_be_bytes().repeat(2)).unwrap(),
            actions: List::new(actions).unwrap(),
            expires: None,
            note: Note::default(),
        }
    }

    pub fn propose(&mut self, org: &Org, actions: Vec<Action>) -> Result<ProposalId, Refused> {
        let body = self.body(org, actions);
        let outcome = self.request(org, &Request::Propose(org.sign(NETWORK, &body)))?;
        let id = outcome.proposal.unwrap();
        assert_eq!(self.tables().proposal(id).unwrap().unwrap().digest, proposal_digest(&NETWORK, &body));
        Ok(id)
    }

    /// The ballot that `org` would send next.
    pub fn ballot(&self, org: &Org, id: ProposalId, choice: Choice) -> BallotBody {
        let digest = self.tables().proposal(id).unwrap().map_or_else(Digest::default, |proposal| proposal.digest);
        let last = self.tables().ballot(id, &org.id()).unwrap().map_or(0, |ballot| ballot.counter);
        BallotBody { proposal: id, digest, choice, counter: last + 1 }
    }

    pub fn vote(&mut self, org: &Org, id: ProposalId, choice: Choice) -> Result<Status, Refused> {
        let ballot = self.ballot(org, id, choice);
        let outcome = self.request(org, &Request::Vote(org.sign(NETWORK, &ballot)))?;
        Ok(outcome.status.unwrap())
    }

    pub fn accept(&mut self, org: &Org, id: ProposalId) -> Status {
        self.vote(org, id, Choice::Accept).unwrap()
    }

    /// Proposes as the first, has the others accept in turn until it is closed, and returns how it ended.
    pub fn decide(&mut self, orgs: &[&Org], actions: Vec<Action>) -> Status {
        let id = self.propose(orgs[0], actions).unwrap();
        for org in orgs {
            let status = self.accept(org, id);
            if status != Status::Open {
                return status;
            }
        }
        Status::Open
    }

    /// The places of the events that people who were away find in the tables are those that the events had.
    pub fn check_missed(&self) {
        let told = |event: &Event| matches!(event, Event::Proposed { .. } | Event::Closed { .. });
        let all: Vec<_> = self.events.iter().filter(|(_, event)| told(event)).cloned().collect();
        let (until, mut at) = (self.seqno.next(), EventPlace::default());
        let mut found = Vec::new();
        loop {
            let more = missed(&self.state, at, until, 1).unwrap();
            let Some((last, _)) = more.last() else { break };
            at = *last;
            found.extend(more);
        }
        let places = |events: &[(EventPlace, Event)]| events.iter().map(|(place, _)| *place).collect::<Vec<_>>();
        assert_eq!(places(&found), places(&all));
        assert!(found == all);
        for (nth, (place, _)) in all.iter().enumerate() {
            assert_eq!(missed(&self.state, *place, until, 1_000).unwrap().first(), all.get(nth + 1));
        }
    }

    /// The proposals that a member is shown when it asks for those that wait for its vote.
    pub fn awaiting(&self, org: &Org) -> Vec<ProposalId> {
        let txid = TxId::new(View(2), self.seqno);
        let as_of = AsOf { network: NETWORK, txid, time: self.time, txid_of: &|_| None };
        let wanted = Wanted { which: Which::Open, awaiting: Some(&org.id()), after: 0, count_max: 100 };
        let list = proposals(self.tables(), &as_of, &wanted, None).unwrap();
        list.proposals.iter().map(|proposal| proposal.id).collect()
    }

    pub fn status(&self, id: ProposalId) -> Status {
        self.tables().status(id, self.time).unwrap().unwrap()
    }
}

/// A constitution with these members, the first of which owns the only node.
pub fn constitution(members: &[&Org]) -> Constitution {
    let mut constitution = Constitution::named(name("test"));
    constitution.actors = members.iter().map(|org| (Role::Member, org.add())).collect();
    constitution.nodes = BTreeMap::from([(NodeId(1), node("vn1", members[0].id()))]);
    constitution.adapters = vec![AdapterEntry { name: name("log"), settings: Default::default() }];
    constitution
}
