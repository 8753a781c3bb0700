//! `bench log`: private messages by key. The message under a key follows from the key, so that every
//! read can be judged, whoever wrote it when.

use std::rc::Rc;

use bytes::Bytes;
use synod_client::{Client, Request, Response};

use super::load::{Shot, Workload};
use crate::failure::{Failure, Hint};

/// The messages of a run, shared by its connections.
pub struct Messages {
    bodies: Vec<Bytes>,
}

impl Messages {
    /// As many messages as there are keys, `size` bytes each.
    pub fn new(keys: u64, size: usize) -> Rc<Self> {
        Rc::new(Self { bodies: (0..keys).map(|key| message(key, size)).collect() })
    }

    /// Stores every message, so that there is something to read.
    ///
    /// # Errors
    /// If no node takes them.
    pub async fn store(&self, client: &Client) -> Result<(), Failure> {
        let hint = "check the network with synod node status";
        let mut stored = tokio::task::JoinSet::new();
        for (key, body) in (0..).zip(&self.bodies) {
            if stored.len() >= STORE_DEPTH {
                let answer = stored.join_next().await.expect("the set is not empty");
                note(client, &answer.hint(hint)??)?;
            }
            let (client, request) = (client.clone(), Request::put(path(key), body.clone()));
            stored.spawn(async move { client.send(request).await });
        }
        while let Some(answer) = stored.join_next().await {
            note(client, &answer.hint(hint)??)?;
        }
        Ok(())
    }

    /// Reads some of the messages back from every node. Says what is wrong with those that differ.
    pub async fn verify(&self, client: &Client, written: u64) -> Vec<String> {
        let count = written.min(self.bodies.len() as u64);
        let step = (count / VERIFY_KEYS).max(1);
        let mut complaints = Vec::new();
        for node in client.nodes() {
            for key in (0..count).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
                let mut request = Request::get(path(key));
                request.at_least = client.mark();
                match client.send_to(node.id, &request).await {
                    Ok(answer) => complaints.extend(self.judge_read(key, &answer).err()),
                    // A node that is down is not a wrong answer.
                    Err(_) => break,
                }
            }
        }
        complaints
    }

    fn judge_read(&self, key: u64, response: &Response) -> Result<(), String> {
        let expected = &self.bodies[usize::try_from(key).expect("keys are places in memory")];
        match response.status {
            200 if response.body == expected => Ok(()),
            200 => Err(format!("key {key} holds another message than was written")),
            _ => Err(format!("reading key {key}: {}", response.summary())),
        }
    }
}

fn note(client: &Client, answer: &Response) -> Result<(), Failure> {
    if !answer.is_success() {
        return Err(Failure::new(answer.summary(), "check the network with synod node status"));
    }
    answer.txid.into_iter().for_each(|txid| client.raise_mark(txid));
    Ok(())
}

/// One connection's reads and writes.
pub struct LogLoad {
    messages: Rc<Messages>,
    reads_percent: u64,
    next: u64,
    stride: u64,
    /// Of the last hundred requests, how many hundredths of a read are due: spreads reads evenly.
    due: u64,
    /// How many writes were answered right.
    pub written: u64,
}

impl LogLoad {
    /// The part of lane `lane` of `lanes`: every `lanes`-th key from `lane` on.
    pub fn new(messages: Rc<Messages>, reads_percent: u64, lane: u64, lanes: u64) -> Self {
        Self { messages, reads_percent, next: lane, stride: lanes, due: 0, written: 0 }
    }
}

impl Workload for LogLoad {
    fn next(&mut self) -> Option<Shot> {
        let key = self.next % self.messages.bodies.len() as u64;
        self.next += self.stride;
        self.due += self.reads_percent;
        let is_read = self.due >= 100;
        self.due %= 100;
        let request = if is_read {
            Request::get(path(key))
        } else {
            Request::put(
                path(key),
                self.messages.bodies[usize::try_from(key).expect("keys are places in memory")].clone(),
            )
        };
        Some(Shot { request, tag: key << 1 | u64::from(is_read), transactions: 1 })
    }

    fn judge(&mut self, tag: u64, response: &Response) -> Result<(), String> {
        if tag & 1 == 1 {
            return self.messages.judge_read(tag >> 1, response);
        }
        if response.status != 200 {
            return Err(format!("writing key {}: {}", tag >> 1, response.summary()));
        }
        if response.txid.is_none() {
            return Err(format!("writing key {}: the answer names no transaction", tag >> 1));
        }
        self.written += 1;
        Ok(())
    }
}

fn path(key: u64) -> String {
    format!("/app/log/{}", FIRST_KEY + key)
}

pub(super) fn message(key: u64, size: usize) -> Bytes {
    let mut text = format!("synod bench message {key} ").into_bytes();
    text.extend((0..size.saturating_sub(text.len())).map(|at| b'a' + u8::try_from(at % 26).expect("below 26")));
    text.truncate(size);
    text.into()
}

/// Far from the keys that people use.
const FIRST_KEY: u64 = 1 << 40;

/// How many messages are on their way while they are stored.
const STORE_DEPTH: usize = 512;

/// How many keys are read back from every node at the end.
const VERIFY_KEYS: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn load(percent: u64) -> LogLoad {
        LogLoad::new(Messages::new(10, 40), percent, 1, 3)
    }

    #[test]
    fn the_share_of_reads_is_the_one_asked_for_and_spread_evenly() {
        for percent in [0, 1, 50, 99, 100] {
            let mut load = load(percent);
            let reads = (0..1_000).filter(|_| load.next().unwrap().tag & 1 == 1).count() as u64;
            assert_eq!(reads, percent * 10);
        }
    }

    #[test]
    fn messages_have_the_size_asked_for_and_differ_by_key() {
        for size in [32, 100, 65_536] {
            assert_eq!(message(123_456, size).len(), size);
        }
        assert_ne!(message(1, 32), message(2, 32));
    }

    #[test]
    fn a_wrong_answer_is_told_from_a_right_one() {
        let mut load = load(0);
        let answer = |status, body: &Bytes, txid| Response { status, txid, body: body.clone() };
        let txid = Some("2.3".parse().unwrap());
        let own = load.messages.bodies[4].clone();
        assert_eq!(load.judge(4 << 1, &answer(200, &Bytes::new(), txid)), Ok(()));
        assert_eq!(load.written, 1);
        assert!(load.judge(4 << 1, &answer(200, &Bytes::new(), None)).unwrap_err().contains("names no transaction"));
        assert!(load.judge(4 << 1, &answer(500, &Bytes::new(), txid)).unwrap_err().contains("status 500"));
        assert_eq!(load.judge(4 << 1 | 1, &answer(200, &own, txid)), Ok(()));
        assert!(load.judge(5 << 1 | 1, &answer(200, &own, txid)).unwrap_err().contains("another message"));
        assert!(load.judge(5 << 1 | 1, &answer(404, &own, txid)).unwrap_err().contains("status 404"));
        assert_eq!(load.written, 1);
    }
}
