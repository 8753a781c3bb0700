//! Ending a block: its roots, its filter, its place in the indexes.

use alloy_consensus::proofs::{ordered_trie_root, ordered_trie_root_encoded};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_primitives::{B256, Bloom};
use alloy_rlp::Encodable;
use revm::primitives::hardfork::SpecId;
use synod_kv::Tx;

use crate::beside::Beside;
use crate::block::Block;
use crate::chain::{Chain, Progress};
use crate::code_cache::CodeCache;
use crate::error::StateDamaged;
use crate::log_index::BlockIndex;
use crate::store::HEAD;

impl Chain {
    /// Closes the block with this header after its last transaction: computes what the transactions
    /// leave in the header, writes the block and makes it the head.
    pub(crate) fn close(
        &self,
        tx: &mut Tx<'_>,
        codes: &CodeCache,
        mut header: Header,
        beside: Beside,
        progress: Progress,
    ) -> Result<Block, StateDamaged> {
        let number = header.number;
        let mut index = BlockIndex::default();
        let contents = self.contents(tx, codes, number, &mut index)?;
        header.gas_used = progress.gas_used;
        header.logs_bloom = contents.bloom;
        header.transactions_root = contents.transactions_root;
        // Before Byzantium a receipt held the state root after its transaction, which we do not
        // compute: the given root stays.
        if self.instance.fork_at(number, header.timestamp).is_enabled_in(SpecId::BYZANTIUM) {
            header.receipts_root = contents.receipts_root;
        }
        header.withdrawals_root = beside.withdrawals.as_deref().map(ordered_trie_root);

        let mut block = Block::empty(header, beside);
        block.transactions = progress.transactions;
        block.size += contents.size;
        index.write(tx, &self.maps, number);
        self.put_head(tx, &block);
        Ok(block)
    }

    /// Writes a closed block and makes it the head.
    pub(crate) fn put_head(&self, tx: &mut Tx<'_>, block: &Block) {
        let number = block.header.number.to_be_bytes();
        tx.put(&self.maps.blocks, number, block.encode());
        tx.put(&self.maps.numbers, block.hash.as_slice(), number);
        tx.put(&self.maps.meta, HEAD, number);
    }

    fn contents(
        &self,
        tx: &Tx<'_>,
        codes: &CodeCache,
        number: u64,
        index: &mut BlockIndex,
    ) -> Result<Contents, StateDamaged> {
        let store = self.store(tx, codes);
        let mut bloom = Bloom::ZERO;
        let (mut transactions, mut receipts) = (Vec::new(), Vec::new());
        for (place, (transaction, receipt)) in (0..).zip(store.transactions(number).zip(store.receipts(number))) {
            let (transaction, receipt) = (transaction?, receipt?);
            let own_bloom = receipt.bloom();
            bloom |= own_bloom;
            index.add(place, &receipt);
            let tx_type = transaction.raw.first().copied().filter(|first| *first < 0xc0).unwrap_or_default();
            let mut encoding = Vec::with_capacity(512);
            receipt.encode_2718(tx_type, &own_bloom, &mut encoding);
            receipts.push(encoding);
            transactions.push(transaction.raw);
        }
        Ok(Contents {
            bloom,
            transactions_root: ordered_trie_root_encoded(&transactions),
            receipts_root: ordered_trie_root_encoded(&receipts),
            size: transactions.iter().map(|raw| raw.length() as u64).sum(),
        })
    }
}

struct Contents {
    bloom: Bloom,
    transactions_root: B256,
    receipts_root: B256,
    size: u64,
}

/// The uncles' hash of a block that has none.
pub(crate) const NO_UNCLES: B256 = EMPTY_OMMER_ROOT_HASH;
