//! Filters: `eth_newFilter` and its kin, for tools that poll for what is new.
//!
//! The nodes know nothing of them. The gateway keeps what a filter looks for and the last block that it
//! told of; who asks for changes is told of the blocks since then, from the nodes' own answers to
//! `eth_getLogs` and `eth_getBlockByNumber`. Filters live in this process alone: a gateway that is started
//! again answers `filter not found`, upon which tools install theirs anew.
//!
//! Words, codes and the five minutes of life are go-ethereum's, and so it is that changes begin with the
//! block after the filter's installation, whatever its `fromBlock`: older logs are for `eth_getFilterLogs`.
//!
//! Nothing is told twice and nothing left out: what does not fit into one answer is told by the next, and
//! an answer that fails moves nothing.

mod table;
mod upstream;

use std::time::Instant;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex as AsyncMutex;

pub use table::Filters;
use table::{Criteria, Filter, Kind};
use upstream::{BlockName, quantity};
pub use upstream::{RpcError, Upstream};

use super::forward::{LIMIT_EXCEEDED, SERVER_ERROR};

/// The methods that the gateway answers itself.
pub const METHODS: [&str; 6] = [
    "eth_newFilter",
    "eth_newBlockFilter",
    "eth_newPendingTransactionFilter",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_uninstallFilter",
];

/// Answers one of [`METHODS`] with its result as JSON.
///
/// # Errors
/// If the parameters are not the method's, the filter is not there, or a node refuses what is asked of it.
pub async fn answer(
    filters: &Filters,
    upstream: Upstream<'_>,
    method: &str,
    params: Option<&RawValue>,
) -> Result<String, RpcError> {
    let params = params.map_or("[]", RawValue::get);
    match method {
        "eth_newFilter" => {
            let criteria = criteria(parameter(params)?)?;
            // Asking for the logs of one block shows whether the nodes take the conditions.
            match upstream.logs(&criteria.conditions, (BlockName::Latest, BlockName::Latest)).await {
                Err(refused) if !refused.is_limit() => Err(refused),
                _ => install(filters, upstream, Kind::Logs(criteria), params.len()).await,
            }
        }
        "eth_newBlockFilter" => install(filters, upstream, Kind::Blocks, 0).await,
        "eth_newPendingTransactionFilter" => install(filters, upstream, Kind::Pending, 0).await,
        "eth_uninstallFilter" => {
            let name: String = parameter(params)?;
            Ok(filters.uninstall(Instant::now(), upstream.instance, &name).to_string())
        }
        "eth_getFilterLogs" => {
            let name: String = parameter(params)?;
            match filters.find(Instant::now(), upstream.instance, &name).as_ref().map(|filter| &filter.kind) {
                Some(Kind::Logs(criteria)) => all_logs(upstream, criteria).await,
                _ => Err(not_found()),
            }
        }
        _ => {
            let name: String = parameter(params)?;
            let filter = filters.find(Instant::now(), upstream.instance, &name).ok_or_else(not_found)?;
            let mut told = filter.told.lock().await;
            match &filter.kind {
                Kind::Logs(criteria) => new_logs(upstream, criteria, &mut told).await,
                Kind::Blocks => new_blocks(upstream, &mut told).await,
                Kind::Pending => Ok("[]".into()),
            }
        }
    }
}

async fn install(filters: &Filters, upstream: Upstream<'_>, kind: Kind, size: usize) -> Result<String, RpcError> {
    let told = AsyncMutex::new(upstream.head().await?);
    let filter = Filter { instance: upstream.instance.to_owned(), kind, told };
    match filters.install(Instant::now(), filter, size) {
        Ok(name) => Ok(format!("\"{name}\"")),
        Err(table::TableFull) => {
            Err(RpcError::new(LIMIT_EXCEEDED, "too many filters: uninstall those that are not needed any more"))
        }
    }
}

/// Logs of the blocks after `told`, which moves to the last block that they are from.
async fn new_logs(upstream: Upstream<'_>, criteria: &Criteria, told: &mut u64) -> Result<String, RpcError> {
    let from = criteria.from.unwrap_or_default().max(*told + 1);
    let mut to = upstream.head().await?.min(criteria.to.unwrap_or(u64::MAX));
    if to < from {
        return Ok("[]".into());
    }
    loop {
        let range = (BlockName::Number(from), BlockName::Number(to));
        match upstream.logs(&criteria.conditions, range).await {
            Ok(logs) => {
                *told = to;
                return Ok(logs.get().to_owned());
            }
            Err(error) if !error.is_limit() => return Err(error),
            Err(_) if to > from => to = from + (to - from) / 2,
            Err(_) => {
                // Told as an error, once: else the filter would never get past this block.
                *told = to;
                let message =
                    format!("block {to} holds more logs than one answer: eth_getLogs with more conditions tells them");
                return Err(RpcError::new(LIMIT_EXCEEDED, &message));
            }
        }
    }
}

/// Hashes of the blocks after `told`, which moves to the last of them.
async fn new_blocks(upstream: Upstream<'_>, told: &mut u64) -> Result<String, RpcError> {
    let head = upstream.head().await?.min(told.saturating_add(BLOCKS_MAX));
    let mut hashes = Vec::new();
    while *told < head {
        match upstream.block_hashes(*told + 1, head.min(*told + BLOCKS_AT_ONCE)).await {
            Ok(more) => {
                *told += more.len() as u64;
                hashes.extend(more);
            }
            Err(error) if hashes.is_empty() => return Err(error),
            // These are told now, and the rest, or the error, next time.
            Err(_) => break,
        }
    }
    Ok(json!(hashes).to_string())
}

/// All logs of the filter's range so far.
async fn all_logs(upstream: Upstream<'_>, criteria: &Criteria) -> Result<String, RpcError> {
    let head = upstream.head().await?;
    let (from, to) = (criteria.from.unwrap_or(head), criteria.to.unwrap_or(head).min(head));
    if from > to {
        return Ok("[]".into());
    }
    let range = (BlockName::Number(from), BlockName::Number(to));
    upstream.logs(&criteria.conditions, range).await.map(|logs| logs.get().to_owned())
}

/// The only parameter of a method.
fn parameter<T: serde::de::DeserializeOwned>(params: &str) -> Result<T, RpcError> {
    let params: Vec<Value> =
        serde_json::from_str(params).map_err(|_| RpcError::new(INVALID_PARAMS, "non-array args"))?;
    let first = params.into_iter().next().filter(|first| !first.is_null());
    let first = first.ok_or_else(|| RpcError::new(INVALID_PARAMS, "missing value for required argument 0"))?;
    serde_json::from_value(first)
        .map_err(|error| RpcError::new(INVALID_PARAMS, &format!("invalid argument 0: {error}")))
}

fn criteria(mut filter: Map<String, Value>) -> Result<Criteria, RpcError> {
    if filter.get("blockHash").is_some_and(|hash| !hash.is_null()) {
        let message = "a filter tells of new blocks, blockHash names an old one: use eth_getLogs";
        return Err(RpcError::new(INVALID_PARAMS, message));
    }
    let (from, to) = (block(filter.remove("fromBlock"))?, block(filter.remove("toBlock"))?);
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(RpcError::new(INVALID_PARAMS, "invalid block range params"));
    }
    Ok(Criteria { conditions: filter, from, to })
}

/// The number of the block that a range ends at; none for the latest.
fn block(name: Option<Value>) -> Result<Option<u64>, RpcError> {
    match name.unwrap_or_default().as_str() {
        None | Some("latest" | "safe" | "finalized" | "pending") => Ok(None),
        Some("earliest") => Ok(Some(0)),
        Some(text) => match quantity(text) {
            Some(number) => Ok(Some(number)),
            None => Err(RpcError::new(INVALID_PARAMS, &format!("invalid argument 0: {text:?} is no block"))),
        },
    }
}

/// Upon this code, viem and web3.js install the filter anew.
fn not_found() -> RpcError {
    RpcError::new(SERVER_ERROR, "filter not found")
}

/// The most blocks of one answer to a block filter: minutes of a busy network. The next answer goes on from there.
const BLOCKS_MAX: u64 = 10_000;

/// How many blocks a node is asked for at once.
const BLOCKS_AT_ONCE: u64 = 500;

/// JSON-RPC's code for parameters that are not the method's.
const INVALID_PARAMS: i32 = -32_602;

#[cfg(test)]
mod tests;
