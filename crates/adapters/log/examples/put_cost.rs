//! What one PUT costs in worker and frontend, on the leader and on a follower, in nanoseconds.
//!
//! `cargo run --release -p synod-log --example put_cost [KEYS]`; KEYS defaults to 100,000.

use std::time::{Duration, Instant};

use bytes::Bytes;
use synod_types::{ActorId, AdapterId, Time, View};
use synod_worker::{
    ActorFacts, ActorKind, Apply, BlockEnv, Call, Execute, Frontend, Method, Plan, Request, ToWorker, Worker,
};

const LOG: AdapterId = AdapterId(0);
const ACTOR: ActorFacts = ActorFacts { id: ActorId([7; 32]), kind: ActorKind::Participant };
const BLOCKS: u64 = 300;
const CALLS: u64 = 1_000;
const MESSAGE: &[u8] = b"a private message of some length";

fn main() {
    let keys: u64 = std::env::args().nth(1).and_then(|keys| keys.parse().ok()).unwrap_or(100_000);
    let (mut leader, mut follower) = (Worker::new(&[synod_log::kit()]), Worker::new(&[synod_log::kit()]));
    let reader = leader.reader();
    let frontend = reader.frontend(LOG).expect("the log is there");
    let mut spent = [Duration::ZERO; 5];
    // The first round fills the keys and is not measured.
    for round in [keys.div_ceil(CALLS), BLOCKS] {
        spent = [Duration::ZERO; 5];
        for block in 0..round {
            let of = |n: u64| (block * CALLS + n).wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys;
            let paths: Vec<_> = (0..CALLS).map(|n| of(n).to_string()).collect();
            let start = Instant::now();
            let calls = paths.iter().map(|path| plan(frontend, path)).collect();
            let planned = Instant::now();
            let env = BlockEnv { view: View(1), first_seqno: leader.tip().next(), time: Time(0), seed: [1; 32] };
            let executed = leader.handle(ToWorker::Execute(Execute { env, calls })).expect("executions are answered");
            let done = Instant::now();
            let upto = leader.tip();
            leader.handle(ToWorker::Commit { upto });
            let committed = Instant::now();
            let write_sets: Vec<_> = executed.outcomes.into_iter().filter_map(|outcome| outcome.write_set).collect();
            let begun = Instant::now();
            let apply = Apply::from_encoded(env.first_seqno, &write_sets).expect("a worker wrote them");
            follower.handle(ToWorker::Apply(apply));
            follower.handle(ToWorker::Commit { upto });
            let applied = begun.elapsed();
            let snapshot = reader.latest();
            let begun = Instant::now();
            paths.iter().for_each(|path| read(frontend, &snapshot.state, path));
            let took = [planned - start, done - planned, committed - done, applied, begun.elapsed()];
            spent.iter_mut().zip(took).for_each(|(spent, took)| *spent += took);
        }
    }
    let names = ["plan", "execute", "commit", "apply and commit on a follower", "plan and read"];
    println!("keys {keys}, blocks of {CALLS}, messages of {} bytes; ns per request:", MESSAGE.len());
    for (name, spent) in names.iter().zip(spent) {
        println!("{:>7}  {name}", spent.as_nanos() / u128::from(BLOCKS * CALLS));
    }
}

fn plan(frontend: &dyn Frontend, path: &str) -> Call {
    let request = Request { method: Method::Put, path, query: "", body: MESSAGE };
    match frontend.plan(&ACTOR, &request) {
        Plan::Execute { mut calls, .. } => Call { adapter: LOG, actor: ACTOR, input: calls.swap_remove(0) },
        Plan::Answer(_) | Plan::Read(_) => unreachable!("a PUT is executed"),
    }
}

fn read(frontend: &dyn Frontend, state: &synod_kv::State, path: &str) {
    let request = Request { method: Method::Get, path, query: "", body: b"" };
    let query = match frontend.plan(&ACTOR, &request) {
        Plan::Read(query) => query,
        Plan::Answer(_) | Plan::Execute { .. } => Bytes::new(),
    };
    let reply = frontend.read(state, &ACTOR, &query);
    assert_eq!(reply.status, 200);
}
