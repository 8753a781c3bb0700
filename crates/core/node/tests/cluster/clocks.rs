//! What becomes of requests and of leadership where nodes' clocks differ.

use std::time::Duration;

use synod_node::{Role, WINDOW};
use synod_types::NodeId;

use crate::harness::{Cluster, put};

#[test]
fn a_retry_is_done_once_although_the_next_leaders_clock_is_a_window_ahead() {
    let (mut cluster, slow) = Cluster::led_by_clock_ahead(3, -(WINDOW.as_secs() as i64) - 10);
    let first = cluster.write(slow, 9, put(7, "once")).unwrap();
    cluster.stop(slow);
    let fast = cluster.run_until_leader();
    // Its time is the fast clock's: the ids of the slow leader's blocks look old.
    cluster.write(fast, 10, put(7, "later")).unwrap();
    assert_eq!(cluster.write(fast, 9, put(7, "once")).unwrap(), first);
    cluster.restart(fast);
    let next = cluster.run_until_leader();
    assert_eq!(cluster.write(next, 9, put(7, "once")).unwrap(), first, "after a restart");
    assert_eq!(cluster.read(next, 7), Some("later".into()));
}

#[test]
fn an_id_is_forgotten_when_a_leader_has_led_for_a_window() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let first = cluster.write(leader, 9, put(7, "once")).unwrap();
    let seconds = WINDOW.as_secs() as u8;
    for second in 0..seconds {
        cluster.run_for(Duration::from_secs(1));
        cluster.write(leader, 100 + second, put(1, "tick")).unwrap();
    }
    assert_eq!(cluster.write(leader, 9, put(7, "once")).unwrap(), first);
    cluster.run_for(Duration::from_secs(1));
    cluster.write(leader, 99, put(1, "tick")).unwrap();
    assert_ne!(cluster.write(leader, 9, put(7, "once")).unwrap(), first);
}

#[test]
fn a_retry_is_done_once_although_the_leaders_clock_was_set_forward() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.run_until_leader();
    let first = cluster.write(leader, 9, put(7, "once")).unwrap();
    cluster.set_clock_forward(leader, 3_600);
    cluster.write(leader, 10, put(7, "later")).unwrap();
    assert_eq!(cluster.write(leader, 9, put(7, "once")).unwrap(), first);
}

#[test]
fn a_leader_whose_clock_is_minutes_ahead_gives_way_and_writes_go_on() {
    let (mut cluster, fast) = Cluster::led_by_clock_ahead(3, 300);
    let follower = cluster.nodes().find(|node| *node != fast).unwrap();
    let began = cluster.now();
    for (id, node) in [(1, follower), (2, fast)] {
        cluster.write(node, id, put(u64::from(id), "gone on")).unwrap();
        // The leader steps down after at most two of its shortest election timeouts; the others' takes at most one of a second.
        assert!(cluster.now().since(began) < Duration::from_secs(3), "through {node}: {:?}", cluster.now());
    }
    assert_ne!(cluster.run_until_leader(), fast);
    cluster.run_for(Duration::from_secs(20));
    assert_ne!(cluster.run_until_leader(), fast, "and it does not come back");
    assert_eq!(cluster.read(fast, 2), Some("gone on".into()), "but follows");
}

#[test]
fn a_follower_whose_clock_is_behind_is_left_behind_alone_and_comes_back_with_its_clock() {
    let leader = Cluster::new(3).run_until_leader();
    let slow = (1..=3).map(NodeId).find(|node| *node != leader).unwrap();
    let mut cluster = Cluster::with_clock(3, slow, -70);
    assert_eq!(cluster.run_until_leader(), leader);
    let first = cluster.write(leader, 1, put(7, "without it")).unwrap();
    cluster.run_for(Duration::from_secs(5));
    assert!(cluster.status(slow).committed < first.txid);
    assert_eq!(cluster.status(leader).role, Role::Leader, "two of three are enough");

    cluster.set_clock_forward(slow, 70);
    cluster.run_for(Duration::from_secs(2));
    assert_eq!(cluster.status(slow).committed, first.txid);
    assert_eq!(cluster.status(slow).leader, cluster.status(leader).leader);
}
