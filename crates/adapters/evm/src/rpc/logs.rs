//! `eth_getLogs`: by index, never by scanning.

use alloy_primitives::{B256, Log, keccak256};
use serde::Deserialize;
use synod_kv::Lookup;

use super::error::RpcError;
use super::json::Json;
use super::params::{AddressParam, BlockId, Word};
use super::reader::Reader;
use super::render;
use crate::block::Position;
use crate::log_index::{AnyOf, Candidates, Item};

/// The most logs of one answer. Clients narrow the range when told; geth's hosts use the same number.
pub(crate) const LOGS_MAX: usize = 10_000;
/// The most blocks of one query that names neither address nor topic, for which every block is read.
pub(crate) const UNFILTERED_BLOCKS_MAX: u64 = 10_000;
/// The most addresses of one query, and the most topics at one place: what geth takes.
const ALTERNATIVES_MAX: usize = 1_000;
/// The most index entries and receipts that the queries of one batch look at: some 0.2 s.
pub(crate) const BATCH_READS_MAX: u64 = 400_000;

/// What logs to find.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    from_block: Option<BlockId>,
    to_block: Option<BlockId>,
    block_hash: Option<Word>,
    address: Option<OneOrMany<AddressParam>>,
    #[serde(default)]
    topics: Option<Vec<Option<OneOrMany<Option<Word>>>>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// A checked query: in each block of the range, logs that meet every condition.
struct Query {
    range: (u64, u64),
    conditions: Vec<AnyOf>,
}

/// The logs that `filter` asks for, as a JSON array.
pub(crate) fn get_logs<L: Lookup>(reader: &Reader<'_, L>, json: &mut Json, filter: Filter) -> Result<(), RpcError> {
    let query = check(reader, filter)?;
    let mut found = Found { json: Json::default(), count: 0 };
    if let Some(query) = query {
        if query.conditions.is_empty() {
            scan(reader, &query, &mut found)?;
        } else {
            search(reader, &query, &mut found)?;
        }
    }
    let logs = found.json.finish();
    json.raw(&format!("[{logs}]"));
    Ok(())
}

/// `None` if the range is empty because there is no block yet.
fn check<L: Lookup>(reader: &Reader<'_, L>, filter: Filter) -> Result<Option<Query>, RpcError> {
    let conditions = conditions(filter.address, filter.topics.unwrap_or_default())?;
    if let Some(Word(hash)) = filter.block_hash {
        if filter.from_block.is_some() || filter.to_block.is_some() {
            return Err(RpcError::invalid_params(
                "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other",
            ));
        }
        let number = reader.store.number_of(hash)?.ok_or_else(|| RpcError::server("unknown block"))?;
        return Ok(Some(Query { range: (number, number), conditions }));
    }
    let Some(head) = reader.store.head()? else { return Ok(None) };
    let from = reader.number(filter.from_block.unwrap_or_default())?;
    let to = reader.number(filter.to_block.unwrap_or_default())?;
    if from > to {
        return Err(RpcError::invalid_params("invalid block range params: fromBlock is after toBlock"));
    }
    if to > head {
        return Err(RpcError::invalid_params("block range extends beyond current head block"));
    }
    Ok(Some(Query { range: (from, to), conditions }))
}

fn conditions(
    address: Option<OneOrMany<AddressParam>>,
    topics: Vec<Option<OneOrMany<Option<Word>>>>,
) -> Result<Vec<AnyOf>, RpcError> {
    if topics.len() > 4 {
        return Err(RpcError::invalid_params("exceed max topics: a log has at most 4"));
    }
    let addresses = address.map(OneOrMany::into_vec).unwrap_or_default();
    let mut conditions = vec![addresses.into_iter().map(|AddressParam(address)| Item::Address(address)).collect()];
    for (place, alternatives) in (0..).zip(topics) {
        let alternatives = alternatives.map(OneOrMany::into_vec).unwrap_or_default();
        // A null among the alternatives means any topic, as it does alone.
        let words: Option<Vec<Word>> = alternatives.into_iter().collect();
        conditions.push(words.unwrap_or_default().into_iter().map(|Word(topic)| Item::Topic(place, topic)).collect());
    }
    if conditions.iter().any(|any_of: &AnyOf| any_of.len() > ALTERNATIVES_MAX) {
        return Err(RpcError::invalid_params(format!(
            "exceed max addresses or topics per search position: {ALTERNATIVES_MAX}"
        )));
    }
    conditions.retain(|any_of| !any_of.is_empty());
    Ok(conditions)
}

fn search<L: Lookup>(reader: &Reader<'_, L>, query: &Query, found: &mut Found) -> Result<(), RpcError> {
    let store = &reader.store;
    let mut candidates = Candidates::new(store.view, store.maps, &query.conditions, query.range, &reader.reads_left);
    while let Some((number, places)) = candidates.next()? {
        for index in places {
            found.collect(reader, Position { block: number, index }, &query.conditions)?;
        }
    }
    if candidates.is_exhausted() { Err(too_much()) } else { Ok(()) }
}

fn scan<L: Lookup>(reader: &Reader<'_, L>, query: &Query, found: &mut Found) -> Result<(), RpcError> {
    let (from, to) = query.range;
    if to - from >= UNFILTERED_BLOCKS_MAX {
        let message = format!("query exceeds max block range {UNFILTERED_BLOCKS_MAX}, name an address or a topic");
        return Err(RpcError::limit(message));
    }
    for number in from..=to {
        let Some(block) = reader.store.block(number)? else { continue };
        for index in 0..block.transactions {
            found.collect(reader, Position { block: number, index }, &[])?;
        }
    }
    Ok(())
}

fn too_much() -> RpcError {
    RpcError::limit("query reads too much, narrow the range or the filter")
}

struct Found {
    json: Json,
    count: usize,
}

impl Found {
    /// Adds the logs of one transaction that meet the conditions.
    fn collect<L: Lookup>(
        &mut self,
        reader: &Reader<'_, L>,
        at: Position,
        conditions: &[AnyOf],
    ) -> Result<(), RpcError> {
        let left = reader.reads_left.get().checked_sub(1).ok_or_else(too_much)?;
        reader.reads_left.set(left);
        let Some(receipt) = reader.store.receipt(at)? else { return Ok(()) };
        let mut context = None;
        for (log_index, log) in (receipt.first_log..).zip(&receipt.logs) {
            if !conditions.iter().all(|any_of| any_of.iter().any(|item| is_of(log, item))) {
                continue;
            }
            self.count += 1;
            if super::is_too_large(&self.json) {
                return Err(super::too_large());
            }
            if self.count > LOGS_MAX {
                return Err(RpcError::limit(format!("query returned more than {LOGS_MAX} results, narrow the range")));
            }
            if context.is_none() {
                context = Some(reader.block_and_hash(at)?);
            }
            let (block, hash) = context.as_ref().expect("set above");
            render::log(&mut self.json, block, at, *hash, log_index, log);
        }
        Ok(())
    }
}

fn is_of(log: &Log, item: &Item) -> bool {
    match item {
        Item::Address(address) => log.address == *address,
        Item::Topic(place, topic) => log.topics().get(usize::from(*place)) == Some(topic),
    }
}

/// The hash of a stored transaction.
pub(crate) fn transaction_hash(raw: &[u8]) -> B256 {
    keccak256(raw)
}
