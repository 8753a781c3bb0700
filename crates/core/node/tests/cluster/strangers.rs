//! Somebody has a certificate of the service for a slot or a key that no node list names, and says that it leads.

use std::time::Duration;

use synod_consensus::Promise;
use synod_node::{Answer, Query, Role, StopReason};
use synod_types::boundary::EntryKind;
use synod_types::{Digest, Encode, Encoder, LogIndex, NodeId, View};

use crate::harness::{Cluster, put};
use crate::membership::others;

/// A slot above all that were ever listed.
const NEW_SLOT: NodeId = NodeId(99);

/// A key that no list names.
const NEW_KEY: Digest = Digest([99; 32]);

fn consensus(kind: u8, numbers: &[u64], rest: &[u8]) -> Vec<u8> {
    let mut out = Encoder::default();
    [0, 1, kind].iter().for_each(|byte| byte.encode(&mut out));
    numbers.iter().for_each(|number| number.encode(&mut out));
    rest.iter().for_each(|byte| byte.encode(&mut out));
    out.finish()
}

fn heartbeat(view: View, commit: usize) -> Vec<u8> {
    consensus(6, &[view.0, commit as u64], &[0])
}

/// Entries `after` of `after_view` is followed by the entries in `rest`.
fn append(view: View, (after, after_view): (usize, View), commit: usize, rest: &[u8]) -> Vec<u8> {
    consensus(1, &[view.0, after as u64, after_view.0, commit as u64], rest)
}

/// It asks for a vote with an empty log, and says what is committed.
fn candidacy(view: View, (commit, commit_view): (usize, View)) -> Vec<u8> {
    consensus(4, &[view.0, 1, 1, commit as u64, commit_view.0], &[1])
}

fn later(view: View, by: u64) -> View {
    View(view.0 + by)
}

/// A follower of five nodes that has an entry which no quorum has, and hears nobody.
fn alone_with_an_entry() -> (Cluster, NodeId, NodeId, usize) {
    let mut cluster = Cluster::new(5);
    let leader = cluster.run_until_leader();
    cluster.write(leader, 1, put(1, "everywhere")).unwrap();
    cluster.run_idle();
    let base = cluster.entries(leader);
    let friend = others(&cluster, &[leader])[0];
    let majority = others(&cluster, &[leader, friend]);
    cluster.part(&[leader, friend], &majority);
    cluster.ask(leader, put(2, "on two of five"));
    cluster.run_for(Duration::from_millis(20));
    assert_eq!(cluster.entries(friend), base + 1);
    cluster.part(&[leader], &[friend]);
    cluster.run_for(Duration::from_secs(2));
    (cluster, friend, majority[0], base)
}

/// In each way in which a leader or a candidate tells what is committed, and with an entry that nobody signs.
#[test]
fn what_a_stranger_says_commits_nothing_and_replaces_nothing() {
    for is_listed_slot in [false, true] {
        let (mut cluster, node, peer, base) = alone_with_an_entry();
        let stranger = if is_listed_slot { peer } else { NEW_SLOT };
        cluster.prove(node, stranger, NEW_KEY);
        let (committed, end) = (cluster.status(node).committed, cluster.disk_end(node));
        let view = cluster.status(node).view;
        let first_of_view = cluster.log(node)[base - 1].view;
        let mut entry = Encoder::default();
        entry.count(1);
        (EntryKind::Engine as u8).encode(&mut entry);
        later(view, 9).encode(&mut entry);
        let entry = entry.finish();
        for message in [
            heartbeat(later(view, 5), end.0),
            append(later(view, 6), end, end.0, &[0; 4]),
            candidacy(later(view, 7), end),
            append(later(view, 9), (base, first_of_view), base, &entry),
            append(later(view, 9), end, end.0, &entry),
        ] {
            cluster.tell(node, stranger, message);
            cluster.run_for(Duration::from_millis(10));
            assert_eq!((cluster.status(node).committed, cluster.disk_end(node)), (committed, end), "{stranger}");
        }
        assert!(cluster.status(node).view >= later(view, 9), "it was heard");
        cluster.join();
        let leader = cluster.run_until_one_leads(&[1, 2, 3, 4, 5].map(NodeId), later(view, 9));
        cluster.write(leader, 3, put(3, "after all")).unwrap();
        cluster.run_idle();
        assert_eq!(cluster.status(node).committed, cluster.status(leader).committed);
        assert_eq!(cluster.read(node, 3), Some("after all".into()));
    }
}

#[test]
fn a_stranger_that_says_it_leads_gets_no_requests_and_answers_none() {
    let (mut cluster, node, _, base) = alone_with_an_entry();
    cluster.prove(node, NEW_SLOT, NEW_KEY);
    cluster.submit(node, 1_000, 7, put(7, "in the clear"));
    cluster.ask_many(node, &[Query::ReadIndex]);
    let view = later(cluster.status(node).view, 5);
    for _ in 0..20 {
        cluster.tell(node, NEW_SLOT, heartbeat(view, base));
        cluster.run_for(Duration::from_millis(100));
    }
    assert_eq!(cluster.status(node).leader, Some(NEW_SLOT));
    assert!(!cluster.to_strangers.is_empty());
    assert!(cluster.to_strangers.iter().all(|message| message[0] != 1), "requests were forwarded");
    assert!(!cluster.is_answered(1_000));
    cluster.join();
    assert_eq!(cluster.answer(1_000).map(|answer: Answer| answer.replies[0].status), Ok(200));
}

/// The leader goes on being heard; and when it has gone, the others elect one of themselves.
#[test]
fn strangers_that_say_they_lead_do_not_keep_the_others_from_leading() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let mut view = cluster.status(leader).view;
    for node in [1, 2, 3].map(NodeId) {
        cluster.prove(node, NEW_SLOT, NEW_KEY);
    }
    let mut disturb = |cluster: &mut Cluster| {
        view = later(view, 100);
        for node in cluster.nodes() {
            cluster.tell(node, NEW_SLOT, heartbeat(view, 1));
        }
        cluster.run_for(Duration::from_millis(100));
    };
    for id in 1..20 {
        disturb(&mut cluster);
        cluster.write(leader, id, put(7, "meanwhile")).unwrap();
    }
    cluster.stop(leader);
    let node = cluster.nodes().next().unwrap();
    let mut leads = None;
    for _ in 0..200 {
        disturb(&mut cluster);
        leads = cluster.nodes().find(|node| cluster.status(*node).role == Role::Leader);
        if leads.is_some() {
            break;
        }
    }
    assert!(leads.is_some(), "{:?}", cluster.status(node));
    disturb(&mut cluster);
    cluster.write(node, 20, put(7, "after the leader")).unwrap();
}

/// The host of a rolled-back disk makes certificates for the slots of the two peers, and has them remember nothing.
#[test]
fn strangers_do_not_spare_a_rolled_back_disk_the_word_of_those_who_are_listed() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    cluster.write(leader, 1, put(1, "before")).unwrap();
    cluster.run_idle();
    let node = others(&cluster, &[leader])[0];
    let image = cluster.image(node);
    cluster.write(leader, 2, put(1, "after")).unwrap();
    cluster.run_idle();
    let peers = others(&cluster, &[node]);
    cluster.part(&[node], &peers);
    cluster.start_from(node, image).unwrap();
    let mut nothing = Encoder::default();
    4u8.encode(&mut nothing);
    Promise::default().encode(&mut nothing);
    LogIndex(0).encode(&mut nothing);
    (0..2).for_each(|_| nothing.count(0));
    let nothing = nothing.finish();
    for peer in &peers {
        cluster.prove(node, *peer, NEW_KEY);
        cluster.tell(node, *peer, nothing.clone());
    }
    cluster.run_for(Duration::from_secs(2));
    assert_ne!(cluster.status(node).role, Role::Resuming, "it takes them for peers that got other keys");
    cluster.join();
    cluster.run_until_down(node);
    assert!(matches!(cluster.stop_reason(node), Some(StopReason::DiskRolledBack { .. })));
}
