//! Governance as sessions are told of it: documents, and events as they happen.

pub mod asked;
pub mod log;
#[cfg(test)]
mod room_tests;
pub mod route;
#[cfg(test)]
mod route_tests;
pub mod settings;
#[cfg(test)]
mod settings_tests;
#[cfg(test)]
pub mod testing;
pub mod watch;

use synod_governance::Tables;
use synod_governance::view::{AsOf, EventPlace};
use synod_kv::State;
use synod_node::Governed;
use synod_types::{Digest, Seqno, TxId};

use log::{Frame, Log};
use watch::Watchers;

use crate::views::{GOVERNED_VIEWS_MAX, Views};

/// What is needed besides the tables to tell of governance. Shared between threads.
#[derive(Debug)]
pub struct Governance {
    /// The network.
    pub network: Digest,
    /// The latest events.
    pub log: Log,
    /// Who watches.
    pub watchers: Watchers,
    /// The views of governance transactions.
    views: Views,
}

impl Governance {
    /// The governance of this network; of its events so many bytes are kept.
    pub fn new(network: Digest, log_bytes_max: usize) -> Self {
        let log = Log::new(log_bytes_max);
        Self { network, log, watchers: Watchers::default(), views: Views::new(GOVERNED_VIEWS_MAX) }
    }

    /// Notes the id of a committed governance transaction. Told of each, in order, at least once.
    pub fn committed(&self, txid: TxId) {
        self.views.committed(txid);
    }

    /// Notes a committed governance transaction that led on from the tables `before`, and what it did. Told of each, in
    /// order, before its tables are shown.
    ///
    /// # Panics
    /// If the tables cannot be read: the node has read them before it took them in.
    pub fn happened(&self, before: &State, governed: &Governed) {
        let Governed { txid, time, state, events } = governed;
        self.committed(*txid);
        let txid_of = |seqno| self.txid_of(seqno);
        let as_of = AsOf { network: self.network, txid: *txid, time: *time, txid_of: &txid_of };
        let tables = (Tables(before), Tables(state));
        let frames = (1..).zip(events).map(|(place, event)| {
            Frame::of(event, EventPlace { seqno: txid.seqno, place }, tables, &as_of)
                .expect("the node has read these tables")
        });
        self.log.push(frames.collect());
    }

    /// The id of a committed governance transaction, if the view in which it was ordered is still known.
    pub fn txid_of(&self, seqno: Seqno) -> Option<TxId> {
        self.views.txid(seqno)
    }
}
