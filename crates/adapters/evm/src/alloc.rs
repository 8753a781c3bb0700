//! Allocations: accounts that are there before the first block.
//!
//! The JSON form is that of geth's genesis files: address to `balance`, `nonce`, `code` and
//! `storage`, all optional, numbers in hexadecimal with `0x` or in decimal.

use std::collections::BTreeMap;

use alloy_primitives::{Address, Bytes, U256, keccak256};
use serde::Deserialize;
use synod_kv::{Lookup, Tx};
use synod_types::limits::REQUEST_BODY_BYTES_MAX;
use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder};

use crate::account::{Account, word_encode};
use crate::hex::{self, Number};
use crate::maps::Maps;
use crate::settle::{put_account, put_slot};

/// Accounts by address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Alloc(pub(crate) BTreeMap<hex::Key<Address>, Allocated>);

/// One account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Allocated {
    #[serde(default)]
    pub(crate) balance: Number<U256>,
    #[serde(default)]
    pub(crate) nonce: Number<u64>,
    #[serde(default)]
    pub(crate) code: hex::Data,
    #[serde(default)]
    pub(crate) storage: BTreeMap<hex::Key<U256>, Number<U256>>,
}

/// The most accounts, and slots of one account, that a request of the largest size can name.
const ENTRIES_MAX: usize = REQUEST_BODY_BYTES_MAX / 8;

impl Alloc {
    /// Writes the accounts. What an earlier part said of the same account is replaced, its other slots are kept.
    pub(crate) fn write(&self, tx: &mut Tx<'_>, maps: &Maps) {
        for (hex::Key(address), allocated) in &self.0 {
            allocated.write(tx, maps, *address);
        }
    }

    /// How many accounts.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds an account unless there is one at that address.
    pub(crate) fn add(&mut self, address: Address, nonce: u64, code: Bytes) {
        let account = Allocated { nonce: Number(nonce), code: hex::Data(code), ..Allocated::default() };
        self.0.entry(hex::Key(address)).or_insert(account);
    }
}

impl Allocated {
    fn write(&self, tx: &mut Tx<'_>, maps: &Maps, address: Address) {
        let code = &self.code.0;
        let code_hash = (!code.is_empty()).then(|| keccak256(code));
        if let Some(hash) = code_hash
            && !tx.has(&maps.code, hash.as_slice())
        {
            tx.put(&maps.code, hash.as_slice(), code.as_ref());
        }
        put_account(tx, maps, address, &Account { nonce: self.nonce.0, balance: self.balance.0, code_hash });
        for (hex::Key(slot), Number(value)) in &self.storage {
            if !value.is_zero() {
                put_slot(tx, maps, address, *slot, *value);
            }
        }
    }
}

impl Encode for Alloc {
    fn encode(&self, out: &mut Encoder) {
        out.count(self.0.len());
        for (hex::Key(address), account) in &self.0 {
            out.raw(address.as_slice());
            account.nonce.0.encode(out);
            out.bytes(&word_encode(account.balance.0));
            out.bytes(&account.code.0);
            out.count(account.storage.len());
            for (hex::Key(slot), Number(value)) in &account.storage {
                out.bytes(&word_encode(*slot));
                out.bytes(&word_encode(*value));
            }
        }
    }
}

impl Decode for Alloc {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let count = input.reading("alloc").count(ENTRIES_MAX)?;
        let entry = |input: &mut Decoder<'_>| Ok((hex::Key(Address::from(input.array()?)), Allocated::decode(input)?));
        Ok(Self((0..count).map(|_| entry(input)).collect::<Result<_, DecodeError>>()?))
    }
}

impl Allocated {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let nonce = Number(u64::decode(input)?);
        let balance = Number(decode_word(input)?);
        let code = hex::Data(Bytes::copy_from_slice(input.bytes(REQUEST_BODY_BYTES_MAX)?));
        let count = input.count(ENTRIES_MAX)?;
        let slot = |input: &mut Decoder<'_>| Ok((hex::Key(decode_word(input)?), Number(decode_word(input)?)));
        let storage = (0..count).map(|_| slot(input)).collect::<Result<_, DecodeError>>()?;
        Ok(Self { balance, nonce, code, storage })
    }
}

fn decode_word(input: &mut Decoder<'_>) -> Result<U256, DecodeError> {
    Ok(U256::from_be_slice(input.bytes(32)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_reads_from_json_in_either_number_form_and_back_from_its_encoding() {
        let json = r#"{
            "0x0000000000000000000000000000000000000001": {"balance": "0xb9d9fabaebe71e25", "nonce": "0x0"},
            "f39fd6e51aad88f6f4ce6ab8827279cfffb92266": {"balance": "1000000000000000000", "codeHash": "0x"},
            "0x00000000000000000000000000000000000000ff": {"nonce": 7, "code": "0x6001",
                "storage": {"0x0": "0x1", "0x00000000000000000000000000000000000000000000000000000000000000ff": "0x02"}}
        }"#;
        let alloc: Alloc = serde_json::from_str(json).unwrap();
        assert_eq!(alloc.len(), 3);
        let account = &alloc.0[&hex::Key(Address::with_last_byte(0xff))];
        assert_eq!((account.nonce.0, account.storage.len(), account.code.0.len()), (7, 2, 2));
        assert_eq!(Alloc::from_bytes(&alloc.to_bytes()), Ok(alloc));
    }

    #[test]
    fn what_is_not_an_address_or_a_number_is_refused() {
        for json in [r#"{"0x01": {}}"#, r#"{"0x0000000000000000000000000000000000000001": {"balance": "ether"}}"#] {
            assert!(serde_json::from_str::<Alloc>(json).is_err(), "{json}");
        }
    }
}
