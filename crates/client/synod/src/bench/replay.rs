//! `bench replay`: blocks of Ethereum's main network, each into a historic instance of its own, each
//! compared with its header.
//!
//! Before the measured time the instance is created with the state before the block. Then the block
//! is opened with its header, its transactions are sent as the bytes that their senders signed, so
//! many in one request, and it is closed; what the network computed is compared with what the header
//! says. Requests of a block depend on each other and go over one connection, in order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};
use synod_client::{Client, Request, Response};

use super::load::{Shot, Workload};
use super::report::{BlockReport, Report, per_second};
use super::run::{self, Home, Plan};
use crate::cli::BenchReplayArgs;
use crate::eth::{BlockFile, rlp_list};
use crate::failure::{Failure, Hint};
use crate::output;

/// Replays the files and compares each block.
///
/// # Errors
/// If a file cannot be read, or the network takes no import.
pub async fn replay(args: BenchReplayArgs) -> Result<Report, Failure> {
    for (given, name) in [(args.load.rate.is_some(), "--rate"), (args.load.transactions.is_some(), "--transactions")] {
        if given {
            return Err(Failure::new(
                format!("{name} does not apply to a replay"),
                "leave it out: blocks are replayed whole",
            ));
        }
    }
    let client = super::client(&args.load)?;
    client.prefer_leader().await;
    let batch = usize::try_from(args.load.batch).expect("the command line caps it");
    let preparing = output::progress("preparing blocks", args.files.len() as u64);
    let mut blocks = Vec::new();
    for path in &args.files {
        let file = BlockFile::load(path).hint("a file is gzipped JSON {block, alloc, blockHashes}")?;
        blocks.push(Block::prepare(&client, &file, batch).await?);
        preparing.inc(1);
    }
    preparing.finish_and_clear();

    let lanes = usize::try_from(args.load.connections).expect("the command line caps it").min(blocks.len());
    let shared: Vec<_> = blocks.into_iter().map(|block| Rc::new(RefCell::new(block))).collect();
    let loads =
        (0..lanes).map(|lane| ReplayLoad::new(shared.iter().skip(lane).step_by(lanes).cloned().collect())).collect();
    let plan = Plan { load: &args.load, home: Home::Leader, transactions: None, depth: DEPTH, duration: None };
    let run = run::run(&client, plan, loads).await?;
    let mut report = run.report("replay");
    report.blocks = Some(shared.iter().map(|block| block.borrow().report()).collect());
    Ok(report)
}

/// One block: what is still to be sent, and what came back.
struct Block {
    number: u64,
    transactions: u64,
    expected: Value,
    to_send: VecDeque<(Step, Request)>,
    begun: Option<Instant>,
    ended: Option<(Instant, Value)>,
}

/// What a request of a block does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Open,
    Transactions(u64),
    Close,
}

impl Block {
    /// Creates the block's instance with the state before it, and lays its requests ready.
    async fn prepare(client: &Client, file: &BlockFile, batch: usize) -> Result<Self, Failure> {
        let hint = "the file's transactions must be of types 0, 1 and 2 with their signatures";
        let (number, raw) = (file.number().hint(hint)?, file.raw_transactions().hint(hint)?);
        let instance = format!("/app/evm/block-{number}-{}", unique());
        let state = json!({"chain_id": 1, "alloc": file.alloc, "blockHashes": file.block_hashes});
        let answer = client.send(Request::put(&*instance, state.to_string())).await?;
        if !answer.is_success() {
            let hint =
                answer.error().and_then(|error| error.hint).unwrap_or("the network needs the adapter evm".into());
            return Err(Failure::new(format!("creating the state before block {number}: {}", answer.summary()), hint));
        }
        let mut block = Self::new(number, raw.len() as u64, file.header());
        block.lay_ready(&instance, &raw, batch);
        Ok(block)
    }

    fn new(number: u64, transactions: u64, expected: Value) -> Self {
        Self { number, transactions, expected, to_send: VecDeque::new(), begun: None, ended: None }
    }

    fn lay_ready(&mut self, instance: &str, raw: &[Vec<u8>], batch: usize) {
        let post = |path: &str, body: Bytes| Request::post(format!("{instance}/{path}"), body);
        self.to_send.push_back((Step::Open, post("blocks", self.expected.to_string().into())));
        for part in raw.chunks(batch) {
            let step = Step::Transactions(part.len() as u64);
            self.to_send.push_back((step, post("transactions", rlp_list(part).into())));
        }
        self.to_send.push_back((Step::Close, post("blocks/close", Bytes::new())));
    }

    fn judge(&mut self, step: Step, response: &Response) -> Result<(), String> {
        if response.status != 200 {
            return Err(format!("block {}, {step:?}: {}", self.number, response.summary()));
        }
        let answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        match step {
            Step::Open => {}
            Step::Transactions(count) if answer["transactions"] != count => {
                return Err(format!("block {}: {count} transactions sent, the answer is {answer}", self.number));
            }
            Step::Transactions(_) => {}
            Step::Close => self.ended = Some((Instant::now(), answer)),
        }
        Ok(())
    }

    /// Compares what the network computed with what the header says.
    fn report(&self) -> BlockReport {
        let nothing = (Instant::now(), Value::Null);
        let (ended, computed) = self.ended.as_ref().unwrap_or(&nothing);
        let equal = |field: &str| !computed[field].is_null() && computed[field] == self.expected[field];
        let begun = self.begun.unwrap_or(*ended);
        BlockReport {
            number: self.number,
            transactions: self.transactions,
            gas_used_ok: equal("gasUsed"),
            logs_bloom_ok: equal("logsBloom"),
            receipts_root_ok: (self.number >= BYZANTIUM).then(|| equal("receiptsRoot")),
            committed_per_s: per_second(self.transactions, ended.duration_since(begun).as_secs_f64()),
        }
    }
}

/// One connection's blocks, one after the other.
struct ReplayLoad {
    blocks: Vec<Rc<RefCell<Block>>>,
    current: usize,
    sent: Vec<(usize, Step)>,
}

impl ReplayLoad {
    const fn new(blocks: Vec<Rc<RefCell<Block>>>) -> Self {
        Self { blocks, current: 0, sent: Vec::new() }
    }
}

impl Workload for ReplayLoad {
    fn next(&mut self) -> Option<Shot> {
        loop {
            let mut block = self.blocks.get(self.current)?.borrow_mut();
            let Some((step, request)) = block.to_send.pop_front() else {
                drop(block);
                self.current += 1;
                continue;
            };
            block.begun.get_or_insert_with(Instant::now);
            let transactions = if let Step::Transactions(count) = step { count } else { 0 };
            self.sent.push((self.current, step));
            return Some(Shot { request, tag: self.sent.len() as u64 - 1, transactions });
        }
    }

    fn judge(&mut self, tag: u64, response: &Response) -> Result<(), String> {
        let (block, step) = self.sent[usize::try_from(tag).expect("tags are places in memory")];
        self.blocks[block].borrow_mut().judge(step, response)
    }

    fn is_ordered(&self) -> bool {
        true
    }
}

/// Tells the instances of one run from those of another on the same network.
fn unique() -> String {
    let random: [u8; 4] = synod_crypto::random_bytes();
    alloy_primitives::hex::encode(random)
}

/// Requests in flight unless the user says: one executes while the next is decoded and its signatures recovered.
const DEPTH: u64 = 2;

/// From this block on, receipts hold a status; before, a state root, which the network does not compute.
const BYZANTIUM: u64 = 4_370_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> (ReplayLoad, Rc<RefCell<Block>>) {
        let expected = json!({"gasUsed": "0x5208", "logsBloom": "0x00", "receiptsRoot": "0xaa"});
        let mut block = Block::new(BYZANTIUM, 5, expected);
        block.lay_ready("/app/evm/b", &vec![vec![2, 0xc0]; 5], 2);
        let block = Rc::new(RefCell::new(block));
        (ReplayLoad::new(vec![Rc::clone(&block)]), block)
    }

    fn ok(body: Value) -> Response {
        Response { status: 200, txid: None, body: body.to_string().into() }
    }

    #[test]
    fn a_block_is_opened_sent_in_batches_and_closed_in_this_order() {
        let (mut load, _) = load();
        let sent: Vec<_> =
            std::iter::from_fn(|| load.next()).map(|shot| (shot.request.path, shot.transactions)).collect();
        let expected =
            [("blocks", 0), ("transactions", 2), ("transactions", 2), ("transactions", 1), ("blocks/close", 0)];
        assert_eq!(sent, expected.map(|(path, count)| (format!("/app/evm/b/{path}"), count)));
    }

    #[test]
    fn a_block_is_right_only_if_all_that_its_header_says_was_computed() {
        let computed = json!({"gasUsed": "0x5208", "logsBloom": "0x00", "receiptsRoot": "0xaa"});
        for (field, gas, bloom, root) in [
            ("", true, true, true),
            ("gasUsed", false, true, true),
            ("logsBloom", true, false, true),
            ("receiptsRoot", true, true, false),
        ] {
            let (mut load, block) = load();
            let tags: Vec<_> = std::iter::from_fn(|| load.next()).map(|shot| shot.tag).collect();
            let mut computed = computed.clone();
            computed[field] = "0xbb".into();
            assert_eq!(load.judge(*tags.last().unwrap(), &ok(computed)), Ok(()));
            let report = block.borrow().report();
            assert_eq!(
                (report.gas_used_ok, report.logs_bloom_ok, report.receipts_root_ok),
                (gas, bloom, Some(root)),
                "{field}"
            );
        }
    }

    #[test]
    fn a_block_that_was_never_closed_is_not_right() {
        let (_, block) = load();
        assert!(!block.borrow().report().is_right());
        block.borrow_mut().number = BYZANTIUM - 1;
        assert_eq!(block.borrow().report().receipts_root_ok, None);
        assert!(!block.borrow().report().is_right());
    }

    #[test]
    fn a_batch_that_was_not_taken_whole_is_wrong() {
        let (mut load, _) = load();
        let tags: Vec<_> = std::iter::from_fn(|| load.next()).map(|shot| shot.tag).collect();
        assert_eq!(load.judge(tags[1], &ok(json!({"transactions": 2}))), Ok(()));
        assert!(load.judge(tags[1], &ok(json!({"transactions": 1}))).unwrap_err().contains("2 transactions sent"));
        let refused = Response {
            status: 400,
            ..ok(json!({"error": {"code": "TransactionRefused", "message": "nonce too low"}}))
        };
        assert!(load.judge(tags[1], &refused).unwrap_err().contains("nonce too low"));
    }
}
