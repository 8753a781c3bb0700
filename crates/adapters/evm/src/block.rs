//! Blocks as they are stored, and what the EVM is told of them.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bloom, U256};
use alloy_rlp::{Decodable, Encodable};
use revm::context::BlockEnv;
use revm::primitives::hardfork::SpecId;

use crate::beside::Beside;
use crate::error::StateDamaged;
use crate::fork::blob_fraction;
use crate::varint::{self, Fields};

/// A block without its transactions.
///
/// Stored as: hash, transactions, size (varints), header (RLP) and what is beside it, see [`Beside`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) header: Header,
    pub(crate) hash: B256,
    pub(crate) transactions: u32,
    /// The size of the block's RLP encoding, in bytes.
    pub(crate) size: u64,
    pub(crate) beside: Beside,
}

impl Block {
    /// A block with this header, without transactions.
    pub(crate) fn empty(header: Header, beside: Beside) -> Self {
        let hash = header.hash_slow();
        let uncles: usize = beside.uncles.iter().map(Encodable::length).sum();
        let size = (header.length() + uncles) as u64 + 8;
        Self { header, hash, transactions: 0, size, beside }
    }

    /// The stored form.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(700);
        out.extend_from_slice(self.hash.as_slice());
        varint::put(&mut out, u64::from(self.transactions));
        varint::put(&mut out, self.size);
        self.header.encode(&mut out);
        self.beside.encode(&mut out);
        out
    }

    /// Reads the stored form.
    pub(crate) fn decode(record: &[u8]) -> Result<Self, StateDamaged> {
        let damaged = StateDamaged("block");
        let mut fields = Fields::new(record, "block");
        let hash = B256::new(fields.array()?);
        let transactions = u32::try_from(fields.number()?).map_err(|_| damaged)?;
        let size = fields.number()?;
        let mut rest = fields.rest();
        let header = Header::decode(&mut rest).map_err(|_| damaged)?;
        Ok(Self { header, hash, transactions, size, beside: Beside::decode(rest)? })
    }

    /// Reads only the hash of the stored form.
    pub(crate) fn decode_hash(record: &[u8]) -> Result<B256, StateDamaged> {
        Fields::new(record, "block").array().map(B256::new)
    }
}

/// The header as it was given, with what execution computes set to nothing.
pub(crate) fn without_results(mut header: Header) -> Header {
    header.gas_used = 0;
    header.logs_bloom = Bloom::ZERO;
    header
}

/// What the EVM is told of the block with this header.
pub(crate) fn block_env(header: &Header, fork: SpecId) -> BlockEnv {
    let mut env = BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: header.difficulty,
        prevrandao: fork.is_enabled_in(SpecId::MERGE).then_some(header.mix_hash),
        blob_excess_gas_and_price: None,
        slot_num: 0,
    };
    if fork.is_enabled_in(SpecId::CANCUN) {
        env.set_blob_excess_gas_and_price(header.excess_blob_gas.unwrap_or_default(), blob_fraction(fork));
    }
    env
}

/// Where a transaction is: block number and place in the block. Its twelve bytes order as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) block: u64,
    pub(crate) index: u32,
}

impl Position {
    /// The key under which transaction and receipt are stored.
    pub(crate) fn key(self) -> [u8; 12] {
        let mut key = [0; 12];
        key[..8].copy_from_slice(&self.block.to_be_bytes());
        key[8..].copy_from_slice(&self.index.to_be_bytes());
        key
    }

    /// Reads what [`Position::key`] wrote.
    pub(crate) fn decode(key: &[u8]) -> Result<Self, StateDamaged> {
        let mut fields = Fields::new(key, "position");
        Ok(Self { block: u64::from_be_bytes(fields.array()?), index: u32::from_be_bytes(fields.array()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_reads_back_with_what_is_beside_it() {
        let header = Header { number: 7, base_fee_per_gas: Some(0), ..Header::default() };
        let full = Beside { uncles: vec![Header::default()], withdrawals: Some(Vec::new()) };
        for beside in [Beside::default(), full] {
            let block = Block { transactions: 300, size: 70_000, ..Block::empty(header.clone(), beside) };
            let record = block.encode();
            assert_eq!(Block::decode_hash(&record), Ok(block.hash));
            assert_eq!(Block::decode(&record), Ok(block));
            assert!(Block::decode(&record[..40]).is_err());
        }
    }

    #[test]
    fn cancun_prices_blobs_by_its_own_fraction() {
        let header = Header { excess_blob_gas: Some(50_000_000), ..Header::default() };
        let price = |fork| block_env(&header, fork).blob_excess_gas_and_price.map(|blob| blob.blob_gasprice);
        assert_eq!(price(SpecId::SHANGHAI), None);
        // e^(50_000_000 / 3_338_477) and e^(50_000_000 / 5_007_716), by fake_exponential.
        assert_eq!(price(SpecId::CANCUN), Some(3_194_333));
        assert_eq!(price(SpecId::PRAGUE), Some(21_689));
    }
}
