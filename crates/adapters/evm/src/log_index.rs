//! The index over logs: which transactions of which blocks emitted what.
//!
//! One entry for each (item, block): an item is an address, or a topic at one of the four places. The
//! key is a byte that tells the place, the item, and the block's number big-endian, so that the
//! blocks of an item lie side by side in order. The value lists the places in the block of the
//! transactions concerned, as varint differences. Entries are written when a block closes.
//!
//! A query walks the blocks of its items in step ("leapfrog": Veldhuizen, Triejoin, 2014): it costs
//! what its rarest item costs, not what its most common one does.

use std::cell::Cell;
use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use synod_kv::{Lookup, Tx};

use crate::error::StateDamaged;
use crate::maps::Maps;
use crate::receipt::Receipt;
use crate::store::between;
use crate::varint::{self, Fields};

/// Something that logs are found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    /// Who emitted it.
    Address(Address),
    /// A topic, at this place (0 to 3).
    Topic(u8, B256),
}

impl Item {
    fn prefix(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(41);
        match self {
            Self::Address(address) => {
                key.push(0);
                key.extend_from_slice(address.as_slice());
            }
            Self::Topic(place, topic) => {
                key.push(1 + place);
                key.extend_from_slice(topic.as_slice());
            }
        }
        key
    }

    fn key(&self, block: u64) -> Vec<u8> {
        let mut key = self.prefix();
        key.extend_from_slice(&block.to_be_bytes());
        key
    }
}

/// Collects the entries of one block.
#[derive(Debug, Default)]
pub(crate) struct BlockIndex(BTreeMap<Item, Vec<u32>>);

impl BlockIndex {
    /// Adds the logs of the transaction at place `index`; places come in ascending order.
    pub(crate) fn add(&mut self, index: u32, receipt: &Receipt) {
        for log in &receipt.logs {
            let topics = log.topics().iter().zip(0..).map(|(topic, place)| Item::Topic(place, *topic));
            for item in topics.chain([Item::Address(log.address)]) {
                let places = self.0.entry(item).or_default();
                if places.last() != Some(&index) {
                    places.push(index);
                }
            }
        }
    }

    /// Writes the entries of block `number`.
    pub(crate) fn write(self, tx: &mut Tx<'_>, maps: &Maps, number: u64) {
        for (item, places) in self.0 {
            let mut value = Vec::with_capacity(places.len());
            let mut before = 0;
            for place in places {
                varint::put(&mut value, u64::from(place - before));
                before = place;
            }
            tx.put(&maps.logs, item.key(number).as_slice(), value);
        }
    }
}

/// What the entries for a receipt's logs take at most in a write set, in bytes.
pub(crate) fn size_max(receipt: &Receipt) -> u64 {
    receipt.logs.iter().map(|log| (1 + log.topics().len() as u64) * ENTRY_BYTES_MAX).sum()
}

/// A key of 41 bytes, one place in the block, lengths and marks.
const ENTRY_BYTES_MAX: u64 = 64;

/// One condition: any of these items.
pub(crate) type AnyOf = Vec<Item>;

/// The blocks and transactions at which all of some conditions hold.
pub(crate) struct Candidates<'a, L> {
    view: &'a L,
    maps: &'a Maps,
    conditions: &'a [AnyOf],
    /// The next block to look at, or `None` at the end.
    next: Option<u64>,
    to: u64,
    /// How many more entries may be looked at, by this walk and those that share the number.
    budget: &'a Cell<u64>,
    is_exhausted: bool,
}

impl<'a, L: Lookup> Candidates<'a, L> {
    /// Looks through blocks `from` to `to` for transactions that meet all of `conditions` (at least
    /// one, none empty); looks at `budget` entries at most.
    pub(crate) const fn new(
        view: &'a L,
        maps: &'a Maps,
        conditions: &'a [AnyOf],
        (from, to): (u64, u64),
        budget: &'a Cell<u64>,
    ) -> Self {
        Self { view, maps, conditions, next: Some(from), to, budget, is_exhausted: false }
    }

    /// Whether the walk ended because it may look at no more entries.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }

    /// The next block with candidates and their places in it, ascending; `None` at the end or when the
    /// budget is used up.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Vec<u32>)>, StateDamaged> {
        while let Some(block) = self.next.filter(|block| *block <= self.to) {
            let Some(common) = self.common_block(block) else { break };
            self.next = common.checked_add(1);
            let places = self.common_places(common)?;
            if !places.is_empty() {
                return Ok(Some((common, places)));
            }
        }
        self.next = None;
        Ok(None)
    }

    /// The first block at or after `block` in which every condition has an entry.
    fn common_block(&mut self, mut block: u64) -> Option<u64> {
        let mut agreed = 0;
        let mut at = 0;
        // Each turn either moves `block` forward, at most to `to`, or counts one more condition as agreed.
        while agreed < self.conditions.len() {
            self.spend(self.conditions[at].len() as u64)?;
            let found = self.first_block(&self.conditions[at], block)?;
            agreed = if found == block { agreed + 1 } else { 1 };
            block = found;
            at = (at + 1) % self.conditions.len();
        }
        Some(block)
    }

    fn spend(&mut self, entries: u64) -> Option<()> {
        let left = self.budget.get().checked_sub(entries);
        self.is_exhausted = left.is_none();
        self.budget.set(left?);
        Some(())
    }

    fn first_block(&self, condition: &AnyOf, from: u64) -> Option<u64> {
        let first = |item: &Item| {
            let (from, to) = (item.key(from), item.key(self.to));
            let (key, _) = self.view.range(&self.maps.logs, between(&from, &to)).next()?;
            Some(u64::from_be_bytes(key[key.len() - 8..].try_into().expect("eight bytes were asked for")))
        };
        condition.iter().filter_map(first).min()
    }

    fn common_places(&self, block: u64) -> Result<Vec<u32>, StateDamaged> {
        let mut common: Option<Vec<u32>> = None;
        for condition in self.conditions {
            let mut places = Vec::new();
            for item in condition {
                if let Some(value) = self.view.get(&self.maps.logs, &item.key(block)) {
                    places.extend(places_decode(value.as_slice())?);
                }
            }
            places.sort_unstable();
            places.dedup();
            common = Some(match common {
                None => places,
                Some(before) => before.into_iter().filter(|place| places.binary_search(place).is_ok()).collect(),
            });
        }
        Ok(common.unwrap_or_default())
    }
}

fn places_decode(value: &[u8]) -> Result<Vec<u32>, StateDamaged> {
    let mut fields = Fields::new(value, "log index");
    let mut places = Vec::new();
    let mut place = 0u64;
    while !fields.rest().is_empty() {
        place = place.saturating_add(fields.number()?);
        places.push(u32::try_from(place).map_err(|_| StateDamaged("log index"))?);
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, Log, LogData, hex};
    use synod_kv::State;

    use super::*;

    #[test]
    fn an_item_has_one_entry_a_block_that_lists_its_transactions_once_each() {
        let topic = B256::repeat_byte(0xee);
        let log = Log { address: Address::repeat_byte(0xaa), data: LogData::new_unchecked(vec![topic], Bytes::new()) };
        let receipt =
            Receipt { success: true, gas_used: 0, cumulative_gas_used: 0, first_log: 0, logs: vec![log.clone(), log] };
        let mut index = BlockIndex::default();
        for place in [0, 1, 300] {
            index.add(place, &receipt);
        }
        let (state, maps) = (State::default(), Maps::of("main"));
        let mut tx = Tx::new(&state);
        index.write(&mut tx, &maps, 5);
        let entries: Vec<_> =
            tx.range(&maps.logs, ..).map(|(key, value)| (hex::encode(key), hex::encode(value))).collect();
        let number = "0000000000000005";
        let expected = [
            (format!("00{}{number}", "aa".repeat(20)), "0001ab02"),
            (format!("01{}{number}", "ee".repeat(32)), "0001ab02"),
        ];
        assert_eq!(entries, expected.map(|(key, value)| (key, value.to_owned())));
        assert_eq!(places_decode(&hex!("0001ab02")), Ok(vec![0, 1, 300]));
        assert!(places_decode(&hex!("00ff")).is_err() && places_decode(&hex!("ffffffffffffffffff01")).is_err());
    }
}
