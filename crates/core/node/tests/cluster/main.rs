//! Small clusters of nodes and workers on an instant network and instant disks: the way of a write, of a retry, of
//! a read, of a restart. Faults of networks and disks are the simulation's business.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod clocks;
mod forwarding;
mod governance;
mod harness;
mod interrupted;
mod keys;
mod membership;
mod organisation;
mod proofs;
mod reads;
mod refused;
mod restarts;
mod rotation;
mod settings;
mod staying;
mod strangers;
mod unusable;

use synod_node::{Query, QueryAnswer, Refusal, Role, TxStatus};
use synod_types::TxId;

use harness::{Cluster, put};

#[test]
fn three_nodes_elect_one_leader_and_commit_a_write_everywhere() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let answer = cluster.write(leader, 1, put(7, "hello")).unwrap();
    assert_eq!(answer.replies[0].status, 200);
    cluster.run_idle();
    for node in cluster.nodes() {
        assert_eq!(cluster.status(node).committed, answer.txid);
        assert_eq!(cluster.read(node, 7), Some("hello".into()), "node {node}");
    }
    assert_eq!(cluster.nodes().filter(|node| cluster.status(*node).role == Role::Leader).count(), 1);
}

#[test]
fn a_single_node_is_its_own_quorum() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.run_until_leader();
    cluster.write(leader, 1, put(7, "alone")).unwrap();
    assert_eq!(cluster.read(leader, 7), Some("alone".into()));
}

#[test]
fn a_follower_forwards_writes_and_answers_them() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let follower = cluster.nodes().find(|node| *node != leader).unwrap();
    let answer = cluster.write(follower, 1, put(7, "through a follower")).unwrap();
    assert!(answer.txid.seqno.0 >= 2);
    assert_eq!(cluster.read(follower, 7), Some("through a follower".into()));
}

#[test]
fn a_retry_under_the_same_id_is_done_once_on_any_node_and_answered_alike() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let first = cluster.write(leader, 9, put(7, "once")).unwrap();
    cluster.write(leader, 10, put(7, "later")).unwrap();
    for node in cluster.nodes().collect::<Vec<_>>() {
        assert_eq!(cluster.write(node, 9, put(7, "once")).unwrap(), first, "node {node}");
    }
    cluster.run_idle();
    assert_eq!(cluster.read(leader, 7), Some("later".into()));
}

#[test]
fn a_request_id_that_was_used_for_another_request_is_refused_by_name_wherever_the_first_one_is() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let reused = Err(Refusal::RequestIdReused);
    let both = cluster.write_at_once(leader, 9, &[put(7, "once"), put(7, "other"), put(7, "once")]);
    let first = both[0].clone().unwrap();
    assert_eq!(both, [Ok(first.clone()), reused.clone(), Ok(first.clone())], "in the same block");
    for node in cluster.nodes().collect::<Vec<_>>() {
        assert_eq!(cluster.write(node, 9, put(7, "other")), reused, "node {node}, from memory");
    }
    cluster.restart(leader);
    let leader = cluster.run_until_leader();
    assert_eq!(cluster.write(leader, 9, put(8, "once")), reused, "at a leader that has it from the ledger");
    assert_eq!(cluster.write(leader, 9, put(7, "once")), Ok(first));
    assert_eq!(cluster.read(leader, 7), Some("once".into()));
}

#[test]
fn an_actor_that_governance_does_not_know_is_refused_at_ordering() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.run_until_leader();
    assert_eq!(cluster.write_as_stranger(leader, put(7, "let me in")), Err(Refusal::NotAuthorized));
    assert_eq!(cluster.read(leader, 7), None);
}

#[test]
fn a_refused_call_takes_no_seqno() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.run_until_leader();
    let before = cluster.write(leader, 1, put(7, "kept")).unwrap();
    let refused = cluster.write(leader, 2, harness::refused_call()).unwrap();
    assert_eq!((refused.replies[0].status, refused.txid), (400, before.txid));
    assert_eq!(cluster.status(leader).last, before.txid);
}

#[test]
fn a_committed_transaction_has_a_status_and_a_receipt_and_others_have_none() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let answer = cluster.write(leader, 1, put(7, "proved")).unwrap();
    let Ok(QueryAnswer::Receipt(receipt)) = cluster.query(leader, Query::Receipt(answer.txid)) else {
        panic!("no receipt")
    };
    cluster.verify_receipt(&receipt, answer.txid);

    let status = |id| QueryAnswer::Transaction(id);
    assert_eq!(cluster.query(leader, Query::Transaction(answer.txid)), Ok(status(TxStatus::Committed)));
    let other_view = TxId { view: synod_types::View(answer.txid.view.0 + 1), ..answer.txid };
    assert_eq!(cluster.query(leader, Query::Transaction(other_view)), Ok(status(TxStatus::Invalid)));
    assert_eq!(cluster.query(leader, Query::Receipt(other_view)), Err(Refusal::NotCommitted));
}

#[test]
fn a_linearizable_read_is_told_the_last_committed_transaction_on_any_node() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let answer = cluster.write(leader, 1, put(7, "fresh")).unwrap();
    for node in cluster.nodes().collect::<Vec<_>>() {
        assert_eq!(cluster.query(node, Query::ReadIndex), Ok(QueryAnswer::ReadIndex(answer.txid)), "node {node}");
    }
}

#[test]
fn a_restarted_node_has_everything_and_takes_part_again() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    for id in 0..20 {
        cluster.write(leader, id, put(u64::from(id), "kept")).unwrap();
    }
    cluster.restart(leader);
    let leader = cluster.run_until_leader();
    let answer = cluster.write(leader, 99, put(99, "after")).unwrap();
    cluster.run_idle();
    for node in cluster.nodes() {
        assert_eq!(cluster.status(node).committed, answer.txid);
        assert_eq!(cluster.read(node, 3), Some("kept".into()));
    }
}

#[test]
fn all_nodes_restarting_together_keep_what_was_acknowledged() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let before = cluster.write(leader, 1, put(7, "kept")).unwrap();
    cluster.restart_all();
    let leader = cluster.run_until_leader();
    assert_eq!(cluster.write(leader, 1, put(7, "kept")).unwrap(), before, "the request is known after the restart");
    assert_eq!(cluster.read(leader, 7), Some("kept".into()));
}

#[test]
fn a_leader_that_is_asked_to_stop_hands_over_and_stops() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    cluster.write(leader, 1, put(7, "kept")).unwrap();
    cluster.shut_down(leader);
    let next = cluster.run_until_leader();
    assert_ne!(next, leader);
    assert_eq!(cluster.write(next, 1, put(7, "kept")).unwrap().replies.len(), 1);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut cluster = Cluster::new(3);
        let leader = cluster.run_until_leader();
        (0..10).for_each(|id| drop(cluster.write(leader, id, put(1, "again"))));
        (cluster.now(), cluster.nodes().map(|node| cluster.status(node)).collect::<Vec<_>>())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_burst_of_writes_gathers_into_few_blocks() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let before = cluster.entries(leader);
    let calls: Vec<_> = (0..500).map(|key| put(key, "one of many")).collect();
    cluster.write_many(leader, &calls);
    assert_eq!(cluster.read(leader, 499), Some("one of many".into()));
    assert_eq!(cluster.entries(leader) - before, 1);
}

/// Together the requests are larger than a message between nodes may be, which the sending node asserts.
#[test]
fn many_large_writes_through_a_follower_travel_in_messages_of_a_fit_size() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let follower = cluster.nodes().find(|node| *node != leader).unwrap();
    let large = "x".repeat(64 << 10);
    let calls: Vec<_> = (0..600).map(|key| put(key, &large)).collect();
    assert!(calls.iter().map(|call| call.len()).sum::<usize>() > synod_types::limits::PEER_MESSAGE_BYTES_MAX);
    cluster.write_many(follower, &calls);
    assert_eq!(cluster.read(follower, 599), Some(large));
}
