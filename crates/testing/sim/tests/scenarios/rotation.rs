//! Members have the service take another key while things go wrong.

use synod_sim::World;
use synod_sim::scenario::calm_with_newcomers;
use synod_sim::swarm::{Decision, Who};
use synod_types::TxId;

use crate::ONE;

/// A client writes at whoever leads; returns its transaction.
fn write(world: &mut World) -> TxId {
    let leader = world.await_listed_leader();
    let request = world.ask_at(ONE, leader);
    world.await_answer(request).txid
}

/// Every listed node is asked for the receipts of all these; the audit verifies each under the key that signed there.
fn check_receipts(world: &mut World, txids: &[TxId]) {
    // Long enough that followers hear what is committed.
    world.run_for(1_000_000);
    let before = world.probes().receipts;
    let listed = world.listed();
    for (node, txid) in listed.iter().flat_map(|node| txids.iter().map(move |txid| (*node, *txid))) {
        world.receipt_at(node, txid);
    }
    world.run_for(1_000_000);
    assert_eq!(world.probes().receipts - before, (listed.len() * txids.len()) as u64);
}

#[test]
fn receipts_of_before_and_after_each_key_of_the_service_verify_on_every_node_and_after_a_restart() {
    let mut world = calm_with_newcomers(3);
    let mut txids = vec![write(&mut world)];
    for _ in 0..3 {
        world.decide(Decision::RotateService);
        world.await_decisions();
        txids.push(write(&mut world));
    }
    assert_eq!(world.final_probes().rotations, 3);
    check_receipts(&mut world, &txids);
    world.crash_all_for(10_000);
    txids.push(write(&mut world));
    check_receipts(&mut world, &txids);
    world.end_well();
}

#[test]
fn a_leader_that_is_cut_off_at_any_moment_of_a_rotation_leaves_one_key_to_all() {
    let mut world = calm_with_newcomers(3);
    let mut txids = vec![write(&mut world)];
    for _ in 0..8 {
        let leader = world.await_leader();
        world.decide(Decision::RotateService);
        for _ in 0..6 {
            world.run_for(1_700);
            world.isolate(leader);
            world.run_for(900_000);
            world.rejoin(leader);
        }
        world.await_decisions();
        txids.push(write(&mut world));
    }
    assert_eq!(world.final_probes().rotations, 8);
    check_receipts(&mut world, &txids);
    world.end_well();
}

#[test]
fn a_node_that_joins_with_the_decision_that_changes_the_key_has_the_whole_history() {
    let mut world = calm_with_newcomers(3);
    let mut txids = vec![write(&mut world)];
    for who in [Who::Leader, Who::Anyone] {
        world.decide(Decision::RotateServiceAndReplaceNode { who });
        world.run_for(1_000_000);
        world.start_newcomers();
        world.await_decisions();
        txids.push(write(&mut world));
    }
    assert_eq!(world.final_probes().rotations, 2);
    check_receipts(&mut world, &txids);
    world.end_well();
}
