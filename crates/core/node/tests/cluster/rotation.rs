//! Members have the service take a new identity, and every node has it from the same transaction on.

use synod_crypto::VerifyingKey;
use synod_governance::{Action, RotateServiceIdentity};
use synod_ledger::{Receipt, ReceiptRefused, SealedBlock, check, check_genesis};
use synod_node::{Audit, Query, QueryAnswer};
use synod_types::boundary::EntryKind;
use synod_types::{ConfigurationChange, Decode, NodeId, TxId, View};

use crate::harness::{Cluster, put};
use crate::membership::{decided, newcomer, run_until_voter};
use crate::organisation::{body, decide, founder_of, propose};

fn rotation() -> Vec<Action> {
    vec![Action::RotateServiceIdentity(RotateServiceIdentity {})]
}

fn receipt(cluster: &mut Cluster, node: NodeId, txid: TxId) -> Vec<u8> {
    match cluster.query(node, Query::Receipt(txid)) {
        Ok(QueryAnswer::Receipt(receipt)) => receipt.to_vec(),
        other => panic!("no receipt of {txid}: {other:?}"),
    }
}

/// Checks that the receipts that all nodes give are of `key`, and of no other of `keys`.
fn check_receipts(cluster: &mut Cluster, txid: TxId, key: &VerifyingKey, keys: &[VerifyingKey]) {
    for node in cluster.nodes() {
        let receipt = receipt(cluster, node, txid);
        assert_eq!(Receipt::verify(&receipt, key).unwrap().txid, txid);
        for other in keys.iter().filter(|other| *other != key) {
            assert_eq!(Receipt::verify(&receipt, other), Err(ReceiptRefused::OtherService), "node {node}, {txid}");
        }
    }
}

/// Goes through a node's ledger as a verifier and an auditor do; returns the service's keys in their order.
fn keys_of_ledger(cluster: &Cluster, node: NodeId) -> Vec<VerifyingKey> {
    let mut audit = Audit::new(Some(cluster.session_keys().admin.clone()));
    let mut records = cluster.log(node).iter();
    let genesis = SealedBlock::from_bytes(&records.next().unwrap().payload).unwrap();
    audit.block(&genesis).unwrap();
    let (public, mut tip) = check_genesis(&genesis).unwrap();
    let mut keys = vec![public.keys.service];
    for record in records {
        match record.kind {
            EntryKind::Engine => tip = tip.after_engine_entry(record.index, record.view).unwrap(),
            EntryKind::Configuration => {
                let change = ConfigurationChange::from_bytes(&record.payload).unwrap();
                tip = tip.after_configuration_entry(record.index, record.view, change).unwrap();
            }
            EntryKind::Block => {}
        }
        if record.kind != EntryKind::Block {
            continue;
        }
        let block = SealedBlock::from_bytes(&record.payload).unwrap();
        tip = check(&block, &tip).unwrap();
        audit.block(&block).unwrap();
        if tip.signers.keys().service != *keys.last().unwrap() {
            keys.push(tip.signers.keys().service.clone());
        }
    }
    assert_eq!(audit.tables().digest(), cluster.tables(node).digest());
    keys
}

#[test]
fn from_the_next_transaction_on_the_service_signs_with_a_new_key_and_receipts_of_before_stay_good() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let before = cluster.write(leader, 1, put(1, "before")).unwrap().txid;
    let first = decide(&mut cluster, leader, (2, 3), rotation());
    assert_eq!(body(&first).1, r#"{"proposal":1,"status":"Accepted"}"#);
    let first = first.unwrap().txid;
    let between = cluster.write(leader, 4, put(1, "between")).unwrap().txid;
    let second = decide(&mut cluster, leader, (5, 6), [rotation(), rotation()].concat()).unwrap().txid;
    let after = cluster.write(leader, 7, put(1, "after")).unwrap().txid;
    cluster.run_idle();

    let keys = keys_of_ledger(&cluster, leader);
    assert_eq!(keys.len(), 3, "a decision makes one key, however often it asks");
    assert_eq!(keys[0], *cluster.first_service());
    let check_all = |cluster: &mut Cluster| {
        for node in cluster.nodes() {
            assert_eq!(cluster.rotated[&node], keys[1..], "node {node}");
            assert_eq!(keys_of_ledger(cluster, node), keys, "node {node}");
        }
        // The old key endorses the new one: it signs the transaction that brings it.
        for (txid, key) in [(before, 0), (first, 0), (between, 1), (second, 1), (after, 2)] {
            check_receipts(cluster, txid, &keys[key], &keys);
        }
    };
    check_all(&mut cluster);
    cluster.restart_all();
    let leader = cluster.run_until_leader();
    cluster.run_idle();
    check_all(&mut cluster);
    let late = cluster.write(leader, 8, put(1, "late")).unwrap().txid;
    cluster.run_idle();
    check_receipts(&mut cluster, late, &keys[2], &keys);
}

#[test]
fn when_the_leader_is_lost_right_after_the_decision_the_next_one_signs_with_the_new_key() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let decided = decide(&mut cluster, leader, (1, 2), rotation()).unwrap().txid;
    cluster.stop(leader);
    let next = cluster.run_until_leader();
    let written = cluster.write(next, 3, put(1, "under the next leader")).unwrap().txid;
    cluster.start(leader);
    cluster.run_idle();
    let keys = keys_of_ledger(&cluster, leader);
    assert_eq!(keys.len(), 2);
    check_receipts(&mut cluster, decided, &keys[0], &keys);
    check_receipts(&mut cluster, written, &keys[1], &keys);
    assert_eq!(cluster.rotated[&leader], keys[1..]);
}

#[test]
fn a_decision_that_is_lost_with_its_leader_leaves_the_service_as_it_was_until_it_is_taken_again() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let others: Vec<_> = cluster.nodes().filter(|node| *node != leader).collect();
    propose(&mut cluster, leader, 1, rotation());
    let ballot = founder_of(&cluster).accept_last(&cluster, leader);
    cluster.part(&[leader], &others);
    let entries = cluster.entries(leader);
    cluster.submit_governance(leader, 1_000, 2, ballot.clone());
    // What it orders behind the decision is signed with a key that never comes into force.
    cluster.submit(leader, 1_001, 3, put(1, "lost"));
    cluster.run_until_filed(leader, entries + 1);
    cluster.stop(leader);
    let next = cluster.run_until_one_leads(&others, View(0));
    let written = cluster.write(next, 4, put(1, "meanwhile")).unwrap().txid;
    cluster.join();
    // Both entries are still on its disk.
    cluster.start(leader);
    cluster.run_idle();
    let first = cluster.first_service().clone();
    for node in cluster.nodes() {
        assert_eq!(keys_of_ledger(&cluster, node), std::slice::from_ref(&first), "node {node}");
        assert_eq!(cluster.rotated.get(&node).map_or(0, Vec::len), 0, "node {node}");
    }

    let founder = founder_of(&cluster);
    cluster.govern(next, founder.id(), 2, ballot).unwrap();
    let after = cluster.write(next, 5, put(1, "after")).unwrap().txid;
    cluster.run_idle();
    let keys = keys_of_ledger(&cluster, leader);
    assert_eq!(keys.len(), 2);
    check_receipts(&mut cluster, written, &keys[0], &keys);
    check_receipts(&mut cluster, after, &keys[1], &keys);
}

#[test]
fn a_node_that_was_away_or_joins_later_learns_every_key_from_the_ledger() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let away = cluster.nodes().find(|node| *node != leader).unwrap();
    cluster.stop(away);
    decide(&mut cluster, leader, (1, 2), rotation()).unwrap();
    let between = cluster.write(leader, 3, put(1, "between")).unwrap().txid;
    decide(&mut cluster, leader, (4, 5), rotation()).unwrap();
    let after = cluster.write(leader, 6, put(2, "after")).unwrap().txid;
    cluster.start(away);
    cluster.run_for(std::time::Duration::from_secs(5));
    let keys = keys_of_ledger(&cluster, leader);
    assert_eq!(keys.len(), 3);
    assert_eq!(cluster.rotated[&away], keys[1..]);

    // It is given the first key, as every node is.
    let (add, joined) = (newcomer(&mut cluster, 4), NodeId(4));
    decided(&mut cluster, leader, 1, vec![add]);
    cluster.start(joined);
    run_until_voter(&mut cluster, joined);
    cluster.run_idle();
    assert_eq!(cluster.rotated[&joined], keys[1..]);
    assert_eq!(keys_of_ledger(&cluster, joined), keys);
    check_receipts(&mut cluster, between, &keys[1], &keys);
    check_receipts(&mut cluster, after, &keys[2], &keys);
    let late = cluster.write(joined, 7, put(3, "by way of the one that joined")).unwrap().txid;
    cluster.run_idle();
    check_receipts(&mut cluster, late, &keys[2], &keys);
}
