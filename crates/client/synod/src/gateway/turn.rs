//! Transactions that arrive before those that they follow.
//!
//! Wallets and scripts send transactions with ascending nonces side by side, and connections do not keep
//! their order. An Ethereum node keeps an early one in its pool; the nodes here have no pool and refuse it
//! (`nonce too high`), having written nothing. So the gateway keeps the request and sends what was early
//! again, for as long as the account's nonce goes on rising and a little longer.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use synod_client::Client;
use tokio::time::{Instant, sleep};

use super::forward::forward;
use super::item::{Body, Item, mentions, split};
use super::request_id::SENDING;

/// As [`forward`], but transactions that are early get another turn.
pub async fn forward_in_turn(client: &Client, instance: &str, body: Bytes) -> Bytes {
    let answer = forward(client, instance, body.clone()).await;
    if !mentions(&body, &SENDING) || !is_any_early(&answer) {
        return answer;
    }
    match Turn::of(&body, &answer) {
        Some(turn) => turn.wait(client, instance).await,
        None => answer,
    }
}

/// A body some of whose transactions are early.
struct Turn<'a> {
    is_batch: bool,
    /// The requests that are answered.
    items: Vec<&'a RawValue>,
    /// Their answers so far.
    answers: Vec<Box<RawValue>>,
}

impl<'a> Turn<'a> {
    /// `None` if it is not clear which answer is whose.
    fn of(body: &'a [u8], answer: &[u8]) -> Option<Self> {
        let Body { mut items, is_batch } = split(body)?;
        items.retain(|item| Item::read(item).is_answered());
        let answers: Vec<Box<RawValue>> =
            if is_batch { serde_json::from_slice(answer).ok()? } else { vec![serde_json::from_slice(answer).ok()?] };
        (items.len() == answers.len()).then_some(Self { is_batch, items, answers })
    }

    async fn wait(mut self, client: &Client, instance: &str) -> Bytes {
        let begun = Instant::now();
        let (mut moved, mut before) = (begun, None);
        loop {
            let early: Vec<usize> = (0..self.items.len()).filter(|place| self.gap(*place).is_some()).collect();
            let gaps: Vec<Gap> = early.iter().filter_map(|place| self.gap(*place)).collect();
            let Some(nearest) = gaps.iter().map(Gap::size).min() else { break };
            let now = Instant::now();
            if before.as_ref() != Some(&gaps) {
                (moved, before) = (now, Some(gaps));
            }
            if now - moved >= STALLED_MAX || now - begun >= WAIT_MAX {
                break;
            }
            sleep(PAUSE_MAX.min(PAUSE_EACH * u32::try_from(nearest).unwrap_or(u32::MAX))).await;
            let again: Vec<_> = early.iter().map(|place| self.items[*place]).collect();
            let body = serde_json::to_string(&again).expect("raw JSON serialises");
            let answer = forward(client, instance, body.into()).await;
            // An error for all of them leaves what the last turn said.
            let Ok(answers) = serde_json::from_slice::<Vec<Box<RawValue>>>(&answer) else { break };
            if answers.len() != early.len() {
                break;
            }
            for (place, answer) in early.into_iter().zip(answers) {
                self.answers[place] = answer;
            }
        }
        self.finish()
    }

    fn gap(&self, place: usize) -> Option<Gap> {
        Gap::of(&self.answers[place]).filter(|_| Item::read(self.items[place]).is_one_of(&SENDING))
    }

    fn finish(self) -> Bytes {
        let text = match &self.answers[..] {
            [answer] if !self.is_batch => answer.get().to_owned(),
            answers => serde_json::to_string(answers).expect("raw JSON serialises"),
        };
        text.into()
    }
}

/// How early a transaction is.
#[derive(Debug, PartialEq, Eq)]
struct Gap {
    nonce: u64,
    next: u64,
}

impl Gap {
    /// What an answer says, in go-ethereum's words: `nonce too high: address 0x…, tx: 7 state: 5`.
    fn of(answer: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answer {
            error: Message,
        }
        #[derive(Deserialize)]
        struct Message {
            message: String,
        }
        let answer: Answer = serde_json::from_str(answer.get()).ok()?;
        let (_, numbers) = answer.error.message.strip_prefix(TOO_HIGH)?.split_once(", tx: ")?;
        let (nonce, next) = numbers.split_once(" state: ")?;
        let (nonce, next) = (nonce.parse().ok()?, next.parse().ok()?);
        (nonce > next).then_some(Self { nonce, next })
    }

    /// How many transactions are missing before this one.
    const fn size(&self) -> u64 {
        self.nonce - self.next
    }
}

fn is_any_early(answer: &[u8]) -> bool {
    answer.windows(TOO_HIGH.len()).any(|window| window == TOO_HIGH.as_bytes())
}

const TOO_HIGH: &str = "nonce too high";

/// How long the missing transactions may fail to come.
const STALLED_MAX: Duration = Duration::from_secs(2);

/// How long a request waits at most, however much comes before it: below what tools wait for an answer.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// The pause for each missing transaction: what one takes at least.
const PAUSE_EACH: Duration = Duration::from_millis(4);

/// The longest pause: many who wait do not keep the nodes busy.
const PAUSE_MAX: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use serde_json::{Value, json};
    use tokio::net::TcpStream;

    use super::super::tests::{ask, start};
    use super::*;
    use crate::test_server::{Deed, Seen, Server, World};

    fn send(id: u64, nonce: u64) -> Value {
        json!({"jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction", "params": [nonce]})
    }

    /// A node that takes transactions of one account in order; what is sent is the nonce itself.
    fn answer(seen: &Seen, next: &AtomicU64) -> Deed {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        let one = |request: &Value| {
            let Some(nonce) = request["params"][0].as_u64() else {
                return json!({"jsonrpc": "2.0", "id": request["id"], "result": "other"});
            };
            match next.compare_exchange(nonce, nonce + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => json!({"jsonrpc": "2.0", "id": request["id"], "result": nonce}),
                Err(next) => {
                    let words = if nonce > next { "high" } else { "low" };
                    let message = format!("nonce too {words}: address 0xab, tx: {nonce} state: {next}");
                    json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32_003, "message": message}})
                }
            }
        };
        let answers = match &body {
            Value::Array(requests) => requests.iter().map(one).collect(),
            request => one(request),
        };
        Deed::Answer(200, "", answers.to_string().into_bytes())
    }

    async fn gateway() -> (Server, std::net::SocketAddr) {
        let world = World::new();
        let next = Arc::new(AtomicU64::new(5));
        let node = Server::start(&world, move |seen| answer(seen, &next)).await;
        let address = start(world.network(&[&node])).await;
        (node, address)
    }

    async fn post(address: std::net::SocketAddr, body: Value) -> Value {
        let mut stream = TcpStream::connect(address).await.unwrap();
        ask(&mut stream, "POST", "", body.to_string().as_bytes()).await.json()
    }

    #[tokio::test]
    async fn transactions_that_overtake_each_other_are_all_taken() {
        let (_node, address) = gateway().await;
        let late_first = (0..20).rev().map(|place| tokio::spawn(post(address, send(place, 5 + place))));
        for (place, task) in (0..20).rev().zip(late_first.collect::<Vec<_>>()) {
            assert_eq!(task.await.unwrap(), json!({"jsonrpc": "2.0", "id": place, "result": 5 + place}));
        }
    }

    #[tokio::test]
    async fn of_a_batch_only_what_was_early_is_sent_again_and_each_answer_keeps_its_place() {
        let (node, address) = gateway().await;
        let other = json!({"jsonrpc": "2.0", "id": 8, "method": "eth_chainId"});
        let batch = tokio::spawn(post(address, json!([send(1, 6), other, send(2, 4), send(3, 7)])));
        while node.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(post(address, send(9, 5)).await["result"], 5);
        let answers = batch.await.unwrap();
        let found: Vec<_> = answers.as_array().unwrap().iter().map(|one| (&one["id"], &one["result"])).collect();
        assert_eq!(found[0], (&json!(1), &json!(6)));
        assert_eq!(found[1], (&json!(8), &json!("other")));
        assert_eq!(found[2], (&json!(2), &Value::Null));
        assert_eq!(found[3], (&json!(3), &json!(7)));
        let again: Value = serde_json::from_slice(&node.seen().last().unwrap().body).unwrap();
        assert_eq!(again, json!([send(1, 6), send(3, 7)]));
    }

    #[tokio::test]
    async fn a_transaction_whose_predecessor_does_not_come_is_refused_after_all() {
        let (node, address) = gateway().await;
        let answer = post(address, send(1, 7)).await;
        assert_eq!(answer["error"]["message"], "nonce too high: address 0xab, tx: 7 state: 5");
        assert!(node.seen().len() > 2, "it was tried again");
    }

    #[test]
    fn only_the_words_for_an_early_transaction_are_taken_for_one() {
        let gap = |message: &str| {
            let json = json!({"error": {"code": -32_003, "message": message}}).to_string();
            Gap::of(&RawValue::from_string(json).unwrap())
        };
        assert_eq!(gap("nonce too high: address 0xab, tx: 7 state: 5"), Some(Gap { nonce: 7, next: 5 }));
        for other in [
            "nonce too low: address 0xab, tx: 4 state: 5",
            "nonce too high: address 0xab, tx: 5 state: 7",
            "nonce too high",
            "nonce too high: address 0xab, tx: x state: 5",
            "execution reverted: nonce too high: address 0xab, tx: 7 state: 5",
        ] {
            assert_eq!(gap(other), None, "{other:?}");
        }
    }
}
