//! Members remove nodes while others are not there.

use std::time::Duration;

use synod_node::{Answer, Refusal, StopReason};
use synod_types::{NodeId, View};

use crate::harness::{Cluster, put};
use crate::membership::{
    check, decided, newcomer, other_key, others, removal, run_until_removed, run_until_voter, voters,
};
use crate::organisation::{body, founder_of, network, propose};

/// When it was decided all three were there; one of the two that stay has gone before consensus followed.
#[test]
fn nobody_leaves_before_a_newcomer_has_come_without_whom_nothing_would_commit() {
    for (gone, comes_late) in [(0, false), (0, true), (1, false), (1, true)] {
        let mut cluster = Cluster::new(3);
        let leader = cluster.run_until_leader();
        let [other, dead] = others(&cluster, &[leader])[..] else { panic!("three nodes") };
        let (gone, stays) = if gone == 0 { (leader, other) } else { (other, leader) };
        let add = newcomer(&mut cluster, 4);
        propose(&mut cluster, leader, 50, vec![removal(gone), add]);
        let ballot = founder_of(&cluster).accept_last(&cluster, leader);
        cluster.stop(dead);
        let entries = cluster.entries(other);
        cluster.submit_governance(leader, 1_000, 51, ballot);
        cluster.run_until_filed(other, entries);
        // Whoever is silent for so long counts as gone, and the two elect a leader anew.
        cluster.part(&[leader], &[other]);
        cluster.run_for(Duration::from_secs(3));
        cluster.join();
        if !comes_late {
            cluster.start(NodeId(4));
        }
        if comes_late {
            cluster.run_for(Duration::from_secs(50));
            assert_eq!(cluster.circles[&stays], [1, 2, 3, 4].map(NodeId).into(), "all have a part until it comes");
            cluster.start(NodeId(4));
        }
        run_until_voter(&mut cluster, NodeId(4));
        run_until_removed(&mut cluster, gone);
        let leader = cluster.run_until_one_leads(&[stays, NodeId(4)], View(0));
        cluster.write(leader, 1, put(1, "without the third")).unwrap();
        cluster.start(dead);
        cluster.run_idle();
        let now = [stays.0, dead.0, 4];
        assert_eq!(check(&mut cluster, &now, 2), voters(&now));
        assert_eq!(cluster.circles[&stays], now.map(NodeId).into());
    }
}

/// The answer to a ballot that would decide what consensus could not go on after.
fn assert_too_few(answer: &Result<Answer, Refusal>, few: &str) {
    let (status, text) = body(answer);
    assert_eq!((status, text.contains("TooFewNodesAnswer"), text.contains(few)), (503, true, true), "{text}");
}

/// Members add nodes under wrong keys, then remove the real ones: by number enough stay.
#[test]
fn nodes_are_not_removed_for_newcomers_that_have_never_come_until_these_come() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let adds = (4..=7).map(|slot| newcomer(&mut cluster, slot)).collect();
    decided(&mut cluster, leader, 0, adds);
    propose(&mut cluster, leader, 50, [1, 2, 3].map(|slot| removal(NodeId(slot))).into());
    let founder = founder_of(&cluster);
    let ballot = founder.accept_last(&cluster, leader);
    let before = cluster.status(leader).last;
    for _ in 0..2 {
        assert_too_few(&cluster.govern(leader, founder.id(), 51, ballot.clone()), "none of the nodes that decide now");
        assert_eq!(cluster.status(leader).last, before);
    }
    cluster.write(leader, 1, put(1, "gone on")).unwrap();
    // One of them is there.
    cluster.start(NodeId(4));
    run_until_voter(&mut cluster, NodeId(4));
    let answer = cluster.govern(leader, founder.id(), 51, ballot);
    assert!(body(&answer).1.contains("Accepted"), "{answer:?}");
    (1..=3).for_each(|slot| run_until_removed(&mut cluster, NodeId(slot)));
    (5..=7).for_each(|slot| cluster.start(NodeId(slot)));
    (5..=7).for_each(|slot| run_until_voter(&mut cluster, NodeId(slot)));
    assert_eq!(check(&mut cluster, &[4, 5, 6, 7], 2), voters(&[4, 5, 6, 7]));
}

#[test]
fn nodes_that_are_down_are_removed_before_those_that_answer() {
    for by_key in [false, true] {
        let mut cluster = Cluster::new(3);
        let leader = cluster.run_until_leader();
        let [other, dead] = others(&cluster, &[leader])[..] else { panic!("three nodes") };
        let action = if by_key { other_key(&mut cluster, other) } else { removal(other) };
        propose(&mut cluster, leader, 50, vec![action]);
        let founder = founder_of(&cluster);
        let ballot = founder.accept_last(&cluster, leader);
        cluster.stop(dead);
        cluster.run_for(Duration::from_secs(3));
        let few = if by_key {
            "3 nodes that decide now and would stay, 1 answer"
        } else {
            "2 nodes that decide now and would stay, 1 answer"
        };
        assert_too_few(&cluster.govern(leader, founder.id(), 51, ballot.clone()), few);
        // Of those that stay both are there.
        decided(&mut cluster, leader, 0, vec![removal(dead)]);
        cluster.write(leader, 1, put(1, "two of two")).unwrap();
        let add = newcomer(&mut cluster, 4);
        cluster.start(NodeId(4));
        decided(&mut cluster, leader, 1, vec![add]);
        run_until_voter(&mut cluster, NodeId(4));
        let answer = cluster.govern(leader, founder.id(), 51, ballot);
        assert!(body(&answer).1.contains("Accepted"), "{answer:?}");
        cluster.run_for(Duration::from_secs(3));
        if by_key {
            assert_eq!(cluster.stop_reason(other), Some(StopReason::CredentialReplaced { node: other }));
            cluster.start(other);
            assert_eq!(check(&mut cluster, &[leader.0, other.0, 4], 2), voters(&[leader.0, other.0, 4]));
        } else {
            assert_eq!(check(&mut cluster, &[leader.0, 4], 2), voters(&[leader.0, 4]));
        }
    }
}

#[test]
fn a_network_of_one_or_two_nodes_is_told_to_add_one_before_it_gives_a_node_another_key() {
    for nodes in [1, 2] {
        let mut cluster = Cluster::new(nodes);
        let leader = cluster.run_until_leader();
        let action = other_key(&mut cluster, NodeId(1));
        let founder = founder_of(&cluster);
        let proposal = founder.propose(network(&cluster, leader), 50, vec![action]);
        let (status, text) = body(&cluster.govern(leader, founder.id(), 50, proposal));
        assert_eq!((status, text.contains("TooFewNodesStay"), text.contains("add nodes first")), (422, true, true));
    }
}
