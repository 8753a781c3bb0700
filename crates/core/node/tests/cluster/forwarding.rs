//! Forwarded requests of which a copy or an answer is lost.

use synod_node::Refusal;
use synod_types::NodeId;

use crate::harness::{Cluster, put};

/// A leader, a follower that is connected to it, and a third node.
fn three() -> (Cluster, NodeId, NodeId, NodeId) {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let others: Vec<_> = cluster.nodes().filter(|node| *node != leader).collect();
    (cluster, leader, others[0], others[1])
}

#[test]
fn an_answer_to_a_node_before_its_restart_is_not_taken_for_one_to_a_request_after_it() {
    let (mut cluster, leader, follower, third) = three();
    cluster.stop(third);
    let filed = cluster.entries(leader);
    cluster.submit(follower, 1, 1, put(7, "before"));
    cluster.run_until_filed(leader, filed);
    // The follower has not acknowledged the block, so it commits and is answered only now.
    cluster.restart(follower);
    cluster.submit(follower, 1, 2, put(8, "after"));
    let after = cluster.answer(1).unwrap();
    let before = cluster.write(leader, 1, put(7, "before")).unwrap();
    assert_ne!(after.txid, before.txid);
    assert_eq!(cluster.write(leader, 2, put(8, "after")).unwrap(), after);
}

#[test]
fn a_refusal_is_passed_on_only_if_no_other_copy_of_the_request_may_be_done() {
    let (mut cluster, leader, follower, third) = three();
    assert_eq!(cluster.write_as_stranger(follower, put(7, "a")), Err(Refusal::NotAuthorized));
    // A copy is sent to a leader that nobody hears any more: it might have been done there.
    cluster.part(&[leader], &[follower, third]);
    assert_eq!(cluster.write_as_stranger(follower, put(7, "b")), Err(Refusal::NoLeader));
    assert_eq!(cluster.write_as_stranger(follower, put(7, "b")), Err(Refusal::NotAuthorized));
}
