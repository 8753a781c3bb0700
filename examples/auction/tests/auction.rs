//! The adapter in a worker, without a network.

use synod_auction::kit;
use synod_types::{ActorId, AdapterId, Seqno, Time, View};
use synod_worker::{
    ActorFacts, ActorKind, Apply, BlockEnv, Call, Execute, Frontend, Method, Plan, Reply, Request, ToWorker, Worker,
};

/// A worker with one adapter, and a clock of its own.
struct House {
    worker: Worker,
    time: Time,
}

impl House {
    fn new() -> Self {
        let mut worker = Worker::new(&[kit()]);
        let genesis = Worker::genesis(&[kit()], &[(AdapterId(0), &[])]).expect("no settings are needed");
        worker.handle(ToWorker::Apply(Apply { first_seqno: Seqno(1), write_sets: [genesis].into() }));
        worker.handle(ToWorker::Commit { upto: Seqno(1) });
        Self { worker, time: Time(1_000_000) }
    }

    /// Sends a request as `who` and, if it wrote, commits it.
    fn send(&mut self, who: u8, method: Method, path: &str, body: &str) -> Reply {
        let actor = ActorFacts { id: ActorId([who; 32]), kind: ActorKind::Participant };
        let reader = self.worker.reader();
        let frontend: &dyn Frontend = reader.frontend(AdapterId(0)).expect("the worker has the adapter");
        match frontend.plan(&actor, &Request { method, path, query: "", body: body.as_bytes() }) {
            Plan::Answer(reply) => reply,
            Plan::Read(query) => frontend.read(&reader.latest().state, &actor, &query),
            Plan::Execute { calls, .. } => {
                let first_seqno = self.worker.tip().next();
                let env = BlockEnv { view: View(1), first_seqno, time: self.time, seed: [0; 32] };
                let calls = calls.into_iter().map(|input| Call { adapter: AdapterId(0), actor, input }).collect();
                let executed = self.worker.handle(ToWorker::Execute(Execute { env, calls })).expect("executed");
                if executed.count() > 0 {
                    self.worker.handle(ToWorker::Commit { upto: self.worker.tip() });
                }
                executed.outcomes[0].reply.clone()
            }
        }
    }

    fn check(&mut self, (who, method, path, body): (u8, Method, &str, &str), expected: (u16, &str)) {
        let reply = self.send(who, method, path, body);
        let text = String::from_utf8_lossy(&reply.body);
        assert_eq!(reply.status, expected.0, "{path}: {text}");
        assert!(text.contains(expected.1), "{path}: {text} does not hold {}", expected.1);
    }
}

use Method::{Get, Post, Put};

#[test]
fn the_highest_bidder_wins_and_pays_the_second_highest_bid() {
    let mut house = House::new();
    house.check((1, Put, "7", "60"), (200, r#""open":true"#));
    for (who, amount) in [(2, "100"), (3, "250"), (4, "180"), (2, "120")] {
        house.check((who, Post, "7/bids", amount), (200, amount));
    }
    house.time = Time(61_000_000);
    let result = format!(r#"{{"open":false,"winner":"{}","price":180}}"#, ActorId([3; 32]));
    house.check((4, Post, "7/close", ""), (200, &result));
    house.check((2, Get, "7", ""), (200, &result));
}

#[test]
fn a_bid_is_shown_to_its_bidder_alone() {
    let mut house = House::new();
    house.check((1, Put, "7", "60"), (200, ""));
    house.check((2, Post, "7/bids", "100"), (200, ""));
    house.check((2, Get, "7/bids/mine", ""), (200, "100"));
    house.check((3, Get, "7/bids/mine", ""), (404, "NoBid"));
    house.check((3, Get, "7", ""), (200, r#"{"open":true}"#));
}

#[test]
fn what_is_out_of_order_or_malformed_is_refused_and_writes_nothing() {
    let mut house = House::new();
    house.check((1, Put, "7", "60"), (200, ""));
    let before = house.worker.tip();
    for (request, expected) in [
        ((1, Put, "7", "60"), (409, "AuctionExists")),
        ((1, Post, "7/bids", "100"), (403, "SellerMayNotBid")),
        ((2, Post, "8/bids", "100"), (404, "AuctionUnknown")),
        ((2, Post, "7/close", ""), (409, "AuctionIsNotOver")),
        ((2, Post, "7/bids", "-1"), (400, "NumberNotValid")),
        ((2, Post, "7/bids", "+1"), (400, "NumberNotValid")),
        ((2, Post, "7/bids", ""), (400, "NumberNotValid")),
        ((2, Put, "seven", "60"), (400, "NumberNotValid")),
        ((2, Get, "7/bids", ""), (404, "PathUnknown")),
        ((2, Get, "8", ""), (404, "AuctionUnknown")),
    ] {
        house.check(request, expected);
    }
    assert_eq!(house.worker.tip(), before);

    house.time = Time(61_000_000);
    house.check((2, Post, "7/bids", "100"), (409, "AuctionIsOver"));
    house.check((2, Post, "7/close", ""), (200, r#""winner":null"#));
    house.check((2, Post, "7/close", ""), (409, "AuctionIsOver"));
}
