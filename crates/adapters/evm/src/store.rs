//! Reading one instance's maps, from a snapshot or from within a transaction.

use std::ops::Bound;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use revm::Database;
use revm::state::{AccountInfo, Bytecode};
use synod_kv::{Lookup, Value};
use synod_types::Decode;

use crate::account::{self, Account};
use crate::block::{Block, Position};
use crate::code_cache::CodeCache;
use crate::error::StateDamaged;
use crate::instance::Instance;
use crate::maps::{INSTANCES, Maps};
use crate::receipt::Receipt;

/// Key in the meta map: the number of the latest closed block, big-endian.
pub(crate) const HEAD: &[u8] = b"head";
/// Key in the meta map: the block that a historic instance is in, as a [`Block`] without results.
pub(crate) const OPEN: &[u8] = b"open";
/// Key in the meta map: how far the open block has come, as [`crate::chain::Progress`].
pub(crate) const PROGRESS: &[u8] = b"progress";

/// One instance's maps, to be read.
pub(crate) struct Store<'a, L> {
    pub(crate) view: &'a L,
    pub(crate) maps: &'a Maps,
    pub(crate) codes: &'a CodeCache,
}

/// A transaction as it is stored: the sender and the signed bytes.
#[derive(Clone, Debug)]
pub(crate) struct StoredTransaction {
    pub(crate) sender: Address,
    pub(crate) raw: Bytes,
}

/// The instance with this name.
pub(crate) fn instance(view: &impl Lookup, name: &str) -> Result<Option<Instance>, StateDamaged> {
    let decode = |value: &Value| Instance::from_bytes(value.as_slice()).map_err(|_| StateDamaged("instance"));
    view.get(&INSTANCES, name.as_bytes()).map(decode).transpose()
}

impl<'a, L: Lookup> Store<'a, L> {
    /// The account at `address`, if there is one.
    pub(crate) fn account(&self, address: Address) -> Result<Option<Account>, StateDamaged> {
        let record = self.view.get(&self.maps.accounts, address.as_slice());
        record.map(|record| Account::decode(record.as_slice())).transpose()
    }

    /// The account at `address`, as the EVM wants it.
    pub(crate) fn info(&self, address: Address) -> Result<Option<AccountInfo>, StateDamaged> {
        let info = |account: Account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash.unwrap_or(KECCAK256_EMPTY),
            code: account.code_hash.is_none().then(Bytecode::default),
            account_id: None,
        };
        Ok(self.account(address)?.map(info))
    }

    /// The word in a storage slot.
    pub(crate) fn slot(&self, address: Address, slot: U256) -> Result<U256, StateDamaged> {
        let record = self.view.get(&self.maps.storage, &account::slot_key(address, slot));
        record.map_or(Ok(U256::ZERO), |record| account::word_decode(record.as_slice()))
    }

    /// The code with this hash, analysed.
    pub(crate) fn code(&self, hash: B256) -> Result<Bytecode, StateDamaged> {
        if hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        self.codes.get_or_load(hash, || {
            let code = self.view.get(&self.maps.code, hash.as_slice()).ok_or(StateDamaged("code"))?;
            Ok(code.to_bytes().into())
        })
    }

    /// The number of the latest closed block.
    pub(crate) fn head(&self) -> Result<Option<u64>, StateDamaged> {
        self.view.get(&self.maps.meta, HEAD).map(|record| number_decode(record.as_slice())).transpose()
    }

    /// The closed block with this number.
    pub(crate) fn block(&self, number: u64) -> Result<Option<Block>, StateDamaged> {
        let record = self.view.get(&self.maps.blocks, &number.to_be_bytes());
        record.map(|record| Block::decode(record.as_slice())).transpose()
    }

    /// The number of the closed block with this hash.
    pub(crate) fn number_of(&self, hash: B256) -> Result<Option<u64>, StateDamaged> {
        let record = self.view.get(&self.maps.numbers, hash.as_slice());
        record.map(|record| number_decode(record.as_slice())).transpose()
    }

    /// The hash of the block with this number, also of one that only the import named.
    pub(crate) fn hash_of(&self, number: u64) -> Result<Option<B256>, StateDamaged> {
        if let Some(record) = self.view.get(&self.maps.blocks, &number.to_be_bytes()) {
            return Block::decode_hash(record.as_slice()).map(Some);
        }
        let record = self.view.get(&self.maps.ancestors, &number.to_be_bytes());
        record.map(|record| B256::try_from(record.as_slice()).map_err(|_| StateDamaged("block hash"))).transpose()
    }

    /// Where the transaction with this hash is.
    pub(crate) fn position(&self, hash: B256) -> Result<Option<Position>, StateDamaged> {
        let record = self.view.get(&self.maps.positions, hash.as_slice());
        record.map(|record| Position::decode(record.as_slice())).transpose()
    }

    /// The transaction at `position`.
    pub(crate) fn transaction(&self, position: Position) -> Result<Option<StoredTransaction>, StateDamaged> {
        self.view.get(&self.maps.transactions, &position.key()).map(transaction_decode).transpose()
    }

    /// The receipt of the transaction at `position`.
    pub(crate) fn receipt(&self, position: Position) -> Result<Option<Receipt>, StateDamaged> {
        let record = self.view.get(&self.maps.receipts, &position.key());
        record.map(|record| Receipt::decode(record.as_slice())).transpose()
    }

    /// The transactions of a block, in order.
    pub(crate) fn transactions(
        &self,
        block: u64,
    ) -> impl Iterator<Item = Result<StoredTransaction, StateDamaged>> + use<'a, L> {
        let (from, to) = block_keys(block);
        self.view.range(&self.maps.transactions, between(&from, &to)).map(|(_, value)| transaction_decode(value))
    }

    /// The receipts of a block, in order.
    pub(crate) fn receipts(&self, block: u64) -> impl Iterator<Item = Result<Receipt, StateDamaged>> + use<'a, L> {
        let (from, to) = block_keys(block);
        self.view.range(&self.maps.receipts, between(&from, &to)).map(|(_, value)| Receipt::decode(value.as_slice()))
    }
}

/// The keys from `from` up to and including `to`.
pub(crate) const fn between<'k>(from: &'k [u8], to: &'k [u8]) -> (Bound<&'k [u8]>, Bound<&'k [u8]>) {
    (Bound::Included(from), Bound::Included(to))
}

fn block_keys(block: u64) -> ([u8; 12], [u8; 12]) {
    (Position { block, index: 0 }.key(), Position { block, index: u32::MAX }.key())
}

/// The stored form of a transaction.
pub(crate) fn transaction_encode(sender: Address, raw: &[u8]) -> Vec<u8> {
    [sender.as_slice(), raw].concat()
}

fn transaction_decode(value: &Value) -> Result<StoredTransaction, StateDamaged> {
    let bytes: Bytes = value.to_bytes().into();
    if bytes.len() < 20 {
        return Err(StateDamaged("transaction"));
    }
    Ok(StoredTransaction { sender: Address::from_slice(&bytes[..20]), raw: bytes.slice(20..) })
}

fn number_decode(record: &[u8]) -> Result<u64, StateDamaged> {
    record.try_into().map(u64::from_be_bytes).map_err(|_| StateDamaged("block number"))
}

/// What the EVM reads.
impl<L: Lookup> Database for Store<'_, L> {
    type Error = StateDamaged;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateDamaged> {
        self.info(address)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateDamaged> {
        self.code(code_hash)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, StateDamaged> {
        self.slot(address, index)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateDamaged> {
        Ok(self.hash_of(number)?.unwrap_or_default())
    }
}
