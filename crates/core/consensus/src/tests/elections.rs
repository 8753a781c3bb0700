//! Elections, hand-overs and idling.

use super::*;
use crate::{ProposeError, TransferError};

#[test]
fn after_a_leaders_death_writes_go_on_within_two_seconds() {
    // A hundred seeds, each killed at another moment between two heartbeats.
    let mut gaps = vec![];
    for seed in 0..100 {
        let configs = (1..=3).map(|id| Config { seed: seed * 3 + id, ..config(id, 3) });
        let mut joined = Joined::with(configs);
        let leader = joined.elect();
        joined.pass(seed * 7 % 100);
        joined.cut = vec![leader];
        let killed = joined.now;
        let next = joined.elect();
        let record = joined.propose(next, b"goes on");
        joined.run();
        assert_eq!(joined.last_committed(next), &record);
        gaps.push(joined.now.since(killed).as_millis());
    }
    gaps.sort_unstable();
    // Nearly all in one round: a heartbeat's age and the shorter of two timeouts.
    assert!(gaps[0] >= 400 && gaps[94] <= 1_000 && gaps[99] <= 1_500, "{gaps:?}");
}

#[test]
fn an_idle_network_wakes_for_heartbeats_only() {
    let (mut joined, leader, others) = Joined::elected(3);
    joined.pass(1_000);
    let start = joined.now;
    let mut wakes = 0;
    while joined.now.since(start).as_secs() < 10 {
        let due = joined.node(leader).poll_timeout().unwrap();
        for other in &others {
            assert!(joined.node(*other).poll_timeout().unwrap() > due, "followers sleep through heartbeats");
        }
        joined.tick();
        wakes += 1;
    }
    // A hundred heartbeats and twenty checks of the quorum, which mostly coincide.
    assert!((100..=121).contains(&wakes), "{wakes}");
    assert_eq!(joined.node(leader).role(), Role::Leader);
}

#[test]
fn a_leader_that_hears_from_no_majority_steps_down() {
    let (mut joined, leader, others) = Joined::elected(3);
    joined.cut = others;
    joined.pass(1_100);
    assert_eq!(joined.node(leader).role(), Role::Follower);
    assert_eq!(joined.node(leader).leader(), None);
}

#[test]
fn a_node_that_was_cut_off_does_not_unseat_the_leader_when_it_returns() {
    let (mut joined, leader, others) = Joined::elected(3);
    let view = joined.node(leader).view();
    joined.cut = vec![others[0]];
    joined.pass(10_000);
    joined.cut.clear();
    joined.pass(3_000);
    for node in &joined.nodes {
        assert_eq!((node.leader(), node.view()), (Some(leader), view));
    }
}

#[test]
fn leadership_is_handed_over_without_a_pause_and_nothing_is_taken_meanwhile() {
    let (mut joined, leader, others) = Joined::elected(3);
    joined.propose(leader, b"block");
    joined.run();
    let start = joined.now;
    joined.node(leader).transfer_leadership(others[1]).unwrap();
    assert_eq!(joined.node(leader).place(), Err(ProposeError::TransferPending { to: others[1] }));
    assert_eq!(joined.node(leader).transferring_to(), Some(others[1]));
    joined.run();
    assert_eq!(joined.node(others[1]).role(), Role::Leader);
    assert_eq!(joined.node(leader).role(), Role::Follower);
    assert_eq!(joined.now, start, "no timeout was needed");
}

#[test]
fn a_hand_over_that_fails_ends_after_the_least_election_timeout() {
    let (mut joined, leader, others) = Joined::elected(3);
    joined.cut = vec![others[0]];
    joined.node(leader).transfer_leadership(others[0]).unwrap();
    joined.pass(400);
    assert!(joined.node(leader).place().is_err());
    joined.pass(200);
    assert!(joined.node(leader).place().is_ok());
}

#[test]
fn leadership_goes_only_to_another_voter_and_only_from_the_leader() {
    let (mut joined, leader, others) = Joined::elected(3);
    let refused = |joined: &mut Joined, node, to| joined.node(node).transfer_leadership(to).unwrap_err();
    assert_eq!(refused(&mut joined, others[0], others[1]), TransferError::NotLeader);
    assert_eq!(refused(&mut joined, leader, leader), TransferError::NotAPeer { to: leader });
    assert_eq!(refused(&mut joined, leader, NodeId(9)), TransferError::NotAPeer { to: NodeId(9) });
}

#[test]
fn election_timeouts_come_from_the_seed_and_differ_between_nodes_and_views() {
    let timeouts = |seed| -> Vec<Time> {
        (1..=3).map(|id| fresh(&Config { seed, ..config(id, 3) }).poll_timeout().unwrap()).collect()
    };
    assert_eq!(timeouts(1), timeouts(1));
    assert_ne!(timeouts(1), timeouts(2));
    let mut distinct = timeouts(1);
    distinct.dedup();
    assert_eq!(distinct.len(), 3);
    assert!(timeouts(1).iter().all(|time| (500_000..1_000_000).contains(&time.0)));

    // A node that asks in vain draws again for each role that it takes.
    let mut node = fresh(&config(1, 3));
    let mut waits = vec![];
    let mut now = Time(0);
    for _ in 0..2 {
        let next = node.poll_timeout().unwrap();
        waits.push(next.since(now));
        now = next;
        node.handle_timeout(now);
    }
    assert_ne!(waits[0], waits[1]);
}

#[test]
fn roles_are_told_once_and_a_new_leader_hears_of_it_after_its_entry_is_appended() {
    let config = config(1, 1);
    let mut node = fresh(&config);
    node.handle_timeout(node.poll_timeout().unwrap());
    let told = effects(&mut node);
    let [Effect::Append(append), Effect::RoleChanged { role: Role::Leader, view: View(2), leader: Some(NodeId(1)) }] =
        &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!(append.vote, Some(crate::Vote { view: View(2), voted_for: Some(NodeId(1)) }));
    assert_eq!((append.records.len(), append.records[0].kind), (1, EntryKind::Engine));
    node.persisted(append.number);
    assert_eq!(effects(&mut node), [Effect::Committed { records: append.records.clone() }]);
}

#[test]
fn times_and_voters_that_contradict_each_other_are_refused() {
    use crate::ConfigError::*;
    use std::time::Duration;
    let ms = Duration::from_millis;
    let base = config(1, 3);
    let cases = [
        (Config { voters: vec![], ..base.clone() }, VotersNotDistinct { voters: 0 }),
        (Config { voters: vec![NodeId(1), NodeId(1)], ..base.clone() }, VotersNotDistinct { voters: 2 }),
        (Config { voters: (1..=65).map(NodeId).collect(), ..base.clone() }, VotersNotDistinct { voters: 65 }),
        (Config { voters: vec![NodeId(0), NodeId(1)], ..base.clone() }, NodeZero),
        (Config { id: NodeId(0), ..base.clone() }, NodeZero),
        (Config { tick: ms(0), ..base.clone() }, TimesOutOfOrder),
        (Config { tick: ms(200), ..base.clone() }, TimesOutOfOrder),
        (Config { heartbeat: ms(500), ..base.clone() }, TimesOutOfOrder),
        (Config { election_timeout: (ms(500), ms(500)), ..base.clone() }, TimesOutOfOrder),
        (Config { election_timeout: (ms(500), Duration::MAX), ..base.clone() }, TimesOutOfOrder),
    ];
    for (config, expected) in cases {
        assert_eq!(config.ticks().map(|_| ()), Err(expected), "{config:?}");
    }
    assert!(base.ticks().is_ok());
}
