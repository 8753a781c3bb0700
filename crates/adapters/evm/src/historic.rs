//! Historic instances: blocks of another chain, imported with its own rules, fees and rewards.
//!
//! An import is a conversation: create, allocate (more than once, if one request cannot hold the
//! state), then for each block open, transactions, close; at the end complete. Only the actor who
//! created the instance may go on with it. What is imported stays as it is: nobody sends new
//! transactions to a historic instance, before or after it is complete.

use alloy_consensus::Header;
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_eips::eip4788::BEACON_ROOTS_ADDRESS;
use alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS;
use alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS;
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::primitives::hardfork::SpecId;
use synod_kv::{Lookup, Tx};
use synod_types::{ActorId, Encode};

use crate::alloc::Alloc;
use crate::beside::Beside;
use crate::block::{Block, without_results};
use crate::chain::{Chain, OpenBlock, Progress, Taken};
use crate::code_cache::CodeCache;
use crate::error::{HttpError, StateDamaged};
use crate::evm;
use crate::fork;
use crate::instance::{Instance, Kind};
use crate::maps::INSTANCES;
use crate::refusal::TxRefused;
use crate::settle::{add_balance, settle};
use crate::signed::Signers;
use crate::store::{HEAD, OPEN, PROGRESS};

/// Writes the record of an instance.
pub(crate) fn put_instance(tx: &mut Tx<'_>, name: &str, instance: &Instance) {
    tx.put(&INSTANCES, name.as_bytes(), instance.to_bytes());
}

/// Checks that `actor` may go on importing into this instance.
pub(crate) fn check_importer(instance: &Instance, actor: ActorId) -> Result<(), HttpError> {
    match instance.kind {
        Kind::Live => Err(HttpError::new(
            409,
            "InstanceIsLive",
            "blocks of a live instance are made by the ledger, not imported",
            "import into an instance of its own: PUT /app/evm/<name>",
        )),
        Kind::Historic { complete: true, .. } => Err(HttpError::new(
            409,
            "ImportComplete",
            "the import into this instance is over",
            "create another instance",
        )),
        Kind::Historic { importer, .. } if importer != actor => Err(HttpError::new(
            403,
            "NotTheImporter",
            "another actor created this instance",
            "only the actor who creates an instance imports into it",
        )),
        Kind::Historic { .. } => Ok(()),
    }
}

impl Chain {
    /// Adds to the state before the first block.
    pub(crate) fn allocate(&self, tx: &mut Tx<'_>, alloc: &Alloc) -> Result<(), HttpError> {
        if tx.has(&self.maps.meta, HEAD) || tx.has(&self.maps.meta, OPEN) {
            return Err(HttpError::new(
                409,
                "ImportHasBegun",
                "accounts are allocated before the first block is opened",
                "create another instance",
            ));
        }
        alloc.write(tx, &self.maps);
        Ok(())
    }

    /// Opens the block with this header.
    pub(crate) fn open_block(
        &self,
        tx: &mut Tx<'_>,
        codes: &CodeCache,
        header: Header,
        beside: Beside,
    ) -> Result<(), HttpError> {
        if tx.has(&self.maps.meta, OPEN) {
            return Err(HttpError::new(409, "BlockIsOpen", "a block is open already", "close it first"));
        }
        if self.store(&*tx, codes).head()?.is_some_and(|head| header.number <= head) {
            return Err(HttpError::new(409, "BlockNumberTaken", "blocks are imported in order", "open a later block"));
        }
        let block = OpenBlock::new(&self.instance, without_results(header));
        self.begin(tx, codes, &block)?;
        tx.put(&self.maps.meta, OPEN, Block::empty(block.header, beside).encode());
        tx.put(&self.maps.meta, PROGRESS, Progress::default().encode());
        Ok(())
    }

    /// Adds a transaction to the open block.
    pub(crate) fn import(
        &self,
        tx: &mut Tx<'_>,
        codes: &CodeCache,
        signers: &Signers,
        raw: &[u8],
    ) -> Result<Taken, HttpError> {
        let (block, _) = self.open(tx)?;
        let taken = self.take(tx, codes, &block, signers, raw).map_err(refused)?;
        tx.put(&self.maps.meta, PROGRESS, taken.progress.encode());
        Ok(taken)
    }

    /// Pays rewards and withdrawals, and closes the open block.
    pub(crate) fn close_block(&self, tx: &mut Tx<'_>, codes: &CodeCache) -> Result<Block, HttpError> {
        let (block, beside) = self.open(tx)?;
        self.end(tx, codes, &block, &beside)?;
        tx.remove(&self.maps.meta, OPEN);
        tx.remove(&self.maps.meta, PROGRESS);
        Ok(self.close(tx, codes, block.header, beside, block.progress)?)
    }

    /// The open block, as far as it has come.
    fn open(&self, tx: &Tx<'_>) -> Result<(OpenBlock, Beside), HttpError> {
        let no_block = || HttpError::new(409, "NoBlockIsOpen", "no block is open", "POST …/blocks opens one");
        let record = tx.get(&self.maps.meta, OPEN).ok_or_else(no_block)?;
        let Block { header, beside, .. } = Block::decode(record.as_slice())?;
        let progress = tx.get(&self.maps.meta, PROGRESS).ok_or(StateDamaged("progress"))?;
        let mut block = OpenBlock::new(&self.instance, header);
        block.progress = Progress::decode(progress.as_slice())?;
        Ok((block, beside))
    }

    /// What the protocol does before the first transaction: EIP-4788, EIP-2935.
    fn begin(&self, tx: &mut Tx<'_>, codes: &CodeCache, block: &OpenBlock) -> Result<(), HttpError> {
        let header = &block.header;
        let fork = block.cfg().spec;
        if let Some(root) = header.parent_beacon_block_root.filter(|_| fork.is_enabled_in(SpecId::CANCUN)) {
            self.system_call(tx, codes, block, BEACON_ROOTS_ADDRESS, root.as_slice())?;
        }
        if fork.is_enabled_in(SpecId::PRAGUE) {
            self.system_call(tx, codes, block, HISTORY_STORAGE_ADDRESS, header.parent_hash.as_slice())?;
        }
        Ok(())
    }

    /// What the protocol does after the last transaction: rewards for block and uncles, withdrawals, EIP-7002,
    /// EIP-7251.
    fn end(&self, tx: &mut Tx<'_>, codes: &CodeCache, block: &OpenBlock, beside: &Beside) -> Result<(), HttpError> {
        let fork = block.cfg().spec;
        let (number, miner, reward) = (block.header.number, block.header.beneficiary, fork::block_reward(fork));
        add_balance(tx, &self.maps, miner, reward)?;
        for (account, reward) in beside.uncle_rewards(number, miner, reward) {
            add_balance(tx, &self.maps, account, reward)?;
        }
        for withdrawal in beside.withdrawals.iter().flatten() {
            let wei = U256::from(withdrawal.amount) * U256::from(1_000_000_000u64);
            add_balance(tx, &self.maps, withdrawal.address, wei)?;
        }
        if fork.is_enabled_in(SpecId::PRAGUE) {
            self.system_call(tx, codes, block, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &[])?;
            self.system_call(tx, codes, block, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &[])?;
        }
        Ok(())
    }

    fn system_call(
        &self,
        tx: &mut Tx<'_>,
        codes: &CodeCache,
        block: &OpenBlock,
        contract: Address,
        input: &[u8],
    ) -> Result<(), HttpError> {
        let input = Bytes::copy_from_slice(input);
        let store = self.store(&*tx, codes);
        let state = evm::run_system_call(store, block.cfg().clone(), block.env().clone(), contract, input)
            .map_err(|error| refused(TxRefused::Broken(error.to_string())))?;
        settle(tx, &self.maps, &state);
        Ok(())
    }

    /// Notes hashes of blocks that are not imported, for the BLOCKHASH opcode.
    pub(crate) fn note_ancestors(&self, tx: &mut Tx<'_>, ancestors: &[(u64, B256)]) {
        for (number, hash) in ancestors {
            tx.put(&self.maps.ancestors, number.to_be_bytes(), hash.as_slice());
        }
    }
}

fn refused(refused: TxRefused) -> HttpError {
    let status = if matches!(refused, TxRefused::Broken(_)) { 500 } else { 400 };
    let hint = "a block is imported with all of its transactions, in order, on the state before it";
    HttpError::new(status, "TransactionRefused", refused.to_string(), hint)
}
