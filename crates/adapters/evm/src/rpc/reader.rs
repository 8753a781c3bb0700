//! What methods read: one instance in one committed snapshot.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use alloy_primitives::B256;
use synod_kv::Lookup;

use super::error::RpcError;
use super::logs::{BATCH_READS_MAX, transaction_hash};
use super::params::BlockId;
use super::simulate::BATCH_GAS_MAX;
use crate::block::{Block, Position};
use crate::error::StateDamaged;
use crate::instance::Instance;
use crate::store::Store;

/// One instance in one committed snapshot, for the requests of one batch.
pub(crate) struct Reader<'a, L> {
    pub(crate) instance: &'a Instance,
    pub(crate) store: Store<'a, L>,
    /// How much gas the batch's calls and estimates may still use.
    pub(crate) gas_left: Cell<u64>,
    /// How many index entries and receipts the batch's queries for logs may still look at.
    pub(crate) reads_left: Cell<u64>,
    /// The block read last: lists of logs and receipts ask for the same one again and again.
    latest_block: RefCell<Option<Rc<Block>>>,
}

impl<'a, L: Lookup> Reader<'a, L> {
    /// A reader for one batch.
    pub(crate) const fn new(instance: &'a Instance, store: Store<'a, L>) -> Self {
        let (gas_left, reads_left) = (Cell::new(BATCH_GAS_MAX), Cell::new(BATCH_READS_MAX));
        Self { instance, store, gas_left, reads_left, latest_block: RefCell::new(None) }
    }

    /// The number of the block that `id` names. A number may name a block that is not there yet.
    pub(crate) fn number(&self, id: BlockId) -> Result<u64, RpcError> {
        match id {
            BlockId::Latest | BlockId::Pending => Ok(self.store.head()?.unwrap_or_default()),
            BlockId::Earliest => Ok(self.first_number()),
            BlockId::Number(number) => Ok(number),
            BlockId::Hash(hash) => self.store.number_of(hash)?.ok_or_else(|| RpcError::server("header not found")),
        }
    }

    /// The block that `id` names, if there is one.
    pub(crate) fn block(&self, id: BlockId) -> Result<Option<Rc<Block>>, RpcError> {
        let number = match id {
            BlockId::Hash(hash) => match self.store.number_of(hash)? {
                Some(number) => number,
                None => return Ok(None),
            },
            other => self.number(other)?,
        };
        Ok(self.block_at(number)?)
    }

    /// Checks that `id` names the latest block: only its state is kept.
    pub(crate) fn check_state(&self, id: BlockId) -> Result<(), RpcError> {
        let head = self.store.head()?.unwrap_or_default();
        let number = self.number(id)?;
        if number > head {
            return Err(RpcError::server("header not found"));
        }
        if number < head {
            let message =
                format!("missing trie node: the state of block {number} is not kept, only that of block {head}");
            return Err(RpcError::server(message));
        }
        Ok(())
    }

    /// The block at `number`.
    pub(crate) fn block_at(&self, number: u64) -> Result<Option<Rc<Block>>, StateDamaged> {
        if let Some(block) = self.latest_block.borrow().as_ref().filter(|block| block.header.number == number) {
            return Ok(Some(Rc::clone(block)));
        }
        let block = self.store.block(number)?.map(Rc::new);
        if block.is_some() {
            self.latest_block.borrow_mut().clone_from(&block);
        }
        Ok(block)
    }

    /// The block of the transaction at `at`, and the transaction's hash.
    pub(crate) fn block_and_hash(&self, at: Position) -> Result<(Rc<Block>, B256), RpcError> {
        let block = self.block_at(at.block)?.ok_or(StateDamaged("block"))?;
        let transaction = self.store.transaction(at)?.ok_or(StateDamaged("transaction"))?;
        Ok((block, transaction_hash(&transaction.raw)))
    }

    fn first_number(&self) -> u64 {
        let first = self.store.view.range(&self.store.maps.blocks, ..).next();
        first.and_then(|(key, _)| key.try_into().ok()).map_or(0, u64::from_be_bytes)
    }
}
