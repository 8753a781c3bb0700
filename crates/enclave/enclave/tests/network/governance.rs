//! Members govern over HTTP, and hear of it.

use std::sync::Arc;

use synod_governance::bounded::{Blob, List, Note};
use synod_governance::statement::{Body, prepare, proposal_digest};
use synod_governance::{Action, BallotBody, Choice, ProposalBody, Request, SetLease, Statement};
use synod_types::{Digest, Encode, NodeId, Time};

use crate::world::{Client, MemoryHost, Network};

/// A member over a connection for governance.
struct Member<'a> {
    network: &'a Network,
    id: Digest,
    client: Client,
}

impl<'a> Member<'a> {
    async fn connect(network: &'a Network, host: &Arc<MemoryHost>) -> Self {
        let mut client = govern(network, host).await;
        let (status, _, body) = client.get("/gov/constitution", "").await;
        assert_eq!(status, 200, "{body}");
        let id = body.split(r#""network":""#).nth(1).unwrap().split('"').next().unwrap();
        Self { network, id: Digest::from_hex(id).unwrap(), client }
    }

    fn sign<B: Body>(&self, body: &B) -> Statement {
        let (certificate, key) = &self.network.actor;
        let unsigned = prepare(body, self.id, Time(1), vec![certificate.der().to_vec()]).unwrap();
        Blob::new(unsigned.assemble(&key.sign(&unsigned.to_be_signed()).0)).unwrap()
    }

    async fn request(&mut self, request: &Request) -> (u16, String, String) {
        self.client.post("/gov/requests", &request.to_bytes()).await
    }

    async fn propose(&mut self, seconds: u64, note: &str) -> Digest {
        let body = ProposalBody {
            proposer: self.network.actor.0.actor_id(),
            nonce: Blob::new(vec![7; 16]).unwrap(),
            actions: List::new(vec![Action::SetLease(SetLease { seconds: Some(seconds) })]).unwrap(),
            expires: None,
            note: Note::new(note).unwrap(),
        };
        let (status, _, answer) = self.request(&Request::Propose(self.sign(&body))).await;
        assert_eq!(status, 200, "{answer}");
        proposal_digest(&self.id, &body)
    }

    async fn accept(&mut self, proposal: u64, digest: Digest) -> (u16, String, String) {
        let ballot = BallotBody { proposal, digest, choice: Choice::Accept, counter: 1 };
        self.request(&Request::Vote(self.sign(&ballot))).await
    }
}

async fn govern(network: &Network, host: &Arc<MemoryHost>) -> Client {
    network.connect_to_govern(vec![network.actor.0.der().to_vec()], &network.actor.1, host).await
}

async fn watch(network: &Network, host: &Arc<MemoryHost>, after: &str) -> Client {
    let mut client = govern(network, host).await;
    client.send(&format!("GET /gov/events{after} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    client
}

fn ids(events: &str) -> Vec<&str> {
    events.lines().filter_map(|line| line.strip_prefix("id: ")).collect()
}

#[tokio::test]
async fn members_govern_over_http_and_hear_of_it_before_and_after_a_restart_while_the_host_learns_no_more_than_when() {
    let network = Network::new(1);
    let host = network.start(1);
    let mut member = Member::connect(&network, &host).await;
    let mut early = watch(&network, &host, "").await;
    early.read_until("\r\n\r\n").await;
    let planted = "the-planted-note-of-this-test";
    let digest = member.propose(60, planted).await;
    let (status, head, answer) = member.accept(1, digest).await;
    assert_eq!((status, answer.as_str()), (200, r#"{"proposal":1,"status":"Accepted"}"#));
    let decided = head.split("synod-txid: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
    // The same again is refused, with a reason and what to do about it.
    let (status, _, answer) = member.accept(1, digest).await;
    assert!(status == 409 && answer.contains("ProposalClosed") && answer.contains("hint"), "{answer}");

    let (_, head, shown) = member.client.get("/gov/proposals/1", "synod-consistency: linearizable\r\n").await;
    assert!(head.contains(&format!("synod-txid: {decided}")) && shown.contains(planted), "{head}{shown}");
    let (_, _, shown) = member.client.get("/gov/constitution", "").await;
    assert!(shown.contains("lease_seconds = 60"));
    assert_eq!(member.client.get("/app/log/7", "").await.0, 421);

    let live = early.read_until("event: closed").await;
    let missed = watch(&network, &host, "?after=0").await.read_until("event: closed").await;
    assert_eq!(ids(&live), ids(&missed));
    assert_eq!(ids(&live).last(), Some(&format!("{decided}/2").as_str()));
    assert_eq!(ids(&live).len(), 3);

    // The host knows when, and that is all.
    let told = host.governed.lock().unwrap().clone();
    assert_eq!((told.len(), told[1].0, told[1].1.to_string()), (2, NodeId(1), decided.clone()));
    assert!(!host.saw(planted.as_bytes()) && !host.saw(b"set_lease"));

    host.stop().await;
    early.ended().await;
    let mut setup = network.setup(1);
    host.put_disk_into(&mut setup);
    let host = network.try_start(1, setup).unwrap();
    let again = watch(&network, &host, "?after=0").await.read_until("event: closed").await;
    assert_eq!(ids(&again), ids(&missed), "the same events have the same ids after a restart");
    let mut member = Member::connect(&network, &host).await;
    let mut late = watch(&network, &host, &format!("?after={decided}")).await;
    member.propose(61, "another").await;
    let live = late.read_until("event: proposed").await;
    assert_eq!(ids(&live).len(), 1, "{live}");
}
