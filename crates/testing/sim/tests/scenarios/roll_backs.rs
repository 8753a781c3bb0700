//! Disks that were put back, and crashes that look as if.

use synod_node::{Role, StopReason};
use synod_sim::World;
use synod_sim::medium::Image;
use synod_sim::scenario::calm;
use synod_types::NodeId;

use crate::parted::{Parted, parted};
use crate::{ONE, OTHER};

#[test]
fn a_crash_between_cut_and_write_is_no_roll_back() {
    // A deposed leader's follower acknowledged two blocks that its successor replaces; it crashes when they are cut
    // off and nothing stands in their place. The deposed leader remembers the acknowledgement. Found by seed 4841.
    let mut world = calm(5);
    let leader = world.await_leader();
    let others = world.others(leader);
    let (friend, majority) = (others[0], &others[1..]);
    let apart: Vec<_> =
        [leader, friend].into_iter().flat_map(|a| majority.iter().flat_map(move |b| [(a, *b), (*b, a)])).collect();
    world.block(&apart);
    let held = world.synced(friend);
    world.ask_at(ONE, leader);
    world.run_to("the friend holds a block that cannot commit", |world| world.synced(friend) > held);
    world.run_for(10_000);
    let successor = world.await_successor(leader);
    let fresh = world.ask_at(OTHER, successor);
    world.await_answer(fresh);
    let to_friend: Vec<_> = majority.iter().flat_map(|node| [(friend, *node), (*node, friend)]).collect();
    world.unblock(&to_friend);
    world.run_to("the friend's disk has cut the block off", |world| world.has_just_cut(friend));
    world.crash_keeping(friend, 0);
    world.start(friend);
    world.run_to("it takes part again", |world| {
        world.status(friend).is_some_and(|status| status.role == Role::Follower)
    });
    world.unblock(&apart);
    world.end_well();
}

/// A third leader replaces the second one's entries on the disk of a node that the second one saw acknowledge them, in
/// two pieces because they are large, and only the first piece arrives. That disk now ends in an entry of an earlier
/// view than what its node once acknowledged. Returns the world, the node, and its disk before it held any of that.
fn cut_by_one_leader_after_another() -> (World, NodeId, Image) {
    let Parted { mut world, first, second, others: [node, third], image } = parted();
    let (ended, acknowledged) = (world.synced_view(third), world.synced_view(node));
    world.part(&first, &[third], false);
    world.run_to("the first two have a quorum again", |world| {
        world.leader().is_some_and(|leader| first.contains(&leader) && world.synced_view(leader) > acknowledged)
    });
    assert_ne!(world.leader(), Some(second));
    let majority = [&first[..], &[third]].concat();
    world.part(&majority, &[node], false);
    world.run_to("the first piece has replaced them", |world| world.synced_view(node) == ended);
    world.part(&majority, &[node], true);
    (world, node, image)
}

#[test]
fn a_node_whose_log_one_leader_after_another_cut_is_not_taken_for_rolled_back() {
    let (mut world, node, _) = cut_by_one_leader_after_another();
    // The next election has it write a vote, and no leader's entries reach it after that.
    let others = world.others(node);
    let leader = world.leader().unwrap();
    let view = world.status(leader).unwrap().view;
    world.crash_for(leader, 60_000_000);
    world.part(&others, &[node], false);
    world.run_to("it is asked for its vote", |world| world.status(node).is_some_and(|status| status.view > view));
    world.part(&others, &[node], true);
    world.run_for(100_000);
    world.lose_power_of(node);
    world.start(node);
    world.part(&others, &[node], false);
    world.run_to("it takes part again", |world| world.status(node).is_some_and(|status| status.role != Role::Resuming));
    world.end_well();
}

#[test]
fn a_node_whose_log_one_leader_after_another_cut_is_still_refused_if_it_is_rolled_back() {
    let (mut world, node, image) = cut_by_one_leader_after_another();
    let others = world.others(node);
    world.part(&others, &[node], false);
    world.put_disk_back(node, image);
    world.run_to("it is refused", |world| world.is_refused(node));
    world.end_well();
}

/// A cluster in which `follower` has acknowledged more than `image` holds.
fn with_an_old_image(world: &mut World, leader: NodeId, follower: NodeId) -> Image {
    let first = world.ask_at(ONE, leader);
    world.await_answer(first);
    world.run_for(50_000);
    let image = world.disk_image(follower);
    let held = world.synced(follower);
    let second = world.ask_at(ONE, leader);
    world.await_answer(second);
    world.run_to("the follower acknowledges more", |world| world.synced(follower) > held);
    world.run_for(50_000);
    image
}

#[test]
fn a_rolled_back_disk_is_refused_by_name_and_never_serves() {
    // Whichever of the peers answers first: only the leader saw what the follower acknowledged.
    for nodes in [3, 5] {
        for place in 0..nodes as usize - 1 {
            let mut world = calm(nodes);
            let leader = world.await_leader();
            let follower = world.others(leader)[place];
            let image = with_an_old_image(&mut world, leader, follower);
            world.put_disk_back(follower, image);
            world.run_to("it is refused", |world| world.is_refused(follower));
            let reason = world.refusal(follower).unwrap();
            assert!(
                matches!(reason, StopReason::DiskRolledBack { node, witness, .. } if (node, witness) == (follower, leader)),
                "{reason}"
            );
            world.end_well();
        }
    }
}

#[test]
fn a_disk_rolled_back_behind_a_vote_is_refused_by_name() {
    let mut world = calm(3);
    let leader = world.await_leader();
    let others = world.others(leader);
    let images: Vec<_> = others.iter().map(|node| (*node, world.disk_image(*node))).collect();
    world.crash_for(leader, 60_000_000);
    let successor = world.await_successor(leader);
    let (voter, image) = images.into_iter().find(|(node, _)| *node != successor).unwrap();
    world.run_for(50_000);
    world.put_disk_back(voter, image);
    world.run_to("it is refused", |world| world.is_refused(voter));
    world.start(leader);
    world.end_well();
}

#[test]
fn a_log_to_which_the_host_added_an_entry_of_the_engine_is_refused() {
    // Such entries are not signed; one of a later view would make this node win elections against all others.
    let mut world = calm(3);
    let leader = world.await_leader();
    let request = world.ask_at(ONE, leader);
    world.await_answer(request);
    let follower = world.others(leader)[0];
    world.forge(follower);
    world.run_to("it is refused", |world| world.is_refused(follower));
    world.end_well();
}
