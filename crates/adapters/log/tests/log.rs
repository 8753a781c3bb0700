//! The log by its requests: planned by the frontend, executed by a worker, read from what committed.

use proptest::prelude::*;
use synod_kv::WriteSet;
use synod_log::{MESSAGE_BYTES_MAX, claims};
use synod_types::{ActorId, AdapterId, Decode, Seqno, Time, View};
use synod_worker::{
    ActorFacts, ActorKind, BlockEnv, Call, Execute, Executed, Method, Plan, Reply, Request, Then, ToWorker, Worker,
};

const LOG: AdapterId = AdapterId(0);
const ACTOR: ActorFacts = ActorFacts { id: ActorId([7; 32]), kind: ActorKind::Participant };

fn worker() -> Worker {
    Worker::new(&[synod_log::kit()])
}

fn plan(worker: &Worker, method: Method, path: &str, body: &[u8]) -> Plan {
    let reader = worker.reader();
    let frontend = reader.frontend(LOG).expect("the log is the first adapter");
    frontend.plan(&ACTOR, &Request { method, path, query: "", body })
}

/// Does requests as one block that commits, and gives what the worker made of their calls.
fn block(worker: &mut Worker, seed: [u8; 32], requests: &[(Method, &str, &[u8])]) -> Executed {
    let mut calls = Vec::new();
    for (method, path, body) in requests {
        match plan(worker, *method, path, body) {
            Plan::Execute { calls: inputs, then: Then::Reply } if inputs.len() == 1 => {
                calls.extend(inputs.into_iter().map(|input| Call { adapter: LOG, actor: ACTOR, input }));
            }
            other => unreachable!("not one call: {other:?}"),
        }
    }
    let env = BlockEnv { view: View(2), first_seqno: worker.tip().next(), time: Time(0), seed };
    let executed = worker.handle(ToWorker::Execute(Execute { env, calls })).expect("an execution is answered");
    let upto = worker.tip();
    worker.handle(ToWorker::Commit { upto });
    executed
}

fn put(worker: &mut Worker, path: &str, body: &[u8]) -> Reply {
    block(worker, [0; 32], &[(Method::Put, path, body)]).outcomes.remove(0).reply
}

/// The whole answer to a request that is not executed.
fn get(worker: &Worker, method: Method, path: &str, body: &[u8]) -> Reply {
    match plan(worker, method, path, body) {
        Plan::Answer(reply) => reply,
        Plan::Read(query) => {
            let reader = worker.reader();
            reader.frontend(LOG).expect("the log is there").read(&reader.latest().state, &ACTOR, &query)
        }
        Plan::Execute { .. } => unreachable!("{path} is executed"),
    }
}

fn read(worker: &Worker, path: &str) -> (u16, Vec<u8>) {
    let reply = get(worker, Method::Get, path, b"");
    (reply.status, reply.body.to_vec())
}

#[test]
fn what_is_put_at_a_key_is_got_from_it() {
    let mut worker = worker();
    let largest = vec![0xa5; MESSAGE_BYTES_MAX];
    for (path, message) in [("0", &b"hello"[..]), ("18446744073709551615", b"\0\xff\n"), ("42", b""), ("43", &largest)]
    {
        let reply = put(&mut worker, path, message);
        assert_eq!((reply.status, &reply.body[..], reply.writes), (200, &b""[..], true));
        assert_eq!(read(&worker, path), (200, message.to_vec()));
    }
    put(&mut worker, "42", b"again");
    assert_eq!(read(&worker, "42"), (200, b"again".to_vec()));
    assert_eq!(read(&worker, "00042"), (200, b"again".to_vec()), "leading zeros change no number");
}

#[test]
fn a_receipt_claims_the_key_and_the_message() {
    let executed = block(&mut worker(), [0; 32], &[(Method::Put, "7", b"hello")]);
    assert_eq!(executed.outcomes[0].claims, Some(claims(7, b"hello")));
    // SHA-256 of 0000000000000007 and "hello", by another program.
    assert_eq!(claims(7, b"hello").to_hex(), "019cc7f444a895261cc13a9870eb744d1b41ff26956692004f850b7df185778c");
}

#[test]
fn random_bytes_differ_for_each_transaction_and_block_and_are_stored() {
    let mut worker = worker();
    let random = |worker: &mut Worker, seed| {
        block(worker, seed, &[(Method::Post, "1/random", b""), (Method::Post, "2/random", b"")])
    };
    let mut drawn = Vec::new();
    for seed in [[1; 32], [2; 32]] {
        let executed = random(&mut worker, seed);
        for (key, outcome) in ["1", "2"].iter().zip(&executed.outcomes) {
            let (status, stored) = read(&worker, key);
            let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((outcome.reply.status, status, stored.len()), (200, 200, 32));
            assert_eq!(outcome.reply.body, hex.as_bytes());
            drawn.push(stored);
        }
    }
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 4);
}

#[test]
fn a_draw_can_be_repeated_from_the_blocks_facts() {
    let first = block(&mut worker(), [9; 32], &[(Method::Post, "1/random", b"")]);
    let again = block(&mut worker(), [9; 32], &[(Method::Post, "1/random", b"ignored")]);
    assert_eq!(first.outcomes[0].reply, again.outcomes[0].reply);
    // SHA-256 of 32 bytes of 9 and the seqno 1, by another program.
    assert_eq!(first.outcomes[0].reply.body, &b"065c3ecfb1cf19d0f9a0ee4f29d1eb3306becc5b2b6451e4fb2996134bc21201"[..]);
}

#[test]
fn a_random_call_replicates_by_what_it_wrote() {
    let (mut leader, mut follower) = (worker(), worker());
    let executed = block(&mut leader, [4; 32], &[(Method::Post, "5/random", b""), (Method::Put, "6", b"x")]);
    let write_sets: Vec<_> = executed.outcomes.iter().filter_map(|outcome| outcome.write_set.clone()).collect();
    follower.handle(ToWorker::Apply(synod_worker::Apply::from_encoded(Seqno(1), &write_sets).unwrap()));
    follower.handle(ToWorker::Commit { upto: Seqno(2) });
    assert_eq!(read(&follower, "5"), read(&leader, "5"));
    assert_eq!(follower.layers().committed().digest(), leader.layers().committed().digest());
}

#[test]
fn each_refusal_has_its_status_and_code() {
    let worker = worker();
    let oversized = vec![0; MESSAGE_BYTES_MAX + 1];
    let rows: [(Method, &str, &[u8], u16, &str); 19] = [
        (Method::Get, "1", b"", 404, "KeyNotFound"),
        (Method::Get, "", b"", 400, "KeyInvalid"),
        (Method::Get, "x", b"", 400, "KeyInvalid"),
        (Method::Put, "+1", b"m", 400, "KeyInvalid"),
        (Method::Put, "-1", b"m", 400, "KeyInvalid"),
        (Method::Put, "1 ", b"m", 400, "KeyInvalid"),
        (Method::Put, "%31", b"m", 400, "KeyInvalid"),
        (Method::Put, "0x1", b"m", 400, "KeyInvalid"),
        (Method::Put, "1.0", b"m", 400, "KeyInvalid"),
        (Method::Put, "18446744073709551616", b"m", 400, "KeyInvalid"),
        (Method::Put, "\u{661}", b"m", 400, "KeyInvalid"),
        (Method::Post, "/random", b"", 400, "KeyInvalid"),
        (Method::Put, "1", &oversized, 413, "MessageTooLarge"),
        (Method::Post, "1", b"m", 405, "MethodNotAllowed"),
        (Method::Delete, "1", b"", 405, "MethodNotAllowed"),
        (Method::Get, "1/random", b"", 405, "MethodNotAllowed"),
        (Method::Post, "1/", b"", 404, "PathUnknown"),
        (Method::Post, "1/Random", b"", 404, "PathUnknown"),
        (Method::Post, "1/random/", b"", 404, "PathUnknown"),
    ];
    for (method, path, body, status, code) in rows {
        let reply = get(&worker, method, path, body);
        let text = String::from_utf8(reply.body.to_vec()).expect("refusals are text");
        assert_eq!((reply.status, reply.writes), (status, false), "{method:?} {path}");
        assert!(text.starts_with(&format!(r#"{{"error":{{"code":"{code}","message":""#)), "{text}");
        assert!(text.contains(r#"","hint":""#) && text.ends_with(r#""}}"#), "{text}");
    }
}

#[test]
fn a_call_that_no_frontend_of_this_release_makes_is_refused_and_writes_nothing() {
    let mut worker = worker();
    let env = BlockEnv { view: View(2), first_seqno: Seqno(1), time: Time(0), seed: [0; 32] };
    let inputs = [&b""[..], b"\0", b"\x02\0\0\0\0\0\0\0\0", b"\x01\0\0\0\0\0\0\0\0 "];
    let calls = inputs.map(|input| Call { adapter: LOG, actor: ACTOR, input: input.into() }).into();
    let executed = worker.handle(ToWorker::Execute(Execute { env, calls })).expect("an execution is answered");
    assert!(executed.outcomes.iter().all(|outcome| outcome.reply.status == 400 && outcome.write_set.is_none()));
    let reader = worker.reader();
    let query = reader.frontend(LOG).expect("the log is there").read(&reader.latest().state, &ACTOR, b"short");
    assert_eq!(query.status, 400);
}

#[test]
fn there_are_no_settings_at_genesis_or_later() {
    let genesis = Worker::genesis(&[synod_log::kit()], &[(LOG, b"")]).unwrap();
    assert!(genesis.maps().all(|map| map.as_str() == "worker.settings"), "nothing of the adapter's own");
    assert!(worker().reader().try_settings("log", b"").is_ok());
    let error = Worker::genesis(&[synod_log::kit()], &[(LOG, b"x = 1")]).expect_err("there are no settings");
    assert_eq!(error.to_string(), "settings of adapter log refused: there is nothing to set");
    assert_eq!(worker().reader().try_settings("log", b"x = 1"), Err(error));
}

#[test]
fn one_put_writes_one_entry() {
    let executed = block(&mut worker(), [0; 32], &[(Method::Put, "7", b"hello")]);
    let writes = WriteSet::from_bytes(executed.outcomes[0].write_set.as_ref().expect("it wrote")).expect("canonical");
    let entries: Vec<_> =
        writes.iter().map(|(map, key, value)| (map.as_str(), key.as_slice(), value.map(|v| v.as_slice()))).collect();
    assert_eq!(entries, [("log.messages", &7u64.to_be_bytes()[..], Some(&b"hello"[..]))]);
}

proptest! {
    /// No input makes the adapter panic, neither as a path and body nor as a call's bytes.
    #[test]
    fn any_input_gets_an_answer(path in ".{0,30}", body in prop::collection::vec(any::<u8>(), 0..40), method in 0usize..4) {
        let mut worker = worker();
        let method = [Method::Get, Method::Put, Method::Post, Method::Delete][method];
        plan(&worker, method, &path, &body);
        let env = BlockEnv { view: View(2), first_seqno: Seqno(1), time: Time(0), seed: [0; 32] };
        let calls = vec![Call { adapter: LOG, actor: ACTOR, input: body.clone().into() }];
        let executed = worker.handle(ToWorker::Execute(Execute { env, calls })).expect("an execution is answered");
        prop_assert!(matches!(executed.outcomes[0].reply.status, 200 | 400));
        let reader = worker.reader();
        reader.frontend(LOG).expect("the log is there").read(&reader.latest().state, &ACTOR, &body);
    }
}
