//! Requests made again, here and there, while leaders change.

use synod_node::BLOCK_TIME_AHEAD_MAX;
use synod_sim::scenario::calm;

use crate::{ONE, OTHER};

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
