//! What a crash leaves on disks.

use synod_node::Role;
use synod_sim::sabotage::Sabotage;
use synod_sim::scenario::{calm, sabotaged};

use crate::{ONE, OTHER};

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
