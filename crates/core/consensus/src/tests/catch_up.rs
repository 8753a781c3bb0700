//! Followers that lag behind what the leader has in memory, and starting again.

use super::*;
use crate::{Broken, RestoreError, Vote};

/// A network of three whose nodes keep nothing applied in memory.
fn forgetful() -> (Joined, NodeId, NodeId) {
    let configs = (1..=3).map(|id| Config { retained_bytes_max: 0, ..config(id, 3) });
    let mut joined = Joined::with(configs);
    let leader = joined.elect();
    let lagging = joined.nodes.iter().map(Consensus::id).find(|id| *id != leader).unwrap();
    (joined, leader, lagging)
}

/// Answers the leader's wishes for records with as many as `at_most` until it has none.
fn serve(joined: &mut Joined, leader: NodeId, at_most: usize) -> usize {
    let mut served = 0;
    loop {
        let wish = joined.told.iter().position(|(_, effect)| matches!(effect, Effect::NeedRecords { .. }));
        let Some((node, Effect::NeedRecords { from, to })) = wish.map(|wish| joined.told.remove(wish)) else {
            return served;
        };
        assert_eq!(node, leader);
        let log = &joined.logs[leader.0 as usize - 1];
        let records: Vec<_> = log[from.0 as usize - 1..to.0 as usize].iter().take(at_most).cloned().collect();
        joined.node(leader).records_read(from, &records).unwrap();
        joined.run();
        served += 1;
    }
}

#[test]
fn a_follower_that_lags_far_behind_is_served_from_the_ledger() {
    let (mut joined, leader, lagging) = forgetful();
    joined.cut = vec![lagging];
    for _ in 0..50 {
        joined.propose(leader, b"block");
        joined.run();
    }
    joined.cut.clear();
    joined.pass(200);
    assert!(serve(&mut joined, leader, 7) >= 7);
    assert_eq!(joined.committed[lagging.0 as usize - 1], joined.committed[leader.0 as usize - 1]);
    assert_eq!(joined.committed[0].len(), 52);
}

#[test]
fn a_ledger_read_that_fails_is_asked_for_again_and_is_asked_for_once_at_a_time() {
    let (mut joined, leader, lagging) = forgetful();
    joined.cut = vec![lagging];
    for _ in 0..5 {
        joined.propose(leader, b"block");
        joined.run();
    }
    joined.cut.clear();
    let wishes =
        |joined: &Joined| joined.told.iter().filter(|(_, effect)| matches!(effect, Effect::NeedRecords { .. })).count();
    joined.pass(1_000);
    assert_eq!(wishes(&joined), 1, "many heartbeats, one wish");
    assert_eq!(serve(&mut joined, leader, 0), 1);
    joined.pass(200);
    assert_eq!(wishes(&joined), 1, "again after it failed");
    serve(&mut joined, leader, 100);
    assert_eq!(joined.committed[lagging.0 as usize - 1].len(), 7);
}

#[test]
fn a_node_starts_again_from_its_own_log_and_vote() {
    let (mut joined, leader, others) = Joined::elected(3);
    let one = joined.propose(leader, b"one");
    joined.run();
    let two = joined.propose(leader, b"two");
    joined.run();
    let view = joined.node(leader).view();

    let mut restored = Restored::new(&genesis()).unwrap();
    joined.logs[others[0].0 as usize - 1][1..].iter().for_each(|record| restored.push(record).unwrap());
    restored.set_vote(Vote { view, voted_for: Some(leader) });
    restored.committed_up_to(Seqno(one.first_seqno.0 + 1));
    assert_eq!((restored.committed(), restored.last()), (one.index, (two.index, view)));
    assert_eq!(restored.view(LogIndex(1)), Some(View(1)));

    let again = Consensus::new(&config(others[0].0, 3), restored, joined.now).unwrap();
    assert_eq!((again.view(), again.role(), again.committed()), (view, Role::Follower, one.index));
    joined.nodes[others[0].0 as usize - 1] = again;
    joined.committed[others[0].0 as usize - 1].truncate(one.index.0 as usize);
    let three = joined.propose(leader, b"three");
    joined.pass(500);
    assert_eq!(joined.last_committed(others[0]), &three);
    assert_eq!(joined.committed[0], joined.committed[1]);
    assert_eq!(joined.committed[1], joined.committed[2]);
}

#[test]
fn an_entry_without_transactions_is_known_committed_only_by_a_later_one_with_some() {
    let mut restored = Restored::new(&genesis()).unwrap();
    let engine = LogRecord {
        index: LogIndex(2),
        view: View(2),
        kind: EntryKind::Engine,
        first_seqno: Seqno(2),
        count: 0,
        payload: Bytes::new(),
    };
    let block = LogRecord { index: LogIndex(3), kind: EntryKind::Block, count: 2, ..engine.clone() };
    restored.push(&engine).unwrap();
    restored.push(&block).unwrap();
    for (seqno, committed) in [(0, 1), (1, 1), (2, 1), (3, 3), (9, 3), (0, 3)] {
        restored.committed_up_to(Seqno(seqno));
        assert_eq!(restored.committed(), LogIndex(committed), "{seqno}");
    }
}

#[test]
fn a_log_that_outran_the_vote_in_a_crash_starts_in_its_last_view_without_a_vote() {
    let mut restored = Restored::new(&genesis()).unwrap();
    let engine = LogRecord { index: LogIndex(2), view: View(5), kind: EntryKind::Engine, ..genesis() };
    let engine = LogRecord { first_seqno: Seqno(2), count: 0, payload: Bytes::new(), ..engine };
    restored.push(&engine).unwrap();
    restored.set_vote(Vote { view: View(4), voted_for: Some(NodeId(2)) });
    let node = Consensus::new(&config(1, 3), restored, Time(0)).unwrap();
    assert_eq!(node.view(), View(5));
    assert_eq!(node.told_vote, Vote { view: View(5), voted_for: None });
}

#[test]
fn records_that_do_not_continue_the_log_are_not_restored() {
    let next = LogRecord { index: LogIndex(2), view: View(2), first_seqno: Seqno(2), ..genesis() };
    let engine = LogRecord { kind: EntryKind::Engine, count: 0, payload: Bytes::new(), ..next.clone() };
    let refused = |record: LogRecord| Restored::new(&genesis()).unwrap().push(&record).unwrap_err();
    for record in [
        LogRecord { index: LogIndex(1), ..next.clone() },
        LogRecord { index: LogIndex(3), ..next.clone() },
        LogRecord { view: View(0), ..next.clone() },
        LogRecord { first_seqno: Seqno(1), ..next.clone() },
        LogRecord { first_seqno: Seqno(3), ..engine.clone() },
    ] {
        assert!(matches!(refused(record.clone()), RestoreError::DoesNotFollow { .. }), "{record:?}");
    }
    let full = RestoreError::EngineEntryMalformed { index: LogIndex(2) };
    assert_eq!(refused(LogRecord { count: 1, ..engine.clone() }), full);
    assert_eq!(refused(LogRecord { payload: Bytes::from_static(b"x"), ..engine }), full);
    let not_genesis = RestoreError::NotGenesis { index: LogIndex(2), view: View(2) };
    assert_eq!(Restored::new(&next).unwrap_err(), not_genesis);
}

#[test]
fn a_disk_that_lost_what_a_peer_saw_acknowledged_is_told_by_the_peer() {
    let (mut joined, leader, others) = Joined::elected(3);
    let follower = others[0];
    assert_eq!(
        joined.promised(leader, follower),
        Promise { voted: View(2), ..acknowledged(2) },
        "its vote, then an entry"
    );
    joined.propose(leader, b"block");
    joined.run();
    let promise = joined.promised(leader, follower);
    assert_eq!(promise, Promise { voted: View(2), ..acknowledged(3) });
    assert_eq!(joined.promised(follower, leader), Promise::seen_in(View(2)), "it leads that view");

    let restored = |upto: u64, vote: u64| {
        let mut restored = Restored::new(&genesis()).unwrap();
        let log = &joined.logs[follower.0 as usize - 1];
        log[1..upto as usize].iter().for_each(|record| restored.push(record).unwrap());
        restored.set_vote(Vote { view: View(vote), voted_for: Some(leader) });
        restored
    };
    for (upto, vote, broken) in [
        (3, 2, None),
        (2, 2, Some(Broken::Entry)),
        (1, 1, Some(Broken::View)),
        (1, 2, Some(Broken::Entry)),
        (2, 3, None),
    ] {
        let restored = restored(upto, vote);
        let found = promise.broken_by(leader, restored.vote(), |index| restored.view(index));
        assert_eq!(found, broken, "log to {upto}, vote in {vote}");
    }
}

fn acknowledged(index: u64) -> Promise {
    Promise::acknowledged(View(2), LogIndex(index), View(2))
}
