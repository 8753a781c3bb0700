//! The governance tables as the sessions see them: what is committed, at this node.
//!
//! They are replaced as a whole: at the start by the replay of the ledger, and later by the manager with each committed
//! governance transaction, before that transaction's request is answered.

use std::sync::{Arc, OnceLock};

use synod_kv::State;
use synod_types::{Time, TxId};
use synod_worker::Reply;
use tokio::sync::watch;

/// The latest governance tables. Shared between threads.
#[derive(Default)]
pub struct Government(watch::Sender<Arc<Governing>>);

/// The governance tables after one transaction.
#[derive(Clone, Default)]
pub struct Governing {
    /// The governance transaction that led to them; the genesis block's, if none came since.
    pub txid: TxId,
    /// Its ledger time.
    pub time: Time,
    /// The tables.
    pub state: State,
    /// The constitution as it is told, once somebody has asked: it is long, and the same for all.
    pub constitution: OnceLock<Reply>,
}

impl Governing {
    /// The tables after a transaction.
    pub const fn new(txid: TxId, time: Time, state: State) -> Self {
        Self { txid, time, state, constitution: OnceLock::new() }
    }
}

impl Government {
    /// The tables are these from now on.
    pub fn replace(&self, governing: Governing) {
        self.0.send_replace(Arc::new(governing));
    }

    /// The tables that are in force now.
    pub fn latest(&self) -> Arc<Governing> {
        Arc::clone(&self.0.borrow())
    }

    /// Tells of every change from now on; whoever looks late sees the last one only.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Governing>> {
        self.0.subscribe()
    }
}
