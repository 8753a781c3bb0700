//! What a leader refuses of governance, when it may be none any more or may seal nothing.

use std::time::Duration;

use synod_governance::{Action, NodeEntry};
use synod_node::{PATIENCE, Refusal, Role};
use synod_types::NodeId;

use crate::harness::{Cluster, put};
use crate::membership::{newcomer, others, removal, run_until_removed, run_until_voter};
use crate::organisation::{Organisation, body, founder_of, network, propose};

/// A cluster that is parted, with a leader on the one side that has not noticed yet that there is one on the other.
fn with_a_deposed_leader() -> (Cluster, NodeId, NodeId) {
    // Which of the two notices first depends on when they are parted.
    for offset in 0..50 {
        let mut cluster = Cluster::new(3);
        let leader = cluster.run_until_leader();
        cluster.run_for(Duration::from_millis(1_000 + 20 * offset));
        let rest = others(&cluster, &[leader]);
        let view = cluster.status(leader).view;
        cluster.part(&[leader], &rest);
        let next = cluster.run_until_one_leads(&rest, view);
        if cluster.status(leader).role == Role::Leader {
            return (cluster, leader, next);
        }
    }
    panic!("a deposed leader always notices first");
}

#[test]
fn a_deposed_leader_does_not_refuse_what_its_successor_would_do() {
    for with_writes in [false, true] {
        let (mut cluster, deposed, next) = with_a_deposed_leader();
        let founder = founder_of(&cluster);
        let line = Organisation::new("Shipping Line", 7);
        let id = network(&cluster, next);
        let add = |name: &str, line: &Organisation| vec![Action::AddParticipant(line.add(name))];
        cluster.govern(next, founder.id(), 1, founder.propose(id, 1, add("Shipping Line", &line))).unwrap();
        let ballot = founder.accept_last(&cluster, next);
        cluster.govern(next, founder.id(), 2, ballot).unwrap();
        cluster
            .govern(
                next,
                founder.id(),
                3,
                founder.propose(id, 2, add("Other Line", &Organisation::new("Other Line", 8))),
            )
            .unwrap();
        let ballot = founder.accept_last(&cluster, next);
        assert_eq!(cluster.status(deposed).role, Role::Leader, "it has heard of nothing");
        if with_writes {
            // What it orders now never commits.
            cluster.submit(deposed, 999, 9, put(1, "nowhere"));
        }
        // By its tables there is no second proposal, and nobody knows the participant.
        cluster.submit_governance(deposed, 1_000, 4, ballot);
        let Action::AddNode(node) = newcomer(&mut cluster, 4) else { panic!("it adds a node") };
        let own = NodeEntry { owner: line.id(), ..node };
        cluster.submit_governance_by(line.id(), deposed, 1_001, line.propose(id, 3, vec![Action::AddNode(own)]));
        cluster.run_until(|cluster| (cluster.status(deposed).role != Role::Leader).then_some(()));
        assert!(!cluster.is_answered(1_000) && !cluster.is_answered(1_001));
        cluster.join();
        let (ballot, proposal) = (cluster.answer(1_000), cluster.answer(1_001));
        assert_eq!(body(&ballot), (200, r#"{"proposal":2,"status":"Accepted"}"#.into()));
        assert_eq!(body(&proposal), (200, r#"{"proposal":3,"status":"Open"}"#.into()));
    }
}

#[test]
fn a_leader_that_hears_nobody_refuses_nothing() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let founder = founder_of(&cluster);
    cluster.run_idle();
    let rest = others(&cluster, &[leader]);
    cluster.part(&[leader], &rest);
    rest.iter().for_each(|node| cluster.stop(*node));
    let asked_at = cluster.now();
    let answer = cluster.govern(leader, founder.id(), 1, bytes::Bytes::from_static(b"\xff"));
    assert_eq!(answer, Err(Refusal::NoLeader));
    assert!(cluster.now().since(asked_at) >= PATIENCE);
}

/// Somebody takes part whom members have removed, and stays until a newcomer comes: nothing is sealed.
#[test]
fn a_retried_decision_about_nodes_is_answered_before_consensus_has_followed_it() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let [other, dead] = others(&cluster, &[leader])[..] else { panic!("three nodes") };
    let add = newcomer(&mut cluster, 4);
    propose(&mut cluster, leader, 50, vec![removal(leader), add]);
    let founder = founder_of(&cluster);
    let ballot = founder.accept_last(&cluster, leader);
    cluster.stop(dead);
    let entries = cluster.entries(other);
    cluster.submit_governance(leader, 1_000, 51, ballot.clone());
    cluster.run_until_filed(other, entries);
    cluster.part(&[leader], &[other]);
    cluster.run_for(Duration::from_secs(3));
    cluster.join();
    // Whoever held it put it to the next leader, which has it from the ledger.
    let answer = cluster.answer(1_000);
    assert!(body(&answer).1.contains("Accepted"), "{answer:?}");
    let before = cluster.now();
    for node in [leader, other] {
        assert_eq!(cluster.govern(node, founder.id(), 51, ballot.clone()), answer, "node {node}");
    }
    assert!(cluster.now().since(before) < Duration::from_secs(1), "at once");
    assert_eq!(cluster.circles[&other], [1, 2, 3, 4].map(NodeId).into(), "all have a part until it comes");
    cluster.start(NodeId(4));
    run_until_voter(&mut cluster, NodeId(4));
    run_until_removed(&mut cluster, leader);
}
