//! One transaction in an open block: executing it, and writing down what came of it.

use alloy_consensus::{Header, Transaction as _, transaction::TxType};
use alloy_primitives::{B256, U256, keccak256};
use revm::context::result::ExecutionResult;
use revm::context::{BlockEnv, CfgEnv};
use synod_kv::{Lookup, Tx};

use crate::block::{Position, block_env};
use crate::code_cache::CodeCache;
use crate::error::StateDamaged;
use crate::evm::{self, Purpose};
use crate::instance::Instance;
use crate::log_index;
use crate::maps::Maps;
use crate::receipt::Receipt;
use crate::refusal::{Facts, TxRefused};
use crate::settle::settle;
use crate::signed::{self, Fees, Signers};
use crate::store::{self, Store};
use crate::varint::{self, Fields};

/// An instance with the names of its maps.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) instance: Instance,
    pub(crate) maps: Maps,
}

/// A block that transactions are being added to.
#[derive(Clone, Debug)]
pub(crate) struct OpenBlock {
    pub(crate) header: Header,
    pub(crate) progress: Progress,
    env: BlockEnv,
    cfg: CfgEnv,
}

/// How far a block has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) transactions: u32,
    pub(crate) gas_used: u64,
    pub(crate) logs: u64,
    /// What the block's entries in the index over logs take at most, in bytes.
    pub(crate) index_bytes: u64,
}

/// The largest receipt, in bytes: more log data than 30 million gas pay for.
const RECEIPT_BYTES_MAX: usize = 4 << 20;
/// What the entries of one block in the index over logs may take at most, in bytes. They are written when the
/// block closes, and the ledger's block must still hold them; 30 million gas pay for less.
const INDEX_BYTES_MAX: u64 = 6 << 20;
/// The most transactions of one block: a historic block is closed in one piece.
const TRANSACTIONS_MAX: u32 = 1 << 16;

/// What became of a transaction that was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) hash: B256,
    pub(crate) success: bool,
    /// How far the block has come with it.
    pub(crate) progress: Progress,
}

impl OpenBlock {
    /// The block with this header, without transactions.
    pub(crate) fn new(instance: &Instance, header: Header) -> Self {
        let fork = instance.fork_at(header.number, header.timestamp);
        let (env, cfg) = (block_env(&header, fork), evm::rules(instance, fork, Purpose::Transaction));
        Self { header, progress: Progress::default(), env, cfg }
    }

    /// The rules in force in this block.
    pub(crate) const fn cfg(&self) -> &CfgEnv {
        &self.cfg
    }

    /// What the EVM is told of this block.
    pub(crate) const fn env(&self) -> &BlockEnv {
        &self.env
    }
}

impl Chain {
    /// The maps, to be read through `view`.
    pub(crate) fn store<'a, L: Lookup>(&'a self, view: &'a L, codes: &'a CodeCache) -> Store<'a, L> {
        Store { view, maps: &self.maps, codes }
    }

    /// Executes a signed transaction as the next one of `block`, and writes what changed, the
    /// transaction itself and its receipt.
    ///
    /// `signers` is what recovery said of `raw`; nothing here checks the signature again.
    pub(crate) fn take(
        &self,
        tx: &mut Tx<'_>,
        codes: &CodeCache,
        block: &OpenBlock,
        signers: &Signers,
        raw: &[u8],
    ) -> Result<Taken, TxRefused> {
        let envelope = signed::decode(raw)?;
        let hash = keccak256(raw);
        if tx.has(&self.maps.positions, hash.as_slice()) {
            return Err(TxRefused::AlreadyKnown);
        }
        let facts = Facts::of(&envelope);
        self.check_policy(&envelope, block)?;

        let fees = if self.instance.is_live() { Fees::Free } else { Fees::Signed };
        let env = signed::tx_env(envelope, signers, fees);
        let outcome = evm::run(self.store(tx, codes), block.cfg.clone(), block.env.clone(), env)
            .map_err(|error| TxRefused::from_run(error, &self.instance, signers.sender, &facts))?;
        settle(tx, &self.maps, &outcome.state);
        self.record(tx, block, signers, raw, hash, outcome.result)
    }

    fn check_policy(&self, envelope: &signed::Envelope, block: &OpenBlock) -> Result<(), TxRefused> {
        if self.instance.is_live() {
            if envelope.tx_type() == TxType::Eip4844 {
                return Err(TxRefused::Blob);
            }
            if envelope.chain_id().is_none() {
                return Err(TxRefused::Unprotected);
            }
        }
        if block.progress.transactions >= TRANSACTIONS_MAX {
            return Err(TxRefused::Invalid(format!("a block holds at most {TRANSACTIONS_MAX} transactions")));
        }
        // A transaction that no empty block could hold is for the EVM to refuse, in its own words.
        let left = block.header.gas_limit.saturating_sub(block.progress.gas_used);
        let asked = envelope.gas_limit();
        if asked > left && asked <= block.header.gas_limit {
            return Err(TxRefused::BlockFull { left, asked });
        }
        Ok(())
    }

    fn record(
        &self,
        tx: &mut Tx<'_>,
        block: &OpenBlock,
        signers: &Signers,
        raw: &[u8],
        hash: B256,
        result: ExecutionResult,
    ) -> Result<Taken, TxRefused> {
        let (success, gas_used) = (result.is_success(), result.tx_gas_used());
        let receipt = Receipt {
            success,
            gas_used,
            cumulative_gas_used: block.progress.gas_used + gas_used,
            first_log: block.progress.logs,
            logs: if success { result.into_logs() } else { Vec::new() },
        };
        let (record, index_bytes) = (receipt.encode(), block.progress.index_bytes + log_index::size_max(&receipt));
        if record.len() > RECEIPT_BYTES_MAX || index_bytes > INDEX_BYTES_MAX {
            return Err(TxRefused::LogsTooLarge);
        }
        let key = Position { block: block.header.number, index: block.progress.transactions }.key();
        tx.put(&self.maps.transactions, key, store::transaction_encode(signers.sender, raw));
        tx.put(&self.maps.receipts, key, record);
        tx.put(&self.maps.positions, hash.as_slice(), key);
        let progress = Progress {
            transactions: block.progress.transactions + 1,
            gas_used: receipt.cumulative_gas_used,
            logs: receipt.next_log(),
            index_bytes,
        };
        Ok(Taken { hash, success, progress })
    }
}

/// The price that a transaction paid for each unit of gas.
pub(crate) fn effective_gas_price(envelope: &signed::Envelope, header: &Header, instance: &Instance) -> u128 {
    if instance.is_live() { 0 } else { envelope.effective_gas_price(header.base_fee_per_gas) }
}

/// The price of blob gas in a block that has one.
pub(crate) fn blob_gas_price(header: &Header, instance: &Instance) -> Option<U256> {
    let fork = instance.fork_at(header.number, header.timestamp);
    block_env(header, fork).blob_excess_gas_and_price.map(|blob| U256::from(blob.blob_gasprice))
}

impl Progress {
    /// The stored form: four varints.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12);
        for number in [u64::from(self.transactions), self.gas_used, self.logs, self.index_bytes] {
            varint::put(&mut out, number);
        }
        out
    }

    /// Reads the stored form.
    pub(crate) fn decode(record: &[u8]) -> Result<Self, StateDamaged> {
        let mut fields = Fields::new(record, "progress");
        let transactions = u32::try_from(fields.number()?).map_err(|_| StateDamaged("progress"))?;
        let (gas_used, logs, index_bytes) = (fields.number()?, fields.number()?, fields.number()?);
        Ok(Self { transactions, gas_used, logs, index_bytes })
    }
}
