//! Linearizable reads.

use super::*;

fn answers(joined: &Joined) -> Vec<(NodeId, u64, LogIndex)> {
    let answer = |(node, effect): &(NodeId, Effect)| match effect {
        Effect::ReadReady { context, index } => Some((*node, *context, *index)),
        _ => None,
    };
    joined.told.iter().filter_map(answer).collect()
}

#[test]
fn any_node_learns_an_index_that_covers_what_was_committed_before() {
    let (mut joined, leader, others) = Joined::elected(3);
    let record = joined.propose(leader, b"block");
    joined.run();
    for node in [leader, others[0]] {
        joined.node(node).read_index(7).unwrap();
        joined.node(node).read_index(8).unwrap();
        joined.run();
    }
    let expected = [(leader, 7), (leader, 8), (others[0], 7), (others[0], 8)];
    assert_eq!(answers(&joined), expected.map(|(node, context)| (node, context, record.index)));
}

#[test]
fn a_leader_that_may_be_deposed_answers_no_read() {
    let (mut joined, leader, others) = Joined::elected(3);
    joined.cut = vec![leader];
    joined.node(leader).read_index(1).unwrap();
    let next = joined.elect();
    let record = joined.propose(next, b"newer");
    joined.run();
    joined.pass(2_000);
    assert_eq!(answers(&joined), []);
    assert!(others.contains(&next));
    // It asks the new leader as soon as it follows it.
    joined.cut.clear();
    joined.pass(1_000);
    assert_eq!(answers(&joined), [(leader, 1, record.index)]);
}

#[test]
fn a_read_asked_for_before_there_is_a_leader_is_answered_when_there_is_one() {
    let mut joined = Joined::new(3);
    joined.node(NodeId(2)).read_index(5).unwrap();
    joined.elect();
    joined.pass(200);
    let answers = answers(&joined);
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].0, answers[0].1), (NodeId(2), 5));
    assert!(answers[0].2 >= LogIndex(2), "the leader's own entry is committed first");
}

#[test]
fn a_node_alone_reads_at_once() {
    let mut joined = Joined::new(1);
    joined.elect();
    joined.node(NodeId(1)).read_index(5).unwrap();
    joined.run();
    assert_eq!(answers(&joined), [(NodeId(1), 5, LogIndex(2))]);
}
