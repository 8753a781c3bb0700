//! `bench transfer` and `bench erc20`: signed transactions of a thousand accounts.
//!
//! Transactions are signed before the measured time, by all cores. A sender has at most one request
//! on its way, so that nonces never race; each connection has senders of its own.

use std::collections::VecDeque;
use std::fmt::Write;

use alloy_primitives::{Address, B256, U256, hex};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use synod_client::{Client, Request, Response};

use super::load::{Shot, Workload};
use crate::eth::{Account, Call, rpc, sign};
use crate::failure::{Failure, Hint};

/// What the transactions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ether from account to account.
    Transfer,
    /// Tokens of this contract from account to account.
    Erc20(Address),
}

/// The chain and where each sender stands on it.
pub struct Chain {
    id: u64,
    senders: Vec<(Account, u64)>,
}

impl Chain {
    /// Asks for the chain's id and every sender's next nonce.
    ///
    /// # Errors
    /// If the network does not answer, or has no Ethereum instance.
    pub async fn look(client: &Client, accounts: Vec<Account>) -> Result<Self, Failure> {
        let id = quantity(&rpc::call(client, "eth_chainId", json!([])).await.hint(NO_EVM)?)?;
        let nonces = nonces(client, &accounts).await?;
        Ok(Self { id, senders: accounts.into_iter().zip(nonces).collect() })
    }

    /// Deploys the bench's token and gives every sender some: see BenchToken.sol beside this file.
    ///
    /// # Errors
    /// If a transaction fails.
    pub async fn deploy_token(&mut self, client: &Client) -> Result<Address, Failure> {
        let code = hex::decode(TOKEN_CODE.trim()).expect("the file holds what the compiler wrote");
        let receipt = self.send_first(client, None, code).await?;
        let address = receipt["contractAddress"].as_str().and_then(|text| text.parse::<Address>().ok());
        let token =
            address.ok_or_else(|| Failure::new("the receipt of the token's deployment names no contract", NO_EVM))?;
        let addresses: Vec<_> = self.senders.iter().map(|(account, _)| account.address).collect();
        for part in addresses.chunks(FUND_PER_TRANSACTION) {
            self.send_first(client, Some(token), fund_input(part)).await?;
        }
        Ok(token)
    }

    /// Sends a transaction of the first sender and returns its receipt.
    async fn send_first(&mut self, client: &Client, to: Option<Address>, data: Vec<u8>) -> Result<Value, Failure> {
        let (account, nonce) = &mut self.senders[0];
        let call = Call { chain_id: self.id, nonce: *nonce, gas: SETUP_GAS, to, value: U256::ZERO, data };
        *nonce += 1;
        let (raw, hash) = sign(&call, &account.secret);
        rpc::call(client, "eth_sendRawTransaction", json!([hex::encode_prefixed(raw)])).await.hint(NO_EVM)?;
        let receipt = rpc::call(client, "eth_getTransactionReceipt", json!([hash])).await.hint(NO_EVM)?;
        if receipt["status"] != "0x1" {
            return Err(Failure::new(format!("setting up the bench's token failed: receipt {receipt}"), NO_EVM));
        }
        Ok(receipt)
    }

    /// Signs `count` transactions, dealt out evenly to `lanes` connections; uses every core.
    pub fn sign_all(&self, kind: Kind, count: u64, lanes: usize) -> Vec<EvmLoad> {
        let senders = self.senders.len();
        let jobs: Vec<_> = (0..senders).map(|place| (place, share(count, place as u64, senders as u64))).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let signed: Vec<Sender> = std::thread::scope(|scope| {
            let work = |jobs: &[(usize, u64)]| jobs.iter().map(|job| self.sign_sender(kind, *job)).collect::<Vec<_>>();
            let parts: Vec<_> =
                jobs.chunks(senders.div_ceil(threads)).map(|part| scope.spawn(move || work(part))).collect();
            parts.into_iter().flat_map(|part| part.join().expect("signing does not panic")).collect()
        });
        let mut loads: Vec<_> = (0..lanes).map(|_| EvmLoad::default()).collect();
        for (place, sender) in signed.into_iter().enumerate() {
            loads[place % lanes].add(sender);
        }
        loads
    }

    fn sign_sender(&self, kind: Kind, (place, count): (usize, u64)) -> Sender {
        let (account, first_nonce) = &self.senders[place];
        let receiver = self.senders[(place + 1) % self.senders.len()].0.address;
        let call = |nonce| match kind {
            Kind::Transfer => {
                Call { chain_id: self.id, nonce, gas: TRANSFER_GAS, to: Some(receiver), value: U256::ONE, data: vec![] }
            }
            Kind::Erc20(token) => Call {
                chain_id: self.id,
                nonce,
                gas: ERC20_GAS,
                to: Some(token),
                value: U256::ZERO,
                data: transfer_input(receiver),
            },
        };
        let queue = (0..count).map(|number| {
            let (raw, hash) = sign(&call(first_nonce + number), &account.secret);
            Signed { raw, hash }
        });
        Sender { queue: queue.collect() }
    }

    /// Checks that every sender's nonce rose by what was acknowledged, each transaction once, and that
    /// the sampled ones succeeded. Says what is wrong.
    ///
    /// # Errors
    /// If the network does not answer.
    pub async fn verify(&self, client: &Client, acknowledged: &[B256], count: u64) -> Result<Vec<String>, Failure> {
        let mut complaints = Vec::new();
        let accounts: Vec<_> = self.senders.iter().map(|(account, _)| account.clone()).collect();
        let now: u64 = nonces(client, &accounts).await?.iter().sum();
        let before: u64 = self.senders.iter().map(|(_, nonce)| nonce).sum();
        if now - before != count {
            complaints
                .push(format!("{count} transactions were acknowledged, the senders' nonces rose by {}", now - before));
        }
        let step = acknowledged.len().div_ceil(RECEIPTS_CHECKED).max(1);
        for hash in acknowledged.iter().step_by(step) {
            let receipt = rpc::call(client, "eth_getTransactionReceipt", json!([hash])).await.hint(NO_EVM)?;
            if receipt["status"] != "0x1" {
                complaints.push(format!("transaction {hash} was acknowledged, its receipt is {receipt}"));
            }
        }
        Ok(complaints)
    }
}

#[derive(Debug)]
struct Signed {
    raw: Vec<u8>,
    hash: B256,
}

#[derive(Debug)]
struct Sender {
    queue: VecDeque<Signed>,
}

/// One connection's transactions.
#[derive(Debug, Default)]
pub struct EvmLoad {
    senders: Vec<Sender>,
    free: VecDeque<usize>,
    on_way: Vec<Option<OnWay>>,
    /// How many transactions a request holds.
    pub batch: usize,
    /// The hashes of the transactions that were answered right.
    pub acknowledged: Vec<B256>,
}

#[derive(Debug)]
struct OnWay {
    hashes: Vec<B256>,
    senders: Vec<usize>,
}

impl EvmLoad {
    fn add(&mut self, sender: Sender) {
        self.free.push_back(self.senders.len());
        self.senders.push(sender);
    }

    /// Takes one transaction of each free sender, then more of the same ones, until the batch is full.
    fn take(&mut self) -> (Vec<Signed>, Vec<usize>) {
        let (mut taken, mut senders, mut at) = (Vec::new(), Vec::new(), 0);
        while taken.len() < self.batch {
            let place = match self.free.pop_front() {
                Some(place) => {
                    senders.push(place);
                    place
                }
                // Every sender of this request has had its turn: begin again with the first that has more.
                None if at < senders.len() => {
                    at += 1;
                    senders[at - 1]
                }
                None if senders.iter().any(|place| !self.senders[*place].queue.is_empty()) => {
                    at = 0;
                    continue;
                }
                None => break,
            };
            taken.extend(self.senders[place].queue.pop_front());
        }
        (taken, senders)
    }
}

impl Workload for EvmLoad {
    fn next(&mut self) -> Option<Shot> {
        let (taken, senders) = self.take();
        if taken.is_empty() {
            return None;
        }
        let body = body(&taken, self.batch > 1);
        let tag = self.on_way.len() as u64;
        let transactions = taken.len() as u64;
        self.on_way.push(Some(OnWay { hashes: taken.iter().map(|signed| signed.hash).collect(), senders }));
        Some(Shot { request: Request::post(rpc::LIVE_INSTANCE, body), tag, transactions })
    }

    fn judge(&mut self, tag: u64, response: &Response) -> Result<(), String> {
        let on_way = usize::try_from(tag).ok().and_then(|tag| self.on_way.get_mut(tag)).and_then(Option::take);
        let on_way = on_way.expect("tags are given out once and answered once");
        let more = |place: &&usize| !self.senders[**place].queue.is_empty();
        self.free.extend(on_way.senders.iter().filter(more));
        judge_hashes(&on_way.hashes, response)?;
        self.acknowledged.extend(on_way.hashes);
        Ok(())
    }
}

fn body(transactions: &[Signed], is_batch: bool) -> Bytes {
    let size: usize = transactions.iter().map(|signed| 2 * signed.raw.len() + CALL_BYTES).sum();
    let mut text = String::with_capacity(size + 2);
    for (id, signed) in transactions.iter().enumerate() {
        text.push(if id == 0 { '[' } else { ',' });
        let raw = hex::encode(&signed.raw);
        write!(text, r#"{{"jsonrpc":"2.0","id":{id},"method":"eth_sendRawTransaction","params":["0x{raw}"]}}"#)
            .expect("writing to a string does not fail");
    }
    text.push(']');
    let text = Bytes::from(text);
    if is_batch { text } else { text.slice(1..text.len() - 1) }
}

#[derive(Deserialize)]
struct SendAnswer<'a> {
    id: usize,
    #[serde(borrow)]
    result: Option<&'a str>,
    error: Option<Value>,
}

/// Whether the answer gives each transaction's hash.
fn judge_hashes(hashes: &[B256], response: &Response) -> Result<(), String> {
    let answers: Vec<SendAnswer<'_>> = if response.body.starts_with(b"[") {
        serde_json::from_slice(&response.body).map_err(|_| response.summary())?
    } else {
        vec![serde_json::from_slice(&response.body).map_err(|_| response.summary())?]
    };
    if answers.len() != hashes.len() {
        return Err(format!("{} answers to {} transactions", answers.len(), hashes.len()));
    }
    for answer in answers {
        let expected = hashes.get(answer.id).ok_or("an answer to a call that was not made")?;
        let found = answer.result.and_then(|text| text.parse::<B256>().ok());
        if found != Some(*expected) {
            let error = answer.error.unwrap_or_default();
            return Err(format!("transaction {expected} was answered with {:?} {}", answer.result, error["message"]));
        }
    }
    Ok(())
}

async fn nonces(client: &Client, accounts: &[Account]) -> Result<Vec<u64>, Failure> {
    let calls: Vec<_> =
        accounts.iter().map(|account| ("eth_getTransactionCount", json!([account.address, "latest"]))).collect();
    let answers = rpc::batch(client, &calls).await.hint(NO_EVM)?;
    answers.into_iter().map(|answer| quantity(&answer.hint(NO_EVM)?)).collect()
}

fn quantity(value: &Value) -> Result<u64, Failure> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.ok_or_else(|| Failure::new(format!("{value} is not a quantity"), NO_EVM))
}

/// `transfer(receiver, 1)`.
fn transfer_input(receiver: Address) -> Vec<u8> {
    let mut input = vec![0xa9, 0x05, 0x9c, 0xbb];
    input.extend([0; 12]);
    input.extend(receiver.as_slice());
    input.extend(U256::ONE.to_be_bytes::<32>());
    input
}

/// `fund(accounts, FUNDS)`.
fn fund_input(accounts: &[Address]) -> Vec<u8> {
    let mut input = vec![0x97, 0x94, 0x4b, 0xde];
    for word in [U256::from(64), U256::from(FUNDS), U256::from(accounts.len())] {
        input.extend(word.to_be_bytes::<32>());
    }
    for account in accounts {
        input.extend([0; 12]);
        input.extend(account.as_slice());
    }
    input
}

/// How many of `count` fall to place `place` of `places`.
fn share(count: u64, place: u64, places: u64) -> u64 {
    count / places + u64::from(place < count % places)
}

const NO_EVM: &str = "the network needs an Ethereum instance `main`, as synod sandbox makes it";

/// The token's code as solc 0.8.28 made it of BenchToken.sol and OpenZeppelin 5.7.0 (optimizer 200 runs, Shanghai).
const TOKEN_CODE: &str = include_str!("BenchToken.hex");

/// What each sender gets: more than it could ever send away one by one.
const FUNDS: u64 = 1_000_000_000;

/// About 25,000 gas each: stays below five million.
const FUND_PER_TRANSACTION: usize = 200;

/// Enough for the deployment and for funding, below EIP-7825's cap.
const SETUP_GAS: u64 = 10_000_000;

/// What a plain transfer takes, exactly.
const TRANSFER_GAS: u64 = 21_000;

/// A token transfer takes up to 52,000.
const ERC20_GAS: u64 = 80_000;

/// The words around a raw transaction in a call.
const CALL_BYTES: usize = 90;

/// How many receipts are looked at after a run.
const RECEIPTS_CHECKED: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eth::bench_account;

    fn loads(senders: usize, count: u64, lanes: usize, batch: usize) -> Vec<EvmLoad> {
        let senders = (0..senders).map(|number| (bench_account(number), 5)).collect();
        let mut loads = Chain { id: 1337, senders }.sign_all(Kind::Transfer, count, lanes);
        loads.iter_mut().for_each(|load| load.batch = batch);
        loads
    }

    fn answer(load: &EvmLoad, tag: u64) -> Response {
        let hashes = &load.on_way[usize::try_from(tag).unwrap()].as_ref().unwrap().hashes;
        let answers: Vec<_> =
            hashes.iter().enumerate().map(|(id, hash)| json!({"jsonrpc": "2.0", "id": id, "result": hash})).collect();
        let body = if load.batch > 1 { json!(answers) } else { answers[0].clone() };
        Response { status: 200, txid: None, body: body.to_string().into() }
    }

    #[test]
    fn every_transaction_is_signed_once_and_dealt_to_one_connection() {
        let loads = loads(7, 100, 3, 1);
        let hashes: std::collections::BTreeSet<_> = loads
            .iter()
            .flat_map(|load| load.senders.iter().flat_map(|sender| sender.queue.iter().map(|signed| signed.hash)))
            .collect();
        assert_eq!(hashes.len(), 100);
    }

    #[test]
    fn a_sender_waits_for_its_answer_before_it_sends_again() {
        let mut load = loads(2, 6, 1, 1).remove(0);
        let (one, two) = (load.next().unwrap().tag, load.next().unwrap().tag);
        assert!(load.next().is_none());
        let response = answer(&load, two);
        assert_eq!(load.judge(two, &response), Ok(()));
        assert!(load.next().is_some());
        assert!(load.next().is_none());
        let wrong =
            Response { status: 200, txid: None, body: r#"{"id":0,"error":{"message":"nonce too high"}}"#.into() };
        assert!(load.judge(one, &wrong).unwrap_err().contains("nonce too high"));
        assert_eq!(load.acknowledged.len(), 1);
    }

    #[test]
    fn a_batch_larger_than_the_senders_takes_more_of_each_in_the_order_of_nonces() {
        let mut load = loads(3, 10, 1, 8).remove(0);
        let first = load.next().unwrap();
        assert_eq!(first.transactions, 8);
        let response = answer(&load, first.tag);
        assert_eq!(load.judge(first.tag, &response), Ok(()));
        let last = load.next().unwrap();
        assert_eq!(last.transactions, 2);
        let response = answer(&load, last.tag);
        load.judge(last.tag, &response).unwrap();
        assert!(load.next().is_none());
        assert_eq!(load.acknowledged.len(), 10);
    }

    #[test]
    fn an_answer_that_does_not_name_each_transaction_is_wrong() {
        let hashes = [B256::repeat_byte(1), B256::repeat_byte(2)];
        let check = |body: String| judge_hashes(&hashes, &Response { status: 200, txid: None, body: body.into() });
        let part = |id: usize, hash: B256| format!(r#"{{"id":{id},"result":"{hash}"}}"#);
        assert_eq!(check(format!("[{},{}]", part(1, hashes[1]), part(0, hashes[0]))), Ok(()));
        assert!(check(format!("[{}]", part(0, hashes[0]))).unwrap_err().contains("1 answers to 2"));
        assert!(check(format!("[{},{}]", part(0, hashes[1]), part(1, hashes[0]))).is_err());
        assert!(check(format!("[{},{}]", part(0, hashes[0]), part(2, hashes[1]))).is_err());
        assert!(check("nonsense".into()).is_err());
    }

    #[test]
    fn call_data_is_as_the_contract_takes_it() {
        let receiver = Address::repeat_byte(0x11);
        assert_eq!(transfer_input(receiver).len(), 68);
        let input = fund_input(&[receiver, receiver]);
        assert_eq!(input.len(), 4 + 5 * 32);
        assert_eq!(input[4 + 31], 64);
        assert_eq!(input[4 + 95], 2);
    }
}
