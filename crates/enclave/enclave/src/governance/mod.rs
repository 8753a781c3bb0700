//! Governance as sessions are told of it: documents, and events as they happen.

pub mod asked;
pub mod route;
#[cfg(test)]
mod route_tests;
#[cfg(test)]
pub mod testing;
mod txids;

use synod_types::{Digest, Seqno, TxId};

use txids::Txids;

/// What is needed besides the tables to tell of governance. Shared between threads.
#[derive(Debug)]
pub struct Governance {
    /// The network.
    pub network: Digest,
    txids: Txids,
}

impl Governance {
    /// The governance of this network.
    pub fn new(network: Digest) -> Self {
        Self { network, txids: Txids::default() }
    }

    /// Notes a committed governance transaction. Told of each, in order, before its tables are shown.
    pub fn committed(&self, txid: TxId) {
        self.txids.committed(txid);
    }

    /// The id of a committed governance transaction, if the view in which it was ordered is still known.
    pub fn txid_of(&self, seqno: Seqno) -> Option<TxId> {
        self.txids.find(seqno)
    }
}
