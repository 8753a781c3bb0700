//! Blocks, transactions, receipts and logs as JSON, in the form that strict clients accept.

use alloy_consensus::{Header, Transaction as _, transaction::TxType};
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, B256, Bloom, Log, U256};
use revm::primitives::hardfork::SpecId;
use synod_worker::Reply;

use super::error::RpcError;
use super::json::Json;
use crate::block::{Block, Position};
use crate::chain::{blob_gas_price, effective_gas_price};
use crate::error::StateDamaged;
use crate::instance::Instance;
use crate::receipt::Receipt;
use crate::signed::{self, Envelope};
use crate::store::StoredTransaction;

/// The reply of a call to which there is no result: the member `"error"` of its answer.
pub(crate) fn call_error(error: &RpcError) -> Reply {
    let mut out = String::new();
    error.put(&mut out);
    Reply::json(200, out)
}

/// The reply of a call whose result is a quantity: the member `"result"` of its answer.
pub(crate) fn call_quantity(number: u64) -> Reply {
    Reply::json(200, format!("\"result\":\"{number:#x}\""))
}

/// How a block shows its transactions.
pub(crate) enum Transactions<'a> {
    /// As hashes.
    Hashes(&'a [B256]),
    /// As objects.
    Full(&'a [(StoredTransaction, B256)]),
}

/// A block object.
pub(crate) fn block(
    json: &mut Json,
    instance: &Instance,
    block: &Block,
    transactions: &Transactions<'_>,
) -> Result<(), StateDamaged> {
    let mut damaged = Ok(());
    json.object(|json| {
        json.name("hash").data(block.hash.as_slice());
        header(json, &block.header);
        json.name("size").quantity(block.size);
        json.name("uncles").array(block.beside.uncle_hashes(), |json, hash| json.data(hash.as_slice()));
        if let Some(withdrawals) = &block.beside.withdrawals {
            json.name("withdrawals").array(withdrawals, |json, withdrawal| {
                json.object(|json| {
                    json.name("index").quantity(withdrawal.index);
                    json.name("validatorIndex").quantity(withdrawal.validator_index);
                    json.name("address").data(withdrawal.address.as_slice());
                    json.name("amount").quantity(withdrawal.amount);
                });
            });
        }
        json.name("transactions");
        match transactions {
            Transactions::Hashes(hashes) => json.array(*hashes, |json, hash| json.data(hash.as_slice())),
            // What is left out of an answer that is too large already is not missed: the answer is refused.
            Transactions::Full(full) => json.array((0..).zip(*full), |json, (index, (stored, hash))| {
                if super::is_too_large(json) {
                    return;
                }
                let result = transaction(json, instance, block, index, stored, *hash);
                damaged = std::mem::replace(&mut damaged, Ok(())).and(result);
            }),
        }
    });
    damaged
}

fn header(json: &mut Json, header: &Header) {
    json.name("number").quantity(header.number);
    json.name("parentHash").data(header.parent_hash.as_slice());
    json.name("nonce").data(header.nonce.as_slice());
    json.name("mixHash").data(header.mix_hash.as_slice());
    json.name("sha3Uncles").data(header.ommers_hash.as_slice());
    json.name("logsBloom").data(header.logs_bloom.as_slice());
    json.name("transactionsRoot").data(header.transactions_root.as_slice());
    json.name("stateRoot").data(header.state_root.as_slice());
    json.name("receiptsRoot").data(header.receipts_root.as_slice());
    json.name("miner").data(header.beneficiary.as_slice());
    json.name("difficulty").quantity256(header.difficulty);
    json.name("totalDifficulty").quantity256(header.difficulty);
    json.name("extraData").data(&header.extra_data);
    json.name("gasLimit").quantity(header.gas_limit);
    json.name("gasUsed").quantity(header.gas_used);
    json.name("timestamp").quantity(header.timestamp);
    let quantities = [
        ("baseFeePerGas", header.base_fee_per_gas),
        ("blobGasUsed", header.blob_gas_used),
        ("excessBlobGas", header.excess_blob_gas),
    ];
    for (name, value) in quantities {
        if let Some(value) = value {
            json.name(name).quantity(value);
        }
    }
    let hashes = [
        ("withdrawalsRoot", header.withdrawals_root),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root),
        ("requestsHash", header.requests_hash),
    ];
    for (name, value) in hashes {
        if let Some(value) = value {
            json.name(name).data(value.as_slice());
        }
    }
}

/// A transaction object.
pub(crate) fn transaction(
    json: &mut Json,
    instance: &Instance,
    block: &Block,
    index: u32,
    stored: &StoredTransaction,
    hash: B256,
) -> Result<(), StateDamaged> {
    let envelope = signed::decode(&stored.raw).map_err(|_| StateDamaged("transaction"))?;
    json.object(|json| {
        json.name("blockHash").data(block.hash.as_slice());
        json.name("blockNumber").quantity(block.header.number);
        json.name("blockTimestamp").quantity(block.header.timestamp);
        json.name("transactionIndex").quantity(u64::from(index));
        json.name("hash").data(hash.as_slice());
        json.name("from").data(stored.sender.as_slice());
        json.name("to").address_or_null(envelope.to());
        json.name("type").quantity(u64::from(envelope.tx_type() as u8));
        json.name("nonce").quantity(envelope.nonce());
        json.name("gas").quantity(envelope.gas_limit());
        json.name("value").quantity256(envelope.value());
        json.name("input").data(envelope.input());
        fees(json, &envelope, effective_gas_price(&envelope, &block.header, instance));
        if let Some(chain_id) = envelope.chain_id() {
            json.name("chainId").quantity(chain_id);
        }
        lists(json, &envelope);
        signature(json, &envelope);
    });
    Ok(())
}

fn fees(json: &mut Json, envelope: &Envelope, effective: u128) {
    // A type with one price shows that price, a type with two shows what was paid.
    let price = envelope.gas_price().unwrap_or(effective);
    json.name("gasPrice").quantity256(U256::from(price));
    if let Some(tip) = envelope.max_priority_fee_per_gas() {
        json.name("maxFeePerGas").quantity256(U256::from(envelope.max_fee_per_gas()));
        json.name("maxPriorityFeePerGas").quantity256(U256::from(tip));
    }
    if let Some(fee) = envelope.max_fee_per_blob_gas() {
        json.name("maxFeePerBlobGas").quantity256(U256::from(fee));
    }
}

fn lists(json: &mut Json, envelope: &Envelope) {
    if let Some(list) = envelope.access_list() {
        json.name("accessList");
        access_list(json, list);
    }
    if let Some(hashes) = envelope.blob_versioned_hashes() {
        json.name("blobVersionedHashes").array(hashes, |json, hash| json.data(hash.as_slice()));
    }
    if let Some(authorizations) = envelope.authorization_list() {
        json.name("authorizationList").array(authorizations, |json, authorization| {
            json.object(|json| {
                json.name("chainId").quantity256(authorization.chain_id);
                json.name("address").data(authorization.address.as_slice());
                json.name("nonce").quantity(authorization.nonce);
                json.name("yParity").quantity(u64::from(authorization.y_parity()));
                json.name("r").quantity256(authorization.r());
                json.name("s").quantity256(authorization.s());
            });
        });
    }
}

fn access_list(json: &mut Json, list: &AccessList) {
    json.array(&list.0, |json, item| {
        json.object(|json| {
            json.name("address").data(item.address.as_slice());
            json.name("storageKeys").array(&item.storage_keys, |json, key| json.data(key.as_slice()));
        });
    });
}

fn signature(json: &mut Json, envelope: &Envelope) {
    let signature = envelope.signature();
    let parity = u64::from(signature.v());
    json.name("r").quantity256(signature.r());
    json.name("s").quantity256(signature.s());
    if envelope.tx_type() == TxType::Legacy {
        // EIP-155.
        let base = envelope.chain_id().map_or(U256::from(27), |id| U256::from(id) * U256::from(2) + U256::from(35));
        json.name("v").quantity256(base + U256::from(parity));
    } else {
        json.name("v").quantity(parity);
        json.name("yParity").quantity(parity);
    }
}

/// A receipt object.
pub(crate) fn receipt(
    json: &mut Json,
    instance: &Instance,
    block: &Block,
    index: u32,
    (stored, hash): (&StoredTransaction, B256),
    receipt: &Receipt,
) -> Result<(), StateDamaged> {
    let envelope = signed::decode(&stored.raw).map_err(|_| StateDamaged("transaction"))?;
    let header = &block.header;
    json.object(|json| {
        json.name("transactionHash").data(hash.as_slice());
        json.name("transactionIndex").quantity(u64::from(index));
        json.name("blockHash").data(block.hash.as_slice());
        json.name("blockNumber").quantity(header.number);
        json.name("from").data(stored.sender.as_slice());
        json.name("to").address_or_null(envelope.to());
        json.name("contractAddress").address_or_null(created(&envelope, stored.sender));
        json.name("type").quantity(u64::from(envelope.tx_type() as u8));
        // Before Byzantium a receipt had no status; true is what its absence meant to tools.
        json.name("status").quantity(u64::from(receipt.success));
        json.name("gasUsed").quantity(receipt.gas_used);
        json.name("cumulativeGasUsed").quantity(receipt.cumulative_gas_used);
        let price = effective_gas_price(&envelope, header, instance);
        json.name("effectiveGasPrice").quantity256(U256::from(price));
        if let Some(used) = envelope.blob_gas_used() {
            json.name("blobGasUsed").quantity(used);
            json.name("blobGasPrice").quantity256(blob_gas_price(header, instance).unwrap_or_default());
        }
        json.name("logsBloom").data(receipt.bloom().as_slice());
        json.name("logs").array((receipt.first_log..).zip(&receipt.logs), |json, (log_index, entry)| {
            log(json, block, Position { block: header.number, index }, hash, log_index, entry);
        });
    });
    Ok(())
}

fn created(envelope: &Envelope, sender: Address) -> Option<Address> {
    envelope.to().is_none().then(|| sender.create(envelope.nonce()))
}

/// A log object.
pub(crate) fn log(json: &mut Json, block: &Block, at: Position, transaction: B256, log_index: u64, log: &Log) {
    json.object(|json| {
        json.name("address").data(log.address.as_slice());
        json.name("topics").array(log.topics(), |json, topic| json.data(topic.as_slice()));
        json.name("data").data(&log.data.data);
        json.name("blockHash").data(block.hash.as_slice());
        json.name("blockNumber").quantity(at.block);
        json.name("blockTimestamp").quantity(block.header.timestamp);
        json.name("transactionHash").data(transaction.as_slice());
        json.name("transactionIndex").quantity(u64::from(at.index));
        json.name("logIndex").quantity(log_index);
        json.name("removed").raw("false");
    });
}

/// A closed block of a historic instance: what execution computed.
pub(crate) fn closed_block(instance: &Instance, block: &Block) -> String {
    let header = &block.header;
    let bloom: &Bloom = &header.logs_bloom;
    let mut json = Json::with_capacity(1_000);
    json.object(|json| {
        json.name("number").quantity(header.number);
        json.name("hash").data(block.hash.as_slice());
        json.name("transactions").quantity(u64::from(block.transactions));
        json.name("gasUsed").quantity(header.gas_used);
        json.name("logsBloom").data(bloom.as_slice());
        json.name("transactionsRoot").data(header.transactions_root.as_slice());
        json.name("receiptsRoot");
        // Before Byzantium a receipt held a state root, which we do not compute.
        if instance.fork_at(header.number, header.timestamp).is_enabled_in(SpecId::BYZANTIUM) {
            json.data(header.receipts_root.as_slice());
        } else {
            json.null();
        }
    });
    json.finish()
}
