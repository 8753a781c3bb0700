//! Followers that lag behind.

use synod_sim::scenario::calm;

use crate::ONE;

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
