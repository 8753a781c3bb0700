use serde_json::json;
use synod_governance::{Action, NodeEntry, RemoveNode, Tables};
use synod_types::{AdapterId, NodeId};

use super::testing::{Parliament, bytes};
use crate::testing::{NETWORK, error_code, settle};

#[tokio::test]
async fn a_request_is_handed_to_the_node_as_it_is_and_answered_when_it_is_committed() {
    let mut parliament = Parliament::new();
    let lease = vec![Action::SetLease(synod_governance::SetLease { seconds: Some(60) })];
    let request = bytes(&parliament.proposal(0, lease, "why"));
    let id = "synod-request-id: a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\r\n";
    let (status, head, body) = parliament.ask(0, "POST", "/gov/requests", id, &request).await;
    assert_eq!((status, body.as_str()), (200, r#"{"proposal":1}"#));
    assert!(head.contains("synod-txid: 2.2"), "{head}");

    let (mut far, _task) = parliament.connect(1, crate::door::Protocol::Http1, 1 << 16);
    let head = format!("POST /gov/requests HTTP/1.1\r\nhost: a\r\n{id}content-length: 3\r\n\r\nabc");
    tokio::io::AsyncWriteExt::write_all(&mut far, head.as_bytes()).await.unwrap();
    settle().await;
    let handed = parliament.world.submitted().concat().remove(0);
    assert_eq!((handed.adapter, handed.actor), (AdapterId::GOVERNANCE, parliament.orgs[1].id));
    assert_eq!((&handed.calls[0][..], handed.calls.len()), (&b"abc"[..], 1));
    assert_eq!(handed.request_id.0, [0xa5; 16]);
}

#[tokio::test]
async fn each_document_is_shown_to_members_and_participants_with_the_transaction_that_it_is_as_of() {
    let mut parliament = Parliament::new();
    for seconds in [60, 61] {
        parliament.propose_lease(0, seconds);
    }
    parliament.accept(1, 1);
    for org in [0, 3] {
        let (status, head, body) = parliament.ask(org, "GET", "/gov/constitution", "", b"").await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(status == 200 && head.contains("content-type: application/json") && head.contains("synod-txid: 2.4"));
        assert_eq!((&body["network"], &body["txid"]), (&json!(NETWORK.to_hex()), &json!("2.4")));
        assert!(body["toml"].as_str().unwrap().contains("name = \"Gamma\""));
    }
    let ids = |list: &serde_json::Value| -> Vec<u64> {
        list["proposals"].as_array().unwrap().iter().map(|proposal| proposal["id"].as_u64().unwrap()).collect()
    };
    for (org, target, expected, next) in [
        (1, "/gov/proposals", &[1, 2][..], json!(null)),
        (1, "/gov/proposals?awaiting=mine", &[2], json!(null)),
        (3, "/gov/proposals?awaiting=mine", &[], json!(null)),
        (1, "/gov/proposals?limit=1", &[1], json!(1)),
        (1, "/gov/proposals?limit=1&after=1", &[2], json!(null)),
        (1, "/gov/proposals?status=closed", &[], json!(null)),
    ] {
        let (status, list) = parliament.get(org, target).await;
        assert_eq!((status, ids(&list), &list["next"]), (200, expected.to_vec(), &next), "{target}");
    }
    let (_, shown) = parliament.get(1, "/gov/proposals/1").await;
    assert_eq!((&shown["mine"], &shown["submitted"]["txid"]), (&json!("accept"), &json!("2.2")));
    assert_eq!(shown["ballots"][0]["txid"], json!("2.4"));
    assert_eq!(parliament.get(0, "/gov/proposals/1").await.1["mine"], json!(null));
    let (_, rules) = parliament.get(1, "/gov/rules").await;
    assert_eq!((&rules["counter"], &rules["rules"]), (&json!(0), &json!([])));
    let member = parliament.orgs[2].id.to_hex();
    assert_eq!(parliament.get(1, &format!("/gov/rules?member={member}")).await.0, 200);

    let (status, missing) = parliament.get(1, "/gov/proposals/9").await;
    assert_eq!((status, &missing["error"]["code"]), (404, &json!("NoSuchProposal")));
    let (status, refused) = parliament.get(1, "/gov/proposals?limit=0").await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("QueryNotValid")));
}

#[tokio::test]
async fn a_read_waits_for_the_transaction_that_it_is_to_see() {
    let mut parliament = Parliament::new();
    let (mut far, _task) = parliament.connect(0, crate::door::Protocol::Http1, 1 << 16);
    let read = b"GET /gov/proposals HTTP/1.1\r\nhost: a\r\nsynod-at-least: 2.2\r\nconnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut far, read).await.unwrap();
    settle().await;
    parliament.propose_lease(0, 60);
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut far, &mut answer).await.unwrap();
    assert!(answer.contains("synod-txid: 2.2") && answer.contains(r#""id":1"#), "{answer}");
}

#[tokio::test]
async fn a_dry_run_tells_what_would_change_or_every_reason_against_it_and_writes_nothing() {
    let parliament = Parliament::new();
    let before = parliament.world.service.government.latest().state.digest();
    let run = async |actions: serde_json::Value| {
        let body = json!({ "actions": actions }).to_string();
        let (status, _, body) = parliament.ask(3, "POST", "/gov/dry-run", "", body.as_bytes()).await;
        (status, serde_json::from_str::<serde_json::Value>(&body).unwrap())
    };
    let (status, changes) = run(json!([{ "action": "set_lease", "seconds": 60 }])).await;
    let expected = json!({ "network": NETWORK.to_hex(), "txid": "2.1",
                           "changes": [{ "what": "nodes' lease", "before": null, "after": "60 s" }] });
    assert_eq!((status, changes), (200, expected));

    let node: NodeEntry = {
        let governing = parliament.world.service.government.latest();
        Tables(&governing.state).node(NodeId(1)).unwrap().unwrap()
    };
    let actions = [Action::RemoveNode(RemoveNode { node: NodeId(9) }), Action::AddNode(node)];
    let (status, refused) = run(serde_json::to_value(&actions).unwrap()).await;
    let reasons: Vec<_> =
        refused["error"]["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap()).collect();
    assert_eq!((status, reasons), (422, vec!["NoSuchNode", "NameTaken", "NodeTaken", "NodeTaken"]));

    for (body, status, code) in [
        (&b"{}"[..], 400, "ActionsNotValid"),
        (b"not JSON", 400, "ActionsNotValid"),
        (br#"{"actions":[{"action":"crown","name":"Alpha"}]}"#, 400, "ActionsNotValid"),
        (br#"{"actions":[],"more":1}"#, 400, "ActionsNotValid"),
        (br#"{"actions":[]}"#, 422, "NoActions"),
    ] {
        let (found, _, answer) = parliament.ask(0, "POST", "/gov/dry-run", "", body).await;
        assert_eq!((found, error_code(&answer).as_str()), (status, code));
    }
    let nested = format!(r#"{{"actions":[{}{}]}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let long = format!(r#"{{"actions":[{{"action":"{}"}}]}}"#, "x".repeat(100_000));
    for body in [nested, long] {
        let (status, _, answer) = parliament.ask(0, "POST", "/gov/dry-run", "", body.as_bytes()).await;
        assert!(status == 400 && answer.len() < 1_000, "{status} {}", answer.len());
    }
    assert_eq!(parliament.world.service.government.latest().state.digest(), before);
}
