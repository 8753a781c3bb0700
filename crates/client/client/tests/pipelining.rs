//! Many requests in flight on one connection, against a server in this process.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::Ordering;

use common::{Authority, Deed, Server, World};
use synod_client::{Client, Connection, Link, LinkError, Request, tls_config};

fn echo() -> impl Fn(&common::Seen) -> Deed {
    |seen| Deed::Answer(200, "synod-txid: 2.7\r\n", seen.body.clone())
}

#[tokio::test]
async fn a_thousand_requests_in_flight_get_their_own_answers_in_order() {
    // The server answers nothing until the last request has come, so all of them must be in flight at once.
    let world = World::new();
    let server = Server::start(&world, |seen| match seen.body == b"999" {
        true => Deed::Answer(200, "", seen.body.clone()),
        false => Deed::Keep(seen.body.clone()),
    })
    .await;
    let network = world.network(&[&server]);
    let tls = tls_config(&network.service, &network.identity).unwrap();
    let mut link = Link::connect(server.address, &tls).await.unwrap();
    for number in 0..1000 {
        link.push(&Request::put("/app/log/1", number.to_string()));
    }
    let mut answers = Vec::new();
    while link.in_flight() > 0 {
        link.exchange().await.unwrap();
        while let Some(response) = link.next_response().unwrap() {
            answers.push(String::from_utf8(response.body.to_vec()).unwrap());
        }
    }
    assert_eq!(answers, (0..1000).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn tasks_that_share_a_connection_each_get_their_own_answer() {
    let world = World::new();
    let server = Server::start(&world, echo()).await;
    let network = world.network(&[&server]);
    let tls = tls_config(&network.service, &network.identity).unwrap();
    let connection = Connection::open(server.address, &tls).await.unwrap();
    let tasks: Vec<_> = (0..200)
        .map(|number: u32| {
            let connection = connection.clone();
            let body = vec![u8::try_from(number).unwrap(); 1 + number as usize * 300];
            tokio::spawn(async move {
                let response = connection.send(Request::post("/x", body.clone())).await.unwrap();
                assert_eq!(response.body, body);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(connection.load(), 0);
}

#[tokio::test]
async fn requests_and_answers_larger_than_every_buffer_do_not_lock_up() {
    let world = World::new();
    let server = Server::start(&world, echo()).await;
    let network = world.network(&[&server]);
    let tls = tls_config(&network.service, &network.identity).unwrap();
    let mut link = Link::connect(server.address, &tls).await.unwrap();
    let body = vec![7; 5 << 20];
    for _ in 0..4 {
        link.push(&Request::post("/x", body.clone()));
    }
    let mut answered = 0;
    while link.in_flight() > 0 {
        link.exchange().await.unwrap();
        while let Some(response) = link.next_response().unwrap() {
            assert_eq!(response.body, body);
            answered += 1;
        }
    }
    assert_eq!(answered, 4);
}

#[tokio::test]
async fn a_lost_connection_fails_every_request_in_flight_and_the_next() {
    let world = World::new();
    let server = Server::start(&world, |seen| match seen.body.is_empty() {
        true => Deed::Ignore,
        false => Deed::Close,
    })
    .await;
    let network = world.network(&[&server]);
    let tls = tls_config(&network.service, &network.identity).unwrap();
    let connection = Connection::open(server.address, &tls).await.unwrap();
    let (one, two) = tokio::join!(connection.send(Request::get("/x")), connection.send(Request::post("/x", "close")));
    assert!(matches!((one, two), (Err(_), Err(_))));
    assert!(matches!(connection.send(Request::get("/x")).await, Err(LinkError::Closed)));
    assert!(!connection.is_open());
}

#[tokio::test]
async fn a_server_that_the_service_did_not_sign_is_not_talked_to() {
    let world = World::new();
    let other = Authority::new("another service");
    let server = Server::start_signed_by(&other, &world, echo()).await;
    let network = world.network(&[&server]);
    let tls = tls_config(&network.service, &network.identity).unwrap();
    assert!(matches!(Link::connect(server.address, &tls).await, Err(LinkError::NotConnected { .. })));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_write_lost_with_its_node_is_sent_to_the_next_under_the_same_id() {
    let world = World::new();
    let dead = Server::start(&world, |_| Deed::Close).await;
    let busy = Server::start(&world, |_| {
        Deed::Answer(503, "", br#"{"error":{"code":"NoLeader","message":"no leader answered in time"}}"#.to_vec())
    })
    .await;
    let live = Server::start(&world, echo()).await;
    let client = Client::new(world.network(&[&dead, &busy, &live])).unwrap();
    let response = client.send(Request::put("/app/log/1", "once")).await.unwrap();
    assert_eq!((response.status, &response.body[..]), (200, &b"once"[..]));
    let ids: Vec<_> = [&dead, &busy, &live]
        .iter()
        .map(|server| server.seen().iter().map(|seen| seen.header("synod-request-id").unwrap().to_owned()).collect())
        .collect::<Vec<Vec<String>>>();
    assert_eq!(ids[0].len(), 1);
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
}

#[tokio::test]
async fn a_client_asks_for_all_that_it_was_shown_and_gives_up_in_time() {
    let world = World::new();
    let server = Server::start(&world, echo()).await;
    let client = Client::new(world.network(&[&server])).unwrap();
    client.send(Request::put("/app/log/1", "a")).await.unwrap();
    client.send(Request::get("/app/log/1")).await.unwrap();
    let seen = server.seen();
    assert_eq!((seen[0].header("synod-at-least"), seen[1].header("synod-at-least")), (None, Some("2.7")));
    assert_eq!(seen[1].header("synod-request-id"), None);

    let silent = Server::start(&world, |_| Deed::Ignore).await;
    let options = synod_client::ClientOptions {
        answer_within: std::time::Duration::from_millis(50),
        retry_for: std::time::Duration::from_millis(200),
        ..Default::default()
    };
    let client = Client::with_options(world.network(&[&silent]), options).unwrap();
    let error = client.send(Request::get("/x")).await.unwrap_err();
    assert!(error.to_string().starts_with("no node answered within 200ms; the last one asked was node 1"), "{error}");
}

#[tokio::test]
async fn what_became_of_a_transaction_is_asked_until_it_is_final() {
    let world = World::new();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(&world, move |seen| {
        assert!(seen.head.starts_with("GET /node/tx/2.7 "), "{}", seen.head);
        let status = ["Unknown", "Pending", "Committed"][asked.fetch_add(1, Ordering::Relaxed)];
        Deed::Answer(200, "", format!(r#"{{"status":"{status}"}}"#).into_bytes())
    })
    .await;
    let client = Client::new(world.network(&[&server])).unwrap();
    assert_eq!(client.outcome("2.7".parse().unwrap()).await.unwrap(), synod_client::Outcome::Committed);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_refused_receipt_says_why_and_what_to_do() {
    let world = World::new();
    let refusal = br#"{"error":{"code":"NotCommitted","message":"the transaction is not committed","hint":"wait"}}"#;
    let server = Server::start(&world, |_| Deed::Answer(404, "", refusal.to_vec())).await;
    let client = Client::new(world.network(&[&server])).unwrap();
    let error = client.receipt("2.7".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), "node 1 refused: the transaction is not committed (NotCommitted, status 404)");
    assert_eq!(error.hint(), "wait");
}

#[tokio::test]
async fn a_reused_request_id_is_told_by_its_code_and_not_sent_again() {
    let world = World::new();
    let refusal = br#"{"error":{"code":"RequestIdReused","message":"the id was used for another request","hint":"x"}}"#;
    let server = Server::start(&world, |_| Deed::Answer(422, "", refusal.to_vec())).await;
    let client = Client::new(world.network(&[&server])).unwrap();
    let response = client.send(Request::put("/app/log/1", "other")).await.unwrap();
    assert!(!response.is_success());
    assert_eq!(response.summary(), "the id was used for another request (RequestIdReused, status 422)");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_client_for_governance_names_it_and_reads_what_the_one_for_applications_wrote() {
    let world = World::new();
    let server = Server::start(&world, |_| Deed::Answer(200, "synod-txid: 2.7\r\n", vec![])).await;
    let client = Client::new(world.network(&[&server])).unwrap();
    client.send(Request::put("/app/log/1", "x")).await.unwrap();
    client.governance().send(Request::get("/gov/constitution")).await.unwrap();
    let [written, read] = &server.seen()[..] else { panic!("two requests") };
    assert_eq!(written.name, None);
    assert_eq!(read.name.as_deref(), Some(synod_types::GOVERNANCE_NAME));
    assert_eq!(read.header("synod-at-least"), Some("2.7"));
}
