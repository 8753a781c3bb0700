//! Leaders that are lost, deposed, deaf, asleep or wrong about the time.

use synod_node::Role;
use synod_sim::scenario::calm;

use crate::parted::{Parted, parted};
use crate::{ONE, OTHER};

#[test]
fn a_cluster_without_faults_serves_everyone() {
    for nodes in [1, 3, 5] {
        let mut world = calm(nodes);
        world.await_leader();
        world.end_well();
    }
}

#[test]
fn a_deposed_leaders_block_may_commit_under_its_successor() {
    // The followers hold the block, the leader never hears so, and one of them is elected.
    let mut world = calm(3);
    let leader = world.await_leader();
    let view = world.status(leader).unwrap().view;
    let deaf: Vec<_> = world.others(leader).into_iter().map(|other| (other, leader)).collect();
    world.block(&deaf);
    let held = world.synced(leader);
    let request = world.ask_at(ONE, leader);
    world.run_to("both followers hold the block", |world| {
        world.others(leader).iter().all(|node| world.synced(*node) > held)
    });
    world.isolate(leader);
    world.await_successor(leader);
    world.run_for(1_000_000);
    assert_eq!(world.answer(request), None, "only the deposed leader knows who waits");
    world.rejoin(leader);
    assert_eq!(world.await_answer(request).txid.view, view, "the block keeps its view");
    assert!(world.final_probes().committed_by_successors > 0);
    world.end_well();
}

#[test]
fn a_leader_whose_clock_is_minutes_ahead_is_replaced_and_writes_go_on() {
    for nodes in [3, 5] {
        let mut world = calm(nodes);
        let before = world.await_leader();
        // Leadership is handed to it while its clock is wrong: one that leads already would lose it by the jump.
        let fast = *world.others(before).last().expect("there are others");
        world.set_clock_forward(fast, 300_000_000).unwrap();
        world.run_for(100_000);
        world.shut_down(before).unwrap();
        world.run_to("it leads", |world| world.leader() == Some(fast));
        let led_since = world.now();
        let elsewhere = world.others(fast).into_iter().find(|node| *node != before).expect("a third node");
        let requests = [world.ask_at(ONE, fast), world.ask_at(OTHER, elsewhere)];
        for request in requests {
            world.await_answer(request);
        }
        assert_ne!(world.leader(), Some(fast));
        assert!(world.now().since(led_since) < 5_000_000, "a few election timeouts");
        world.end_well();
    }
}

#[test]
fn a_leader_that_hears_nobody_steps_down_and_never_answers_what_it_could_not_commit() {
    let mut world = calm(5);
    let leader = world.await_leader();
    let deaf: Vec<_> = world.others(leader).into_iter().map(|other| (other, leader)).collect();
    world.block(&deaf);
    let request = world.ask_at(ONE, leader);
    world.run_to("it steps down", |world| world.status(leader).is_some_and(|status| status.role != Role::Leader));
    world.await_successor(leader);
    assert_eq!(world.answer(request), None);
    world.unblock(&deaf);
    world.end_well();
}

#[test]
fn a_leader_that_stood_still_learns_of_its_successor_before_it_answers() {
    // While it stands still another leads and serves; what clients are told stays in order (checked by the world).
    let mut world = calm(3);
    let leader = world.await_leader();
    world.pause(leader, 4_000_000);
    let stale = world.ask_at(ONE, leader);
    let successor = world.await_successor(leader);
    let fresh = world.ask_at(OTHER, successor);
    let told = world.await_answer(fresh).txid;
    world.run_to("the one that stood still follows", |world| {
        world.status(leader).is_some_and(|status| status.role == Role::Follower && status.committed >= told)
    });
    assert!(world.await_answer(stale).txid > told);
    world.end_well();
}

#[test]
fn a_leader_that_stood_still_serves_no_read_by_what_it_knew() {
    // The read waits for it to wake up, and is the first that it looks at: no tick has told it how late it is.
    for pause in 1..=8 {
        let mut world = calm(3);
        let leader = world.await_leader();
        world.pause(leader, pause * 500_000);
        world.read_index_at(leader);
        let (elsewhere, served) = (world.others(leader)[0], pause > 4);
        let request = world.ask_at(ONE, elsewhere);
        world.run_for(pause * 500_000 - 1);
        assert!(!served || world.answer(request).is_some(), "another leads and serves meanwhile");
        world.run_for(1_000_000);
        assert!(world.probes().read_indexes > 0);
        world.end_well();
    }
}

#[test]
fn a_leader_that_is_asked_to_stop_hands_over_and_nobody_waits_for_an_election() {
    let mut world = calm(3);
    let leader = world.await_leader();
    world.shut_down(leader).unwrap();
    let asked_at = world.now();
    world.await_successor(leader);
    let least_election_timeout = 500_000;
    assert!(world.now().since(asked_at) < least_election_timeout, "a hand-over is no election after a silence");
    world.end_well();
}

#[test]
fn two_nodes_lost_at_once_stop_the_cluster_and_their_return_lets_it_go_on() {
    let mut world = calm(3);
    let leader = world.await_leader();
    let survivor = world.others(leader)[0];
    let lost: Vec<_> = world.nodes().iter().copied().filter(|node| *node != survivor).collect();
    for node in &lost {
        world.crash_for(*node, 4_000_000);
    }
    let request = world.ask_at(ONE, survivor);
    world.run_for(3_900_000);
    assert_eq!(world.answer(request), None, "one of three decides nothing");
    world.await_answer(request);
    world.end_well();
}

#[test]
fn entries_of_an_earlier_view_on_a_quorums_disks_are_not_committed_by_that() {
    // Raft's Figure 8: the first leader leads again and brings its old entries to a third disk, but nothing of its new
    // view, and is lost. Who holds entries of the view between may win then, and replaces what lay on three disks.
    let Parted { mut world, first, second, others: [node, third], .. } = parted();
    let (committed, acknowledged) = (world.committed().len() as u64, world.synced_view(node));
    world.part(&first, &[third], false);
    world.run_to("the first leader has a quorum again", |world| {
        world.leader().is_some_and(|leader| first.contains(&leader) && world.synced_view(leader) > acknowledged)
            && world.synced(third).0 > committed
    });
    let no_more: Vec<_> = first.iter().map(|node| (*node, third)).collect();
    world.block(&no_more);
    world.run_for(100_000);
    let before = world.synced(third);
    assert!(world.synced_view(third) < acknowledged && before.0 > committed);
    assert!(first.iter().all(|node| world.synced(*node) >= before), "three disks hold it");
    for node in first {
        world.crash_for(node, 60_000_000);
    }
    world.part(&[second, node], &[third], false);
    world.run_to("one of the view between leads", |world| {
        world.leader().is_some_and(|leader| [second, node].contains(&leader) && world.synced_view(third) > acknowledged)
    });
    let successor = world.await_leader();
    let fresh = world.ask_at(OTHER, successor);
    world.await_answer(fresh);
    for node in first {
        world.start(node);
    }
    world.end_well();
}
