//! The worker's other messages: genesis, apply, truncate, commit; what readers see; what is a broken contract.

use std::sync::Arc;
use std::thread;

use crate::common::{A, B, apply, commit, env, execute, kits, map, tell, truncate};
use bytes::Bytes;
use synod_kv::{Lookup, WriteSet};
use synod_types::codec::DecodeReason;
use synod_types::{AdapterId, Decode, Digest, Encode, Seqno};
use synod_worker::{Apply, Call, ContentType, Execute, Reply, ToWorker, Worker};

/// A worker after genesis, which has committed.
fn worker() -> Worker {
    let mut worker = Worker::new(&kits());
    let genesis = Worker::genesis(&kits(), &[(A, b"for a"), (B, b"")]).expect("no adapter refuses");
    tell(&mut worker, ToWorker::Apply(Apply { first_seqno: Seqno(1), write_sets: [genesis].into() }));
    commit(&mut worker, 1);
    worker
}

#[test]
fn genesis_writes_what_each_named_adapter_sets_up() {
    let worker = worker();
    let state = &worker.reader().latest().state;
    assert_eq!(state.get_value(&map("a", "settings"), b""), Some(b"for a".into()));
    assert_eq!(state.get_value(&map("b", "settings"), b""), Some(b"".into()));
    assert_eq!(worker.tip(), Seqno(1));

    let one = Worker::genesis(&kits(), &[(B, b"x")]).unwrap();
    assert_eq!(one.maps().map(|map| map.as_str()).collect::<Vec<_>>(), ["b.settings", "worker.settings"]);
}

#[test]
fn genesis_refuses_with_the_adapters_reason() {
    let error = Worker::genesis(&kits(), &[(A, b""), (B, b"bad")]).unwrap_err();
    assert_eq!(error.to_string(), "settings of adapter b refused: bad");
}

#[test]
fn a_worker_begins_empty() {
    let worker = Worker::new(&kits());
    assert_eq!((worker.tip(), worker.reader().latest().seqno), (Seqno(0), Seqno(0)));
    assert!(worker.reader().latest().state.is_empty());
}

#[test]
fn readers_see_what_has_committed_and_keep_what_they_hold() {
    let mut worker = worker();
    let reader = worker.reader();
    let data = map("a", "data");
    execute(&mut worker, &[(A, "x=1")]);
    execute(&mut worker, &[(A, "x=2"), (A, "y=2")]);
    assert!(!reader.latest().state.has(&data, b"x"));

    commit(&mut worker, 2);
    let held = reader.latest();
    assert_eq!((held.seqno, held.state.get_value(&data, b"x")), (Seqno(2), Some(b"1".into())));

    commit(&mut worker, 4);
    let latest = reader.latest();
    assert_eq!((latest.seqno, latest.state.get_value(&data, b"x")), (Seqno(4), Some(b"2".into())));
    assert_eq!(held.state.get_value(&data, b"x"), Some(b"1".into()));

    commit(&mut worker, 4);
    assert!(Arc::ptr_eq(&latest, &reader.latest()));
}

#[test]
fn truncation_drops_whole_blocks_and_work_goes_on_from_there() {
    let mut worker = worker();
    let mut digests = vec![worker.layers().tip().digest()];
    for calls in [&[(A, "x=1"), (B, "x=1")][..], &[(A, "x=2")], &[(B, "x-")]] {
        execute(&mut worker, calls);
        digests.push(worker.layers().tip().digest());
    }
    commit(&mut worker, 3);
    for (to, digest) in [(5, digests[3]), (4, digests[2]), (3, digests[1])] {
        truncate(&mut worker, to);
        assert_eq!((worker.tip(), worker.layers().tip().digest()), (Seqno(to), digest));
    }
    let executed = execute(&mut worker, &[(A, "x=2")]);
    assert_eq!(executed.env.first_seqno, Seqno(4));
    assert_eq!(worker.layers().tip().digest(), digests[2]);
}

#[test]
fn several_blocks_commit_with_one_message() {
    let (mut leader, mut follower) = (worker(), worker());
    for calls in [&[(A, "x=1"), (B, "x=1")][..], &[(A, "x=2")]] {
        apply(&mut follower, &execute(&mut leader, calls));
    }
    commit(&mut follower, 4);
    assert_eq!(follower.reader().latest().state.digest(), leader.layers().tip().digest());
}

#[test]
fn frontends_are_found_by_name_and_number() {
    let reader = worker().reader();
    assert_eq!((reader.find("a"), reader.find("b"), reader.find("c"), reader.find("")), (Some(A), Some(B), None, None));
    assert!(reader.frontend(A).is_some() && reader.frontend(B).is_some());
    assert!(reader.frontend(AdapterId(2)).is_none());
}

/// Four threads read while 300 blocks commit: each snapshot holds exactly what its seqno says, and never an older one.
#[test]
fn readers_on_other_threads_see_whole_blocks_in_order() {
    let mut worker = worker();
    let last = 1 + 300 * 2;
    thread::scope(|scope| {
        for _ in 0..4 {
            let reader = worker.reader();
            scope.spawn(move || {
                let mut seen = Seqno(0);
                while seen < Seqno(last) {
                    let committed = reader.latest();
                    assert!(committed.seqno >= seen);
                    seen = committed.seqno;
                    let value = |name| committed.state.get_value(&map(name, "data"), b"n");
                    assert_eq!(value("a"), value("b"), "both writes of a block, or none");
                    let block = (seen.0 > 1).then(|| (seen.0 - 1).to_string().as_bytes().into());
                    assert_eq!(value("a"), block);
                }
            });
        }
        for _ in 0..300 {
            let write = format!("n={}", worker.tip().0 + 1);
            execute(&mut worker, &[(A, &write), (B, &write)]);
            let upto = worker.tip().0;
            commit(&mut worker, upto);
        }
    });
}

#[test]
#[should_panic(expected = "a block begins at 3, but the tip is 1")]
fn a_block_to_execute_that_leaves_a_gap_is_a_broken_contract() {
    worker().handle(ToWorker::Execute(Execute { env: env(3), calls: Vec::new() }));
}

#[test]
#[should_panic(expected = "a block begins at 1, but the tip is 1")]
fn a_block_to_apply_twice_is_a_broken_contract() {
    let write_sets = [WriteSet::default()].into();
    worker().handle(ToWorker::Apply(Apply { first_seqno: Seqno(1), write_sets }));
}

#[test]
#[should_panic(expected = "a block to apply holds a transaction")]
fn an_empty_block_to_apply_is_a_broken_contract() {
    worker().handle(ToWorker::Apply(Apply { first_seqno: Seqno(2), write_sets: [].into() }));
}

#[test]
fn a_block_with_a_malformed_write_set_is_never_applied() {
    let whole = Bytes::from(WriteSet::default().to_bytes());
    let malformed = Bytes::from_static(b"\x01\x01");
    assert!(Apply::from_encoded(Seqno(2), [&whole]).is_ok());
    assert!(Apply::from_encoded(Seqno(2), [&whole, &malformed]).is_err());
}

#[test]
#[should_panic(expected = "truncation to 0 would drop what committed up to 1")]
fn truncating_what_committed_is_a_broken_contract() {
    worker().handle(ToWorker::Truncate { to: Seqno(0) });
}

#[test]
#[should_panic(expected = "commit of 2, but the block ends at 1")]
fn committing_what_is_not_there_is_a_broken_contract() {
    worker().handle(ToWorker::Commit { upto: Seqno(2) });
}

#[test]
#[should_panic(expected = "calls name adapters of this network")]
fn a_call_of_an_unknown_adapter_is_a_broken_contract() {
    let call = Call { adapter: AdapterId(2), actor: crate::common::ACTOR, input: Bytes::new() };
    worker().handle(ToWorker::Execute(Execute { env: env(2), calls: vec![call] }));
}

#[test]
fn a_reply_reads_back_and_is_refused_when_cut_or_changed_to_what_it_cannot_be() {
    let replies = [
        (Reply::text(200, "hi"), &b"\xc8\0\x01\0\0\x02\0\0\0hi"[..]),
        (Reply::new(404, ContentType::Binary, Bytes::new()), b"\x94\x01\0\0\0\0\0\0\0"),
        (
            Reply::json(200, "{}").with_writes().with_claims(Digest([5; 32])),
            b"\xc8\0\x02\x01\x01\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x02\0\0\0{}",
        ),
    ];
    for (reply, bytes) in replies {
        assert_eq!(reply.to_bytes(), bytes);
        assert_eq!(Reply::from_bytes(bytes), Ok(reply));
        for size in 0..bytes.len() {
            assert_eq!(Reply::from_bytes(&bytes[..size]).map_err(|e| e.reason), Err(DecodeReason::InputEndsEarly));
        }
        let mut other = bytes.to_vec();
        other[2] = 3;
        assert_eq!(Reply::from_bytes(&other).map_err(|e| e.reason), Err(DecodeReason::ValueNotAllowed));
    }
}
