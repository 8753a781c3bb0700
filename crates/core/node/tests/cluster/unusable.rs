//! A leader whose blocks nobody can use.

use std::time::Duration;

use synod_node::Role;

use crate::harness::{Cluster, put};

#[test]
fn a_leader_whose_blocks_nobody_can_check_gives_way_and_writes_go_on() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    cluster.write(leader, 1, put(7, "short")).unwrap();
    cluster.garbled = Some(leader);
    let long = "long ".repeat(2_000);
    let began = cluster.now();
    cluster.write(leader, 2, put(7, &long)).unwrap();
    assert!(cluster.now().since(began) < Duration::from_secs(3), "{:?}", cluster.now());
    assert_ne!(cluster.status(leader).role, Role::Leader);
    cluster.run_for(Duration::from_secs(1));
    for node in cluster.nodes() {
        assert_eq!(cluster.read(node, 7).as_ref(), Some(&long), "node {node}");
    }
}
