//! What a block holds beside its header and its transactions: uncles before Paris, withdrawals from
//! Shanghai on.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rlp::{Decodable, Encodable};

use crate::error::StateDamaged;

/// What a block holds beside its header and its transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    /// The headers of blocks that were not built upon.
    pub(crate) uncles: Vec<Header>,
    /// What the beacon chain pays out. `None` before Shanghai.
    pub(crate) withdrawals: Option<Vec<Withdrawal>>,
}

/// The most uncles of a block (Yellow Paper, section 11.1).
pub(crate) const UNCLES_MAX: usize = 2;

/// How many generations back an uncle may be (Yellow Paper, section 11.1).
pub(crate) const GENERATIONS_MAX: u64 = 6;

impl Beside {
    /// What a header says of the uncles: the hash of their list.
    pub(crate) fn uncles_hash(&self) -> B256 {
        if self.uncles.is_empty() { EMPTY_OMMER_ROOT_HASH } else { keccak256(alloy_rlp::encode(&self.uncles)) }
    }

    /// The hashes of the uncles.
    pub(crate) fn uncle_hashes(&self) -> impl Iterator<Item = B256> {
        self.uncles.iter().map(Header::hash_slow)
    }

    /// Who is paid how much for uncles in block `number`, of which `reward` is the block reward: each uncle's
    /// miner an eighth less for every generation back, and `miner` a thirty-second for each (Yellow Paper, section 11.3).
    pub(crate) fn uncle_rewards(
        &self,
        number: u64,
        miner: Address,
        reward: U256,
    ) -> impl Iterator<Item = (Address, U256)> {
        self.uncles.iter().flat_map(move |uncle| {
            let eighths = 8u64.saturating_sub(number.saturating_sub(uncle.number));
            [(uncle.beneficiary, reward * U256::from(eighths) / U256::from(8)), (miner, reward / U256::from(32))]
        })
    }

    /// Appends the stored form: nothing if there is nothing, else withdrawals or an empty RLP string, then, if
    /// there are any, uncles.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match &self.withdrawals {
            Some(withdrawals) => withdrawals.encode(out),
            None if self.uncles.is_empty() => return,
            None => out.push(alloy_rlp::EMPTY_STRING_CODE),
        }
        if !self.uncles.is_empty() {
            self.uncles.encode(out);
        }
    }

    /// Reads the stored form, which ends the record.
    pub(crate) fn decode(mut rest: &[u8]) -> Result<Self, StateDamaged> {
        let damaged = |_| StateDamaged("block");
        let withdrawals = match rest.first() {
            None => return Ok(Self::default()),
            Some(&alloy_rlp::EMPTY_STRING_CODE) => {
                rest = &rest[1..];
                None
            }
            Some(_) => Some(Vec::decode(&mut rest).map_err(damaged)?),
        };
        if rest.is_empty() && withdrawals.is_some() {
            return Ok(Self { uncles: Vec::new(), withdrawals });
        }
        let uncles: Vec<Header> = Vec::decode(&mut rest).map_err(damaged)?;
        if uncles.is_empty() || !rest.is_empty() {
            return Err(StateDamaged("block"));
        }
        Ok(Self { uncles, withdrawals })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uncle(number: u64, miner: u8) -> Header {
        Header { number, beneficiary: Address::repeat_byte(miner), ..Header::default() }
    }

    #[test]
    fn what_is_beside_reads_back() {
        let withdrawal = Withdrawal { index: 1, validator_index: 2, address: Address::ZERO, amount: 3 };
        for withdrawals in [None, Some(Vec::new()), Some(vec![withdrawal])] {
            for uncles in [Vec::new(), vec![uncle(1, 1)], vec![uncle(1, 1), uncle(2, 2)]] {
                let beside = Beside { uncles, withdrawals: withdrawals.clone() };
                let mut record = Vec::new();
                beside.encode(&mut record);
                assert_eq!(record.is_empty(), beside == Beside::default());
                assert_eq!(Beside::decode(&record), Ok(beside));
                for more in [&[0xc0][..], &[0xc1], &[0x80]] {
                    let longer = [&record[..], more].concat();
                    assert!(record.is_empty() || Beside::decode(&longer).is_err(), "{longer:?}");
                }
            }
        }
        for not_canonical in [&[0x80][..], &[0x80, 0xc0], &[0xc1]] {
            assert!(Beside::decode(not_canonical).is_err(), "{not_canonical:?}");
        }
    }

    #[test]
    fn an_uncle_is_worth_an_eighth_less_for_each_generation_back() {
        let beside = Beside { uncles: vec![uncle(9, 1), uncle(4, 2)], withdrawals: None };
        let paid: Vec<_> = beside.uncle_rewards(10, Address::repeat_byte(7), U256::from(320)).collect();
        let expected = [(1, 280), (7, 10), (2, 80), (7, 10)];
        assert_eq!(paid, expected.map(|(who, much)| (Address::repeat_byte(who), U256::from(much))));
    }
}
