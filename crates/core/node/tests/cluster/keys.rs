//! Nodes get other keys while they, or those that they know, are away.

use synod_governance::{Action, ReplaceNode};
use synod_node::{Refusal, Role, Serving, StartError, StopReason};
use synod_types::{NodeId, View};

use crate::harness::{Cluster, put};
use crate::membership::{check, decided, other_key, others, run_until_voter, voters};

/// The log on its disk ends before the decision and names the old key.
#[test]
fn a_node_whose_key_is_replaced_while_it_is_away_goes_on_with_the_new_one_and_stops_with_the_old() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let down = others(&cluster, &[leader])[0];
    cluster.stop(down);
    let action = other_key(&mut cluster, down);
    decided(&mut cluster, leader, 0, vec![action]);
    cluster.start(down);
    assert_eq!(cluster.serving[&down], Serving::NotYet, "it does not know that it is a node");
    run_until_voter(&mut cluster, down);
    assert_eq!(cluster.serving[&down], Serving::Now);
    assert_eq!(check(&mut cluster, &[1, 2, 3], 1), voters(&[1, 2, 3]));

    let other = others(&cluster, &[leader, down])[0];
    cluster.stop(other);
    let action = other_key(&mut cluster, other);
    decided(&mut cluster, leader, 1, vec![action]);
    cluster.replace_credential(other, other.0 as u8);
    cluster.start(other);
    cluster.run_until_down(other);
    assert_eq!(cluster.stop_reason(other), Some(StopReason::CredentialReplaced { node: other }));
    assert_eq!(cluster.try_start(other), Err(StartError::Credential { node: other }));
}

/// Whatever it hears, it hears from those who hold keys that no list names that it knows.
#[test]
fn a_node_that_was_away_while_all_others_got_other_keys_comes_back() {
    let mut cluster = Cluster::new(5);
    cluster.run_until_leader();
    cluster.run_idle();
    let down = NodeId(5);
    cluster.stop(down);
    for (number, node) in (0..).zip([1, 2, 3, 4].map(NodeId)) {
        let leader = cluster.run_until_leader();
        let action = other_key(&mut cluster, node);
        decided(&mut cluster, leader, number, vec![action]);
        cluster.run_until_down(node);
        cluster.start(node);
        run_until_voter(&mut cluster, node);
        cluster.run_idle();
    }
    cluster.start(down);
    run_until_voter(&mut cluster, down);
    assert_eq!(check(&mut cluster, &[1, 2, 3, 4, 5], 1), voters(&[1, 2, 3, 4, 5]));
}

/// The decision that gives it the key comes later. Until then the network goes on as if it were away.
#[test]
fn what_is_acknowledged_under_a_key_that_no_list_names_does_not_count() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let [other, early] = others(&cluster, &[leader])[..] else { panic!("three nodes") };
    cluster.stop(early);
    let key = cluster.replace_credential(early, 99);
    cluster.start(early);
    cluster.run_idle();
    assert_eq!((cluster.status(early).role, cluster.serving[&early]), (Role::Joining, Serving::NotYet));
    let view = cluster.status(leader).view;
    cluster.stop(other);
    assert_eq!(cluster.write(leader, 1, put(1, "on one disk that counts")), Err(Refusal::NoLeader));
    cluster.start(other);
    let leader = cluster.run_until_one_leads(&[leader, other], view);
    cluster.write(leader, 2, put(2, "on two")).unwrap();

    let action = Action::ReplaceNode(ReplaceNode {
        node: early,
        name: None,
        owner: None,
        public_key: Some(crate::membership::public(&key)),
        address: None,
        code: None,
        platform: None,
    });
    let leader = cluster.run_until_one_leads(&[leader, other], View(0));
    decided(&mut cluster, leader, 0, vec![action]);
    run_until_voter(&mut cluster, early);
    assert_eq!(check(&mut cluster, &[1, 2, 3], 3), voters(&[1, 2, 3]));
}
