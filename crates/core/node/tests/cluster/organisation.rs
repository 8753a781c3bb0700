//! Members of a network, and what they sign.

use bytes::Bytes;
use synod_crypto::x509::{Validity, actor_certificate};
use synod_crypto::{ActorKey, Certificate};
use synod_governance::bounded::{Blob, List, Name, Note};
use synod_governance::entries::CertificateDer;
use synod_governance::statement::{Body, prepare};
use synod_governance::{Action, AddActor, BallotBody, Choice, Pins, ProposalBody, Request, Tables};
use synod_kv::State;
use synod_ledger::SealedBlock;
use synod_node::{Answer, Refusal};
use synod_types::{ActorId, Decode, Digest, Encode, NodeId, Time};

use crate::harness::Cluster;

/// An organisation with its own key, and the requests that it makes.
pub struct Organisation {
    pub key: ActorKey,
    pub certificate: Certificate,
}

impl Organisation {
    pub fn new(name: &str, seed: u8) -> Self {
        let key = ActorKey::from_seed(&[seed; 32]);
        let validity = Validity { from: Time(0), until: Time(1_801_000_000_000_000) };
        Self { certificate: actor_certificate(&key, name, validity), key }
    }

    pub fn id(&self) -> ActorId {
        self.certificate.actor_id()
    }

    fn sign(&self, network: Digest, body: &impl Body) -> Blob<{ synod_governance::limits::STATEMENT_BYTES_MAX }> {
        let chain = vec![self.certificate.der().to_vec()];
        let unsigned = prepare(body, network, Time(1_800_000_000_000_000), chain).unwrap();
        let signature = self.key.sign(&unsigned.to_be_signed());
        Blob::new(unsigned.assemble(&signature.0)).unwrap()
    }

    pub fn propose(&self, network: Digest, nonce: u8, actions: Vec<Action>) -> Bytes {
        let body = ProposalBody {
            proposer: self.id(),
            nonce: Blob::new(vec![nonce; 16]).unwrap(),
            actions: List::new(actions).unwrap(),
            expires: None,
            note: Note::default(),
        };
        Request::Propose(self.sign(network, &body)).to_bytes().into()
    }

    fn accept(&self, network: Digest, tables: &State, proposal: u64) -> Bytes {
        let digest = Tables::new(tables).proposal(proposal).unwrap().unwrap().digest;
        let ballot = BallotBody { proposal, digest, choice: Choice::Accept, counter: proposal };
        Request::Vote(self.sign(network, &ballot)).to_bytes().into()
    }

    pub fn accept_last(&self, cluster: &Cluster, node: NodeId) -> Bytes {
        let tables = cluster.tables(node);
        let last = Tables::new(&tables).proposals_last().unwrap();
        self.accept(network(cluster, node), &tables, last)
    }

    pub fn add(&self, name: &str) -> AddActor {
        let name = Name::new(name).unwrap();
        AddActor { name, certificate: CertificateDer::of(&self.certificate), pins: Pins::default() }
    }
}

/// The member that the cluster begins with.
pub fn founder_of(cluster: &Cluster) -> Organisation {
    let (key, certificate) = cluster.founder.clone();
    Organisation { key, certificate }
}

pub fn network(cluster: &Cluster, node: NodeId) -> Digest {
    SealedBlock::from_bytes(&cluster.log(node)[0].payload).unwrap().header.network
}

pub fn body(answer: &Result<Answer, Refusal>) -> (u16, String) {
    let reply = &answer.as_ref().unwrap().replies[0];
    (reply.status, String::from_utf8(reply.body.to_vec()).unwrap())
}

/// Has the founder propose and accept; returns the answer to the ballot.
pub fn decide(cluster: &mut Cluster, node: NodeId, ids: (u8, u8), actions: Vec<Action>) -> Result<Answer, Refusal> {
    propose(cluster, node, ids.0, actions);
    let founder = founder_of(cluster);
    let ballot = founder.accept_last(cluster, node);
    cluster.govern(node, founder.id(), ids.1, ballot)
}

/// Has the founder propose, and waits until `node` knows.
pub fn propose(cluster: &mut Cluster, node: NodeId, id: u8, actions: Vec<Action>) {
    let founder = founder_of(cluster);
    let proposal = founder.propose(network(cluster, node), id, actions);
    let proposed = cluster.govern(node, founder.id(), id, proposal);
    assert_eq!(body(&proposed).0, 200, "{proposed:?}");
    cluster.run_idle();
}
