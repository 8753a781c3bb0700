//! Live instances: an Ethereum block for each ledger block that holds a transaction of theirs.

use alloy_consensus::Header;
use alloy_eips::eip2935::{HISTORY_SERVE_WINDOW, HISTORY_STORAGE_ADDRESS};
use alloy_primitives::{B256, Bytes, U256};
use revm::primitives::hardfork::SpecId;
use synod_kv::{Lookup, Tx};
use synod_worker::BlockEnv;

use crate::beside::Beside;
use crate::block::Position;
use crate::chain::{Chain, OpenBlock, Progress, Taken};
use crate::closing::NO_UNCLES;
use crate::code_cache::CodeCache;
use crate::error::StateDamaged;
use crate::refusal::TxRefused;
use crate::settle::put_slot;
use crate::signed::Signers;

/// The block of a live instance within the ledger block that is being executed.
#[derive(Debug)]
pub(crate) struct LiveBlock {
    block: OpenBlock,
    /// How far the block was before the latest transaction, which the worker may have dropped (see [`LiveBlock::resync`]).
    before: Progress,
}

impl LiveBlock {
    /// Opens the block after the head. What is written becomes part of the first transaction.
    pub(crate) fn open(
        chain: &Chain,
        tx: &mut Tx<'_>,
        codes: &CodeCache,
        env: &BlockEnv,
        name: &str,
    ) -> Result<Self, StateDamaged> {
        let store = chain.store(&*tx, codes);
        let head = store.head()?.ok_or(StateDamaged("head"))?;
        let parent = store.block(head)?.ok_or(StateDamaged("head"))?;
        let randao = synod_crypto::sha256(&[b"synod evm prevrandao", name.as_bytes(), &env.seed]);
        let number = head + 1;
        let timestamp = env.time.seconds().max(parent.header.timestamp);
        let fork = chain.instance.fork_at(number, timestamp);
        let header = Header {
            parent_hash: parent.hash,
            number,
            timestamp,
            gas_limit: chain.instance.limits.block_gas_limit,
            mix_hash: B256::new(randao.0),
            ..live_header(fork)
        };
        note_parent(tx, chain, &header, fork);
        Ok(Self { block: OpenBlock::new(&chain.instance, header), before: Progress::default() })
    }

    /// Adds a transaction.
    pub(crate) fn take(
        &mut self,
        chain: &Chain,
        tx: &mut Tx<'_>,
        codes: &CodeCache,
        signers: &Signers,
        raw: &[u8],
    ) -> Result<Taken, TxRefused> {
        let taken = chain.take(tx, codes, &self.block, signers, raw)?;
        self.before = std::mem::replace(&mut self.block.progress, taken.progress);
        Ok(taken)
    }

    /// Goes back to before the latest transaction if the worker dropped it because its writes were too
    /// many for a block. Returns whether the block still holds a transaction; if not, it is not open.
    pub(crate) fn resync(&mut self, chain: &Chain, tx: &Tx<'_>) -> bool {
        if let Some(latest) = self.block.progress.transactions.checked_sub(1) {
            let key = Position { block: self.block.header.number, index: latest }.key();
            if !tx.has(&chain.maps.transactions, &key) {
                self.block.progress = self.before;
            }
        }
        self.block.progress.transactions > 0
    }

    /// Closes the block.
    pub(crate) fn close(self, chain: &Chain, tx: &mut Tx<'_>, codes: &CodeCache) -> Result<(), StateDamaged> {
        let shanghai =
            chain.instance.fork_at(self.block.header.number, self.block.header.timestamp) >= SpecId::SHANGHAI;
        let beside = Beside { withdrawals: shanghai.then(Vec::new), ..Beside::default() };
        chain.close(tx, codes, self.block.header, beside, self.block.progress).map(|_| ())
    }
}

/// What all headers of live blocks have in common. There is no state root: the ledger's own root takes
/// its place, and its receipts prove what an `eth_getProof` would.
pub(crate) fn live_header(fork: SpecId) -> Header {
    let cancun = fork.is_enabled_in(SpecId::CANCUN);
    Header {
        ommers_hash: NO_UNCLES,
        state_root: B256::ZERO,
        base_fee_per_gas: Some(0),
        blob_gas_used: cancun.then_some(0),
        excess_blob_gas: cancun.then_some(0),
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        requests_hash: fork.is_enabled_in(SpecId::PRAGUE).then_some(NO_REQUESTS),
        extra_data: Bytes::new(),
        ..Header::default()
    }
}

/// Keeps the parent's hash where contracts look for it (EIP-2935), as its system call would.
fn note_parent(tx: &mut Tx<'_>, chain: &Chain, header: &Header, fork: SpecId) {
    let deployed = tx.has(&chain.maps.accounts, HISTORY_STORAGE_ADDRESS.as_slice());
    if fork.is_enabled_in(SpecId::PRAGUE) && deployed {
        let slot = U256::from((header.number - 1) % HISTORY_SERVE_WINDOW as u64);
        put_slot(tx, &chain.maps, HISTORY_STORAGE_ADDRESS, slot, header.parent_hash.into());
    }
}

/// SHA-256 of nothing: the hash of an empty list of requests (EIP-7685).
const NO_REQUESTS: B256 = alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
