//! What `eth_call` may pretend: other accounts, another block.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use revm::Database;
use revm::context::BlockEnv;
use revm::state::{AccountInfo, Bytecode};
use serde::Deserialize;
use synod_kv::Lookup;

use super::params::{AddressParam, Quantity, Quantity64, Word};
use crate::error::StateDamaged;
use crate::hex;
use crate::store::Store;

/// Accounts that are pretended to be otherwise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct StateOverrides(BTreeMap<hex::Key<Address>, AccountOverride>);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct AccountOverride {
    balance: Option<Quantity>,
    nonce: Option<Quantity64>,
    code: Option<hex::Data>,
    /// All of the storage.
    state: Option<BTreeMap<hex::Key<U256>, Word>>,
    /// Some of the storage.
    state_diff: Option<BTreeMap<hex::Key<U256>, Word>>,
}

/// A block that is pretended to be otherwise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct BlockOverrides {
    number: Option<Quantity>,
    time: Option<Quantity64>,
    gas_limit: Option<Quantity64>,
    fee_recipient: Option<AddressParam>,
    prev_randao: Option<Word>,
    base_fee_per_gas: Option<Quantity64>,
}

impl BlockOverrides {
    /// Changes `block` as pretended.
    pub(crate) fn apply(&self, block: &mut BlockEnv) {
        if let Some(Quantity(number)) = self.number {
            block.number = number;
        }
        if let Some(Quantity64(time)) = self.time {
            block.timestamp = U256::from(time);
        }
        if let Some(Quantity64(gas_limit)) = self.gas_limit {
            block.gas_limit = gas_limit;
        }
        if let Some(AddressParam(recipient)) = self.fee_recipient {
            block.beneficiary = recipient;
        }
        if let Some(Word(randao)) = self.prev_randao {
            block.prevrandao = Some(randao);
        }
        if let Some(Quantity64(base_fee)) = self.base_fee_per_gas {
            block.basefee = base_fee;
        }
    }
}

impl StateOverrides {
    /// Whether the account at `address` is pretended to be otherwise.
    pub(crate) fn contains(&self, address: Address) -> bool {
        self.get(address).is_some()
    }

    fn get(&self, address: Address) -> Option<&AccountOverride> {
        self.0.get(&hex::Key(address))
    }
}

/// The committed state with the overrides laid over it.
pub(crate) struct Overlay<'a, L> {
    pub(crate) store: &'a Store<'a, L>,
    pub(crate) overrides: &'a StateOverrides,
}

impl<L: Lookup> Database for Overlay<'_, L> {
    type Error = StateDamaged;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateDamaged> {
        let info = self.store.info(address)?;
        let Some(changed) = self.overrides.get(address) else { return Ok(info) };
        let mut info = info.unwrap_or_default();
        if let Some(Quantity(balance)) = changed.balance {
            info.balance = balance;
        }
        if let Some(Quantity64(nonce)) = changed.nonce {
            info.nonce = nonce;
        }
        if let Some(hex::Data(code)) = &changed.code {
            let code = Bytecode::new_raw_checked(code.clone()).unwrap_or_default();
            info.code_hash = if code.is_empty() { KECCAK256_EMPTY } else { code.hash_slow() };
            info.code = Some(code);
        }
        Ok(Some(info))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateDamaged> {
        self.store.code(code_hash)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, StateDamaged> {
        let slot = hex::Key(index);
        if let Some(changed) = self.overrides.get(address) {
            if let Some(all) = &changed.state {
                return Ok(all.get(&slot).map_or(U256::ZERO, |Word(word)| (*word).into()));
            }
            if let Some(Word(word)) = changed.state_diff.as_ref().and_then(|diff| diff.get(&slot)) {
                return Ok((*word).into());
            }
        }
        self.store.slot(address, index)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateDamaged> {
        Ok(self.store.hash_of(number)?.unwrap_or_default())
    }
}
