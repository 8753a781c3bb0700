//! From what the EVM touched to what is written: only what has changed.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use revm::state::{Account as Touched, AccountInfo, EvmState};
use synod_kv::{Lookup, Tx};

use crate::account::{self, Account};
use crate::error::StateDamaged;
use crate::maps::Maps;
use crate::store::between;

/// Writes what changed in `state`. Empty accounts that were touched vanish (EIP-161); the EVM marks
/// those that an older fork keeps as created.
pub(crate) fn settle(tx: &mut Tx<'_>, maps: &Maps, state: &EvmState) {
    for (address, touched) in state.iter().filter(|(_, touched)| touched.is_touched()) {
        if touched.is_selfdestructed() || (touched.is_empty() && !touched.is_created()) {
            destroy(tx, maps, *address);
        } else {
            settle_account(tx, maps, *address, touched);
        }
    }
}

fn settle_account(tx: &mut Tx<'_>, maps: &Maps, address: Address, touched: &Touched) {
    if touched.is_changed() || touched.is_created() {
        settle_code(tx, maps, &touched.info);
        put_account(tx, maps, address, &account_of(&touched.info));
    }
    for (slot, value) in touched.changed_storage_slots() {
        put_slot(tx, maps, address, *slot, value.present_value());
    }
}

fn account_of(info: &AccountInfo) -> Account {
    let has_code = info.code_hash != KECCAK256_EMPTY && info.code_hash != B256::ZERO;
    Account { nonce: info.nonce, balance: info.balance, code_hash: has_code.then_some(info.code_hash) }
}

fn settle_code(tx: &mut Tx<'_>, maps: &Maps, info: &AccountInfo) {
    if let Some(code) = info.code.as_ref().filter(|code| !code.is_empty())
        && !tx.has(&maps.code, info.code_hash.as_slice())
    {
        tx.put(&maps.code, info.code_hash.as_slice(), code.original_byte_slice());
    }
}

/// Writes an account as it is.
pub(crate) fn put_account(tx: &mut Tx<'_>, maps: &Maps, address: Address, account: &Account) {
    tx.put(&maps.accounts, address.as_slice(), account.encode());
}

/// Writes a word into a storage slot; zero is absence.
pub(crate) fn put_slot(tx: &mut Tx<'_>, maps: &Maps, address: Address, slot: U256, value: U256) {
    let key = account::slot_key(address, slot);
    if value.is_zero() {
        tx.remove(&maps.storage, key);
    } else {
        tx.put(&maps.storage, key, account::word_encode(value));
    }
}

/// Adds to a balance outside of any transaction: a reward or a withdrawal.
pub(crate) fn add_balance(tx: &mut Tx<'_>, maps: &Maps, address: Address, amount: U256) -> Result<(), StateDamaged> {
    let record = tx.get(&maps.accounts, address.as_slice()).map(|record| Account::decode(record.as_slice()));
    let mut account = record.transpose()?.unwrap_or_default();
    if !amount.is_zero() {
        account.balance = account.balance.saturating_add(amount);
        put_account(tx, maps, address, &account);
    }
    Ok(())
}

fn destroy(tx: &mut Tx<'_>, maps: &Maps, address: Address) {
    if !tx.has(&maps.accounts, address.as_slice()) {
        return;
    }
    tx.remove(&maps.accounts, address.as_slice());
    let (from, to) = (account::slot_key(address, U256::ZERO), account::slot_key(address, U256::MAX));
    let slots = tx.range(&maps.storage, between(&from, &to));
    let keys: Vec<Vec<u8>> = slots.map(|(key, _)| key.to_vec()).collect();
    for key in keys {
        tx.remove(&maps.storage, key.as_slice());
    }
}
