//! The methods that read.

use alloy_primitives::{B256, keccak256};
use synod_kv::Lookup;

use super::error::RpcError;
use super::fees::{self, BlockCount};
use super::json::Json;
use super::logs;
use super::params::{AddressParam, BlockId, Params, Quantity, Quantity64, Word};
use super::reader::Reader;
use super::render::{self, Transactions};
use super::simulate;
use crate::block::{Block, Position};
use crate::error::StateDamaged;
use crate::hex;

/// What `web3_clientVersion` says.
const CLIENT_VERSION: &str = concat!("synod/v", env!("CARGO_PKG_VERSION"), "/rust");

/// Writes the result of one method as a JSON value.
pub(crate) fn answer<L: Lookup>(
    reader: &Reader<'_, L>,
    method: &str,
    params: &Params<'_>,
    json: &mut Json,
) -> Result<(), RpcError> {
    match method {
        "eth_chainId" => json.quantity(reader.instance.chain_id),
        "net_version" => json.text(&reader.instance.chain_id.to_string()),
        "web3_clientVersion" => json.text(CLIENT_VERSION),
        "web3_sha3" => json.data(keccak256(params.required::<hex::Data>(0)?.0).as_slice()),
        "net_listening" => json.raw("true"),
        "net_peerCount" | "eth_maxPriorityFeePerGas" => json.quantity(0),
        "eth_syncing" => json.raw("false"),
        "eth_accounts" => json.raw("[]"),
        "eth_blockNumber" => json.quantity(reader.store.head()?.unwrap_or_default()),
        "eth_gasPrice" => json.quantity(fees::gas_price(reader)?),
        "eth_feeHistory" => fee_history(reader, params, json)?,
        "eth_getBalance" => json.quantity256(account(reader, params)?.balance),
        "eth_getTransactionCount" => json.quantity(account(reader, params)?.nonce),
        "eth_getCode" => get_code(reader, params, json)?,
        "eth_getStorageAt" => get_storage(reader, params, json)?,
        "eth_call" => {
            let (state, block) = (params.optional(2)?.unwrap_or_default(), params.optional(3)?.unwrap_or_default());
            let output = simulate::call(reader, params.required(0)?, tag(params, 1)?, state, &block)?;
            json.data(&output);
        }
        "eth_estimateGas" => {
            let state = params.optional(2)?.unwrap_or_default();
            json.quantity(simulate::estimate_gas(reader, params.required(0)?, tag(params, 1)?, state)?);
        }
        "eth_getBlockByNumber" => get_block(reader, params.required(0)?, params, json)?,
        "eth_getBlockByHash" => get_block(reader, by_hash(params)?, params, json)?,
        "eth_getBlockTransactionCountByNumber" => count_transactions(reader, params.required(0)?, json)?,
        "eth_getBlockTransactionCountByHash" => count_transactions(reader, by_hash(params)?, json)?,
        "eth_getUncleCountByBlockNumber" => count_uncles(reader, params.required(0)?, json)?,
        "eth_getUncleCountByBlockHash" => count_uncles(reader, by_hash(params)?, json)?,
        "eth_getTransactionByHash" => {
            let position = reader.store.position(params.required::<Word>(0)?.0)?;
            get_transaction(reader, position, json)?;
        }
        "eth_getTransactionByBlockNumberAndIndex" => get_indexed(reader, params.required(0)?, params, json)?,
        "eth_getTransactionByBlockHashAndIndex" => get_indexed(reader, by_hash(params)?, params, json)?,
        "eth_getTransactionReceipt" => get_receipt(reader, params.required::<Word>(0)?.0, json)?,
        "eth_getBlockReceipts" => get_block_receipts(reader, params.required(0)?, json)?,
        "eth_getLogs" => logs::get_logs(reader, json, params.required(0)?)?,
        _ => return Err(RpcError::method_unknown(method)),
    }
    Ok(())
}

/// The block that the parameter at `place` names; the latest if it is missing.
fn tag(params: &Params<'_>, place: usize) -> Result<BlockId, RpcError> {
    Ok(params.optional(place)?.unwrap_or_default())
}

fn by_hash(params: &Params<'_>) -> Result<BlockId, RpcError> {
    params.required::<Word>(0).map(|Word(hash)| BlockId::Hash(hash))
}

fn fee_history<L: Lookup>(reader: &Reader<'_, L>, params: &Params<'_>, json: &mut Json) -> Result<(), RpcError> {
    let count = params.required::<BlockCount>(0)?;
    fees::fee_history(reader, json, count, params.required(1)?, params.optional(2)?)
}

/// The account that the first parameter names, in the state that the second names.
fn account<L: Lookup>(reader: &Reader<'_, L>, params: &Params<'_>) -> Result<crate::account::Account, RpcError> {
    let AddressParam(address) = params.required(0)?;
    reader.check_state(tag(params, 1)?)?;
    Ok(reader.store.account(address)?.unwrap_or_default())
}

fn get_code<L: Lookup>(reader: &Reader<'_, L>, params: &Params<'_>, json: &mut Json) -> Result<(), RpcError> {
    match account(reader, params)?.code_hash {
        Some(hash) => json.data(reader.store.code(hash)?.original_byte_slice()),
        None => json.data(&[]),
    }
    Ok(())
}

fn get_storage<L: Lookup>(reader: &Reader<'_, L>, params: &Params<'_>, json: &mut Json) -> Result<(), RpcError> {
    let (AddressParam(address), Quantity(slot)) = (params.required(0)?, params.required(1)?);
    reader.check_state(tag(params, 2)?)?;
    json.data(&reader.store.slot(address, slot)?.to_be_bytes::<32>());
    Ok(())
}

fn get_block<L: Lookup>(
    reader: &Reader<'_, L>,
    id: BlockId,
    params: &Params<'_>,
    json: &mut Json,
) -> Result<(), RpcError> {
    let full = params.optional::<bool>(1)?.unwrap_or_default();
    let Some(block) = reader.block(id)? else {
        json.null();
        return Ok(());
    };
    let number = block.header.number;
    if full {
        let with_hash = |stored: crate::store::StoredTransaction| {
            let hash = logs::transaction_hash(&stored.raw);
            (stored, hash)
        };
        let all = reader.store.transactions(number).map(|stored| stored.map(with_hash));
        let all = all.collect::<Result<Vec<_>, StateDamaged>>()?;
        render::block(json, reader.instance, &block, &Transactions::Full(&all))?;
    } else {
        let hashes = reader.store.transactions(number).map(|stored| Ok(logs::transaction_hash(&stored?.raw)));
        let hashes = hashes.collect::<Result<Vec<_>, StateDamaged>>()?;
        render::block(json, reader.instance, &block, &Transactions::Hashes(&hashes))?;
    }
    Ok(())
}

fn count_transactions<L: Lookup>(reader: &Reader<'_, L>, id: BlockId, json: &mut Json) -> Result<(), RpcError> {
    match reader.block(id)? {
        Some(block) => json.quantity(u64::from(block.transactions)),
        None => json.null(),
    }
    Ok(())
}

fn count_uncles<L: Lookup>(reader: &Reader<'_, L>, id: BlockId, json: &mut Json) -> Result<(), RpcError> {
    match reader.block(id)? {
        Some(block) => json.quantity(block.beside.uncles.len() as u64),
        None => json.null(),
    }
    Ok(())
}

fn get_indexed<L: Lookup>(
    reader: &Reader<'_, L>,
    id: BlockId,
    params: &Params<'_>,
    json: &mut Json,
) -> Result<(), RpcError> {
    let Quantity64(index) = params.required(1)?;
    let block = reader.block(id)?;
    let at = |block: &Block| Some(Position { block: block.header.number, index: u32::try_from(index).ok()? });
    get_transaction(reader, block.as_deref().and_then(at), json)
}

fn get_transaction<L: Lookup>(reader: &Reader<'_, L>, at: Option<Position>, json: &mut Json) -> Result<(), RpcError> {
    if let Some(at) = at
        // A transaction of a block that an import has not closed yet is in no block.
        && let Some(block) = reader.block_at(at.block)?
        && let Some(stored) = reader.store.transaction(at)?
    {
        let hash = logs::transaction_hash(&stored.raw);
        render::transaction(json, reader.instance, &block, at.index, &stored, hash)?;
    } else {
        json.null();
    }
    Ok(())
}

/// Writes the receipt of the transaction with this hash, or null.
pub(super) fn get_receipt<L: Lookup>(reader: &Reader<'_, L>, hash: B256, json: &mut Json) -> Result<(), RpcError> {
    if let Some(at) = reader.store.position(hash)?
        && let Some(block) = reader.block_at(at.block)?
        && let Some(stored) = reader.store.transaction(at)?
        && let Some(receipt) = reader.store.receipt(at)?
    {
        render::receipt(json, reader.instance, &block, at.index, (&stored, hash), &receipt)?;
    } else {
        json.null();
    }
    Ok(())
}

fn get_block_receipts<L: Lookup>(reader: &Reader<'_, L>, id: BlockId, json: &mut Json) -> Result<(), RpcError> {
    let Some(block) = reader.block(id)? else {
        json.null();
        return Ok(());
    };
    let number = block.header.number;
    let all = reader.store.transactions(number).zip(reader.store.receipts(number));
    let mut done = Ok(());
    // What is left out of an answer that is too large already is not missed: the answer is refused.
    let all = all.zip(0..);
    json.array(all, |json, ((stored, receipt), index)| {
        if super::is_too_large(json) {
            return;
        }
        let one = || {
            let (stored, receipt) = (stored?, receipt?);
            let hash = logs::transaction_hash(&stored.raw);
            render::receipt(json, reader.instance, &block, index, (&stored, hash), &receipt)
        };
        let result: Result<(), StateDamaged> = one();
        done = done.and(result);
    });
    Ok(done?)
}
