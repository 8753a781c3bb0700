//! What becomes of requests and of leadership where nodes' clocks differ.

use std::time::Duration;

use synod_node::WINDOW;

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
