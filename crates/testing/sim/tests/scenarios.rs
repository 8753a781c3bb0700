//! Single troubles at chosen moments. `SYNOD_SIM_LOG=1` prints what happens.

use synod_node::{BLOCK_TIME_AHEAD_MAX, Role, StopReason};
use synod_sim::World;
use synod_sim::medium::Image;
use synod_sim::sabotage::Sabotage;
use synod_sim::scenario::{calm, sabotaged};
use synod_types::NodeId;

/// Two clients of the tables; client 0 is a stranger.
const ONE: usize = 1;
const OTHER: usize = 2;

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
fn a_request_retried_through_another_node_after_the_leader_is_lost_is_done_once() {
    let mut world = calm(3);
    let leader = world.await_leader();
    let view = world.status(leader).unwrap().view;
    let follower = world.others(leader)[0];
    let held = world.synced(follower);
    let deaf: Vec<_> = world.others(leader).into_iter().map(|other| (other, leader)).collect();
    world.block(&deaf);
    let request = world.ask_at(ONE, leader);
    world.run_to("a follower holds the block", |world| world.synced(follower) > held);
    world.crash_for(leader, 5_000_000);
    world.unblock(&deaf);
    for node in world.others(leader) {
        world.ask_again_at(ONE, request, node);
    }
    assert_eq!(world.await_answer(request).txid.view, view, "the first attempt was done");
    world.end_well();
}

#[test]
fn a_request_forwarded_to_a_lost_leader_goes_to_the_next_without_its_client() {
    let mut world = calm(3);
    let leader = world.await_leader();
    let follower = world.others(leader)[0];
    world.pause(leader, 20_000_000);
    let request = world.ask_at(ONE, follower);
    let asked_at = world.now();
    world.await_answer(request);
    assert!(world.now().since(asked_at) < 2_000_000, "an election, not a client's patience");
    world.end_well();
}

#[test]
fn a_request_retried_at_a_leader_whose_clock_is_far_ahead_of_the_one_before_is_done_once() {
    // Ids are kept for a minute, and the successor's clock is that much ahead but for a moment.
    let mut world = calm(3);
    let leader = world.await_leader();
    let request = world.ask_at(ONE, leader);
    let answer = world.await_answer(request);
    let ahead = BLOCK_TIME_AHEAD_MAX.as_micros() as u64 - 2_000_000;
    for node in world.others(leader) {
        world.set_clock_forward(node, ahead).unwrap();
    }
    world.run_for(1_000_000);
    world.crash_for(leader, 8_000_000);
    let successor = world.await_successor(leader);
    for _ in 0..3 {
        world.run_for(1_000_000);
        let fresh = world.ask_at(OTHER, successor);
        world.await_answer(fresh);
    }
    world.ask_again_at(ONE, request, successor);
    world.run_for(1_000_000);
    // Another answer than the first one's is a violation.
    assert_eq!(world.answer(request), Some(&answer));
    world.end_well();
}

#[test]
fn a_leader_whose_clock_is_minutes_ahead_is_replaced_and_writes_go_on() {
    for nodes in [3, 5] {
        let mut world = calm(nodes);
        let leader = world.await_leader();
        world.set_clock_forward(leader, 300_000_000).unwrap();
        let set_at = world.now();
        let at_the_leader = world.ask_at(ONE, leader);
        let elsewhere = world.ask_at(OTHER, world.others(leader)[0]);
        world.await_answer(elsewhere);
        world.await_answer(at_the_leader);
        assert_ne!(world.leader(), Some(leader));
        assert!(world.now().since(set_at) < 5_000_000, "a few election timeouts");
        world.end_well();
    }
}

#[test]
fn a_request_whose_block_was_lost_with_its_leader_is_done_anew_and_once() {
    let mut world = calm(3);
    let leader = world.await_leader();
    let view = world.status(leader).unwrap().view;
    world.isolate(leader);
    let held = world.synced(leader);
    let request = world.ask_at(ONE, leader);
    world.run_to("the leader alone holds the block", |world| world.synced(leader) > held);
    let successor = world.await_successor(leader);
    world.ask_again_at(ONE, request, successor);
    assert!(world.await_answer(request).txid.view > view);
    world.rejoin(leader);
    world.run_to("the lost block is cut off", |world| world.probes().truncations > 0);
    world.end_well();
}

#[test]
fn a_request_whose_block_was_lost_and_whose_client_gave_up_is_not_taken_for_done() {
    // The same node leads again when the request is made anew: it must not remember its first attempt.
    let mut world = calm(3);
    let leader = world.await_leader();
    let view = world.status(leader).unwrap().view;
    world.isolate(leader);
    let held = world.synced(leader);
    let request = world.ask_at(ONE, leader);
    world.run_to("the leader alone holds the block", |world| world.synced(leader) > held);
    let successor = world.await_successor(leader);
    world.run_for(11_000_000);
    let fresh = world.ask_at(OTHER, successor);
    world.await_answer(fresh);
    world.rejoin(leader);
    world.run_to("the lost block is cut off", |world| world.probes().truncations > 0);
    world.run_for(200_000);
    while world.leader() != Some(leader) {
        let other = world.await_leader();
        world.shut_down(other).unwrap();
        world.run_for(2_000_000);
        world.await_leader();
    }
    world.ask_again_at(ONE, request, leader);
    assert!(world.await_answer(request).txid.view > view);
    world.end_well();
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
fn all_nodes_restarting_together_elect_and_keep_everything() {
    for nodes in [1, 3, 5] {
        let mut world = calm(nodes);
        let leader = world.await_leader();
        let requests: Vec<_> = (0..5).map(|_| world.ask_at(ONE, leader)).collect();
        let answers: Vec<_> = requests.iter().map(|request| world.await_answer(*request)).collect();
        for node in world.nodes().to_vec() {
            world.crash_for(node, 10_000);
        }
        let leader = world.await_leader();
        for (request, answer) in requests.into_iter().zip(answers) {
            // Every one is known again, and answered as before (checked by the world).
            world.ask_again_at(OTHER, request, leader);
            assert_eq!(world.await_answer(request), answer);
        }
        world.end_well();
    }
}

#[test]
fn a_torn_last_record_is_cut_and_nothing_acknowledged_is_lost() {
    // Once for each of some places at which a write can be cut short, header, payload and end mark among them.
    for kept in [1, 4, 47, 48, 49, 200, usize::MAX] {
        let mut world = calm(3);
        let leader = world.await_leader();
        let acknowledged = world.ask_at(ONE, leader);
        world.await_answer(acknowledged);
        world.ask_at(ONE, leader);
        world.run_to("the leader's disk writes", |world| world.unsynced(leader) > 0);
        let kept = kept.min(world.unsynced(leader) - 1);
        world.crash_keeping(leader, kept);
        world.start(leader);
        world.run_to("it takes part again", |world| {
            world.status(leader).is_some_and(|status| status.role != Role::Resuming)
        });
        assert_eq!(world.probes().torn_tails, 1, "{kept} bytes kept");
        world.end_well();
    }
}

#[test]
fn what_a_node_read_back_after_its_process_died_survives_a_loss_of_power() {
    read_back_and_then_without_power(None);
}

#[test]
#[should_panic(expected = "what is committed lies on a quorum's disks")]
fn without_a_sync_at_the_start_it_would_not() {
    read_back_and_then_without_power(Some(Sabotage::SyncsNothingAtStart));
}

/// A record was written and not synced when the process died; the next one acknowledges it, and then the power fails.
/// The leader, whose disk alone would hold the record then, is lost at the same time.
fn read_back_and_then_without_power(sabotage: Option<Sabotage>) {
    let mut world = sabotaged(3, sabotage);
    let leader = world.await_leader();
    let (follower, slow) = (world.others(leader)[0], world.others(leader)[1]);
    world.slow_syncs(slow, 60_000_000);
    let request = world.ask_at(ONE, leader);
    world.run_to("the follower writes and has not synced", |world| world.unsynced(follower) > 0);
    world.kill(follower);
    world.run_for(100_000);
    assert_eq!(world.answer(request), None, "the leader's disk alone holds it");
    world.start(follower);
    let answer = world.await_answer(request);
    world.crash_for(leader, 5_000_000);
    world.lose_power_of(follower);
    world.lose_power_of(slow);
    world.slow_syncs(slow, 1_000);
    world.start(follower);
    world.start(slow);
    world.run_to("it is committed without the one that led", |world| {
        world.status(follower).is_some_and(|status| status.committed >= answer.txid)
    });
    world.end_well();
}

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

/// Two leaders in a row each leave entries on two of five disks; then a third one replaces the second one's on the
/// disk of a node that the second one saw acknowledge them, in two pieces because they are large, and only the first
/// piece arrives. That disk now ends in an entry of an earlier view than what its node once acknowledged, and its vote
/// record speaks of a later election. Returns the world, the node, and its disk before it held any of that.
fn cut_by_one_leader_after_another() -> (World, NodeId, Image) {
    let mut world = calm(5);
    let first = world.await_leader();
    let others = world.others(first);
    let (friend, rest) = (others[0], &others[1..]);
    let images: Vec<_> = rest.iter().map(|node| world.disk_image(*node)).collect();
    world.part(&[first, friend], rest, true);
    let held = world.synced(friend);
    for _ in 0..4 {
        world.ask_large_at(ONE, first);
        world.run_for(20_000);
    }
    world.run_to("two disks hold what one message cannot", |world| world.synced(friend).0 == held.0 + 4);

    let second = world.await_successor(first);
    let [node, third] = rest.iter().copied().filter(|node| *node != second).collect::<Vec<_>>()[..] else {
        panic!("three nodes are left");
    };
    world.part(&[second, node], &[third], true);
    assert_eq!(world.synced_view(third), world.synced_view(node), "nothing of the second leader has arrived");
    let (held, ended) = (world.synced(node), world.synced_view(node));
    world.ask_at(OTHER, second);
    world.run_to("the second leader's entries are on two disks", |world| world.synced(node).0 > held.0 + 2);
    world.run_for(100_000);
    let acknowledged = world.synced_view(node);

    world.part(&[first, friend], &[third], false);
    world.run_to("the first two have a quorum again", |world| {
        world
            .leader()
            .is_some_and(|leader| [first, friend].contains(&leader) && world.synced_view(leader) > acknowledged)
    });
    world.part(&[first, friend, third], &[node], false);
    world.run_to("the first piece has replaced them", |world| world.synced_view(node) == ended);
    world.part(&[first, friend, third], &[node], true);
    let place = rest.iter().position(|one| *one == node).expect("it is one of them");
    (world, node, images[place].clone())
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

#[test]
fn a_follower_that_was_away_for_long_is_brought_up_from_the_ledger() {
    // The leader has restarted meanwhile, so what the follower lacks is no longer in memory.
    let mut world = calm(3);
    let leader = world.await_leader();
    let away = world.others(leader)[0];
    world.isolate(away);
    for _ in 0..20 {
        let request = world.ask_at(ONE, leader);
        world.await_answer(request);
    }
    for node in world.others(away) {
        world.crash_for(node, 10_000);
    }
    world.run_for(5_000_000);
    let lacks = world.committed().len() as u64 - world.synced(away).0;
    assert!(lacks >= 20, "{lacks}");
    world.rejoin(away);
    world.run_to("it is brought up", |world| world.synced(away).0 >= lacks);
    assert!(world.probes().reads_for_peers > 0);
    world.end_well();
}

#[test]
fn a_host_that_hands_over_wrong_records_may_delay_a_follower_and_does_no_other_harm() {
    // Found by seed 68: a leader went on sending what its host had once falsified, for as long as it led.
    let mut world = calm(3);
    let leader = world.await_leader();
    let away = world.others(leader)[0];
    world.crash_for(away, 60_000_000);
    for _ in 0..20 {
        let request = world.ask_at(ONE, leader);
        world.await_answer(request);
    }
    let lacked = world.committed().len() as u64;
    for node in world.nodes().to_vec() {
        world.let_host_lie(node, 1_000_000);
    }
    world.start(away);
    world.run_for(3_000_000);
    assert!(world.probes().reads_for_peers > 0);
    for node in world.nodes().to_vec() {
        world.let_host_lie(node, 0);
    }
    world.run_to("it is brought up", |world| world.synced(away).0 >= lacked);
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
