//! What a block costs the leader who seals it, a follower who checks and opens it, and a reader of receipts.
//!
//! `cargo run --release -p synod-ledger --example seal_speed [TRANSACTIONS [WRITE_SET_BYTES]]`

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use synod_crypto::{NodeKey, ServiceKey, SessionKeys};
use synod_ledger::{
    ActorRecord, AdminRecord, CallRecord, Content, GenesisParts, Moment, Receipt, RequestRecord, SealedBlock, Sealer,
    check, open, seal_genesis,
};
use synod_types::{ActorId, AdapterId, Encode, Epoch, NodeId, RequestId, Seqno, Time, View};

const ROUNDS: u32 = 200;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().expect("arguments are numbers"));
    let count: usize = arguments.next().unwrap_or(1000);
    let size: usize = arguments.next().unwrap_or(120);

    let (service, node, keys) = (ServiceKey::generate(), NodeKey::generate(), SessionKeys::generate(Epoch(1)));
    let nodes = BTreeMap::from([(NodeId(1), node.verifying_key().clone())]);
    let setup = Content { setup: Some(Bytes::from_static(b"setup")), ..Content::default() };
    let parts = GenesisParts { content: &setup, admin: &AdminRecord::default(), admin_is_public: false };
    let genesis = seal_genesis(&service, nodes, &keys, [1; 32], Time(1), parts).expect("a small genesis block");
    let sealer = Sealer::new(NodeId(1), node, service.clone(), keys.clone());
    let elected = genesis.tip.after_engine_entry(genesis.tip.index.next(), View(2)).expect("follows");
    let moment = Moment { view: View(2), time: Time(2), committed: Seqno(1) };
    let tip = sealer.view_start(&elected, moment, [2; 32]).tip;

    let content = content(count, size);
    let seal = || sealer.application(&tip, moment, &content).expect("the block fits");
    let made = seal();
    let bytes = Bytes::from(made.block.to_bytes());
    println!("{count} transactions with write sets of {size} bytes: a block of {} bytes", bytes.len());

    let report = |what: &str, us: f64| {
        println!("{what:<44} {us:>9.1} us a block {:>7.3} us a transaction", us / count as f64);
    };
    report("leader: seal (leaves, root, sealing, signing)", time(|| seal().tip));
    report("leader: encode", time(|| made.block.to_bytes()));
    report("follower: decode", time(|| SealedBlock::from_shared(&bytes)));
    report("follower: check (root, digests, 2 signatures)", time(|| check(&made.block, &tip)));
    report("follower: open (decrypt, leaves)", time(|| open(&made.block, &keys)));
    let one = Content { requests: vec![content.requests[0].clone()], ..Content::default() };
    report("leader: seal one transaction alone", time(|| sealer.application(&tip, moment, &one).map(|made| made.tip)));
    let small = sealer.application(&tip, moment, &one).expect("the block fits").block;
    report("follower: check one transaction alone", time(|| check(&small, &tip)));
    let opened = open(&made.block, &keys).expect("a block of ours");
    let receipt = || Receipt::build(&made.block, &opened, Seqno(2), &keys).map(|r| r.to_cose(sealer.service_key()));
    report("receipt: build from an opened block", time(receipt));
    let receipt = receipt().expect("the block holds transaction 2");
    report("receipt: verify", time(|| Receipt::verify(&receipt, sealer.service_key())));
}

fn content(count: usize, size: usize) -> Content {
    let request = |i: usize| RequestRecord {
        adapter: AdapterId(0),
        actor: ActorRecord { id: ActorId([7; 32]), kind: 1 },
        request_id: RequestId((i as u128).to_le_bytes()),
        calls: vec![CallRecord {
            input: Bytes::from(vec![1; 48]),
            write_set: Some(Bytes::from(vec![i as u8; size])),
            claims: None,
            reply: Bytes::from(vec![3; 8]),
        }],
    };
    Content { seed: [5; 32], requests: (0..count).map(request).collect(), setup: None }
}

/// The median of several rounds, in microseconds.
fn time<T>(mut run: impl FnMut() -> T) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(run());
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}
