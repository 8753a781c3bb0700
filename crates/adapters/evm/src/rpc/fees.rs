//! What tools ask before they fill in fees: that gas is free on a live instance.

use alloy_eips::eip1559::BaseFeeParams;
use serde::Deserialize;
use serde::de::Deserializer;
use synod_kv::Lookup;

use super::error::RpcError;
use super::json::Json;
use super::params::BlockId;
use super::reader::Reader;
use crate::hex::Number;

/// How many blocks are asked for: some tools write a number, some a quantity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockCount(u64);

impl<'de> Deserialize<'de> for BlockCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Number::deserialize(deserializer).map(|Number(count)| Self(count))
    }
}

/// The most blocks of one answer: what geth gives.
const BLOCKS_MAX: u64 = 1_024;
/// The most percentiles of one request: what geth takes.
const PERCENTILES_MAX: usize = 100;

/// `eth_feeHistory`.
pub(crate) fn fee_history<L: Lookup>(
    reader: &Reader<'_, L>,
    json: &mut Json,
    BlockCount(count): BlockCount,
    newest: BlockId,
    percentiles: Option<Vec<f64>>,
) -> Result<(), RpcError> {
    let percentiles = percentiles.filter(|percentiles| !percentiles.is_empty());
    check(reader, percentiles.as_deref().unwrap_or_default())?;
    let head = reader.store.head()?.unwrap_or_default();
    let newest = reader.number(newest)?;
    if newest > head {
        return Err(RpcError::server(format!("request beyond head block: requested {newest}, head {head}")));
    }
    let count = count.min(BLOCKS_MAX).min(newest + 1);
    let oldest = newest + 1 - count;
    let mut blocks = Vec::new();
    for number in oldest..=newest {
        blocks.extend(reader.block_at(number)?.filter(|_| count > 0));
    }

    let next = blocks.last().and_then(|block| block.header.next_block_base_fee(BaseFeeParams::ethereum()));
    let next = if reader.instance.is_live() { 0 } else { next.unwrap_or_default() };
    let base_fees = blocks.iter().map(|block| block.header.base_fee_per_gas.unwrap_or_default());
    let ratio = |used: u64, limit: u64| if limit == 0 { 0.0 } else { used as f64 / limit as f64 };
    json.object(|json| {
        json.name("oldestBlock").quantity(blocks.first().map_or(oldest, |block| block.header.number));
        json.name("baseFeePerGas").array(base_fees.chain([next]), Json::quantity);
        json.name("gasUsedRatio").array(&blocks, |json, block| {
            json.raw(&ratio(block.header.gas_used, block.header.gas_limit).to_string());
        });
        json.name("baseFeePerBlobGas").array(0..=blocks.len(), |json, _| json.quantity(0));
        json.name("blobGasUsedRatio").array(&blocks, |json, _| json.raw("0"));
        if let Some(percentiles) = &percentiles {
            json.name("reward").array(&blocks, |json, _| json.array(percentiles, |json, _| json.quantity(0)));
        }
    });
    Ok(())
}

fn check<L: Lookup>(reader: &Reader<'_, L>, percentiles: &[f64]) -> Result<(), RpcError> {
    if percentiles.len() > PERCENTILES_MAX {
        return Err(RpcError::invalid_params(format!(
            "invalid reward percentile: over the query limit {PERCENTILES_MAX}"
        )));
    }
    let ascending = percentiles.windows(2).all(|pair| pair[0] <= pair[1]);
    if !ascending || percentiles.iter().any(|percentile| !(0.0..=100.0).contains(percentile)) {
        return Err(RpcError::invalid_params("invalid reward percentile: percentiles ascend from 0 to 100"));
    }
    if !percentiles.is_empty() && !reader.instance.is_live() {
        return Err(RpcError::server("rewards of historic blocks are not kept"));
    }
    Ok(())
}

/// The price of gas to offer: nothing on a live instance, the base fee on a historic one.
pub(crate) fn gas_price<L: Lookup>(reader: &Reader<'_, L>) -> Result<u64, RpcError> {
    let block = reader.block(BlockId::Latest)?;
    Ok(block.and_then(|block| block.header.base_fee_per_gas).unwrap_or_default())
}
