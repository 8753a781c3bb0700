//! What waits for which disk.

use super::*;

fn sends(effects: &[Effect]) -> Vec<(NodeId, Bytes)> {
    let send = |effect: &Effect| match effect {
        Effect::Send { to, bytes } => Some((*to, bytes.clone())),
        _ => None,
    };
    effects.iter().filter_map(send).collect()
}

fn number(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| if let Effect::Append(append) = effect { Some(append.number) } else { None })
}

fn deliver(joined: &mut Joined, from: NodeId, to: NodeId, bytes: &Bytes) -> Vec<Effect> {
    let node = joined.node(to);
    let admitted = node.admit(from, Untrusted::new(bytes.clone())).unwrap();
    node.step(admitted).unwrap();
    effects(node)
}

#[test]
fn a_leader_sends_before_its_own_sync_and_tells_the_commit_only_after_it() {
    let (mut joined, leader, others) = Joined::elected(3);
    let record = joined.propose(leader, b"block");
    let at_once = effects(joined.node(leader));
    let own = number(&at_once).expect("the leader appends");
    let sent = sends(&at_once);
    assert_eq!(sent.len(), 2, "to both followers, before any sync");
    assert_eq!(sent[0].1.as_ptr(), sent[1].1.as_ptr(), "one encoding, shared");

    for (to, bytes) in sent {
        let theirs = deliver(&mut joined, leader, to, &bytes);
        assert_eq!(sends(&theirs), [], "no acknowledgement before the follower's sync");
        joined.node(to).persisted(number(&theirs).unwrap());
        for (_, ack) in sends(&effects(joined.node(to))) {
            let told = deliver(&mut joined, to, leader, &ack);
            assert!(!told.iter().any(|effect| matches!(effect, Effect::Committed { .. })), "{told:?}");
        }
    }
    joined.node(leader).persisted(own);
    let told = effects(joined.node(leader));
    assert!(told.contains(&Effect::Committed { records: vec![record] }), "{told:?}");
    assert_eq!(others.len(), 2);
}

#[test]
fn a_follower_acknowledges_several_appends_at_once_when_one_sync_covers_them() {
    let (mut joined, leader, others) = Joined::elected(3);
    let mut numbers = vec![];
    for payload in [b"one", b"two"] {
        joined.propose(leader, payload);
        let sent = sends(&effects(joined.node(leader)));
        let (to, bytes) = sent.iter().find(|(to, _)| *to == others[0]).unwrap();
        numbers.push(number(&deliver(&mut joined, leader, *to, bytes)).unwrap());
    }
    assert!(numbers[0] < numbers[1]);
    let follower = joined.node(others[0]);
    follower.persisted(u64::MAX);
    assert_eq!(effects(follower), [], "no append has this number");
    follower.persisted(numbers[1]);
    assert_eq!(sends(&effects(follower)).len(), 1, "the last says all");
    follower.persisted(numbers[0]);
    assert_eq!(effects(follower), [], "it was covered by the other");
}

#[test]
fn a_commit_that_is_told_by_itself_is_not_answered_unless_it_is_told_again() {
    let (mut joined, leader, others) = Joined::elected(3);
    let follower = others[0];
    joined.propose(leader, b"block");
    let at_once = effects(joined.node(leader));
    joined.node(leader).persisted(number(&at_once).unwrap());
    let (_, block) = sends(&at_once).into_iter().find(|(to, _)| *to == follower).unwrap();
    let theirs = deliver(&mut joined, leader, follower, &block);
    joined.node(follower).persisted(number(&theirs).unwrap());
    let acks = sends(&effects(joined.node(follower)));
    let told = deliver(&mut joined, follower, leader, &acks[0].1);
    let (_, announcement) =
        sends(&told).into_iter().find(|(to, _)| *to == follower).expect("nothing else is under way");

    let committed = deliver(&mut joined, leader, follower, &announcement);
    assert!(committed.iter().any(|effect| matches!(effect, Effect::Committed { .. })), "{committed:?}");
    assert_eq!(sends(&committed), []);
    let again = deliver(&mut joined, leader, follower, &announcement);
    assert_eq!(sends(&again).len(), 1, "the acknowledgement may have been lost");
}

#[test]
fn a_stuck_disk_of_a_follower_delays_its_acknowledgements_and_not_its_heartbeats() {
    let (mut joined, leader, others) = Joined::elected(3);
    joined.stuck = others.clone();
    let record = joined.propose(leader, b"block");
    joined.pass(3_000);
    assert_eq!(joined.node(leader).role(), Role::Leader, "both followers are heard from");
    assert_ne!(joined.last_committed(leader), &record);
    joined.sync(others[0]);
    joined.run();
    assert_eq!(joined.last_committed(leader), &record);
    assert_ne!(joined.last_committed(others[1]), &record, "committed, and not on this disk yet");
    joined.sync(others[1]);
    joined.run();
    assert_eq!(joined.last_committed(others[1]), &record);
}

#[test]
fn a_vote_leaves_only_when_it_is_synced() {
    let (mut joined, leader, others) = Joined::elected(3);
    joined.stuck = others.clone();
    joined.cut = vec![leader];
    let view = joined.node(leader).view();
    joined.pass(5_000);
    assert!(others.iter().all(|node| joined.nodes[node.0 as usize - 1].role() != Role::Leader));
    joined.stuck.clear();
    others.iter().for_each(|node| joined.sync(*node));
    let next = joined.elect();
    assert!(joined.node(next).view() > view);
}

#[test]
fn a_deposed_leaders_block_stays_until_it_is_replaced_and_may_commit_under_its_successor() {
    // One follower has the block and only it can win: the block commits, with its old view.
    let (mut joined, leader, others) = Joined::elected(3);
    joined.cut = vec![others[1]];
    joined.stuck = vec![leader];
    let kept = joined.propose(leader, b"kept");
    joined.run();
    assert_ne!(joined.last_committed(leader), &kept, "it waits for the own sync");
    joined.cut = vec![leader];
    joined.stuck.clear();
    let next = joined.elect();
    assert_eq!(next, others[0], "the one with the longer log");
    joined.cut.clear();
    joined.pass(1_000);
    assert!(joined.committed.iter().all(|committed| committed.contains(&kept)));
    assert!(joined.node(next).view() > kept.view);
    assert!(!joined.told.iter().any(|(_, effect)| matches!(effect, Effect::Truncated { .. })));
}

#[test]
fn a_truncation_names_exactly_the_first_entry_that_was_replaced() {
    let (mut joined, leader, _) = Joined::elected(3);
    let shared = joined.propose(leader, b"shared");
    joined.run();
    joined.cut = vec![leader];
    let lost = [joined.propose(leader, b"lost"), joined.propose(leader, b"lost too")];
    joined.run();
    assert_eq!(joined.logs[leader.0 as usize - 1].last(), Some(&lost[1]));
    let next = joined.elect();
    let taken = joined.propose(next, b"taken");
    joined.run();
    joined.told.clear();
    joined.cut.clear();
    joined.pass(1_000);
    let told: Vec<_> = joined.told.iter().filter(|(node, _)| *node == leader).map(|(_, effect)| effect).collect();
    let follows = Effect::RoleChanged { role: Role::Follower, view: taken.view, leader: Some(next) };
    assert!(told.contains(&&follows), "{told:?}");
    let truncations: Vec<_> = told.iter().filter(|effect| matches!(effect, Effect::Truncated { .. })).collect();
    assert_eq!(truncations, [&&Effect::Truncated { from: lost[0].index }]);
    assert_eq!(lost[0].index, shared.index.next());
    assert_eq!(joined.logs[0], joined.logs[1]);
    assert_eq!(joined.last_committed(leader), &taken);
}

#[test]
fn followers_hear_of_the_last_commit_at_once_and_of_earlier_ones_with_the_next_block() {
    let (mut joined, leader, others) = Joined::elected(3);
    // The messages of the first and of the second of two blocks on their way together.
    let mut sent = vec![];
    for payload in [b"one", b"two"] {
        joined.propose(leader, payload);
        let at_once = effects(joined.node(leader));
        joined.node(leader).persisted(number(&at_once).unwrap());
        sent.extend(sends(&at_once));
    }
    let mut sent_for_commit = vec![];
    for (to, bytes) in sent.iter().filter(|(to, _)| *to == others[0]) {
        let theirs = deliver(&mut joined, leader, *to, bytes);
        joined.node(*to).persisted(number(&theirs).unwrap());
        for (_, ack) in sends(&effects(joined.node(*to))) {
            sent_for_commit.push(sends(&deliver(&mut joined, *to, leader, &ack)).len());
        }
    }
    assert_eq!(sent_for_commit, [0, 2]);
    assert_eq!(joined.node(leader).committed(), joined.node(leader).last().0);
}
