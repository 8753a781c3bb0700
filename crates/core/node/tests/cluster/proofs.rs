//! What a session has proved is compared with what members have decided where its request is ordered.

use std::time::Duration;

use synod_governance::Action;
use synod_node::{Proof, Refusal};
use synod_types::{NodeId, Seqno, Time};

use crate::harness::{Cluster, put};
use crate::organisation::{Organisation, decide, founder_of, propose};

fn three() -> (Cluster, NodeId, NodeId) {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let follower = cluster.nodes().find(|node| *node != leader).unwrap();
    // As sessions prove it by the tables of genesis.
    cluster.proof.seqno = Seqno(1);
    (cluster, leader, follower)
}

fn add(name: &str, seed: u8) -> Vec<Action> {
    vec![Action::AddParticipant(Organisation::new(name, seed).add(name))]
}

#[test]
fn a_write_is_ordered_only_if_its_session_was_looked_at_since_actors_last_changed() {
    let (mut cluster, leader, follower) = three();
    cluster.write(leader, 1, put(7, "by genesis")).unwrap();
    cluster.write(follower, 2, put(7, "by genesis")).unwrap();
    let decided = decide(&mut cluster, leader, (3, 4), add("Shipping Line", 7)).unwrap();
    for (node, id) in [(leader, 5), (follower, 6)] {
        assert_eq!(cluster.write(node, id, put(7, "by genesis still")), Err(Refusal::ProveAnew), "{node}");
    }
    assert_eq!(cluster.status(leader).last, decided.txid, "nothing was done");
    cluster.proof.seqno = decided.txid.seqno;
    for (node, id) in [(leader, 5), (follower, 6)] {
        cluster.write(node, id, put(7, "looked at again")).unwrap();
    }
    // A proposal changes nothing on which a session rests.
    propose(&mut cluster, leader, 7, add("Harbour", 8));
    cluster.write(follower, 8, put(7, "as good")).unwrap();
}

#[test]
fn a_write_is_not_ordered_after_the_certificates_of_its_session_have_expired() {
    let (mut cluster, leader, follower) = three();
    cluster.proof.valid_until = cluster.now().after(Duration::from_secs(1));
    cluster.write(follower, 1, put(7, "in time")).unwrap();
    cluster.run_for(Duration::from_secs(2));
    for (node, id) in [(leader, 2), (follower, 3)] {
        assert_eq!(cluster.write(node, id, put(7, "too late")), Err(Refusal::ProveAnew), "{node}");
    }
}

#[test]
fn a_refusal_by_what_is_not_committed_waits_until_it_is() {
    let (mut cluster, leader, follower) = three();
    let founder = founder_of(&cluster);
    propose(&mut cluster, leader, 1, add("Shipping Line", 7));
    let (ballot, filed) = (founder.accept_last(&cluster, leader), cluster.entries(leader));
    let others: Vec<_> = cluster.nodes().filter(|node| *node != leader).collect();
    cluster.part(&[leader], &others);
    cluster.submit_governance(leader, 100, 2, ballot);
    cluster.run_until_filed(leader, filed);
    cluster.submit(leader, 101, 3, put(7, "meanwhile"));
    cluster.run_for(Duration::from_millis(50));
    assert!(!cluster.is_answered(101));
    cluster.unpart();
    let decided = cluster.answer(100).unwrap();
    assert_eq!(cluster.answer(101), Err(Refusal::ProveAnew));
    cluster.run_idle();
    cluster.proof = Proof { seqno: decided.txid.seqno, valid_until: Time(u64::MAX) };
    cluster.write(follower, 3, put(7, "meanwhile")).unwrap();
}
