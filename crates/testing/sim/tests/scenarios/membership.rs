//! Members change who takes part while things go wrong.

use synod_sim::scenario::calm_with_newcomers;
use synod_sim::swarm::{Decision, Who};

use crate::{ONE, OTHER};

#[test]
fn every_node_is_replaced_one_after_the_other_while_clients_write_and_nothing_is_lost() {
    let mut world = calm_with_newcomers(3);
    let first = world.await_leader();
    let before = world.listed();
    for _ in 0..3 {
        world.decide(Decision::ReplaceNode { who: Who::Leader });
        let leader = world.leader().unwrap_or(first);
        let request = world.ask_at(ONE, leader);
        world.start_newcomers();
        world.await_decisions();
        let leader = world.await_listed_leader();
        world.ask_again_at(ONE, request, leader);
        world.await_answer(request);
    }
    assert_eq!(world.listed().len(), 3);
    assert_ne!(world.listed(), before);
    world.end_well();
}

#[test]
fn a_leader_that_is_cut_off_when_members_remove_it_loses_nothing_that_was_acknowledged() {
    let mut world = calm_with_newcomers(3);
    let leader = world.await_leader();
    let request = world.ask_at(ONE, leader);
    world.await_answer(request);
    world.decide(Decision::RemoveNode { who: Who::Leader });
    // At each of many moments of the decision in turn, for a while.
    for _ in 0..20 {
        world.run_for(3_000);
        world.isolate(leader);
        world.run_for(200_000);
        world.rejoin(leader);
    }
    world.await_decisions();
    assert!(!world.listed().contains(&leader) || world.listed().len() == 2);
    let next = world.await_listed_leader();
    let request = world.ask_at(OTHER, next);
    world.await_answer(request);
    world.end_well();
}

#[test]
fn hosts_that_hand_over_wrong_records_delay_a_newcomer_and_do_no_other_harm() {
    let mut world = calm_with_newcomers(3);
    let leader = world.await_leader();
    for _ in 0..20 {
        let request = world.ask_at(ONE, leader);
        world.await_answer(request);
    }
    // The newcomer needs the whole log, with a change of who takes part in it, from hosts that lie half of the time.
    world.decide(Decision::ReplaceNode { who: Who::Anyone });
    world.run_for(2_000_000);
    world.crash_all_for(10_000);
    for node in world.nodes().to_vec() {
        world.let_host_lie(node, 500_000);
    }
    world.start_newcomers();
    world.run_for(3_000_000);
    assert!(world.probes().reads_for_peers > 0);
    for node in world.nodes().to_vec() {
        world.let_host_lie(node, 0);
    }
    world.await_decisions();
    world.end_well();
}

#[test]
fn the_only_node_comes_back_though_the_one_that_members_added_is_not_there() {
    let mut world = calm_with_newcomers(1);
    let node = world.await_leader();
    // Found by seed 3300: it asked the newcomer what it had seen, and waited for the answer.
    world.decide(Decision::AddNode);
    world.run_to("there are two nodes", |world| world.listed().len() == 2);
    world.crash_all_for(10_000);
    world.run_for(2_000_000);
    assert_eq!(world.running(), [node]);
    let request = world.ask_at(ONE, node);
    world.await_answer(request);
    world.start_newcomers();
    world.end_well();
}
