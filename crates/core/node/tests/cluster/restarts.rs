//! Restarts from a disk as a crash leaves it, and from one that the host rolled back.

use std::time::Duration;

use synod_node::{Query, QueryAnswer, Refusal, StartError, StopReason, TxStatus};
use synod_types::{NodeId, View};

use crate::harness::disks::Image;
use crate::harness::{Cluster, put};

fn others(cluster: &Cluster, than: &[NodeId]) -> Vec<NodeId> {
    cluster.nodes().filter(|node| !than.contains(node)).collect()
}

/// Lets `apart` reach nobody, each other neither, and all others everyone else.
fn isolate(cluster: &mut Cluster, apart: &[NodeId]) {
    cluster.join();
    for node in apart {
        cluster.part(&[*node], &(1..=5).map(NodeId).filter(|other| other != node).collect::<Vec<_>>());
    }
}

/// A leader of a later view replaces entries that a node acknowledged by ones of an earlier view, of which a crash
/// leaves only those: the log then ends in an earlier view than was acknowledged. When the node has since been in
/// another view nothing tells of the replacement any more. The leader that saw the acknowledgement still lives.
#[test]
fn an_honest_node_whose_log_ends_in_an_earlier_view_than_it_acknowledged_is_let_in() {
    let mut cluster = Cluster::new(5);
    let first = cluster.run_until_leader();
    cluster.write(first, 1, put(1, "everywhere")).unwrap();
    cluster.run_idle();
    let base = cluster.entries(first);

    // The first leader and a friend hold two blocks that nobody else does.
    let friend = others(&cluster, &[first])[0];
    let majority = others(&cluster, &[first, friend]);
    cluster.part(&[first, friend], &majority);
    for key in [2, 3] {
        cluster.ask(first, put(key, "of an early view"));
        cluster.run_for(Duration::from_millis(20));
    }
    assert_eq!(cluster.entries(friend), base + 2);

    // A second leader is elected by the others; one of them acknowledges its first entries, and one lacks them.
    let second = cluster.run_until_one_leads(&majority, View(0));
    let later = cluster.status(second).view;
    let [node, lacking] = others(&cluster, &[first, friend, second])[..] else { panic!("five nodes") };
    cluster.part(&[second], &[lacking]);
    cluster.run_for(Duration::from_millis(20));
    assert_eq!(cluster.disk_end(node), (base + 2, later));
    assert_eq!(cluster.entries(lacking), base);

    // A third leader, with the early blocks, replaces what the node acknowledged; it crashes half-way.
    isolate(&mut cluster, &[second, node]);
    let third = cluster.run_until_one_leads(&[first, friend], later);
    cluster.run_idle();
    cluster.crash_in_next_append(node, 2);
    isolate(&mut cluster, &[second]);
    cluster.run_until_down(node);
    let (index, view) = cluster.disk_end(node);
    assert!(index == base + 2 && view < later, "entry {index} of view {view}");

    // It comes back, and crashes again when it has voted in another view.
    cluster.crash_in_next_append(node, 0);
    isolate(&mut cluster, &[second, third]);
    cluster.start(node);
    cluster.run_until_down(node);
    assert_eq!(cluster.disk_end(node), (index, view));

    cluster.start(node);
    isolate(&mut cluster, &[]);
    cluster.run_idle();
    assert_eq!(cluster.stop_reason(node), None);
    let answer = cluster.write(node, 9, put(9, "after all")).unwrap();
    cluster.run_idle();
    for node in (1..=5).map(NodeId) {
        assert_eq!(cluster.status(node).committed, answer.txid, "node {node}");
        assert_eq!(cluster.read(node, 2), Some("of an early view".into()));
    }
}

/// A leader, a follower and the follower's image, which lacks a block that the follower has acknowledged in the view
/// of the image.
fn with_an_old_image(nodes: u64, place: usize) -> (Cluster, NodeId, NodeId, Image) {
    let mut cluster = Cluster::new(nodes);
    let leader = cluster.run_until_leader();
    cluster.write(leader, 1, put(1, "before")).unwrap();
    cluster.run_idle();
    let follower = others(&cluster, &[leader])[place];
    let image = cluster.image(follower);
    cluster.write(leader, 2, put(1, "after")).unwrap();
    (cluster, leader, follower, image)
}

#[test]
fn a_follower_that_was_rolled_back_within_its_view_is_refused_whichever_it_is() {
    for (nodes, place) in [(3, 0), (3, 1), (5, 0), (5, 1), (5, 2), (5, 3)] {
        let (mut cluster, _, follower, image) = with_an_old_image(nodes, place);
        cluster.run_idle();
        cluster.start_from(follower, image).unwrap();
        cluster.run_until_down(follower);
        let reason = cluster.stop_reason(follower);
        assert!(matches!(reason, Some(StopReason::DiskRolledBack { node, .. }) if node == follower), "{reason:?}");
    }
}

#[test]
fn a_roll_back_is_noticed_though_the_leader_that_saw_the_acknowledgement_is_gone() {
    let (mut cluster, leader, follower, image) = with_an_old_image(3, 0);
    cluster.run_idle();
    cluster.stop(leader);
    let witness = others(&cluster, &[follower])[0];
    cluster.start_from(follower, image).unwrap();
    cluster.run_until_down(follower);
    let reason = cluster.stop_reason(follower);
    assert!(
        matches!(reason, Some(StopReason::DiskRolledBack { node, witness: by, .. }) if (node, by) == (follower, witness)),
        "{reason:?}"
    );
}

/// The node ended before it told its peers how far it was, and so did the leader that knew; it told them when it
/// started again.
#[test]
fn a_node_that_starts_tells_what_it_had_no_time_to_tell() {
    let (mut cluster, leader, follower, image) = with_an_old_image(3, 0);
    cluster.stop(leader);
    let own = cluster.image(follower);
    cluster.start_from(follower, own).unwrap();
    cluster.run_for(Duration::from_millis(1));
    cluster.start_from(follower, image).unwrap();
    cluster.run_until_down(follower);
    assert!(matches!(cluster.stop_reason(follower), Some(StopReason::DiskRolledBack { .. })));
}

#[test]
fn a_leader_that_was_rolled_back_within_its_own_view_is_refused() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    cluster.write(leader, 1, put(1, "before")).unwrap();
    cluster.run_idle();
    let image = cluster.image(leader);
    cluster.write(leader, 2, put(1, "after")).unwrap();
    cluster.run_idle();
    cluster.start_from(leader, image).unwrap();
    cluster.run_until_down(leader);
    assert!(matches!(cluster.stop_reason(leader), Some(StopReason::DiskRolledBack { .. })));
}

/// The leader alone has seen the acknowledgement and is cut off at once: the others cannot know. When it is heard
/// again, the node has long gone on in another view, and is found out all the same.
#[test]
fn a_roll_back_is_noticed_when_the_only_witness_is_heard_late() {
    let (mut cluster, leader, follower, image) = with_an_old_image(3, 0);
    let third = others(&cluster, &[leader, follower])[0];
    cluster.part(&[leader], &[follower, third]);
    let view = cluster.status(leader).view;
    cluster.start_from(follower, image).unwrap();
    cluster.run_until_one_leads(&[follower, third], view);
    cluster.run_idle();
    assert_eq!(cluster.stop_reason(follower), None, "nobody could know");
    cluster.join();
    cluster.run_until_down(follower);
    assert!(matches!(cluster.stop_reason(follower), Some(StopReason::DiskRolledBack { .. })));
}

/// The host puts back only one of the two things on its disk.
#[test]
fn an_old_log_beside_a_new_vote_record_is_refused_and_so_is_the_reverse() {
    let (mut cluster, leader, follower, old) = with_an_old_image(3, 0);
    let view = cluster.status(leader).view;
    cluster.stop(leader);
    cluster.run_until_one_leads(&others(&cluster, &[]), view);
    cluster.run_idle();
    let new = cluster.image(follower);
    let mixed = cluster.start_from(follower, Image { log: old.log.clone(), vote: new.vote.clone() });
    assert!(matches!(mixed, Err(StartError::LogRolledBack { node, .. }) if node == follower), "{mixed:?}");
    let mixed = cluster.start_from(follower, Image { log: new.log.clone(), vote: old.vote });
    assert!(matches!(mixed, Err(StartError::VoteRecordRolledBack { node, .. }) if node == follower), "{mixed:?}");
    cluster.start_from(follower, new).unwrap();
    cluster.run_until_leader();
}

/// Its host alone could say so.
#[test]
fn a_node_that_starts_says_of_no_transaction_that_it_is_committed_until_its_peers_confirm_its_disk() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let txid = cluster.write(leader, 1, put(1, "committed")).unwrap().txid;
    cluster.run_idle();
    let node = others(&cluster, &[leader])[0];
    cluster.part(&[node], &others(&cluster, &[node]));
    cluster.restart(node);
    cluster.run_for(Duration::from_secs(3));
    for query in [Query::Transaction(txid), Query::Receipt(txid), Query::ReadIndex] {
        assert_eq!(cluster.query(node, query), Err(Refusal::Starting));
    }
    assert!(matches!(cluster.query(node, Query::Status), Ok(QueryAnswer::Status(_))));
    cluster.join();
    cluster.run_for(Duration::from_secs(3));
    let committed = QueryAnswer::Transaction(TxStatus::Committed);
    assert_eq!(cluster.query(node, Query::Transaction(txid)), Ok(committed));
    assert!(cluster.query(node, Query::Receipt(txid)).is_ok());
}
