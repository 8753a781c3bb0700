//! Each refusal of a peer's message, by name, and the messages beside it that are let through.

use super::*;
use crate::format::{Ask, PeerMessage, ReadContext, WireEntry};
use crate::misbehaviour::PeerMisbehaved;

const MAX: u64 = 1 << 62;

/// A network of three in view 2 with entries 1 to 4 (genesis, engine, two blocks), all committed,
/// and a fifth that only the leader has.
struct Stage {
    joined: Joined,
    leader: NodeId,
    follower: NodeId,
    other: NodeId,
}

fn stage() -> Stage {
    let (mut joined, leader, others) = Joined::elected(3);
    joined.propose(leader, b"three");
    joined.propose(leader, b"four");
    joined.run();
    joined.cut = others.clone();
    joined.propose(leader, b"five");
    joined.run();
    joined.cut.clear();
    assert_eq!(joined.node(leader).view(), View(2));
    Stage { joined, leader, follower: others[0], other: others[1] }
}

impl Stage {
    /// What `to` says to `message` from `from`: nothing, or why it refuses. Steps it if admitted.
    fn check(&mut self, from: NodeId, to: NodeId, message: &PeerMessage) -> Result<usize, PeerMisbehaved> {
        let node = self.joined.node(to);
        let admitted = node.admit(from, Untrusted::new(message.to_bytes()))?;
        let new = admitted.entries().records.len();
        node.step(admitted).unwrap();
        Ok(new)
    }
}

fn append(view: u64, after: u64, after_view: u64, commit: u64, entries: Vec<WireEntry>) -> PeerMessage {
    let (view, after_view) = (View(view), View(after_view));
    PeerMessage::Append { view, after: LogIndex(after), after_view, commit: LogIndex(commit), entries }
}

fn block(view: u64, first_seqno: u64) -> WireEntry {
    let payload = Bytes::from_static(b"theirs");
    WireEntry::Block { view: View(view), first_seqno: Seqno(first_seqno), count: 2, payload }
}

fn heartbeat(view: u64, commit: u64) -> PeerMessage {
    PeerMessage::Heartbeat { view: View(view), commit: LogIndex(commit), read: None }
}

fn refusal(after: u64, hint: u64, hint_view: u64) -> PeerMessage {
    let (hint, hint_view, commit) = (LogIndex(hint), View(hint_view), LogIndex(1));
    PeerMessage::Refused { view: View(2), after: LogIndex(after), hint, hint_view, commit }
}

fn vote(view: u64, ask: Ask, granted: bool) -> PeerMessage {
    PeerMessage::Vote { view: View(view), ask, granted, commit: LogIndex(0), commit_view: View(0) }
}

#[test]
fn this_node_itself_and_no_node_are_not_heard() {
    let mut stage = stage();
    for from in [stage.follower, NodeId(0)] {
        let refused = stage.check(from, stage.follower, &heartbeat(2, 1));
        assert_eq!(refused, Err(PeerMisbehaved::NotAPeer { from }));
    }
}

#[test]
fn a_message_above_the_size_limit_is_refused_before_it_is_read() {
    let stage = stage();
    let bytes = Bytes::from(vec![1; (33 << 20) + 1]);
    let refused = stage.joined.nodes[0].admit(NodeId(2), Untrusted::new(bytes));
    assert_eq!(refused.unwrap_err(), PeerMisbehaved::MessageTooLarge { size: (33 << 20) + 1 });
}

#[test]
fn views_that_no_election_reached_are_refused_in_every_message() {
    let mut stage = stage();
    let (leader, follower) = (stage.leader, stage.follower);
    for view in [0, MAX + 1, u64::MAX] {
        let out_of_range = Err(PeerMisbehaved::NumberOutOfRange { what: "view", found: view });
        let read = ReadContext { node: follower, incarnation: 0, number: 0 };
        let view = View(view);
        let (index, commit, none) = (LogIndex(2), LogIndex(1), View(1));
        for message in [
            append(view.0, 4, 2, 4, vec![]),
            PeerMessage::Appended { view, index, commit },
            PeerMessage::Refused { view, after: index, hint: index, hint_view: none, commit },
            PeerMessage::AskVote { view, ask: Ask::Would, last: index, last_view: none, commit, commit_view: none },
            vote(view.0, Ask::Will, true),
            heartbeat(view.0, 1),
            PeerMessage::HeartbeatSeen { view, commit, read: None },
            PeerMessage::TakeOver { view },
            PeerMessage::Read { view, index, read },
        ] {
            assert_eq!(stage.check(leader, follower, &message), out_of_range, "{message:?}");
        }
    }
    let jump = PeerMisbehaved::ViewJump { found: View(3 + (1 << 32)), ours: View(2) };
    assert_eq!(stage.check(leader, follower, &heartbeat(3 + (1 << 32), 1)), Err(jump));
    assert_eq!(stage.check(leader, follower, &heartbeat(2 + (1 << 32), 1)), Ok(0));
}

#[test]
fn a_commit_beyond_the_log_is_refused_from_a_leader_and_ignored_from_a_past_one() {
    let mut stage = stage();
    let (leader, follower) = (stage.leader, stage.follower);
    let beyond = PeerMisbehaved::CommitBeyondLog { commit: LogIndex(5), last: LogIndex(4) };
    for view in [2, 3] {
        assert_eq!(stage.check(leader, follower, &heartbeat(view, 5)), Err(beyond.clone()));
    }
    assert_eq!(stage.check(leader, follower, &heartbeat(1, 5)), Ok(0));
    assert_eq!(stage.check(leader, follower, &heartbeat(2, 4)), Ok(0));
    let refused = stage.check(leader, follower, &heartbeat(2, MAX + 1));
    assert_eq!(refused, Err(PeerMisbehaved::NumberOutOfRange { what: "commit", found: MAX + 1 }));
    // An append commits only what it shows.
    assert_eq!(stage.check(leader, follower, &append(2, 4, 2, MAX, vec![])), Ok(0));
}

#[test]
fn a_second_leader_of_one_view_is_named() {
    let mut stage = stage();
    let (leader, follower, other) = (stage.leader, stage.follower, stage.other);
    let second = Err(PeerMisbehaved::SecondLeader { view: View(2), leader });
    for message in [append(2, 4, 2, 4, vec![]), heartbeat(2, 1), PeerMessage::TakeOver { view: View(2) }] {
        assert_eq!(stage.check(other, follower, &message), second, "{message:?}");
        assert_eq!(stage.check(other, leader, &message), second, "{message:?}");
    }
    // One of an older view gets its answer, one of a newer view is followed.
    assert_eq!(stage.check(other, follower, &append(1, 9, 1, 9, vec![])), Ok(0));
    assert_eq!(stage.check(other, follower, &heartbeat(3, 4)), Ok(0));
    assert_eq!(stage.joined.node(follower).leader(), Some(other));
}

#[test]
fn entries_that_contradict_committed_ones_are_refused() {
    let mut stage = stage();
    let (other, follower) = (stage.other, stage.follower);
    let conflict = |found, committed| {
        let (index, found, committed) = (LogIndex(4), View(found), View(committed));
        Err(PeerMisbehaved::ConflictsWithCommitted { index, found, committed })
    };
    assert_eq!(stage.check(other, follower, &append(3, 4, 1, 4, vec![])), conflict(1, 2));
    assert_eq!(stage.check(other, follower, &append(3, 4, 3, 4, vec![])), conflict(3, 2));
    // Beyond our log, in a view below that of what we know committed.
    let index = LogIndex(100);
    let refused = PeerMisbehaved::ConflictsWithCommitted { index, found: View(1), committed: View(2) };
    assert_eq!(stage.check(other, follower, &append(3, 100, 1, 4, vec![])), Err(refused));
    // Below what is committed the engine says so itself and reads no entries.
    assert_eq!(stage.check(other, follower, &append(3, 2, 1, 2, vec![block(1, 2), block(3, 4)])), Ok(0));
}

#[test]
fn entries_out_of_order_are_refused() {
    let mut stage = stage();
    let (leader, follower) = (stage.leader, stage.follower);
    let out_of_order = |index, found, after, message| {
        let (index, found, after, message) = (LogIndex(index), View(found), View(after), View(message));
        Err(PeerMisbehaved::ViewsOutOfOrder { index, found, after, message })
    };
    let cases = [
        (append(2, 4, 3, 4, vec![]), out_of_order(4, 3, 3, 2)),
        (append(2, 4, 2, 4, vec![block(3, 6)]), out_of_order(5, 3, 2, 2)),
        (append(2, 4, 2, 4, vec![block(1, 6)]), out_of_order(5, 1, 2, 2)),
        (append(2, 4, 2, 4, vec![block(2, 6), block(1, 8)]), out_of_order(6, 1, 2, 2)),
        (append(2, 4, 0, 4, vec![]), out_of_order(4, 0, 0, 2)),
    ];
    for (message, expected) in cases {
        assert_eq!(stage.check(leader, follower, &message), expected, "{message:?}");
    }
    let gap = |index, found, expected| {
        Err(PeerMisbehaved::SeqnoGap { index: LogIndex(index), found: Seqno(found), expected: Seqno(expected) })
    };
    let cases = [
        (append(2, 4, 2, 4, vec![block(2, 7)]), gap(5, 7, 6)),
        (append(2, 4, 2, 4, vec![block(2, 6), block(2, 9)]), gap(6, 9, 8)),
        (append(2, 4, 2, 4, vec![WireEntry::Engine { view: View(2) }, block(2, u64::MAX)]), gap(6, u64::MAX, 6)),
    ];
    for (message, expected) in cases {
        assert_eq!(stage.check(leader, follower, &message), expected, "{message:?}");
    }
    assert_eq!(stage.check(leader, follower, &append(2, 4, 2, 4, vec![block(2, 6), block(2, 8)])), Ok(2));
}

#[test]
fn an_entry_that_shares_index_and_view_with_ours_must_be_ours() {
    let mut stage = stage();
    let (leader, follower) = (stage.leader, stage.follower);
    let message = append(2, 4, 2, 4, vec![block(2, 6)]);
    assert_eq!(stage.check(leader, follower, &message), Ok(1));
    assert_eq!(stage.check(leader, follower, &message), Ok(0), "the same again adds nothing");
    let payload = Bytes::from_static(b"other bytes");
    let differs = Err(PeerMisbehaved::EntryDiffers { index: LogIndex(5), view: View(2) });
    for entry in [
        WireEntry::Block { view: View(2), first_seqno: Seqno(6), count: 2, payload },
        WireEntry::Block { view: View(2), first_seqno: Seqno(6), count: 1, payload: Bytes::from_static(b"theirs") },
        WireEntry::Engine { view: View(2) },
    ] {
        assert_eq!(stage.check(leader, follower, &append(2, 4, 2, 4, vec![entry])), differs);
    }
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_refused() {
    let mut stage = stage();
    let (leader, follower) = (stage.leader, stage.follower);
    let ack = |view, index| PeerMessage::Appended { view: View(view), index: LogIndex(index), commit: LogIndex(MAX) };
    let beyond = |index| Err(PeerMisbehaved::AckBeyondLog { index: LogIndex(index), last: LogIndex(5) });
    assert_eq!(stage.check(follower, leader, &ack(2, 6)), beyond(6));
    assert_eq!(stage.check(follower, leader, &refusal(6, 4, 2)), beyond(6));
    let out_of_range = PeerMisbehaved::NumberOutOfRange { what: "index", found: u64::MAX };
    assert_eq!(stage.check(follower, leader, &ack(2, u64::MAX)), Err(out_of_range));
    assert_eq!(stage.check(follower, leader, &ack(1, 6)), Ok(0), "of an older view: ignored");
    assert_eq!(stage.check(stage.other, follower, &ack(2, 100)), Ok(0), "not ours to count");
    assert_eq!(stage.check(follower, leader, &ack(2, 5)), Ok(0));
}

#[test]
fn an_acknowledgement_says_what_is_synced_only_to_the_leader_of_its_view() {
    let mut stage = stage();
    let (leader, follower, other) = (stage.leader, stage.follower, stage.other);
    let mut said = |from, to, view| {
        let message = PeerMessage::Appended { view: View(view), index: LogIndex(4), commit: LogIndex(1) };
        stage.joined.node(to).admit(from, Untrusted::new(message.to_bytes())).unwrap().promise()
    };
    assert_eq!(said(follower, leader, 2), Promise::acknowledged(View(2), LogIndex(4), View(2)));
    assert_eq!(said(follower, leader, 1), Promise::seen_in(View(1)), "another entry may stand there by now");
    assert_eq!(said(follower, leader, 3), Promise::seen_in(View(3)));
    assert_eq!(said(other, follower, 2), Promise::seen_in(View(2)));
}

#[test]
fn only_what_waits_for_a_sync_says_which_view_a_node_is_in() {
    let mut stage = stage();
    let (leader, follower) = (stage.leader, stage.follower);
    let view = View(3);
    let (commit, commit_view, last, last_view) = (LogIndex(1), View(1), LogIndex(4), View(2));
    let ask_vote = |ask| PeerMessage::AskVote { view, ask, last, last_view, commit, commit_view };
    let vote = |ask, granted| PeerMessage::Vote { view, ask, granted, commit, commit_view };
    for (message, promise) in [
        (ask_vote(Ask::Will), Promise::seen_in(view)),
        (ask_vote(Ask::HandOver), Promise::seen_in(view)),
        (ask_vote(Ask::Would), Promise::default()),
        (vote(Ask::Would, false), Promise::default()),
        (vote(Ask::Will, false), Promise::seen_in(view)),
        (PeerMessage::Heartbeat { view, commit, read: None }, Promise::seen_in(view)),
        (PeerMessage::HeartbeatSeen { view, commit, read: None }, Promise::default()),
    ] {
        let admitted = stage.joined.node(leader).admit(follower, Untrusted::new(message.to_bytes())).unwrap();
        assert_eq!(admitted.promise(), promise, "{message:?}");
    }
}

#[test]
fn refusals_that_no_log_of_this_network_can_give_are_refused() {
    let mut stage = stage();
    let (leader, follower) = (stage.leader, stage.follower);
    let genesis = |index| Err(PeerMisbehaved::GenesisRefused { index: LogIndex(index) });
    assert_eq!(stage.check(follower, leader, &refusal(1, 1, 1)), genesis(1));
    assert_eq!(stage.check(follower, leader, &refusal(0, 0, 1)), genesis(0));
    assert_eq!(stage.check(follower, leader, &refusal(4, 0, 1)), genesis(0));
    assert_eq!(stage.check(follower, leader, &refusal(4, 3, 0)), genesis(3));
    let beyond = PeerMisbehaved::HintBeyondRefusal { index: LogIndex(4), hint: LogIndex(5) };
    assert_eq!(stage.check(follower, leader, &refusal(4, 5, 2)), Err(beyond));
    assert_eq!(stage.check(follower, leader, &refusal(4, 3, 1)), Ok(0));
    assert_eq!(stage.check(follower, leader, &refusal(5, 5, 1)), Ok(0));
    stage.joined.pass(500);
    assert_eq!(stage.joined.committed[0], stage.joined.committed[1], "and it recovers from a false one");
    assert_eq!(stage.joined.committed[1], stage.joined.committed[2]);
}

#[test]
fn a_vote_counts_only_if_the_request_for_it_left_this_node() {
    let not_asked = |view, ours| Err(PeerMisbehaved::VoteNotAskedFor { view: View(view), ours: View(ours) });
    let mut stage = stage();
    let (leader, follower, other) = (stage.leader, stage.follower, stage.other);
    assert_eq!(stage.check(other, follower, &vote(3, Ask::Will, true)), not_asked(3, 2));
    assert_eq!(stage.check(other, follower, &vote(4, Ask::Would, true)), not_asked(4, 2));
    assert_eq!(stage.check(other, follower, &vote(2, Ask::Will, true)), Ok(0), "late, and of no use");

    // Candidates whose own vote is not synced, with entries that are not either: to count a vote now
    // would have the engine lead on what its disk does not hold.
    stage.joined.stuck = vec![follower];
    assert_eq!(stage.check(leader, follower, &append(2, 4, 2, 4, vec![block(2, 6)])), Ok(1));
    stage.joined.cut = vec![leader, other];
    stage.joined.pass(1_500);
    assert_eq!(stage.check(other, follower, &vote(3, Ask::Would, true)), Ok(0));
    assert_eq!(stage.joined.node(follower).role(), Role::Candidate);
    assert_eq!(stage.joined.node(follower).view(), View(3));
    assert_eq!(stage.check(other, follower, &vote(3, Ask::Will, true)), not_asked(3, 3));
    stage.joined.run();
    stage.joined.sync(follower);
    assert_eq!(stage.check(other, follower, &vote(3, Ask::Will, true)), Ok(0));
    assert_eq!(stage.joined.node(follower).role(), Role::Leader);
}

#[test]
fn a_candidate_with_a_log_of_its_own_future_is_refused() {
    let mut stage = stage();
    let (last, commit) = (LogIndex(9), LogIndex(9));
    for ask in [Ask::Would, Ask::Will, Ask::HandOver] {
        let (view, last_view, commit_view) = (View(3), View(3), View(3));
        let message = PeerMessage::AskVote { view, ask, last, last_view, commit, commit_view };
        let ahead = PeerMisbehaved::CandidateAheadOfItself { view, last: last_view };
        assert_eq!(stage.check(stage.other, stage.follower, &message), Err(ahead));
    }
}

#[test]
fn a_take_over_counts_only_from_the_leader_that_is_followed() {
    let mut stage = stage();
    let (leader, follower) = (stage.leader, stage.follower);
    assert_eq!(stage.check(leader, follower, &PeerMessage::TakeOver { view: View(1) }), Ok(0));
    assert_eq!(stage.check(leader, follower, &PeerMessage::TakeOver { view: View(3) }), Ok(0));
    assert_eq!((stage.joined.node(follower).role(), stage.joined.node(follower).view()), (Role::Follower, View(2)));
    assert_eq!(stage.check(leader, follower, &PeerMessage::TakeOver { view: View(2) }), Ok(0));
    assert_eq!((stage.joined.node(follower).role(), stage.joined.node(follower).view()), (Role::Candidate, View(3)));
}

#[test]
fn reads_name_who_asks_and_answers_count_once_and_in_this_life() {
    let mut stage = stage();
    let (leader, follower, other) = (stage.leader, stage.follower, stage.other);
    let read = |node| ReadContext { node, incarnation: 1, number: 1 };
    let foreign = |found, expected| Err(PeerMisbehaved::ForeignReadContext { found, expected });
    assert_eq!(stage.check(other, leader, &PeerMessage::AskRead { read: read(follower) }), foreign(follower, other));
    let answer = |read| PeerMessage::Read { view: View(2), index: LogIndex(4), read };
    assert_eq!(stage.check(leader, follower, &answer(read(other))), foreign(other, follower));
    // A follower does not pass questions on, and an answer to an earlier life is not one.
    assert_eq!(stage.check(other, follower, &PeerMessage::AskRead { read: read(other) }), Ok(0));
    assert_eq!(stage.check(leader, follower, &answer(read(follower))), Ok(0));
    assert_eq!(effects(stage.joined.node(follower)), []);
    // A leader takes questions up to a bound and lets the rest go.
    for number in 0..1_000 {
        let read = ReadContext { node: other, incarnation: 1, number };
        assert_eq!(stage.check(other, leader, &PeerMessage::AskRead { read }), Ok(0));
    }
    assert_eq!(stage.joined.node(leader).raw.raft.pending_read_count(), 256);
}
