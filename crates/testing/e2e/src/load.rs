//! Writers that go on through faults, and remember what was acknowledged.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use synod_types::{RequestId, TxId};

use crate::sandbox::{Node, Sandbox};
use crate::{Client, Identity};

/// Writers in the background. Each writes one message after the other, each under a key and a request id of its
/// own, and repeats a write at the next node under the same id until it is acknowledged.
pub struct Load {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Vec<Acknowledged>>>,
}

/// A write that a node answered with 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The key of the log.
    pub key: u64,
    /// What was written.
    pub message: String,
    /// The id under which it was sent, each time.
    pub request_id: RequestId,
    /// What the answer said.
    pub txid: TxId,
    /// How many times it was sent.
    pub attempts: u32,
}

struct Shared {
    nodes: Vec<Node>,
    identity: Identity,
    stop: AtomicBool,
    view: AtomicU64,
    count: AtomicU64,
    refusals: Mutex<HashMap<String, u64>>,
}

impl Load {
    /// Begins to write.
    pub fn start(sandbox: &Sandbox, writers: u64) -> Self {
        let shared = Arc::new(Shared {
            nodes: sandbox.nodes.clone(),
            identity: sandbox.identity.clone(),
            stop: AtomicBool::new(false),
            view: AtomicU64::new(0),
            count: AtomicU64::new(0),
            refusals: Mutex::default(),
        });
        let write = |writer| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || Writer { number: writer, node: writer, connection: None, shared }.run())
        };
        Self { writers: (0..writers).map(write).collect(), shared }
    }

    /// The highest view in which a write was acknowledged.
    pub fn view(&self) -> u64 {
        self.shared.view.load(Ordering::SeqCst)
    }

    /// How many writes were acknowledged.
    pub fn count(&self) -> u64 {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Stops writing once every write begun is acknowledged, and says what was.
    ///
    /// # Panics
    /// If a writer met an answer that must not be.
    pub fn stop(self) -> Vec<Acknowledged> {
        self.shared.stop.store(true, Ordering::SeqCst);
        let all: Vec<_> = self
            .writers
            .into_iter()
            .flat_map(|writer| writer.join().expect("a writer met an answer that must not be"))
            .collect();
        let refusals = self.shared.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("{} writes acknowledged; refused or broken and sent again: {refusals:?}", all.len());
        all
    }
}

struct Writer {
    number: u64,
    node: u64,
    connection: Option<Client>,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self) -> Vec<Acknowledged> {
        let mut acknowledged = Vec::new();
        for number in 0.. {
            if self.shared.stop.load(Ordering::SeqCst) {
                break;
            }
            acknowledged.push(self.write(number));
        }
        acknowledged
    }

    /// Writes one message, however often it takes.
    fn write(&mut self, number: u64) -> Acknowledged {
        let key = self.number * KEYS_PER_WRITER + number;
        let message = format!("message {number} of writer {}", self.number);
        let mut id = [0; RequestId::SIZE];
        id[..8].copy_from_slice(&(self.number + 1).to_be_bytes());
        id[8..].copy_from_slice(&number.to_be_bytes());
        let request_id = RequestId(id);

        let end = Instant::now() + PATIENCE;
        for attempts in 1.. {
            match self.attempt(key, &message, request_id) {
                Ok(txid) => {
                    self.shared.view.fetch_max(txid.view.0, Ordering::SeqCst);
                    self.shared.count.fetch_add(1, Ordering::SeqCst);
                    return Acknowledged { key, message, request_id, txid, attempts };
                }
                Err(reason) => {
                    let mut refusals = self.shared.refusals.lock().unwrap_or_else(PoisonError::into_inner);
                    *refusals.entry(reason).or_default() += 1;
                }
            }
            assert!(Instant::now() < end, "key {key} could not be written within {PATIENCE:?}");
            self.connection = None;
            self.node += 1;
            thread::sleep(PAUSE);
        }
        unreachable!("attempts end with a return or a panic")
    }

    fn attempt(&mut self, key: u64, message: &str, request_id: RequestId) -> Result<TxId, String> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let place = usize::try_from(self.node).expect("small") % self.shared.nodes.len();
                let node = &self.shared.nodes[place];
                let made = Client::connect(&node.address, &self.shared.identity);
                none.insert(made.map_err(|error| format!("connect: {}", error.kind()))?)
            }
        };
        let (path, id) = (format!("/app/log/{key}"), request_id.to_hex());
        let response = connection
            .send("PUT", &path, &[("synod-request-id", &id)], message.as_bytes())
            .map_err(|error| format!("send: {}", error.kind()))?;
        match response.status {
            200 => {
                let txid = response.header("synod-txid").expect("a write's answer names its transaction");
                Ok(txid.parse().expect("a transaction id"))
            }
            503 | 504 | 429 => Err(format!("{} {}", response.status, response.error_code())),
            other => panic!("a valid write was answered with {other}: {}", response.text()),
        }
    }
}

/// So that no two writers share a key.
const KEYS_PER_WRITER: u64 = 1_000_000;

/// How long one write may take, restarts of all nodes included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two attempts of one write.
const PAUSE: Duration = Duration::from_millis(20);
