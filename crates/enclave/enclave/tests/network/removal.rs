//! What members decide about an actor holds for its open sessions too, on every node.

use std::sync::Arc;
use std::time::Duration;

use h2::client as h2_client;
use synod_governance::bounded::{Blob, List, Note};
use synod_governance::statement::{Body, prepare};
use synod_governance::{Action, BallotBody, Choice, ProposalBody, RemoveActor, Request, Statement};
use synod_ledger::SealedBlock;
use synod_types::{Decode, Digest, Encode, GOVERNANCE_NAME, Time};
use tokio::time::timeout;

use crate::house::{Holder, House, leaf};
use crate::identity::network_of;
use crate::world::{Client, MemoryHost, Network};

fn sign(network: &Network, body: &impl Body) -> Statement {
    let (certificate, key) = &network.actor;
    let id = SealedBlock::from_bytes(&network.genesis.payload).unwrap().header.network;
    let unsigned = prepare(body, id, Time(1_800_000_000_000_000), vec![certificate.der().to_vec()]).unwrap();
    let signature = key.sign(&unsigned.to_be_signed());
    Blob::new(unsigned.assemble(&signature.0)).unwrap()
}

/// Has the only member propose and accept the first proposal.
pub async fn decide(network: &Network, host: &Arc<MemoryHost>, actions: Vec<Action>) {
    decide_next(network, host, 1, actions).await;
}

/// Has the only member propose and accept the proposal that will have the id `id`.
pub async fn decide_next(network: &Network, host: &Arc<MemoryHost>, id: u64, actions: Vec<Action>) {
    let (certificate, key) = &network.actor;
    let mut member = network.connect_to_govern(vec![certificate.der().to_vec()], key, host).await;
    let proposal = ProposalBody {
        proposer: certificate.actor_id(),
        nonce: Blob::new(vec![id as u8; 16]).unwrap(),
        actions: List::new(actions).unwrap(),
        expires: None,
        note: Note::default(),
    };
    let propose = Request::Propose(sign(network, &proposal)).to_bytes();
    loop {
        let (status, _, body) = member.post("/gov/requests", &propose).await;
        if status == 200 || body.contains("ProposalKnown") {
            break;
        }
        assert!(body.contains("NoLeader"), "{body}");
    }
    let path = format!("/gov/proposals/{id}");
    let (_, _, shown) = member.get(&path, "").await;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let digest = Digest::from_hex(shown["digest"].as_str().unwrap()).unwrap();
    let ballot = BallotBody { proposal: id, digest, choice: Choice::Accept, counter: 1 };
    let vote = Request::Vote(sign(network, &ballot)).to_bytes();
    // On a busy machine an election may come between, and then the answer may be that nobody leads, whatever was done, or
    // a node may not have been heard for a while.
    loop {
        let (status, _, body) = member.post("/gov/requests", &vote).await;
        if (status, body.contains("Accepted")) == (200, true) {
            return;
        }
        let passing = ["NoLeader", "ProposalClosed", "TooFewNodesAnswer"];
        assert!(passing.iter().any(|code| body.contains(code)), "{body}");
        let (_, _, shown) = member.get(&path, "").await;
        if shown.contains(r#""status":"Accepted""#) {
            return;
        }
    }
}

/// What a client has open at one node: a session of each protocol, and a stream that never ends in each.
struct Open {
    plain: Client,
    watching: Client,
    stream: h2::RecvStream,
}

impl Open {
    async fn at(network: &Network, host: &Arc<MemoryHost>, leaf: &Holder, chain: &[Vec<u8>]) -> Self {
        let mut plain = network.connect_with(chain.to_vec(), &leaf.key, host).await;
        assert_eq!(plain.put(1, "before").await.0, 200);
        let mut watching = network.connect_to_govern(chain.to_vec(), &leaf.key, host).await;
        assert_eq!(watching.begin_stream("/gov/events").await, 200);
        let tls = network.dial(chain.to_vec(), &leaf.key, host, (GOVERNANCE_NAME, "h2")).await;
        let (client, connection) = h2_client::handshake(tls).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("https://a/gov/events").body(()).unwrap();
        let (response, _) = client.ready().await.unwrap().send_request(request, true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        Self { plain, watching, stream: response.into_body() }
    }

    async fn ended(&mut self) {
        self.plain.ended().await;
        self.watching.ended().await;
        while let Some(Ok(_)) = self.stream.data().await {}
    }
}

/// Longer than any node needs to hear of a decision.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_sessions_and_streams_of_a_removed_actor_end_on_every_node() {
    let house = House::new("house");
    let network = network_of(3, &house);
    let hosts: Vec<_> = (1..=3).map(|id| network.start(id)).collect();
    let clerk = leaf("clerk", &house.treasury, "gov");
    let chain = house.chain(&clerk, &house.treasury);
    let mut open = Vec::new();
    for host in &hosts {
        open.push(Open::at(&network, host, &clerk, &chain).await);
    }
    let removal = RemoveActor { id: house.actor.certificate.actor_id() };
    decide(&network, &hosts[0], vec![Action::RemoveParticipant(removal)]).await;
    for (host, open) in hosts.iter().zip(&mut open) {
        timeout(SOON, open.ended()).await.unwrap();
        let mut late = network.connect_with(chain.clone(), &clerk.key, host).await;
        let (status, _, body) = late.put(1, "after").await;
        assert_eq!((status, body.contains("NotAuthorized")), (403, true), "{body}");
    }
    let (certificate, key) = &network.actor;
    let mut member = network.connect_with(vec![certificate.der().to_vec()], key, &hosts[2]).await;
    assert_eq!(member.get("/app/log/1", "").await.2, "before");
}

#[tokio::test]
async fn the_sessions_of_a_revoked_leaf_end_on_every_node_and_others_of_its_actor_go_on() {
    let house = House::new("house");
    let network = network_of(3, &house);
    let hosts: Vec<_> = (1..=3).map(|id| network.start(id)).collect();
    let (lost, kept) = (leaf("lost", &house.actor, "gov"), leaf("kept", &house.actor, "gov"));
    let chain = |leaf: &Holder| vec![leaf.der(), house.actor.der()];
    let mut open = Vec::new();
    for host in &hosts {
        let mut going_on = network.connect_with(chain(&kept), &kept.key, host).await;
        assert_eq!(going_on.put(2, "before").await.0, 200);
        open.push((Open::at(&network, host, &lost, &chain(&lost)).await, going_on));
    }
    let crl = Request::Revoke(Blob::new(house.actor.crl(1, &[&lost])).unwrap());
    let mut own = network.connect_to_govern(chain(&kept), &kept.key, &hosts[0]).await;
    let (status, _, body) = own.post("/gov/requests", &crl.to_bytes()).await;
    assert_eq!(status, 200, "{body}");
    for (host, (open, going_on)) in hosts.iter().zip(&mut open) {
        timeout(SOON, open.ended()).await.unwrap();
        let mut late = network.connect_with(chain(&lost), &lost.key, host).await;
        let (status, _, body) = late.put(1, "after").await;
        assert_eq!((status, body.contains("CertificateRevoked")), (403, true), "{body}");
        assert_eq!(going_on.put(2, "after").await.0, 200);
    }
}
