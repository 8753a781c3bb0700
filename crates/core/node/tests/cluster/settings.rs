//! Members change an adapter's settings: it is handed each decision once, whatever becomes of leaders, or refuses it for good.

use bytes::Bytes;
use synod_governance::bounded::{Name, TextBlob};
use synod_governance::{Action, SetAdapter};
use synod_ledger::{BlockKind, SealedBlock, open};
use synod_node::{Answer, Query, QueryAnswer, Refusal};
use synod_types::{AdapterId, Decode, NodeId, Seqno, TxId};
use synod_worker::AdapterSettings;

use crate::harness::{Cluster, put};
use crate::organisation::{body, decide, founder_of, network, propose};

fn set(settings: &str) -> Action {
    let settings = TextBlob::new(settings.as_bytes().to_vec()).unwrap();
    Action::SetAdapter(SetAdapter { name: Name::new("log").unwrap(), settings })
}

fn in_force(settings: &'static str, decided: &Result<Answer, Refusal>) -> AdapterSettings {
    let decided_at = decided.as_ref().unwrap().txid.seqno;
    AdapterSettings { in_force: Bytes::from_static(settings.as_bytes()), decided_at, refused: None }
}

/// The transactions of a node's ledger in which settings were handed over.
fn handed(cluster: &Cluster, node: NodeId) -> Vec<Seqno> {
    let blocks = cluster.log(node).iter().filter_map(|record| SealedBlock::from_bytes(&record.payload).ok());
    let blocks = blocks.filter(|block| block.header.kind == BlockKind::Application);
    let of = |block: SealedBlock| {
        let content = open(&block, cluster.session_keys()).unwrap().content.unwrap();
        let is_one = content.requests.iter().any(|request| request.adapter == AdapterId::SETTINGS);
        is_one.then_some(block.header.first_seqno)
    };
    blocks.filter_map(of).collect()
}

/// Checks that every node stands at `settings`, having seen these changes.
fn check(cluster: &Cluster, settings: &AdapterSettings, changes: &[&str]) {
    for node in cluster.nodes() {
        let (stands, seen) = cluster.settings(node);
        assert_eq!(
            (&stands, seen.iter().map(String::as_str).collect::<Vec<_>>()),
            (settings, changes.to_vec()),
            "node {node}"
        );
        assert!(handed(cluster, node).len() >= changes.len(), "node {node}");
    }
}

#[test]
fn settings_that_members_decide_are_handed_over_right_after_the_decision_and_once() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    propose(&mut cluster, leader, 1, vec![set("first"), set("second")]);
    let founder = founder_of(&cluster);
    let ballot = founder.accept_last(&cluster, leader);
    let calls = [(AdapterId::GOVERNANCE, ballot), (AdapterId(0), put(1, "together"))];
    let [decided, written]: [_; 2] = cluster.request_at_once(leader, founder.id(), &calls).try_into().unwrap();
    assert_eq!(body(&decided).1, r#"{"proposal":1,"status":"Accepted"}"#);
    let at = decided.as_ref().unwrap().txid.seqno;
    assert_eq!(written.unwrap().txid.seqno, at.plus(2), "before anything else is executed");
    cluster.run_idle();
    check(&cluster, &in_force("second", &decided), &[" -> second"]);
    assert_eq!(handed(&cluster, leader), [at.next()]);

    cluster.restart_all();
    let leader = cluster.run_until_leader();
    cluster.write(leader, 9, put(1, "later")).unwrap();
    cluster.run_idle();
    check(&cluster, &in_force("second", &decided), &[" -> second"]);
    let third = decide(&mut cluster, leader, (3, 4), vec![set("third")]);
    cluster.run_idle();
    check(&cluster, &in_force("third", &third), &[" -> second", "second -> third"]);
    // It is a transaction like any other.
    let txid = TxId::new(third.as_ref().unwrap().txid.view, third.unwrap().txid.seqno.next());
    match cluster.query(leader, Query::Receipt(txid)) {
        Ok(QueryAnswer::Receipt(receipt)) => cluster.verify_receipt(&receipt, txid),
        other => panic!("no receipt: {other:?}"),
    }
}

#[test]
fn a_refusal_is_recorded_once_and_the_network_goes_on_under_the_settings_before() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let first = decide(&mut cluster, leader, (1, 2), vec![set("first")]);
    let refused = decide(&mut cluster, leader, (3, 4), vec![set("no way")]);
    assert_eq!(body(&refused).1, r#"{"proposal":2,"status":"Accepted"}"#);
    cluster.run_idle();
    let decided_at = refused.as_ref().unwrap().txid.seqno;
    let refusal = synod_worker::SettingsRefused { decided_at, reason: "it says no".into() };
    let stands = AdapterSettings { refused: Some(refusal), ..in_force("first", &first) };
    check(&cluster, &stands, &[" -> first"]);
    for _ in 0..2 {
        cluster.restart_all();
        let leader = cluster.run_until_leader();
        cluster.run_idle();
        assert_eq!(handed(&cluster, leader).len(), 2, "it is not asked again");
    }
    let leader = cluster.run_until_leader();
    cluster.write(leader, 5, put(1, "on")).unwrap();
    let second = decide(&mut cluster, leader, (6, 7), vec![set("second")]);
    cluster.run_idle();
    check(&cluster, &in_force("second", &second), &[" -> first", "first -> second"]);
}

/// Kills the leader after each of its steps from the deciding ballot on, and once it has decided, lets another lead.
#[test]
fn a_leader_that_is_lost_at_any_step_after_the_decision_leaves_it_to_be_handed_over_exactly_once() {
    let (mut taken_over, mut complete) = (0, 0);
    for steps in 0.. {
        let mut cluster = Cluster::new(3);
        let leader = cluster.run_until_leader();
        propose(&mut cluster, leader, 1, vec![set("new")]);
        let (founder, network) = (founder_of(&cluster), network(&cluster, leader));
        let ballot = founder.accept_last(&cluster, leader);
        cluster.submit_governance(leader, 1_000, 2, ballot.clone());
        (0..steps).for_each(|_| cluster.step());
        let known = handed(&cluster, leader).len();
        cluster.stop(leader);
        let next = cluster.run_until_leader();
        // Whether or not the decision was lost with its leader.
        let decided = cluster.govern(next, founder.id(), 2, ballot);
        assert_eq!(body(&decided).1, r#"{"proposal":1,"status":"Accepted"}"#, "after {steps} steps");
        cluster.write(next, 3, put(1, "goes on")).unwrap();
        cluster.start(leader);
        cluster.run_for(std::time::Duration::from_secs(3));
        check(&cluster, &in_force("new", &decided), &[" -> new"]);
        for node in cluster.nodes() {
            assert_eq!(handed(&cluster, node).len(), 1, "node {node} after {steps} steps");
        }
        assert_eq!(crate::organisation::network(&cluster, next), network);
        if decided.unwrap().txid.view < cluster.status(next).view && known == 0 {
            taken_over += 1;
        }
        complete += known;
        if complete > 8 {
            break;
        }
    }
    assert!(taken_over > 0, "never was a leader lost between the decision and the handing over");
}

#[test]
fn a_decision_that_is_lost_takes_its_handing_over_with_it() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let others: Vec<_> = cluster.nodes().filter(|node| *node != leader).collect();
    propose(&mut cluster, leader, 1, vec![set("new")]);
    let ballot = founder_of(&cluster).accept_last(&cluster, leader);
    cluster.part(&[leader], &others);
    let entries = cluster.entries(leader);
    cluster.submit_governance(leader, 1_000, 2, ballot.clone());
    cluster.run_until_filed(leader, entries + 1);
    assert_eq!(handed(&cluster, leader).len(), 1);
    // Whoever asked is gone with it.
    cluster.stop(leader);
    let next = cluster.run_until_leader();
    cluster.write(next, 4, put(1, "meanwhile")).unwrap();
    cluster.join();
    // Both entries are still on its disk.
    cluster.start(leader);
    cluster.run_for(std::time::Duration::from_secs(3));
    for node in cluster.nodes() {
        assert_eq!((cluster.settings(node).1, handed(&cluster, node)), (Vec::new(), Vec::new()), "node {node}");
    }
    let founder = founder_of(&cluster);
    let decided = cluster.govern(next, founder.id(), 2, ballot);
    cluster.run_idle();
    check(&cluster, &in_force("new", &decided), &[" -> new"]);
}
