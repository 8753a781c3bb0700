//! Governance as a client asks for it: what goes over the wire, and what is checked before it is believed.

#![allow(clippy::unwrap_used)]

mod common;

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use synod_client::governance::{Governance, GovernanceError, ProposalView, Which, check_proposal, finish};
use synod_client::{Client, Identity};
use synod_crypto::x509::{Validity, actor_certificate};
use synod_crypto::{ActorKey, Certificate};
use synod_governance::bounded::{Blob, List, Note};
use synod_governance::statement::{prepare, proposal_digest};
use synod_governance::{Action, ActionKind, ProposalBody, Request, SetPolicy};
use synod_types::{Digest, Encode, Time};

use common::{Deed, Server, World};

const NETWORK: Digest = Digest([7; 32]);

fn member() -> (ActorKey, Certificate, Identity) {
    let key = ActorKey::generate();
    let certificate = actor_certificate(&key, "member", Validity::days(Time(1_700_000_000_000_000), 30));
    let der: PrivateKeyDer<'static> = PrivatePkcs8KeyDer::from(key.expose_pkcs8_der().to_vec()).into();
    let identity = Identity::new(vec![certificate.to_pki()], der);
    (key, certificate, identity)
}

fn body(certificate: &Certificate) -> ProposalBody {
    let action = Action::SetPolicy(SetPolicy { kind: Some(ActionKind::AddNode), value: None });
    ProposalBody {
        proposer: certificate.actor_id(),
        nonce: Blob::new(vec![3; 16]).unwrap(),
        actions: List::new(vec![action]).unwrap(),
        expires: Some(9),
        note: Note::new("why").unwrap(),
    }
}

/// A proposal as a node shows it.
fn shown(body: &ProposalBody) -> Value {
    json!({
        "network": NETWORK.to_hex(), "txid": "2.4", "time": 5, "id": 1,
        "digest": proposal_digest(&NETWORK, body).to_hex(), "status": "Open",
        "proposer": body.proposer.to_hex(), "proposer_name": "member", "kinds": ["set_policy"], "summary": ["x"],
        "note": body.note.as_str(), "submitted": {"txid": "2.4", "time": 5}, "expires": 9,
        "votes": {"members": 3, "accepting": 0, "rejecting": 0}, "mine": null,
        "nonce": body.nonce.to_hex(), "expires_signed": body.expires, "actions": body.actions,
        "policies": [], "ballots": [], "decision": null,
    })
}

#[test]
fn a_signature_is_taken_in_der_and_as_two_numbers_and_no_other_is() {
    let (key, certificate, identity) = member();
    let (_, other, _) = member();
    // Short numbers, which DER writes in fewer bytes, come up within a few hundred signatures.
    for round in 0..300 {
        let unsigned = prepare(&body(&certificate), NETWORK, Time(round), vec![certificate.der().to_vec()]).unwrap();
        let der = identity.sign(&unsigned.to_be_signed()).unwrap();
        let fixed = key.sign(&unsigned.to_be_signed()).0;
        assert!(der[0] == 0x30 && der.len() != 64);
        let (from_der, from_fixed) = (finish(&unsigned, &der).unwrap(), finish(&unsigned, &fixed).unwrap());
        assert_eq!(from_der.len(), from_fixed.len());
        for bad in [&der[1..], &der[..der.len() - 1], &fixed[1..], &[], &[0x30, 0], &[0x30, 0x80, 2, 1]] {
            assert!(finish(&unsigned, bad).is_err());
        }
        let foreign = prepare(&body(&other), NETWORK, Time(round), vec![other.der().to_vec()]).unwrap();
        assert!(finish(&foreign, &der).is_err());
    }
}

#[test]
fn a_proposal_of_which_a_node_shows_anything_else_than_was_signed_is_not_believed() {
    let (_, certificate, _) = member();
    let body = body(&certificate);
    let view = |value: &Value| serde_json::from_value::<ProposalView>(value.clone()).unwrap();
    let whole = shown(&body);
    assert_eq!(check_proposal(&view(&whole), &NETWORK), Ok(body));
    assert!(check_proposal(&view(&whole), &Digest([8; 32])).is_err());
    for (key, value) in [
        ("note", json!("why not")),
        ("nonce", json!("04".repeat(16))),
        ("nonce", json!("xx")),
        ("expires_signed", json!(null)),
        ("proposer", json!("00".repeat(32))),
        ("actions", json!([])),
        ("actions", json!([{"action": "set_policy", "kind": "add_member"}])),
        ("actions", json!([{"action": "fly"}])),
        ("digest", json!("00".repeat(32))),
    ] {
        let mut other = whole.clone();
        other[key] = value;
        assert!(check_proposal(&view(&other), &NETWORK).is_err(), "{key}");
    }
}

#[tokio::test]
async fn requests_go_where_nodes_serve_them_and_a_refusal_comes_with_its_code() {
    let world = World::new();
    let server = Server::start(&world, |seen| match seen.head.split(' ').nth(1).unwrap() {
        "/gov/requests" => Deed::Answer(200, "synod-txid: 2.7\r\n", br#"{"proposal":3,"status":"Accepted"}"#.to_vec()),
        "/gov/constitution" => Deed::Answer(200, "", b"{}".to_vec()),
        _ => Deed::Answer(
            409,
            "",
            br#"{"error":{"code":"AlreadyVoted","message":"m","hint":"h","reasons":[]}}"#.to_vec(),
        ),
    })
    .await;
    let governance = Governance::new(&Client::new(world.network(&[&server])).unwrap());
    let answer = governance.submit(&Request::CloseExpired).await.unwrap();
    assert_eq!((answer.view.proposal, answer.txid.unwrap().to_string()), (Some(3), "2.7".into()));
    let refused = governance.proposals(Which::AwaitingMine, 7).await.unwrap_err();
    assert_eq!((refused.to_string(), refused.hint()), ("m (AlreadyVoted)".into(), "h"));
    let odd = governance.constitution().await.unwrap_err();
    assert!(matches!(odd, GovernanceError::AnswerNotUnderstood { .. }), "{odd}");

    let [submitted, listed, _] = &server.seen()[..] else { panic!("three requests") };
    assert_eq!(submitted.name.as_deref(), Some(synod_types::GOVERNANCE_NAME));
    assert_eq!(submitted.body, Request::CloseExpired.to_bytes());
    assert!(submitted.header("synod-request-id").is_some());
    assert!(listed.head.starts_with("GET /gov/proposals?status=open&awaiting=mine&after=7&limit=1000 HTTP/1.1"));
    assert_eq!(listed.header("synod-consistency"), Some("linearizable"));
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_first_event_goes_on_from_where_it_began() {
    let world = World::new();
    let chunked = "synod-txid: 2.14\r\ntransfer-encoding: chunked\r\n";
    let event = "id: 2.15/1\nevent: voted\ndata: {}\n\n";
    let server = Server::start(&world, move |seen| match seen.header("last-event-id") {
        None => Deed::Answer(200, chunked, b"0\r\n\r\n".to_vec()),
        Some(_) => Deed::Answer(200, chunked, format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()),
    })
    .await;
    let governance = Governance::new(&Client::new(world.network(&[&server])).unwrap());
    let mut events = governance.events(None);
    assert_eq!(events.next().await.unwrap().id, "2.15/1");
    assert_eq!(events.last_id(), Some("2.15/1"));
    let asked: Vec<_> = server.seen().iter().map(|seen| seen.header("last-event-id").map(str::to_owned)).collect();
    assert_eq!(asked, [None, Some("2.14".to_owned())]);
}
