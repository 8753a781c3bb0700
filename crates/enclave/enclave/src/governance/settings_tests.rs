use serde_json::{Value, json};
use synod_governance::bounded::{Name, TextBlob};
use synod_governance::{Action, SetAdapter};
use synod_node::{Query, QueryAnswer, Role, Status};
use synod_types::{NodeId, TxId, View};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::testing::{Parliament, bytes};
use crate::door::Protocol;

fn set(adapter: &str, settings: &str) -> Action {
    let settings = TextBlob::new(settings.as_bytes().to_vec()).unwrap();
    Action::SetAdapter(SetAdapter { name: Name::new(adapter).unwrap(), settings })
}

/// Sends a request that no node answers.
async fn refused(parliament: &Parliament, target: &str, body: &[u8]) -> (u16, Value) {
    let (mut far, task) = parliament.connect(0, Protocol::Http1, 1 << 20);
    let size = body.len();
    let head = format!("POST {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n");
    far.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = String::new();
    far.read_to_string(&mut answer).await.unwrap();
    task.await.unwrap().unwrap();
    assert!(parliament.world.submitted().is_empty(), "nothing is handed on");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}

/// The places and codes of the reasons in an answer.
fn reasons(answer: &Value) -> Vec<(Option<u64>, &str)> {
    let reasons = answer["error"]["reasons"].as_array().unwrap().iter();
    reasons.map(|reason| (reason["action"].as_u64(), reason["code"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_proposal_of_settings_that_an_adapter_refuses_is_refused_with_every_reason() {
    let mut parliament = Parliament::new();
    let actions = vec![set("box", "open"), set("chest", "open"), set("box", "shut")];
    let expected = [(Some(0), "AdapterRefuses"), (Some(1), "NoSuchAdapter")];
    let proposal = bytes(&parliament.proposal(0, actions, ""));
    let (status, answer) = refused(&parliament, "/gov/requests", &proposal).await;
    assert_eq!((status, reasons(&answer)), (422, expected.to_vec()), "{answer}");
    assert_eq!(answer["error"]["code"], "Actions");
    assert_eq!(answer["error"]["reasons"][0]["message"], r#"adapter "box" refuses the settings: a box stays shut"#);

    let written = |settings| json!({"action": "set_adapter", "name": "box", "settings": settings});
    let (status, answer) =
        refused(&parliament, "/gov/dry-run", json!({"actions": [written("open")]}).to_string().as_bytes()).await;
    assert_eq!((status, reasons(&answer)), (422, vec![(Some(0), "AdapterRefuses")]));
    let (status, _, answer) = parliament
        .ask(0, "POST", "/gov/dry-run", "", json!({"actions": [written("shut")]}).to_string().as_bytes())
        .await;
    assert!(status == 200 && answer.contains(r#"adapter \"box\""#), "{answer}");
}

#[tokio::test]
async fn settings_that_would_do_are_handed_on_and_so_is_a_proposal_that_is_known() {
    let mut parliament = Parliament::new();
    let proposal = bytes(&parliament.proposal(0, vec![set("box", "shut")], ""));
    let (status, _, answer) = parliament.ask(0, "POST", "/gov/requests", "", &proposal).await;
    assert_eq!((status, answer.as_str()), (200, r#"{"proposal":1}"#));

    let known = parliament.proposal(0, vec![set("box", "open")], "");
    parliament.request(0, &known).unwrap();
    let (mut far, _task) = parliament.connect(0, Protocol::Http1, 1 << 20);
    let head = format!("POST /gov/requests HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", bytes(&known).len());
    far.write_all(&[head.as_bytes(), &bytes(&known)].concat()).await.unwrap();
    let handed = loop {
        tokio::task::yield_now().await;
        if let Some(requests) = parliament.world.submitted().pop() {
            break requests;
        }
    };
    assert_eq!(handed[0].calls, [bytes(&known)]);
}

#[tokio::test]
async fn a_nodes_status_says_which_settings_an_adapter_refused_after_the_decision() {
    let mut parliament = Parliament::new();
    let id = parliament.propose(0, vec![set("box", "open")]);
    parliament.accept(0, id);
    parliament.accept(1, id);
    let decided = parliament.world.service.government.latest().txid;
    for (at, settings, expected) in [
        (
            decided.seqno.0,
            "open",
            json!([{"adapter": "box", "decided": decided.to_string(), "reason": "a box stays shut"}]),
        ),
        (decided.seqno.0 + 1, "shut", Value::Null),
    ] {
        parliament.world.configure(at, settings);
        let asked = parliament.connect(0, Protocol::Http1, 1 << 20);
        let (mut far, task) = asked;
        far.write_all(b"GET /node/status HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let token = loop {
            tokio::task::yield_now().await;
            if let Some((token, Query::Status)) = parliament.world.queries().pop() {
                break token;
            }
        };
        let (last, committed) = (decided, TxId::new(View(2), decided.seqno));
        let status = Status { id: NodeId(1), role: Role::Leader, view: View(2), leader: None, last, committed };
        parliament.world.answer(token, Ok(QueryAnswer::Status(status)));
        let mut answer = String::new();
        far.read_to_string(&mut answer).await.unwrap();
        task.await.unwrap().unwrap();
        let shown: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(shown["settings_refused"], expected);
    }
}
