//! The counter on two workers, as two nodes would hold it: one executes, the other applies what was written.

use bytes::Bytes;
use synod_types::{ActorId, AdapterId, Encode, Seqno, Time, View};
use synod_worker::{
    ActorFacts, ActorKind, Apply, BlockEnv, Call, Execute, Method, Plan, Reply, Request, Then, ToWorker, Worker,
};

const COUNTER: AdapterId = AdapterId(0);
const ACTOR: ActorFacts = ActorFacts { id: ActorId([1; 32]), kind: ActorKind::Participant };

/// A leader and a follower after a genesis with a ceiling of 100.
struct Pair {
    leader: Worker,
    follower: Worker,
}

impl Pair {
    fn new() -> Self {
        let genesis = Worker::genesis(&[counter_adapter::kit()], &[(COUNTER, b"100")]).unwrap();
        let mut pair =
            Self { leader: Worker::new(&[counter_adapter::kit()]), follower: Worker::new(&[counter_adapter::kit()]) };
        let write_sets = vec![Bytes::from(genesis.to_bytes())];
        for worker in [&mut pair.leader, &mut pair.follower] {
            worker.handle(ToWorker::Apply(Apply { first_seqno: Seqno(1), write_sets: write_sets.clone() }));
            worker.handle(ToWorker::Commit { upto: Seqno(1) });
        }
        pair
    }

    /// Does a request as a node would. Reads are answered by the follower.
    fn request(&mut self, method: Method, path: &str, body: &[u8]) -> Reply {
        let reader = self.follower.reader();
        let frontend = reader.frontend(COUNTER).unwrap();
        match frontend.plan(&ACTOR, &Request { method, path, query: "", body }) {
            Plan::Answer(reply) => reply,
            Plan::Read(query) => frontend.read(&reader.latest().state, &ACTOR, &query),
            Plan::Execute { calls, then } => {
                let mut replies = self.execute(calls);
                match then {
                    Then::Reply => replies.remove(0),
                    Then::Finish(token) => frontend.finish(&reader.latest().state, &ACTOR, &token, replies),
                }
            }
        }
    }

    fn execute(&mut self, inputs: Vec<Bytes>) -> Vec<Reply> {
        let first_seqno = self.leader.tip().next();
        let env = BlockEnv { view: View(2), first_seqno, time: Time(0), seed: [0; 32] };
        let calls = inputs.into_iter().map(|input| Call { adapter: COUNTER, actor: ACTOR, input }).collect();
        let executed = self.leader.handle(ToWorker::Execute(Execute { env, calls })).unwrap();
        let write_sets: Vec<_> = executed.outcomes.iter().filter_map(|outcome| outcome.write_set.clone()).collect();
        if !write_sets.is_empty() {
            self.follower.handle(ToWorker::Apply(Apply { first_seqno, write_sets }));
        }
        let upto = self.leader.tip();
        self.leader.handle(ToWorker::Commit { upto });
        self.follower.handle(ToWorker::Commit { upto });
        executed.outcomes.into_iter().map(|outcome| outcome.reply).collect()
    }

    fn check(&mut self, method: Method, path: &str, body: &str, status: u16, answer: &str) {
        let reply = self.request(method, path, body.as_bytes());
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!(reply.status, status, "{text}");
        assert!(text.contains(answer), "{text}");
    }
}

#[test]
fn counters_count_and_every_node_holds_them() {
    let mut pair = Pair::new();
    pair.check(Method::Get, "apples", "", 404, "CounterNotFound");
    pair.check(Method::Post, "apples", "3", 200, "3 of 100");
    pair.check(Method::Post, "pears", "1\n2\n3\n", 200, "6 of 100");
    pair.check(Method::Get, "apples", "", 200, "3");
    pair.check(Method::Get, "pears", "", 200, "6");
    let digest = |worker: &Worker| worker.layers().committed().digest();
    assert_eq!(digest(&pair.leader), digest(&pair.follower));
}

#[test]
fn a_step_above_the_ceiling_is_refused_and_takes_no_seqno() {
    let mut pair = Pair::new();
    pair.check(Method::Post, "apples", "60\n60\n40", 409, "CeilingReached");
    pair.check(Method::Get, "apples", "", 200, "100");
    assert_eq!(pair.leader.tip(), Seqno(3), "genesis, 60 and 40");
    pair.check(Method::Post, "apples", "18446744073709551615", 409, "CeilingReached");
}

#[test]
fn what_is_no_request_is_refused_before_it_is_ordered() {
    let mut pair = Pair::new();
    let long = "x".repeat(65);
    for path in ["", "Apples", "a/b", "%61", &long] {
        pair.check(Method::Post, path, "1", 400, "NameInvalid");
    }
    let many = "1\n".repeat(1_001);
    for body in ["", "x", "+1", "1\n\n2", "-1", "18446744073709551616", &many] {
        pair.check(Method::Post, "apples", body, 400, "StepsInvalid");
    }
    pair.check(Method::Put, "apples", "1", 405, "MethodNotAllowed");
    assert_eq!(pair.leader.tip(), Seqno(1));
}

#[test]
fn a_malformed_call_and_malformed_settings_are_refused() {
    let mut pair = Pair::new();
    let long = [&[0; 8][..], &[b'x'; 65]].concat();
    for reply in pair.execute(vec![
        Bytes::new(),
        Bytes::from_static(b"1234567"),
        Bytes::from_static(b"12345678\xff"),
        long.into(),
    ]) {
        assert_eq!(reply.status, 400);
    }
    assert!(Worker::genesis(&[counter_adapter::kit()], &[(COUNTER, b"lots")]).is_err());
}
