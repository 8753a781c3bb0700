//! Runs against a node's door in miniature, which loses, refuses or falsifies what it is told to.

use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser;
use tokio::task::LocalSet;

use super::*;
use crate::cli::{Cli, Command};

use crate::test_server::{Deed, Seen, Server, World};

fn args(line: &str) -> BenchLogArgs {
    let line = format!("synod bench log --nodes unused --size 32 --keys 50 {line}");
    match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
        Command::Bench(BenchCommand::Log(args)) => args,
        other => panic!("{other:?}"),
    }
}

/// Runs writes and reads of the log against the servers; the report and the run's workloads.
async fn run_log(world: &World, servers: &[&Server], line: &str) -> (Report, u64) {
    let args = args(line);
    let options = ClientOptions { reads_own_writes: false, ..ClientOptions::default() };
    let client = Client::with_options(world.network(servers), options).unwrap();
    let messages = Messages::new(args.keys, 32);
    let lanes = args.load.connections;
    let loads = (0..lanes).map(|lane| LogLoad::new(messages.clone(), args.reads, lane, lanes)).collect();
    let plan = Plan {
        load: &args.load,
        home: Home::Leader,
        transactions: args.load.transactions,
        depth: 1,
        duration: Some(args.load.duration),
    };
    let run = LocalSet::new().run_until(run::run(&client, plan, loads)).await.unwrap();
    let written = run.workloads.iter().map(|load| load.written).sum();
    (run.report("log"), written)
}

/// Stores nothing, but answers as a node would that stored everything.
fn answer(seen: &Seen) -> Deed {
    let path = seen.head.split(' ').nth(1).unwrap();
    match path.strip_prefix("/app/log/") {
        Some("18446744073709551615") => Deed::Answer(404, "synod-txid: 2.9\r\n", b"{}".to_vec()),
        Some(key) if seen.head.starts_with("GET") => {
            let key = key.parse::<u64>().unwrap() - (1 << 40);
            Deed::Answer(200, "synod-txid: 2.9\r\n", log::message(key, 32).to_vec())
        }
        Some(_) => Deed::Answer(200, "synod-txid: 2.9\r\n", Vec::new()),
        None => {
            let status = r#"{"id":1,"role":"leader","view":2,"last":"2.9","committed":"2.9"}"#;
            Deed::Answer(200, "", status.into())
        }
    }
}

fn is_write(seen: &Seen) -> bool {
    seen.head.starts_with("PUT ")
}

#[tokio::test]
async fn as_many_transactions_as_asked_for_are_sent_each_under_an_id_of_its_own() {
    let world = World::new();
    let server = Server::start(&world, answer).await;
    let (report, written) = run_log(&world, &[&server], "--transactions 500 --depth 32 --connections 3").await;
    assert_eq!((report.transactions, report.errors, written), (500, 0, 500));
    assert!(report.is_right() && report.committed_per_s > 0.0);
    assert!(report.quorum_commit_ms.p50 <= report.quorum_commit_ms.p99);
    assert!(report.all_commit_ms.p50.is_some(), "a sample was asked for at every node");
    let ids: std::collections::BTreeSet<_> = server
        .seen()
        .iter()
        .filter(|seen| is_write(seen))
        .map(|seen| seen.header("synod-request-id").unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 500);
}

#[tokio::test]
async fn reads_are_judged_by_what_was_written() {
    let world = World::new();
    let server = Server::start(&world, answer).await;
    let (report, written) = run_log(&world, &[&server], "--transactions 100 --depth 8 --reads 50").await;
    assert_eq!((report.transactions, report.errors, written), (100, 0, 50));

    let liar = Server::start(&world, |seen| match answer(seen) {
        Deed::Answer(200, headers, body) if seen.head.starts_with("GET /app/log/1099511627779 ") => {
            Deed::Answer(200, headers, body.into_iter().rev().collect())
        }
        deed => deed,
    })
    .await;
    let (report, _) = run_log(&world, &[&liar], "--transactions 50 --depth 8 --reads 100").await;
    assert_eq!((report.transactions, report.errors), (49, 1));
    assert!(!report.is_right());
}

#[tokio::test]
async fn what_a_lost_node_had_in_flight_is_sent_to_the_next_under_the_same_ids() {
    let world = World::new();
    let count = AtomicUsize::new(0);
    let dying = Server::start(&world, move |seen| {
        if is_write(seen) && count.fetch_add(1, Ordering::Relaxed) >= 40 { Deed::Close } else { answer(seen) }
    })
    .await;
    let live = Server::start(&world, answer).await;
    let (report, _) = run_log(&world, &[&dying, &live], "--transactions 200 --depth 16").await;
    assert_eq!((report.transactions, report.errors), (200, 0));
    let ids = |server: &Server| {
        let seen = server.seen();
        let writes = seen.iter().filter(|seen| is_write(seen));
        writes.map(|seen| seen.header("synod-request-id").unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (first, second) = (ids(&dying), ids(&live));
    assert!(second.contains(first.last().unwrap()), "the write that was lost came again");
    let all: std::collections::BTreeSet<_> = first.iter().chain(&second).collect();
    assert_eq!(all.len(), 200);
}

#[tokio::test]
async fn a_node_that_cannot_do_a_write_now_is_asked_again_under_the_same_id() {
    let world = World::new();
    let count = AtomicUsize::new(0);
    let busy = Server::start(&world, move |seen| {
        let is_third = is_write(seen) && count.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
        let refusal = br#"{"error":{"code":"TooManyPending","message":"too many requests are waiting"}}"#;
        if is_third { Deed::Answer(503, "", refusal.to_vec()) } else { answer(seen) }
    })
    .await;
    let (report, written) = run_log(&world, &[&busy], "--transactions 60 --depth 4").await;
    assert_eq!((report.transactions, report.errors, written), (60, 0, 60));
}

#[tokio::test]
async fn a_refusal_is_an_error_and_so_is_an_answer_without_a_transaction() {
    let world = World::new();
    let count = AtomicUsize::new(0);
    let server =
        Server::start(&world, move |seen| match count.fetch_add(usize::from(is_write(seen)), Ordering::Relaxed) {
            7 if is_write(seen) => Deed::Answer(403, "", Vec::new()),
            8 if is_write(seen) => Deed::Answer(200, "", Vec::new()),
            _ => answer(seen),
        })
        .await;
    let (report, _) = run_log(&world, &[&server], "--transactions 20 --depth 1").await;
    assert_eq!((report.transactions, report.errors), (18, 2));
}

#[tokio::test]
async fn a_rate_is_kept_and_latency_counts_from_when_a_transaction_was_due() {
    let world = World::new();
    let server = Server::start(&world, answer).await;
    let (report, _) = run_log(&world, &[&server], "--rate 400 --duration 0.5 --depth 100").await;
    assert!((150..=201).contains(&report.transactions), "{report:?}");
    assert_eq!(report.errors, 0);
}
