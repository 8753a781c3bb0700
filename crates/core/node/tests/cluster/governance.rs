//! Members decide, and every node follows from the same transaction on.

use bytes::Bytes;
use synod_governance::{Action, Event, RemoveActor};
use synod_kv::State;
use synod_ledger::{AdminRecord, BlockKind, GovernancePublic, OpenRefused, SealedBlock, open_admin};
use synod_node::{
    Answer, Audit, AuditRefused, CLIENT_READS_AT_ONCE_MAX, CLIENT_READS_WAITING_MAX, Governed, Query, Refusal,
    WAITING_BYTES_MAX,
};
use synod_types::limits::REQUEST_BODY_BYTES_MAX;
use synod_types::{AdapterId, Decode, Encode};

use crate::harness::{Cluster, put};
use crate::organisation::{Organisation, body, decide, founder_of, network, propose};

#[test]
fn a_participant_that_members_let_in_may_write_and_one_that_they_remove_may_not() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let line = Organisation::new("Shipping Line", 7);
    assert_eq!(cluster.write_by(line.id(), leader, 1, put(1, "early")), Err(Refusal::NotAuthorized));

    let decided = decide(&mut cluster, leader, (1, 2), vec![Action::AddParticipant(line.add("Shipping Line"))]);
    assert_eq!(body(&decided), (200, r#"{"proposal":1,"status":"Accepted"}"#.into()));
    let written = cluster.write_by(line.id(), leader, 2, put(1, "now")).unwrap();
    assert_eq!(written.txid.seqno, decided.unwrap().txid.seqno.next(), "from the very next transaction on");

    let removal = Action::RemoveParticipant(RemoveActor { id: line.id() });
    assert_eq!(body(&decide(&mut cluster, leader, (3, 4), vec![removal])).1, r#"{"proposal":2,"status":"Accepted"}"#);
    assert_eq!(cluster.write_by(line.id(), leader, 3, put(1, "late")), Err(Refusal::NotAuthorized));
    cluster.run_idle();
    let expected = cluster.tables(leader).digest();
    for node in cluster.nodes() {
        assert_eq!(cluster.tables(node).digest(), expected, "node {node}");
        assert_eq!(cluster.read(node, 1), Some("now".into()));
    }
    cluster.restart_all();
    cluster.run_until_leader();
    cluster.run_idle();
    for node in cluster.nodes() {
        assert_eq!(cluster.tables(node).digest(), expected, "node {node} after a restart");
    }
}

#[test]
fn a_governance_request_is_done_once_and_answered_alike_on_any_node_and_after_a_restart() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let (founder, network) = (founder_of(&cluster), network(&cluster, leader));
    let line = Organisation::new("Shipping Line", 7);
    let proposal = founder.propose(network, 9, vec![Action::AddParticipant(line.add("Shipping Line"))]);
    let first = cluster.govern(leader, founder.id(), 1, proposal.clone());
    assert_eq!(body(&first), (200, r#"{"proposal":1,"status":"Open"}"#.into()));
    for node in cluster.nodes() {
        assert_eq!(cluster.govern(node, founder.id(), 1, proposal.clone()), first, "node {node}");
    }
    // The same statement under another id is refused by governance, and changes nothing.
    assert_eq!(body(&cluster.govern(leader, founder.id(), 2, proposal.clone())).0, 409);
    cluster.restart_all();
    let leader = cluster.run_until_leader();
    assert_eq!(cluster.govern(leader, founder.id(), 1, proposal), first);
}

#[test]
fn what_governance_refuses_is_answered_with_the_reason_and_takes_no_seqno() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.run_until_leader();
    let (founder, network) = (founder_of(&cluster), network(&cluster, leader));
    let before = cluster.status(leader).last;
    let removal = Action::RemoveMember(RemoveActor { id: founder.id() });
    let (status, text) = body(&cluster.govern(leader, founder.id(), 1, founder.propose(network, 1, vec![removal])));
    assert_eq!(status, 422, "{text}");
    assert!(text.contains(r#""code":"Actions""#) && text.contains(r#""hint":"#), "{text}");
    let (status, text) = body(&cluster.govern(leader, founder.id(), 2, Bytes::from_static(b"\xff")));
    assert_eq!((status, text.contains("MalformedRequest")), (400, true), "{text}");
    assert_eq!(cluster.status(leader).last, before);
}

#[test]
fn an_audit_of_the_ledger_comes_to_the_same_tables() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let line = Organisation::new("Shipping Line", 7);
    decide(&mut cluster, leader, (1, 2), vec![Action::AddParticipant(line.add("Shipping Line"))]).unwrap();
    cluster.write_by(line.id(), leader, 2, put(1, "between")).unwrap();
    decide(&mut cluster, leader, (3, 4), vec![Action::RemoveParticipant(RemoveActor { id: line.id() })]).unwrap();
    cluster.run_idle();

    let mut audit = Audit::new(Some(cluster.session_keys().admin.clone()));
    let mut audited = Vec::new();
    for record in cluster.log(leader) {
        let Ok(block) = SealedBlock::from_bytes(&record.payload) else { continue };
        audited.extend(audit.block(&block).unwrap());
    }
    let tables = audit.tables();
    assert_eq!(audited.len(), 5, "genesis, and two proposals with a ballot each");
    assert_eq!(audited.last().unwrap().status, Some(synod_governance::Status::Accepted));
    assert_eq!(tables.digest(), cluster.tables(leader).digest());
    assert_ne!(tables.digest(), State::default().digest());
}

#[test]
fn an_audit_refuses_a_ledger_in_which_something_else_was_written_or_told() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.run_until_leader();
    let line = Organisation::new("Shipping Line", 7);
    decide(&mut cluster, leader, (1, 2), vec![Action::AddParticipant(line.add("Shipping Line"))]).unwrap();
    let key = cluster.session_keys().admin.clone();
    let blocks: Vec<_> =
        cluster.log(leader).iter().filter_map(|record| SealedBlock::from_bytes(&record.payload).ok()).collect();
    let audit = |blocks: &[SealedBlock]| {
        let mut audit = Audit::new(Some(key.clone()));
        blocks.iter().try_for_each(|block| audit.block(block).map(|_| ()))
    };
    assert_eq!(audit(&blocks), Ok(()));
    // The ballot without its proposal is refused where it stands, and so is a list of nodes that nobody decided.
    let is_governance = |block: &&SealedBlock| block.header.kind == BlockKind::Governance;
    let (genesis, ballot) = (blocks[0].clone(), blocks.iter().rfind(is_governance).unwrap().clone());
    assert!(matches!(audit(&[genesis.clone(), ballot]), Err(AuditRefused::Refused(_))));
    let mut told = blocks.iter().find(is_governance).unwrap().clone();
    let public = GovernancePublic { nodes: Some(std::collections::BTreeMap::new()), ..GovernancePublic::default() };
    told.public = public.to_bytes().into();
    assert_eq!(audit(&[genesis.clone(), told]), Err(AuditRefused::NodesDiffer));
    // The request as it was, and beside it what another would have written.
    let mut written = blocks.iter().find(is_governance).unwrap().clone();
    let record = open_admin(&written, Some(&key)).unwrap().unwrap();
    let record = AdminRecord { write_set: synod_kv::WriteSet::default().to_bytes().into(), ..record };
    written.admin = Bytes::new();
    written.public = GovernancePublic { admin: Some(record), ..GovernancePublic::default() }.to_bytes().into();
    assert_eq!(audit(&[genesis.clone(), written]), Err(AuditRefused::WritesDiffer));
    assert_eq!(Audit::new(None).block(&genesis).unwrap_err(), AuditRefused::Open(OpenRefused::NoKey));
}

#[test]
fn governance_requests_that_arrive_together_with_writes_are_done_before_them_and_both_in_their_order() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let (founder, network) = (founder_of(&cluster), network(&cluster, leader));
    let line = Organisation::new("Shipping Line", 7);
    let other = Organisation::new("Other Line", 8);
    let propose = |nonce, line: &Organisation, name| {
        founder.propose(network, nonce, vec![Action::AddParticipant(line.add(name))])
    };
    let calls = [
        (AdapterId::GOVERNANCE, propose(1, &line, "Shipping Line")),
        (AdapterId::GOVERNANCE, propose(2, &other, "Other Line")),
        (AdapterId(0), put(1, "after both")),
        (AdapterId::GOVERNANCE, Bytes::from_static(b"\xff")),
        (AdapterId(0), put(2, "and after that")),
    ];
    let answers = cluster.request_at_once(leader, founder.id(), &calls);
    let seqnos: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().txid.seqno.0).collect();
    assert_eq!(seqnos, [2, 3, 4, 3, 5]);
    assert_eq!(cluster.read(leader, 2), Some("and after that".into()));
}

#[test]
fn a_governance_request_is_taken_in_and_ordered_next_when_applications_fill_every_limit() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let founder = founder_of(&cluster);
    let network = network(&cluster, leader);
    let follower = cluster.nodes().find(|node| *node != leader).unwrap();
    for (node, nonce) in [(leader, 1), (follower, 2)] {
        let line = Organisation::new("Line", 10 + nonce);
        let add = Action::AddParticipant(line.add(&format!("Line {nonce}")));
        let small = put(1, "small");
        // What the adapter refuses fills the room as well as anything, and is cheap to carry out.
        let mut filler = WAITING_BYTES_MAX - small.len();
        let mut calls = vec![(AdapterId(0), small)];
        while filler > 0 {
            let size = filler.min(REQUEST_BODY_BYTES_MAX);
            calls.push((AdapterId(0), Bytes::from(vec![0xff; size])));
            filler -= size;
        }
        calls.push((AdapterId(0), put(2, "one too many")));
        calls.push((AdapterId::GOVERNANCE, founder.propose(network, nonce, vec![add])));
        let answers = cluster.request_at_once(node, founder.id(), &calls);
        let [too_many, governed] = &answers[answers.len() - 2..] else { unreachable!() };
        assert_eq!(*too_many, Err(Refusal::TooManyPending));
        assert_eq!(body(governed).0, 200, "{governed:?}");
        let seqno = |answer: &Result<Answer, Refusal>| answer.as_ref().unwrap().txid.seqno;
        assert_eq!(seqno(&answers[0]), seqno(governed).next(), "what came first is done next");
    }
}

#[test]
fn every_node_tells_what_governance_did_before_it_answers_and_again_when_it_replays() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let follower = cluster.nodes().find(|node| *node != leader).unwrap();
    let line = Organisation::new("Shipping Line", 7);
    let answer =
        decide(&mut cluster, follower, (1, 2), vec![Action::AddParticipant(line.add("Shipping Line"))]).unwrap();
    let told = cluster.governed[&follower].last().unwrap().clone();
    assert_eq!(told.txid, answer.txid, "the node that answers has told by then");
    assert!(
        matches!(&told.events[..], [Event::Voted { .. }, Event::Closed { .. }, Event::ActorAdded { id }] if *id == line.id())
    );

    cluster.run_idle();
    let facts = |cluster: &Cluster, node| -> Vec<_> {
        let fact = |told: &Governed| (told.txid, told.time, told.state.digest(), told.events.clone());
        cluster.governed[&node].iter().map(fact).collect()
    };
    let expected = facts(&cluster, leader);
    assert_eq!(expected.len(), 2);
    for node in cluster.nodes() {
        assert_eq!(facts(&cluster, node), expected, "node {node}");
    }
    cluster.restart_all();
    cluster.run_until_leader();
    cluster.run_idle();
    for node in cluster.nodes() {
        assert_eq!(facts(&cluster, node), expected, "node {node} after a restart");
    }
}

#[test]
fn a_retry_of_a_governance_request_is_answered_though_every_place_for_reads_is_taken() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.run_until_leader();
    let founder = founder_of(&cluster);
    let line = Organisation::new("Shipping Line", 7);
    let add = vec![Action::AddParticipant(line.add("Shipping Line"))];
    let proposal = founder.propose(network(&cluster, leader), 1, add);
    let first = cluster.govern(leader, founder.id(), 1, proposal.clone()).unwrap();
    let receipts = vec![Query::Receipt(first.txid); CLIENT_READS_AT_ONCE_MAX + CLIENT_READS_WAITING_MAX];
    cluster.ask_many(leader, &receipts);
    assert_eq!(cluster.govern(leader, founder.id(), 1, proposal), Ok(first));
}

#[test]
fn what_a_removed_actor_had_handed_over_is_judged_where_it_is_ordered() {
    for through_leader in [true, false] {
        let mut cluster = Cluster::new(3);
        let leader = cluster.run_until_leader();
        let node = cluster.nodes().find(|node| (*node == leader) == through_leader).unwrap();
        let (founder, line) = (founder_of(&cluster), Organisation::new("Shipping Line", 7));
        decide(&mut cluster, leader, (1, 2), vec![Action::AddParticipant(line.add("Shipping Line"))]).unwrap();
        propose(&mut cluster, leader, 3, vec![Action::RemoveParticipant(RemoveActor { id: line.id() })]);
        // A write that is at the worker when the deciding ballot comes is before it, one that waits behind it is after.
        cluster.submit_by(line.id(), node, 100, put(1, "before"));
        let ballot = founder.accept_last(&cluster, leader);
        let together = [(founder.id(), AdapterId::GOVERNANCE, ballot), (line.id(), AdapterId(0), put(2, "after"))];
        let answers = cluster.requests_at_once(node, &together);
        assert_eq!(body(&answers[0]).1, r#"{"proposal":2,"status":"Accepted"}"#);
        assert_eq!(answers[1], Err(Refusal::NotAuthorized));
        let before = cluster.answer(100).unwrap();
        assert!(before.txid.seqno < answers[0].as_ref().unwrap().txid.seqno);
        cluster.run_idle();
        for node in cluster.nodes() {
            assert_eq!((cluster.read(node, 1), cluster.read(node, 2)), (Some("before".into()), None));
        }
    }
}

#[test]
fn a_leader_does_other_things_between_governance_requests_that_it_refuses() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.run_until_leader();
    let founder = founder_of(&cluster).id();
    cluster.run_idle();
    let (before, malformed) = (cluster.now(), Bytes::from_static(b"\xff"));
    let tokens = cluster.send_at_once(leader, &vec![(founder, AdapterId::GOVERNANCE, malformed); 3]);
    for answered in 1..=3 {
        cluster.step();
        assert_eq!(tokens.iter().filter(|token| cluster.is_answered(**token)).count(), answered);
    }
    assert_eq!(cluster.now(), before, "they wait for nothing else");
}
