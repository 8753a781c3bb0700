//! Who takes part changes: one node at a time, and never against what a majority knows.

use synod_types::{Configuration, ConfigurationChange, ConfigurationStep, NodeId, Untrusted};

use super::{Joined, config, effects, genesis};
use crate::ChangeError::{Leader, NotAStep, NotNow, Pending};
use crate::{Config, ConfigError, Consensus, EntryKind, LogRecord, Restored, Role};

const fn change(step: ConfigurationStep, node: NodeId) -> ConfigurationChange {
    ConfigurationChange { step, node }
}

const fn add(node: u64) -> ConfigurationChange {
    change(ConfigurationStep::AddLearner, NodeId(node))
}

const fn promote(node: u64) -> ConfigurationChange {
    change(ConfigurationStep::Promote, NodeId(node))
}

const fn remove(node: NodeId) -> ConfigurationChange {
    change(ConfigurationStep::Remove, node)
}

/// `voters` nodes that began the network, and more that did not; a leader that has committed a block.
fn with_newcomers(voters: u64, newcomers: u64) -> (Joined, NodeId) {
    let newcomer = |id| Config { id: NodeId(id), ..config(1, voters) };
    let mut joined = Joined::with((1..=voters + newcomers).map(newcomer));
    joined.cut = (voters + 1..=voters + newcomers).map(NodeId).collect();
    let leader = joined.elect();
    joined.cut.clear();
    joined.propose(leader, b"first");
    joined.run();
    (joined, leader)
}

impl Joined {
    fn change(&mut self, leader: NodeId, change: ConfigurationChange) -> LogRecord {
        let record = self.node(leader).change_configuration(change).unwrap();
        self.run();
        self.pass(300);
        record
    }

    fn all_agree_on(&self, nodes: impl IntoIterator<Item = u64>, expected: &Configuration) {
        for id in nodes {
            assert_eq!(self.nodes[id as usize - 1].configuration(), expected, "node {id}");
        }
    }
}

#[test]
fn a_node_joins_as_a_learner_is_sent_the_whole_log_and_then_counts() {
    let (mut joined, leader) = with_newcomers(3, 1);
    let record = joined.change(leader, add(4));
    assert_eq!(record.kind, EntryKind::Configuration);
    let mut expected = Configuration::of([1, 2, 3].map(NodeId));
    expected.learners.insert(NodeId(4));
    joined.all_agree_on(1..=4, &expected);
    assert_eq!(joined.logs[3], joined.logs[leader.0 as usize - 1]);

    // A learner does not count: with it and one voter, nothing commits.
    let others: Vec<_> = (1..=3).map(NodeId).filter(|node| *node != leader).collect();
    joined.cut = others.clone();
    let block = joined.propose(leader, b"not enough");
    joined.run();
    assert_ne!(joined.last_committed(leader), &block);
    joined.cut.clear();
    joined.pass(300);
    assert_eq!(joined.last_committed(leader), &block);

    joined.change(leader, promote(4));
    joined.all_agree_on(1..=4, &Configuration::of([1, 2, 3, 4].map(NodeId)));
    // Four voters: three are a majority, and the newcomer is one of them.
    joined.cut = vec![others[0]];
    let block = joined.propose(leader, b"with the newcomer");
    joined.run();
    assert_eq!(joined.last_committed(NodeId(4)), &block);
}

#[test]
fn a_node_that_joined_may_lead_and_one_that_left_does_not_disturb() {
    let (mut joined, leader) = with_newcomers(3, 1);
    joined.change(leader, add(4));
    joined.change(leader, promote(4));
    joined.node(leader).transfer_leadership(NodeId(4)).unwrap();
    joined.run();
    joined.pass(300);
    assert_eq!(joined.node(NodeId(4)).role(), Role::Leader);
    joined.propose(NodeId(4), b"of the newcomer");
    joined.run();

    joined.change(NodeId(4), remove(leader));
    let stay: Vec<_> = (1..=4).filter(|id| NodeId(*id) != leader).collect();
    joined.all_agree_on(stay.iter().copied(), &Configuration::of(stay.iter().copied().map(NodeId)));
    let view = joined.node(NodeId(4)).view();
    joined.pass(5_000);
    assert_eq!((joined.node(NodeId(4)).role(), joined.node(NodeId(4)).view()), (Role::Leader, view));
    let block = joined.propose(NodeId(4), b"without the first leader");
    joined.run();
    joined.pass(300);
    assert!(stay.iter().all(|id| joined.last_committed(NodeId(*id)) == &block));
    assert_ne!(joined.last_committed(leader), &block);
}

#[test]
fn one_change_at_a_time_by_a_leader_that_has_committed_in_its_view_and_only_steps() {
    let (mut joined, leader) = with_newcomers(3, 0);
    let others: Vec<_> = (1..=3).map(NodeId).filter(|node| *node != leader).collect();
    assert!(matches!(joined.node(others[0]).change_configuration(add(4)), Err(NotNow(_))));
    for none in [promote(4), remove(NodeId(9)), add(2)] {
        assert_eq!(joined.node(leader).change_configuration(none), Err(NotAStep { change: none }));
    }
    assert_eq!(joined.node(leader).change_configuration(remove(leader)), Err(Leader));

    joined.cut = others.clone();
    joined.node(leader).change_configuration(add(4)).unwrap();
    assert_eq!(joined.node(leader).change_configuration(add(5)), Err(Pending));
    joined.run();
    assert_eq!(joined.node(leader).change_configuration(add(5)), Err(Pending), "not committed");
    assert!(joined.node(leader).is_changing_configuration());
    joined.cut.clear();

    // A leader that has just been elected knows nothing committed in its view.
    let mut fresh = Joined::new(1);
    fresh.stuck = vec![NodeId(1)];
    while fresh.nodes[0].role() != Role::Leader {
        fresh.sync(NodeId(1));
        fresh.tick();
    }
    assert_eq!(fresh.nodes[0].change_configuration(add(2)), Err(Pending));
}

#[test]
fn a_change_that_is_truncated_was_never_in_force() {
    let (mut joined, leader) = with_newcomers(3, 0);
    let others: Vec<_> = (1..=3).map(NodeId).filter(|node| *node != leader).collect();
    joined.cut = vec![leader];
    joined.node(leader).change_configuration(remove(others[0])).unwrap();
    joined.run();
    let next = joined.elect();
    joined.propose(next, b"instead");
    joined.run();
    joined.cut.clear();
    joined.pass(2_000);
    let all = Configuration::of([1, 2, 3].map(NodeId));
    joined.all_agree_on(1..=3, &all);
    assert!(joined.nodes.iter().all(|node| !node.is_changing_configuration()));
    assert_eq!(joined.logs[0], joined.logs[1]);
    assert_eq!(joined.logs[1], joined.logs[2]);
}

#[test]
fn a_configuration_is_what_the_log_says_after_a_restart() {
    let (mut joined, leader) = with_newcomers(3, 1);
    joined.change(leader, add(4));
    joined.change(leader, promote(4));
    joined.propose(leader, b"last");
    joined.run();
    let log = joined.logs[leader.0 as usize - 1].clone();

    let restart = |log: &[LogRecord]| {
        let mut restored = Restored::new(&genesis()).unwrap();
        log[1..].iter().for_each(|record| restored.push(record).unwrap());
        restored.committed_up_to(log.last().unwrap().first_seqno.next());
        Consensus::new(&config(1, 3), restored, joined.now)
    };
    assert_eq!(restart(&log).unwrap().configuration(), &Configuration::of([1, 2, 3, 4].map(NodeId)));

    let mut twice = log.clone();
    let again = twice.iter().position(|record| record.kind == EntryKind::Configuration).unwrap();
    twice[again + 1].payload = twice[again].payload.clone();
    assert!(matches!(restart(&twice), Err(ConfigError::ConfigurationNotAllowed)));
}

#[test]
fn a_sole_voter_sends_nothing_of_a_view_before_its_vote_is_synced() {
    let (mut joined, leader) = with_newcomers(1, 1);
    joined.change(leader, add(2));
    let mut restored = Restored::new(&genesis()).unwrap();
    joined.logs[0][1..].iter().for_each(|record| restored.push(record).unwrap());
    restored.committed_through(joined.logs[0].last().unwrap().index);
    let mut node = Consensus::new(&config(1, 1), restored, joined.now).unwrap();
    while node.role() != Role::Leader {
        node.handle_timeout(node.poll_timeout().unwrap());
    }
    let (mut last, mut sent) = (0, 0);
    for effect in effects(&mut node) {
        match effect {
            crate::Effect::Append(append) => last = append.number,
            crate::Effect::Send { .. } => sent += 1,
            _ => {}
        }
    }
    assert_eq!(sent, 0, "the vote may be lost with the view");
    node.persisted(last);
    assert!(effects(&mut node).iter().any(|effect| matches!(effect, crate::Effect::Send { .. })));
}

#[test]
fn a_follower_refuses_a_change_that_is_no_step() {
    let (mut joined, leader) = with_newcomers(3, 0);
    let follower = (1..=3).map(NodeId).find(|node| *node != leader).unwrap();
    joined.node(leader).change_configuration(add(4)).unwrap();
    let sent = effects(joined.node(leader)).into_iter().filter_map(|effect| match effect {
        crate::Effect::Send { to, bytes } if to == follower => Some(bytes),
        _ => None,
    });
    let bytes = sent.last().unwrap();
    // The change's last nine bytes: the step, then the node.
    let mut changed = bytes.to_vec();
    let at = changed.len() - 9;
    changed[at] = ConfigurationStep::Promote as u8;
    let node = joined.node(follower);
    let refused = node.admit(leader, Untrusted::new(changed.into())).unwrap_err();
    assert!(matches!(refused, crate::PeerMisbehaved::NotAStep { .. }), "{refused}");
    assert!(node.admit(leader, Untrusted::new(bytes)).is_ok());
}
