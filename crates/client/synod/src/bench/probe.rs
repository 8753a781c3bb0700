//! Until when every node has committed: a sample of transactions is asked for at each of them.
//!
//! A probe is a read with `synod-at-least`, which a node answers once it has applied that much. It is
//! sent when the transaction's own answer has come, so what it measures includes that answer's way
//! back and its own way: an upper bound. What is read does not matter: it is a key that nobody writes.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use synod_client::{Client, Connection, LinkError, Request};
use synod_types::TxId;
use tokio::task::JoinSet;

use super::stats::Tally;

/// Asks every node for some of the transactions.
pub struct Prober {
    client: Client,
    connections: RefCell<Vec<Option<Connection>>>,
    state: RefCell<State>,
    tally: Rc<RefCell<Tally>>,
}

struct State {
    next_at: Instant,
    in_flight: usize,
}

impl Prober {
    /// Connects to every node.
    pub async fn new(client: Client, tally: Rc<RefCell<Tally>>) -> Rc<Self> {
        let mut connections = Vec::new();
        for node in client.nodes() {
            connections.push(Connection::open(node.address, client.tls()).await.ok());
        }
        let state = RefCell::new(State { next_at: Instant::now(), in_flight: 0 });
        Rc::new(Self { client, connections: RefCell::new(connections), state, tally })
    }

    /// Samples a transaction that was sent, or due, at `since`, if it is time for another sample.
    pub fn offer(self: &Rc<Self>, txid: TxId, since: Instant, now: Instant) {
        let mut state = self.state.borrow_mut();
        if now < state.next_at || state.in_flight >= IN_FLIGHT_MAX {
            return;
        }
        state.next_at = now + SAMPLE_EVERY;
        state.in_flight += 1;
        drop(state);
        let prober = Rc::clone(self);
        tokio::task::spawn_local(async move {
            if prober.all_have(txid).await {
                prober.tally.borrow_mut().all.note(since.elapsed(), 1);
            }
            prober.state.borrow_mut().in_flight -= 1;
        });
    }

    /// Waits until no probe is on its way.
    pub async fn finish(&self) {
        while self.state.borrow().in_flight > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until every node says that it has committed `txid`. A node that does not answer fails the sample, not the run.
    async fn all_have(&self, txid: TxId) -> bool {
        let mut asked = JoinSet::new();
        for (place, connection) in self.connections.borrow().iter().enumerate() {
            let (connection, address) = (connection.clone(), self.client.nodes()[place].address);
            let tls = self.client.tls().clone();
            asked.spawn_local(async move {
                let connection = match connection.filter(Connection::is_open) {
                    Some(connection) => connection,
                    None => Connection::open(address, &tls).await?,
                };
                let answer = connection.send(Request::get(PROBE_PATH).at_least(txid)).await?;
                Ok::<_, LinkError>((place, connection, answer))
            });
        }
        let mut all = true;
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok((place, connection, answer))) => {
                    self.connections.borrow_mut()[place] = Some(connection);
                    // 404 says that the key is free; an answer without a transaction id did not wait.
                    let has = answer.txid.is_some_and(|seen| seen.seqno >= txid.seqno);
                    all &= has && matches!(answer.status, 200 | 404);
                }
                _ => all = false,
            }
        }
        all
    }
}

/// The largest key of the log.
const PROBE_PATH: &str = "/app/log/18446744073709551615";

/// Often enough for a percentile, seldom enough not to be a load of its own.
const SAMPLE_EVERY: Duration = Duration::from_millis(10);

/// The most samples on their way: a node that is behind holds up its own.
const IN_FLIGHT_MAX: usize = 64;
