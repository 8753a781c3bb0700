//! Members add, remove and replace nodes of a running network.

use std::collections::BTreeSet;

use synod_crypto::VerifyingKey;
use synod_governance::bounded::{Blob, Name};
use synod_governance::entries::Address;
use synod_governance::{Action, NodeEntry, RemoveNode, ReplaceNode};
use synod_ledger::{BlockKind, GovernancePublic, SealedBlock, check_genesis};
use synod_node::{Answer, Audit, Query, QueryAnswer, Refusal, Role, Serving, StartError, StopReason};
use synod_types::boundary::EntryKind;
use synod_types::{Configuration, ConfigurationChange, Decode, NodeId, View};

use crate::harness::{Cluster, put};
use crate::organisation::{body, decide, founder_of, propose};

/// Makes a machine for the next slot, and the action that adds it.
pub fn newcomer(cluster: &mut Cluster, slot: u64) -> Action {
    let key = cluster.add_machine(NodeId(slot));
    Action::AddNode(NodeEntry {
        name: Name::new(format!("newcomer {slot}")).unwrap(),
        owner: founder_of(cluster).id(),
        public_key: public(&key),
        address: Address::new(format!("127.0.0.1:{}", 7_000 + slot)).unwrap(),
        code: None,
        platform: None,
    })
}

pub fn public(key: &VerifyingKey) -> Blob<{ synod_governance::limits::PUBLIC_KEY_BYTES_MAX }> {
    Blob::new(key.to_spki_der()).unwrap()
}

pub const fn removal(node: NodeId) -> Action {
    Action::RemoveNode(RemoveNode { node })
}

/// Gives the machine of `node` another key for its next start, and makes the action that tells so.
pub fn other_key(cluster: &mut Cluster, node: NodeId) -> Action {
    let key = cluster.replace_credential(node, other_seed(node));
    Action::ReplaceNode(ReplaceNode {
        node,
        name: None,
        owner: None,
        public_key: Some(public(&key)),
        address: None,
        code: None,
        platform: None,
    })
}

/// Decides at once, under ids that no other decision of the test has.
pub fn decided(cluster: &mut Cluster, node: NodeId, number: u8, actions: Vec<Action>) -> Answer {
    let answer = decide(cluster, node, (100 + 2 * number, 101 + 2 * number), actions);
    assert!(body(&answer).1.contains("Accepted"), "{answer:?}");
    answer.unwrap()
}

pub fn others(cluster: &Cluster, than: &[NodeId]) -> Vec<NodeId> {
    cluster.nodes().filter(|node| !than.contains(node)).collect()
}

/// Waits until `node` is one of those who decide.
pub fn run_until_voter(cluster: &mut Cluster, node: NodeId) {
    cluster.run_until(|cluster| matches!(cluster.status(node).role, Role::Follower | Role::Leader).then_some(()));
}

pub fn run_until_removed(cluster: &mut Cluster, node: NodeId) {
    cluster.run_until(|cluster| (cluster.status(node).role == Role::Removed).then_some(()));
}

/// Of which [`other_key`] makes the key of `node`.
pub const fn other_seed(node: NodeId) -> u8 {
    70 + node.0 as u8
}

/// Writes, and looks that all of `nodes` have it and the same tables, that an audit comes to the same, and that
/// consensus followed each change of the node list before anything else was sealed. Returns the configuration.
pub fn check(cluster: &mut Cluster, nodes: &[u64], id: u8) -> Configuration {
    let nodes: Vec<_> = nodes.iter().copied().map(NodeId).collect();
    let text = format!("written as {id}");
    let leader = cluster.run_until_one_leads(&nodes, View(0));
    let answer = cluster.write(leader, id, put(u64::from(id), &text)).unwrap();
    cluster.run_idle();
    let tables = cluster.tables(leader).digest();
    for node in &nodes {
        assert_eq!(cluster.status(*node).committed, answer.txid, "node {node}");
        assert_eq!(cluster.read(*node, u64::from(id)), Some(text.clone()), "node {node}");
        assert_eq!(cluster.tables(*node).digest(), tables, "node {node}");
        assert_eq!(cluster.log(*node).len(), cluster.log(leader).len(), "node {node}");
    }
    let mut audit = Audit::new(Some(cluster.session_keys().admin.clone()));
    let mut listed = BTreeSet::new();
    let mut configuration = Configuration::default();
    for record in cluster.log(leader) {
        if record.kind == EntryKind::Configuration {
            let change = ConfigurationChange::from_bytes(&record.payload).unwrap();
            configuration = configuration.after(change).unwrap();
        }
        let Ok(block) = SealedBlock::from_bytes(&record.payload) else { continue };
        audit.block(&block).unwrap();
        match block.header.kind {
            BlockKind::Genesis => {
                listed = check_genesis(&block).unwrap().0.keys.nodes.into_keys().collect();
                configuration = Configuration::of(listed.iter().copied());
            }
            BlockKind::ViewStart => {}
            BlockKind::Application | BlockKind::Governance => {
                let unlisted: Vec<_> = configuration.members().filter(|node| !listed.contains(node)).collect();
                assert_eq!(unlisted, [], "take part at transaction {}", block.header.first_seqno);
                assert!(listed.contains(&block.header.signer));
            }
        }
        if let Ok(GovernancePublic { nodes: Some(nodes), .. }) = GovernancePublic::from_bytes(&block.public) {
            listed = nodes.into_keys().collect();
        }
    }
    assert_eq!(audit.tables().digest(), tables);
    configuration
}

pub fn voters(ids: &[u64]) -> Configuration {
    Configuration::of(ids.iter().copied().map(NodeId))
}

#[test]
fn a_node_that_members_add_begins_with_the_genesis_block_alone_catches_up_counts_and_leads() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    (1..=9).for_each(|id| drop(cluster.write(leader, id, put(u64::from(id), "before")).unwrap()));
    let (action, node) = (newcomer(&mut cluster, 4), NodeId(4));
    cluster.start(node);
    cluster.run_idle();
    assert_eq!(cluster.status(node).role, Role::Joining, "nobody has let it in");
    assert_eq!(cluster.entries(node), 1);
    assert_eq!((cluster.serving[&node], cluster.serving[&leader]), (Serving::NotYet, Serving::Now));

    decided(&mut cluster, leader, 0, vec![action]);
    run_until_voter(&mut cluster, node);
    assert_eq!(cluster.serving[&node], Serving::Now);
    assert_eq!(check(&mut cluster, &[1, 2, 3, 4], 10), voters(&[1, 2, 3, 4]));
    assert_eq!(cluster.read(node, 3), Some("before".into()));

    // Three of four are a majority, and the newcomer is one of them.
    let view = cluster.status(leader).view;
    let rest = others(&cluster, &[leader, node]);
    cluster.stop(leader);
    let mut next = cluster.run_until_one_leads(&[node, rest[0], rest[1]], view);
    for _ in 0..20 {
        if next == node {
            break;
        }
        let view = cluster.status(next).view;
        cluster.restart(next);
        next = cluster.run_until_one_leads(&[node, rest[0], rest[1]], view);
    }
    assert_eq!(next, node);
    cluster.write(node, 11, put(11, "under the newcomer")).unwrap();
    cluster.start(leader);
    cluster.run_idle();
    check(&mut cluster, &[1, 2, 3, 4], 12);
}

#[test]
fn a_follower_that_members_remove_says_so_and_the_others_go_on_without_it() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let gone = others(&cluster, &[leader])[0];
    let removed = decided(&mut cluster, leader, 0, vec![removal(gone)]);
    let next = cluster.write(leader, 1, put(1, "next")).unwrap();
    assert_eq!(next.txid.seqno, removed.txid.seqno.next());
    run_until_removed(&mut cluster, gone);
    assert_eq!(cluster.serving[&gone], Serving::NoMore);
    assert_eq!(cluster.write(gone, 2, put(2, "to a removed node")), Err(Refusal::NodeRemoved));
    assert_eq!(cluster.query(gone, Query::ReadIndex), Err(Refusal::NodeRemoved));
    let committed = QueryAnswer::Transaction(synod_node::TxStatus::Committed);
    assert_eq!(cluster.query(gone, Query::Transaction(removed.txid)), Ok(committed));
    let stay: Vec<_> = (1..=3).filter(|id| NodeId(*id) != gone).collect();
    assert_eq!(check(&mut cluster, &stay, 3), voters(&stay));

    // It takes part no more: the view stays, and after a restart, too.
    let view = cluster.status(leader).view;
    cluster.restart(gone);
    (0..5).for_each(|_| cluster.run_idle());
    assert_eq!((cluster.status(gone).role, cluster.status(leader).view), (Role::Removed, view));
    assert_eq!(cluster.serving[&gone], Serving::NoMore);
    assert_eq!(cluster.query(gone, Query::Transaction(removed.txid)), Err(Refusal::NodeRemoved), "nobody confirms it");
    cluster.stop(gone);
    let other = others(&cluster, &[leader])[0];
    cluster.restart(leader);
    cluster.run_until_one_leads(&[leader, other], view);
    check(&mut cluster, &stay, 4);
}

#[test]
fn a_leader_that_members_remove_answers_hands_over_and_nothing_is_lost() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let (before, view) = (cluster.write(leader, 1, put(1, "before")).unwrap(), cluster.status(leader).view);
    let follower = others(&cluster, &[leader])[0];
    propose(&mut cluster, leader, 50, vec![removal(leader)]);
    let founder = founder_of(&cluster);
    let ballot = founder.accept_last(&cluster, leader);
    cluster.submit_governance(leader, 1_000, 51, ballot.clone());
    // Behind it in the queue of the leader, and through a follower.
    cluster.submit(leader, 1_001, 2, put(2, "right behind"));
    cluster.submit(follower, 1_002, 3, put(3, "through a follower"));
    let answer = cluster.answer(1_000);
    assert!(body(&answer).1.contains("Accepted"));
    cluster.answer(1_002).unwrap();
    // Another node may hold a copy of what was queued there: its client may ask again.
    let behind = cluster.answer(1_001);
    assert!(matches!(behind, Ok(_) | Err(Refusal::NoLeader | Refusal::NodeRemoved)), "{behind:?}");
    run_until_removed(&mut cluster, leader);

    let stay: Vec<_> = (1..=3).filter(|id| NodeId(*id) != leader).collect();
    assert_eq!(check(&mut cluster, &stay, 4), voters(&stay));
    let next = cluster.run_until_one_leads(&others(&cluster, &[leader]), view);
    assert_eq!(cluster.govern(next, founder.id(), 51, ballot), answer, "it stands, once");
    assert_eq!(cluster.write(next, 1, put(1, "before")), Ok(before));
    assert_eq!(cluster.read(next, 3), Some("through a follower".into()));
}

#[test]
fn a_node_is_replaced_in_one_decision_and_so_are_all_in_several() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let gone = others(&cluster, &[leader])[0];
    let add = newcomer(&mut cluster, 4);
    cluster.start(NodeId(4));
    decided(&mut cluster, leader, 0, vec![removal(gone), add]);
    run_until_voter(&mut cluster, NodeId(4));
    run_until_removed(&mut cluster, gone);
    let now: Vec<_> = (1..=4).filter(|id| NodeId(*id) != gone).collect();
    assert_eq!(check(&mut cluster, &now, 1), voters(&now));

    let leader = cluster.run_until_one_leads(&now.iter().copied().map(NodeId).collect::<Vec<_>>(), View(0));
    let adds = (5..=7).map(|slot| newcomer(&mut cluster, slot)).collect();
    (5..=7).for_each(|slot| cluster.start(NodeId(slot)));
    decided(&mut cluster, leader, 1, adds);
    (5..=7).for_each(|slot| run_until_voter(&mut cluster, NodeId(slot)));
    for (number, gone) in [(2, &now[..2]), (3, &now[2..])] {
        let leader = cluster.run_until_leader();
        decided(&mut cluster, leader, number, gone.iter().copied().map(|id| removal(NodeId(id))).collect());
        gone.iter().for_each(|id| run_until_removed(&mut cluster, NodeId(*id)));
    }
    (1..=4).for_each(|slot| run_until_removed(&mut cluster, NodeId(slot)));
    assert_eq!(check(&mut cluster, &[5, 6, 7], 2), voters(&[5, 6, 7]));
    (1..=4).for_each(|slot| cluster.stop(NodeId(slot)));
    cluster.restart_all_running();
    check(&mut cluster, &[5, 6, 7], 3);
}

/// The leader dies when the decision is on one follower's disk, before anybody is told.
#[test]
fn a_decision_whose_leader_dies_before_it_answers_is_found_exactly_once() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let view = cluster.status(leader).view;
    let [follower, other] = others(&cluster, &[leader])[..] else { panic!("three nodes") };
    let add = newcomer(&mut cluster, 4);
    cluster.start(NodeId(4));
    propose(&mut cluster, leader, 50, vec![removal(leader), add]);
    let founder = founder_of(&cluster);
    let ballot = founder.accept_last(&cluster, leader);
    cluster.part(&[leader], &[other]);
    let entries = cluster.entries(follower);
    cluster.submit_governance(leader, 1_000, 51, ballot.clone());
    cluster.run_until_filed(follower, entries);
    cluster.stop(leader);
    let next = cluster.run_until_one_leads(&[follower, other], view);
    let answer = cluster.govern(next, founder.id(), 51, ballot.clone());
    assert!(body(&answer).1.contains("Accepted"));
    assert_eq!(cluster.govern(other, founder.id(), 51, ballot), answer);
    run_until_voter(&mut cluster, NodeId(4));
    let now = [follower.0, other.0, 4];
    assert_eq!(check(&mut cluster, &now, 1), voters(&now));
    let closed = cluster.governed[&next].iter().flat_map(|governed| &governed.events);
    let closed = closed.filter(|event| matches!(event, synod_governance::Event::Closed { .. })).count();
    assert_eq!(closed, 1);
    // It comes back, and is told: it did not know that it was out.
    cluster.join();
    cluster.start(leader);
    run_until_removed(&mut cluster, leader);
}

/// The leader dies before it tells anyone but the removed node that the removal is committed.
#[test]
fn a_removed_node_helps_those_who_have_not_heard_that_it_was_left_out() {
    let mut cluster = Cluster::new(4);
    let leader = cluster.run_until_leader();
    let view = cluster.status(leader).view;
    let [knows, lacks, gone] = others(&cluster, &[leader])[..] else { panic!("four nodes") };
    propose(&mut cluster, leader, 50, vec![removal(gone)]);
    let ballot = founder_of(&cluster).accept_last(&cluster, leader);
    let entries = cluster.entries(knows);
    cluster.submit_governance(leader, 1_000, 51, ballot);
    cluster.run_until_filed(lacks, entries);
    cluster.part(&[leader], &[lacks]);
    // Entry by entry: the decision, then the change of the configuration.
    cluster.run_until_filed(knows, entries + 1);
    cluster.silence(leader, knows);
    run_until_removed(&mut cluster, gone);
    cluster.stop(leader);
    cluster.join();
    let next = cluster.run_until_one_leads(&[knows, lacks], view);
    cluster.write(next, 1, put(1, "without the first leader")).unwrap();
    cluster.start(leader);
    (0..2).for_each(|_| cluster.run_idle());
    let stay = [leader.0, knows.0, lacks.0];
    assert_eq!(check(&mut cluster, &stay, 2), voters(&stay));
}

#[test]
fn a_newcomer_that_is_never_there_stalls_nobody_and_is_replaced() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let view = cluster.status(leader).view;
    let add = newcomer(&mut cluster, 4);
    decided(&mut cluster, leader, 0, vec![add]);
    let before = cluster.now();
    cluster.write(leader, 1, put(1, "at once")).unwrap();
    assert_eq!(cluster.now(), before, "it waits for nobody");
    cluster.restart(leader);
    let leader = cluster.run_until_one_leads(&[1, 2, 3].map(NodeId), view);
    // One of the three may be away as before, also when another one starts.
    let [gone, other] = others(&cluster, &[leader])[..] else { panic!("three run") };
    cluster.stop(gone);
    cluster.restart(other);
    cluster.run_idle();
    cluster.write(leader, 2, put(2, "two of three")).unwrap();
    cluster.start(gone);
    (0..2).for_each(|_| cluster.run_idle());
    assert_eq!(check(&mut cluster, &[1, 2, 3], 3).learners, [NodeId(4)].into());

    let leader = cluster.run_until_leader();
    let add = newcomer(&mut cluster, 5);
    cluster.start(NodeId(5));
    decided(&mut cluster, leader, 1, vec![removal(NodeId(4)), add]);
    run_until_voter(&mut cluster, NodeId(5));
    assert_eq!(check(&mut cluster, &[1, 2, 3, 5], 4), voters(&[1, 2, 3, 5]));
    // The one that was replaced is started after all.
    cluster.start(NodeId(4));
    run_until_removed(&mut cluster, NodeId(4));
}

/// It runs, and nothing reached it from the time before it was let in to that after it was removed.
#[test]
fn a_node_that_slept_through_its_membership_is_told_that_it_is_over() {
    for is_cut_off in [true, false] {
        let mut cluster = Cluster::new(3);
        let leader = cluster.run_until_leader();
        let (add, node) = (newcomer(&mut cluster, 4), NodeId(4));
        cluster.start(node);
        cluster.run_idle();
        cluster.part(&[node], &[1, 2, 3].map(NodeId));
        decided(&mut cluster, leader, 0, vec![add]);
        cluster.run_idle();
        if !is_cut_off {
            // Messages get through again just when it is removed, over the channels that it had.
            cluster.unpart();
        }
        decided(&mut cluster, leader, 1, vec![removal(node)]);
        cluster.join();
        run_until_removed(&mut cluster, node);
    }
}

#[test]
fn two_decisions_in_a_row_are_followed_one_after_the_other() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let gone = others(&cluster, &[leader])[0];
    let founder = founder_of(&cluster);
    let adds = [4, 5].map(|slot| newcomer(&mut cluster, slot));
    [4, 5].into_iter().for_each(|slot| cluster.start(NodeId(slot)));
    // The second takes back what consensus has just begun to follow.
    let [first, second] = adds;
    let mut ballots = Vec::new();
    for (id, actions) in [(50, vec![first]), (51, vec![removal(gone), second]), (52, vec![])] {
        let actions = if actions.is_empty() { vec![newcomer(&mut cluster, 6)] } else { actions };
        propose(&mut cluster, leader, id, actions);
        ballots.push(founder.accept_last(&cluster, leader));
    }
    for (token, ballot) in (1_000..).zip(&ballots) {
        cluster.submit_governance(leader, token, (token - 900) as u8, ballot.clone());
    }
    for token in 1_000..1_003 {
        let answer = cluster.answer(token);
        assert!(body(&answer).1.contains("Accepted"), "{answer:?}");
    }
    cluster.start(NodeId(6));
    (4..=6).for_each(|slot| run_until_voter(&mut cluster, NodeId(slot)));
    run_until_removed(&mut cluster, gone);
    let now: Vec<_> = (1..=6).filter(|id| NodeId(*id) != gone).collect();
    assert_eq!(check(&mut cluster, &now, 1), voters(&now));

    let add = newcomer(&mut cluster, 7);
    decided(&mut cluster, leader, 60, vec![add]);
    decided(&mut cluster, leader, 70, vec![removal(NodeId(7))]);
    assert_eq!(check(&mut cluster, &now, 2), voters(&now), "it was never there");
}

/// A leader that is cut off seals the decision, and another one never hears of it.
#[test]
fn a_decision_that_is_truncated_changed_nothing() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let view = cluster.status(leader).view;
    let rest = others(&cluster, &[leader]);
    let add = newcomer(&mut cluster, 4);
    cluster.start(NodeId(4));
    propose(&mut cluster, leader, 50, vec![removal(rest[0]), add]);
    let ballot = founder_of(&cluster).accept_last(&cluster, leader);
    cluster.part(&[leader], &[rest[0], rest[1], NodeId(4)]);
    let entries = cluster.entries(leader);
    cluster.submit_governance(leader, 1_000, 51, ballot);
    cluster.run_until_filed(leader, entries);
    let next = cluster.run_until_one_leads(&rest, view);
    cluster.write(next, 1, put(1, "instead")).unwrap();
    cluster.restart(leader);
    cluster.join();
    cluster.run_idle();
    assert_eq!(check(&mut cluster, &[1, 2, 3], 2), voters(&[1, 2, 3]));
    assert_eq!(cluster.status(NodeId(4)).role, Role::Joining);
    let founder = founder_of(&cluster);
    let answer = cluster.govern(next, founder.id(), 52, founder.accept_last(&cluster, next));
    assert!(body(&answer).1.contains("Accepted"));
    run_until_voter(&mut cluster, NodeId(4));
    let now = [leader.0, rest[1].0, 4];
    assert_eq!(check(&mut cluster, &now, 3), voters(&now));
}

/// What a vote record says of the log is as new as what it says is committed.
#[test]
fn a_log_without_a_committed_change_is_older_than_the_vote_record_that_tells_of_it() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let [gone, stays] = others(&cluster, &[leader])[..] else { panic!("three nodes") };
    decided(&mut cluster, leader, 0, vec![removal(gone)]);
    run_until_removed(&mut cluster, gone);
    cluster.run_idle();
    for node in [leader, stays] {
        let mut image = cluster.image(node);
        let last = image.log.pop().unwrap();
        assert_eq!(last.kind, EntryKind::Configuration);
        let started = cluster.start_from(node, image);
        assert!(matches!(started, Err(StartError::LogRolledBack { index, .. }) if index == last.index), "{started:?}");
    }
}

/// Its key is wrong, or its machine is never started.
#[test]
fn whatever_newcomers_are_named_members_can_take_it_back() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let gone = others(&cluster, &[leader])[0];
    let adds = [4, 5, 6].map(|slot| newcomer(&mut cluster, slot));
    decided(&mut cluster, leader, 0, adds.into_iter().chain([removal(gone)]).collect());
    run_until_removed(&mut cluster, gone);
    cluster.write(leader, 1, put(1, "while nobody has come")).unwrap();
    let add = newcomer(&mut cluster, 7);
    cluster.start(NodeId(7));
    decided(&mut cluster, leader, 1, [4, 5].map(|slot| removal(NodeId(slot))).into_iter().chain([add]).collect());
    decided(&mut cluster, leader, 2, vec![removal(NodeId(6))]);
    run_until_voter(&mut cluster, NodeId(7));
    let now: Vec<_> = [1, 2, 3, 7].into_iter().filter(|id| NodeId(*id) != gone).collect();
    assert_eq!(check(&mut cluster, &now, 2), voters(&now));
}

/// While it is down, members replace all others, one after the other: none of those whom it knows is there any more.
#[test]
fn a_node_that_was_down_while_all_others_were_replaced_comes_back() {
    let mut cluster = Cluster::new(3);
    cluster.run_until_leader();
    cluster.run_idle();
    let down = NodeId(3);
    cluster.stop(down);
    let mut number = 0;
    for (slot, gone) in [(4, 1), (5, 2)] {
        let leader = cluster.run_until_leader();
        let add = newcomer(&mut cluster, slot);
        cluster.start(NodeId(slot));
        decided(&mut cluster, leader, number, vec![add]);
        run_until_voter(&mut cluster, NodeId(slot));
        let leader = cluster.run_until_leader();
        decided(&mut cluster, leader, number + 1, vec![removal(NodeId(gone))]);
        run_until_removed(&mut cluster, NodeId(gone));
        cluster.stop(NodeId(gone));
        number += 2;
    }
    cluster.run_idle();
    cluster.start(down);
    assert_eq!(check(&mut cluster, &[3, 4, 5], 1), voters(&[3, 4, 5]));
}

#[test]
fn a_slot_whose_key_is_replaced_goes_on_with_the_new_one_and_refuses_the_old() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let action = other_key(&mut cluster, leader);
    decided(&mut cluster, leader, 0, vec![action]);
    cluster.run_until_down(leader);
    assert_eq!(cluster.stop_reason(leader), Some(StopReason::CredentialReplaced { node: leader }));
    cluster.start(leader);
    assert_eq!(check(&mut cluster, &[1, 2, 3], 1), voters(&[1, 2, 3]));
    cluster.stop(leader);
    cluster.replace_credential(leader, leader.0 as u8);
    assert_eq!(cluster.try_start(leader), Err(StartError::Credential { node: leader }));
}

#[test]
fn a_network_of_one_node_moves_to_another_one_in_two_decisions() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.run_until_leader();
    cluster.write(leader, 1, put(1, "kept")).unwrap();
    let add = newcomer(&mut cluster, 2);
    cluster.start(NodeId(2));
    decided(&mut cluster, leader, 0, vec![add]);
    run_until_voter(&mut cluster, NodeId(2));
    decided(&mut cluster, leader, 1, vec![removal(leader)]);
    run_until_removed(&mut cluster, leader);
    cluster.stop(leader);
    assert_eq!(check(&mut cluster, &[2], 2), voters(&[2]));
    assert_eq!(cluster.read(NodeId(2), 1), Some("kept".into()));
    cluster.restart_all_running();
    check(&mut cluster, &[2], 3);
}

/// What a channel lets through may come from a node that has joined since, or from nobody that members know.
#[test]
fn a_node_that_is_not_listed_speaks_for_no_client_and_sends_nobody_away() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.run_until_leader();
    let (member, stranger) = (others(&cluster, &[leader])[0], NodeId(9));
    let (gone, from) = (vec![6], [(stranger, 1, None), (member, 2, Some("in its name".to_owned()))]);
    for (from, key, expected) in from {
        let message = cluster.forwarded(key, put(u64::from(key), "in its name"));
        cluster.tell(leader, from, message);
        cluster.run_for(std::time::Duration::from_secs(1));
        assert_eq!(cluster.read(leader, u64::from(key)), expected, "forwarded by node {from}");
    }
    cluster.tell(member, stranger, gone.clone());
    cluster.run_idle();
    assert_eq!(cluster.status(member).role, Role::Follower);
    cluster.tell(member, leader, gone);
    cluster.run_idle();
    assert_eq!(cluster.status(member).role, Role::Removed);
}
