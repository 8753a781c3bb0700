//! Receipts and linearizable reads: how many at once, and how long.

use synod_node::{CLIENT_READS_AT_ONCE_MAX, CLIENT_READS_WAITING_MAX, PATIENCE, Query, QueryAnswer, Refusal};

use crate::harness::{Cluster, put};

#[test]
fn many_receipts_are_read_few_at_a_time_and_what_is_too_much_is_refused() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.run_until_leader();
    let txids: Vec<_> = (0..20).map(|id| cluster.write(leader, id, put(7, "proved")).unwrap().txid).collect();
    let most = CLIENT_READS_AT_ONCE_MAX + CLIENT_READS_WAITING_MAX;
    let asked: Vec<_> = txids.iter().copied().cycle().take(most + 100).collect();
    let queries: Vec<_> = asked.iter().map(|txid| Query::Receipt(*txid)).collect();
    let answers = cluster.query_many(leader, &queries);
    assert_eq!(cluster.reads_at_once, CLIENT_READS_AT_ONCE_MAX);
    let refused = answers.iter().filter(|answer| **answer == Err(Refusal::TooManyPending)).count();
    assert_eq!(refused, 100);
    for (txid, answer) in asked.into_iter().zip(answers).take(most) {
        let Ok(QueryAnswer::Receipt(receipt)) = answer else { panic!("no receipt") };
        cluster.verify_receipt(&receipt, txid);
    }
}

#[test]
fn a_retry_that_finds_no_room_to_be_looked_up_is_not_told_that_nothing_was_done() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.run_until_leader();
    let first = cluster.write(leader, 1, put(7, "done")).unwrap();
    let receipts = vec![Query::Receipt(first.txid); CLIENT_READS_AT_ONCE_MAX + CLIENT_READS_WAITING_MAX];
    cluster.ask_many(leader, &receipts);
    cluster.submit(leader, u64::MAX, 1, put(7, "done"));
    assert_eq!(cluster.answer(u64::MAX), Err(Refusal::NoLeader));
    cluster.run_idle();
    assert_eq!(cluster.write(leader, 1, put(7, "done")), Ok(first));
}

/// No leader is heard, so the engine never confirms the read.
#[test]
fn a_linearizable_read_without_a_leader_is_refused_in_time_and_others_are_served_later() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let answer = cluster.write(leader, 1, put(7, "fresh")).unwrap();
    cluster.run_idle();
    let [one, other] = cluster.nodes().filter(|node| *node != leader).collect::<Vec<_>>()[..] else { panic!() };
    cluster.part(&[one], &[leader, other]);
    let asked_at = cluster.now();
    assert_eq!(cluster.query(one, Query::ReadIndex), Err(Refusal::NoLeader));
    let waited = cluster.now().since(asked_at);
    assert!(waited >= PATIENCE && waited < 2 * PATIENCE, "{waited:?}");
    cluster.join();
    assert_eq!(cluster.query(one, Query::ReadIndex), Ok(QueryAnswer::ReadIndex(answer.txid)));
}
