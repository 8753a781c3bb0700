//! Analysed bytecode by code hash, kept across blocks, transactions and instances.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use alloy_primitives::{B256, Bytes};
use revm::state::Bytecode;

use crate::error::StateDamaged;

/// Analysed bytecode by code hash. What a hash maps to never changes, so entries are never stale.
#[derive(Debug, Default)]
pub(crate) struct CodeCache(RwLock<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_hash: HashMap<B256, Bytecode>,
    bytes: usize,
}

/// The most code bytes to keep: some ten thousand contracts. Beyond it the cache starts afresh.
const BYTES_MAX: usize = 128 << 20;

impl CodeCache {
    /// The code with this hash; `load` is asked for its bytes the first time.
    pub(crate) fn get_or_load(
        &self,
        hash: B256,
        load: impl FnOnce() -> Result<Bytes, StateDamaged>,
    ) -> Result<Bytecode, StateDamaged> {
        if let Some(code) = self.0.read().unwrap_or_else(PoisonError::into_inner).by_hash.get(&hash) {
            return Ok(code.clone());
        }
        let code = Bytecode::new_raw_checked(load()?).map_err(|_| StateDamaged("code"))?;
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if entries.bytes + code.len() > BYTES_MAX {
            *entries = Entries::default();
        }
        entries.bytes += code.len();
        entries.by_hash.insert(hash, code.clone());
        Ok(code)
    }
}
