//! Accounts and storage words as they are stored: only the bytes that matter.

use alloy_primitives::{Address, B256, U256};

use crate::error::StateDamaged;
use crate::varint::Fields;

/// An account without its storage.
///
/// Stored as: one byte with the nonce's size and, in the top bit, whether a code hash follows; one
/// byte with the balance's size; nonce, balance (both big-endian without leading zeros); code hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    /// `None` for an account without code.
    pub(crate) code_hash: Option<B256>,
}

const HAS_CODE: u8 = 0x80;

impl Account {
    /// The stored form.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let nonce = self.nonce.to_be_bytes();
        let nonce = &nonce[self.nonce.leading_zeros() as usize / 8..];
        let balance = word_encode(self.balance);
        let mut out = Vec::with_capacity(2 + nonce.len() + balance.len() + 32);
        out.push(nonce.len() as u8 | if self.code_hash.is_some() { HAS_CODE } else { 0 });
        out.push(balance.len() as u8);
        out.extend_from_slice(nonce);
        out.extend_from_slice(&balance);
        if let Some(hash) = self.code_hash {
            out.extend_from_slice(hash.as_slice());
        }
        out
    }

    /// Reads the stored form.
    pub(crate) fn decode(record: &[u8]) -> Result<Self, StateDamaged> {
        let mut fields = Fields::new(record, "account");
        let (first, balance_size) = (fields.byte()?, fields.byte()?);
        let nonce_bytes = fields.bytes(usize::from(first & !HAS_CODE))?;
        let mut nonce = [0; 8];
        nonce.get_mut(8usize.wrapping_sub(nonce_bytes.len())..).ok_or(DAMAGED)?.copy_from_slice(nonce_bytes);
        let balance = word_decode(fields.bytes(usize::from(balance_size))?)?;
        let code_hash = if first & HAS_CODE == 0 { None } else { Some(B256::new(fields.array()?)) };
        Ok(Self { nonce: u64::from_be_bytes(nonce), balance, code_hash })
    }
}

const DAMAGED: StateDamaged = StateDamaged("account");

/// A word without its leading zero bytes.
pub(crate) fn word_encode(word: U256) -> Vec<u8> {
    word.to_be_bytes_trimmed_vec()
}

/// Reads what [`word_encode`] wrote.
pub(crate) fn word_decode(bytes: &[u8]) -> Result<U256, StateDamaged> {
    U256::try_from_be_slice(bytes).ok_or(StateDamaged("word"))
}

/// The key of a storage slot: address and slot.
pub(crate) fn slot_key(address: Address, slot: U256) -> [u8; 52] {
    let mut key = [0; 52];
    key[..20].copy_from_slice(address.as_slice());
    key[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;

    use super::*;

    #[test]
    fn an_account_takes_only_the_bytes_it_needs_and_reads_back() {
        let rich = Account { nonce: u64::MAX, balance: U256::MAX, code_hash: Some(B256::repeat_byte(7)) };
        let plain = Account { nonce: 1, balance: U256::from(1_000), code_hash: None };
        for (account, size, vector) in
            [(Account::default(), 2, "0000"), (plain, 5, "01020103e8"), (rich, 74, "8820ffffffffffffffff")]
        {
            let record = account.encode();
            assert!(hex::encode(&record).starts_with(vector));
            assert_eq!(record.len(), size);
            assert_eq!(Account::decode(&record), Ok(account));
            for torn in 0..size {
                assert!(Account::decode(&record[..torn]).is_err(), "{torn} of {size} bytes");
            }
        }
        assert!(Account::decode(&[9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).is_err());
        assert!(Account::decode(&[[0, 33].as_slice(), &[1; 33]].concat()).is_err());
    }

    #[test]
    fn words_are_stored_without_leading_zeros() {
        for (word, size) in [(U256::ZERO, 0), (U256::from(255), 1), (U256::from(256), 2), (U256::MAX, 32)] {
            assert_eq!(word_encode(word).len(), size);
            assert_eq!(word_decode(&word_encode(word)), Ok(word));
        }
    }
}
