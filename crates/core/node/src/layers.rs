//! Blocks that the worker holds as layers: executed or applied, not committed.

use std::collections::VecDeque;

use synod_types::{LogIndex, Seqno, TxId};

use crate::event::{Answer, Refusal};
use crate::inbox::Waiting;
use crate::requests::RequestKey;

/// One uncommitted block on the worker's tip.
#[derive(Debug)]
pub struct Layer {
    /// The block's place in the log.
    pub index: LogIndex,
    /// The block's last transaction.
    pub upto: TxId,
    /// The requests that the block did, with who waits for them.
    pub requests: Vec<Done>,
    /// Requests that wrote nothing but saw this block.
    pub readers: Vec<Reader>,
}

/// A request that wrote nothing, and what it is answered once what it saw is committed.
pub type Reader = (Waiting, Result<Answer, Refusal>);

/// A request that a block did.
#[derive(Debug)]
pub struct Done {
    /// The request.
    pub key: RequestKey,
    /// Its last transaction, and one reply per call; a refusal if another node wrote replies that this one cannot read.
    pub answer: Result<Answer, Refusal>,
    /// Who waits for the block to commit; nobody, if another node ordered it.
    pub waiting: Vec<Waiting>,
}

/// The uncommitted layers, oldest first.
#[derive(Debug, Default)]
pub struct Layers(VecDeque<Layer>);

impl Layers {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The newest.
    pub fn last_mut(&mut self) -> Option<&mut Layer> {
        self.0.back_mut()
    }

    /// Adds the next block.
    ///
    /// # Panics
    /// If it is not above the newest: layers are pushed in log order.
    pub fn push(&mut self, layer: Layer) {
        assert!(self.0.back().is_none_or(|last| last.index < layer.index && last.upto.seqno < layer.upto.seqno));
        self.0.push_back(layer);
    }

    /// Takes the oldest, if it is the block at `index`.
    pub fn commit(&mut self, index: LogIndex) -> Option<Layer> {
        let first = self.0.front()?;
        assert!(first.index >= index, "a layer commits with its block");
        if first.index == index { self.0.pop_front() } else { None }
    }

    /// Takes the newest layer, if it is at `from` or above.
    pub fn pop_from(&mut self, from: LogIndex) -> Option<Layer> {
        if self.0.back()?.index >= from { self.0.pop_back() } else { None }
    }

    /// The request `key` that ended as transaction `seqno`, if it is in a layer.
    pub fn find_mut(&mut self, key: RequestKey, seqno: Seqno) -> Option<&mut Done> {
        let layer = self.0.iter_mut().find(|layer| layer.upto.seqno >= seqno)?;
        layer.requests.iter_mut().find(|done| done.key == key)
    }

    /// Takes out everyone who waits longer than allowed.
    pub fn expired(&mut self, late: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let mut expired = Vec::new();
        for layer in &mut self.0 {
            for done in &mut layer.requests {
                expired.extend(done.waiting.extract_if(.., |waiting| late(waiting)));
            }
            expired.extend(layer.readers.extract_if(.., |(waiting, _)| late(waiting)).map(|(waiting, _)| waiting));
        }
        expired
    }

    /// Takes out everyone who waits.
    pub fn all_waiting(&mut self) -> Vec<Waiting> {
        self.expired(|_| true)
    }
}
