//! Blocks of Ethereum's main network as files: header, transactions, and the state that they touch.
//!
//! A file is gzipped JSON `{block, alloc, blockHashes}`, the block in the form of
//! `eth_getBlockByNumber(N, true)`. Transactions are put back into the bytes that were signed, and
//! those are checked against the hash that the file gives.

use std::io::Read;
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde::Deserialize;
use serde_json::Value;

use super::rlp::List;

/// One block with the state before it.
#[derive(Clone, Debug, Deserialize)]
pub struct BlockFile {
    /// The header's fields and the full transactions, as they stand in the file.
    pub block: Value,
    /// Every account that the block touches, before the block.
    pub alloc: Value,
    /// Number to hash, for the BLOCKHASH instruction.
    #[serde(rename = "blockHashes")]
    pub block_hashes: Value,
}

/// Why a block file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum BlockFileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system or the decompressor said.
        source: std::io::Error,
    },
    /// It is not a block with its state.
    #[error("{} does not hold a block with its state", path.display())]
    NotABlock {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        source: serde_json::Error,
    },
    /// A field of the block is missing or not of its form.
    #[error("the block has no valid {field}")]
    FieldNotValid {
        /// The field.
        field: &'static str,
    },
    /// A transaction does not give its own hash.
    #[error("transaction {index} of the block does not give the hash {hash}")]
    HashDiffers {
        /// Its place in the block.
        index: usize,
        /// The hash that the file gives.
        hash: B256,
    },
}

impl BlockFile {
    /// Reads the file at `path`, gzipped or plain.
    ///
    /// # Errors
    /// If it cannot be read or does not hold a block.
    pub fn load(path: &Path) -> Result<Self, BlockFileError> {
        let unreadable = |source| BlockFileError::Unreadable { path: path.into(), source };
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let mut text = Vec::new();
        if bytes.starts_with(GZIP_MAGIC) {
            flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text).map_err(unreadable)?;
        } else {
            text = bytes;
        }
        serde_json::from_slice(&text).map_err(|source| BlockFileError::NotABlock { path: path.into(), source })
    }

    /// The block's number.
    ///
    /// # Errors
    /// If the file gives none.
    pub fn number(&self) -> Result<u64, BlockFileError> {
        let not_valid = BlockFileError::FieldNotValid { field: "number" };
        let digits = self.block["number"].as_str().and_then(|text| text.strip_prefix("0x")).ok_or(not_valid)?;
        u64::from_str_radix(digits, 16).map_err(|_| BlockFileError::FieldNotValid { field: "number" })
    }

    /// The transactions as the bytes that their senders signed, in the block's order.
    ///
    /// # Errors
    /// If one is not of a known form or does not give its hash.
    pub fn raw_transactions(&self) -> Result<Vec<Vec<u8>>, BlockFileError> {
        let not_valid = |_| BlockFileError::FieldNotValid { field: "transactions" };
        let transactions: Vec<RpcTransaction> = Vec::deserialize(&self.block["transactions"]).map_err(not_valid)?;
        transactions
            .iter()
            .enumerate()
            .map(|(index, transaction)| {
                let raw = transaction.raw().ok_or(BlockFileError::FieldNotValid { field: "transaction type" })?;
                let hash = transaction.hash;
                if keccak256(&raw) == hash { Ok(raw) } else { Err(BlockFileError::HashDiffers { index, hash }) }
            })
            .collect()
    }

    /// The block's header fields without its transactions.
    pub fn header(&self) -> Value {
        let mut header = self.block.clone();
        if let Some(fields) = header.as_object_mut() {
            fields.remove("transactions");
        }
        header
    }
}

/// A signed transaction in the form of JSON-RPC.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RpcTransaction {
    #[serde(rename = "type", default)]
    kind: U256,
    /// Its hash, as the file gives it.
    hash: B256,
    chain_id: Option<U256>,
    nonce: U256,
    gas_price: Option<U256>,
    max_fee_per_gas: Option<U256>,
    max_priority_fee_per_gas: Option<U256>,
    gas: U256,
    to: Option<Address>,
    value: U256,
    input: Bytes,
    #[serde(default)]
    access_list: Vec<AccessListItem>,
    v: U256,
    r: U256,
    s: U256,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessListItem {
    address: Address,
    storage_keys: Vec<B256>,
}

impl RpcTransaction {
    /// The signed bytes; `None` for a type other than 0, 1 and 2 or a field missing.
    fn raw(&self) -> Option<Vec<u8>> {
        let kind = self.kind.to::<u64>();
        let list = match kind {
            0 => self.call(List::default().u256(self.nonce).u256(self.gas_price?)),
            1 => self
                .call(List::default().u256(self.chain_id?).u256(self.nonce).u256(self.gas_price?))
                .list(self.accesses()),
            2 => {
                let fees = List::default()
                    .u256(self.chain_id?)
                    .u256(self.nonce)
                    .u256(self.max_priority_fee_per_gas?)
                    .u256(self.max_fee_per_gas?);
                self.call(fees).list(self.accesses())
            }
            _ => return None,
        };
        let encoding = list.u256(self.v).u256(self.r).u256(self.s).finish();
        let prefix = u8::try_from(kind).ok().filter(|kind| *kind > 0);
        Some(prefix.into_iter().chain(encoding).collect())
    }

    fn call(&self, front: List) -> List {
        let to = self.to.as_ref().map_or(&[][..], |to| to.as_slice());
        front.u256(self.gas).bytes(to).u256(self.value).bytes(&self.input)
    }

    fn accesses(&self) -> List {
        self.access_list.iter().fold(List::default(), |list, item| {
            let keys = item.storage_keys.iter().fold(List::default(), |keys, key| keys.bytes(key.as_slice()));
            list.list(List::default().bytes(item.address.as_slice()).list(keys))
        })
    }
}

impl List {
    fn u256(self, number: U256) -> Self {
        self.number(&number.to_be_bytes::<32>())
    }
}

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_of_each_type_are_put_back_into_the_bytes_that_were_signed() {
        // Real transactions of the main network: their hash tells whether the bytes are right.
        let block = include_str!("../../tests/data/transactions.json");
        let file =
            BlockFile { block: serde_json::from_str(block).unwrap(), alloc: Value::Null, block_hashes: Value::Null };
        assert_eq!(file.raw_transactions().unwrap().len(), 4);
        assert_eq!(file.number().unwrap(), 15_538_827);
        assert!(file.header().get("transactions").is_none());
    }

    #[test]
    fn a_transaction_that_was_altered_is_refused() {
        let block = include_str!("../../tests/data/transactions.json");
        let mut block: Value = serde_json::from_str(block).unwrap();
        block["transactions"][1]["value"] = "0x1".into();
        let file = BlockFile { block, alloc: Value::Null, block_hashes: Value::Null };
        assert!(matches!(file.raw_transactions(), Err(BlockFileError::HashDiffers { index: 1, .. })));
    }

    #[test]
    fn a_file_that_is_not_a_block_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        assert!(BlockFile::load(&path).unwrap_err().to_string().starts_with("cannot read"));
        std::fs::write(&path, "{}").unwrap();
        assert!(BlockFile::load(&path).unwrap_err().to_string().ends_with("does not hold a block with its state"));
    }
}
