//! `eth_call` and `eth_estimateGas`: what would happen, without anything happening.

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use revm::Database;
use revm::context::result::ExecutionResult;
use revm::context::{BlockEnv, TxEnv};
use serde::Deserialize;
use synod_kv::Lookup;

use super::authorizations::{self, AuthorizationObject};
use super::error::RpcError;
use super::overrides::{BlockOverrides, Overlay, StateOverrides};
use super::params::{AddressParam, BlockId, Quantity, Quantity64, Quantity128, Word};
use super::reader::Reader;
use crate::block::block_env;
use crate::error::StateDamaged;
use crate::evm::{self, Purpose, RunError};
use crate::hex;
use crate::instance::Limits;
use crate::refusal::{Facts, describe};

/// A call object. Fields that do not bear on the outcome are read past: gas is not paid for in a question.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CallObject {
    from: Option<AddressParam>,
    to: Option<AddressParam>,
    gas: Option<Quantity64>,
    gas_price: Option<Quantity128>,
    max_fee_per_gas: Option<Quantity128>,
    max_priority_fee_per_gas: Option<Quantity128>,
    value: Option<Quantity>,
    data: Option<hex::Data>,
    input: Option<hex::Data>,
    access_list: Option<Vec<AccessListEntry>>,
    authorization_list: Option<Vec<AuthorizationObject>>,
    chain_id: Option<Quantity64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessListEntry {
    address: AddressParam,
    #[serde(default)]
    storage_keys: Vec<Word>,
}

/// The gas that the calls and estimates of one batch may use together: ten of the largest.
pub(crate) const BATCH_GAS_MAX: u64 = 10 * Limits::DEFAULT.gas_limit;
/// A plain transfer takes exactly this.
const TRANSFER_GAS: u64 = 21_000;
/// An estimate is at most this much too high, in thousandths: as in geth.
const ESTIMATE_ERROR_PER_MILLE: u64 = 15;

/// `eth_call`: what the call returns.
pub(crate) fn call<L: Lookup>(
    reader: &Reader<'_, L>,
    object: CallObject,
    block: BlockId,
    state: StateOverrides,
    overrides: &BlockOverrides,
) -> Result<Bytes, RpcError> {
    reader.check_state(block)?;
    let mut question = Question::new(reader, object, state)?;
    overrides.apply(&mut question.block);
    match question.ask(question.tx.gas_limit)? {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        ExecutionResult::Revert { output, .. } => Err(RpcError::reverted(output)),
        ExecutionResult::Halt { reason, .. } => Err(RpcError::halted(&reason)),
    }
}

/// `eth_estimateGas`: a gas limit, not much more than the least, with which the transaction succeeds.
pub(crate) fn estimate_gas<L: Lookup>(
    reader: &Reader<'_, L>,
    object: CallObject,
    block: BlockId,
    state: StateOverrides,
) -> Result<u64, RpcError> {
    reader.check_state(block)?;
    let question = Question::new(reader, object, state)?;
    let mut high = question.tx.gas_limit;
    if question.is_plain_transfer(reader)? && high >= TRANSFER_GAS {
        question.ask(TRANSFER_GAS)?;
        return Ok(TRANSFER_GAS);
    }
    let gas = match question.ask(high)? {
        ExecutionResult::Success { gas, .. } => gas,
        ExecutionResult::Revert { output, .. } => return Err(RpcError::reverted(output)),
        ExecutionResult::Halt { reason: revm::context::result::HaltReason::OutOfGas(_), .. } => {
            return Err(RpcError::server(format!("gas required exceeds allowance ({high})")));
        }
        ExecutionResult::Halt { reason, .. } => return Err(RpcError::halted(&reason)),
    };

    // What was used is enough but where refunds, or the 64th that each call keeps back (EIP-150), matter.
    let used = gas.tx_gas_used();
    if question.succeeds(used)? {
        return Ok(used);
    }
    let mut low = used;
    let likely = (gas.total_gas_spent() + CALL_STIPEND).saturating_mul(64) / 63;
    if likely < high {
        if question.succeeds(likely)? { high = likely } else { low = likely }
    }
    // Each turn halves the gap or better, so there are at most 64.
    while low + 1 < high && (high - low) * 1_000 > high * ESTIMATE_ERROR_PER_MILLE {
        // The least is usually near what was used, so look low first.
        let middle = (low + (high - low) / 2).min(low.saturating_mul(2).max(1));
        if question.succeeds(middle)? { high = middle } else { low = middle }
    }
    Ok(high)
}

/// The type of a transaction with authorizations.
const EIP7702: u8 = 4;

/// What a call that carries value gives the callee on top.
const CALL_STIPEND: u64 = 2_300;

/// A call on the latest state, to be asked once or with several gas limits.
struct Question<'r, 'a, L> {
    reader: &'r Reader<'a, L>,
    state: StateOverrides,
    block: BlockEnv,
    cfg: revm::context::CfgEnv,
    tx: TxEnv,
}

impl<'r, 'a, L: Lookup> Question<'r, 'a, L> {
    fn new(reader: &'r Reader<'a, L>, object: CallObject, state: StateOverrides) -> Result<Self, RpcError> {
        let instance = reader.instance;
        let head = reader.block(BlockId::Latest)?;
        let header = head.map(|block| block.header.clone()).unwrap_or_default();
        let fork = instance.fork_of_questions(header.number, header.timestamp);
        let mut block = block_env(&header, fork);
        // Gas costs nothing in a question, so there is no base fee to meet.
        block.basefee = 0;
        let gas_max = instance.limits.gas_limit;
        block.gas_limit = block.gas_limit.max(gas_max);
        let tx = object.tx_env(instance.chain_id, gas_max)?;
        Ok(Self { reader, state, block, cfg: evm::rules(instance, fork, Purpose::Question), tx })
    }

    fn ask(&self, gas_limit: u64) -> Result<ExecutionResult, RpcError> {
        let left = self.reader.gas_left.get();
        if left == 0 {
            return Err(RpcError::limit("the calls of this batch use too much gas together, send fewer"));
        }
        let tx = TxEnv { gas_limit, ..self.tx.clone() };
        let outcome = evm::run(self.overlay(), self.cfg.clone(), self.block.clone(), tx);
        let used = outcome.as_ref().map_or(0, |outcome| outcome.result.tx_gas_used());
        self.reader.gas_left.set(left.saturating_sub(used.max(TRANSFER_GAS)));
        outcome.map(|outcome| outcome.result).map_err(|error| self.refused(error))
    }

    fn succeeds(&self, gas_limit: u64) -> Result<bool, RpcError> {
        match self.ask(gas_limit) {
            Ok(result) => Ok(result.is_success()),
            Err(error) if error.message.starts_with("intrinsic gas too low") => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn is_plain_transfer(&self, reader: &Reader<'_, L>) -> Result<bool, StateDamaged> {
        let TxKind::Call(to) = self.tx.kind else { return Ok(false) };
        let precompile = to.as_slice()[..18].iter().all(|byte| *byte == 0);
        let code = if self.state.contains(to) {
            true
        } else {
            reader.store.account(to)?.is_some_and(|account| account.code_hash.is_some())
        };
        Ok(self.tx.data.is_empty()
            && self.tx.access_list.0.is_empty()
            && self.tx.authorization_list.is_empty()
            && !precompile
            && !code)
    }

    fn overlay(&self) -> impl Database<Error = StateDamaged> + '_ {
        Overlay { store: &self.reader.store, overrides: &self.state }
    }

    fn refused(&self, error: RunError) -> RpcError {
        let facts = Facts { gas_limit: self.tx.gas_limit, chain_id: self.tx.chain_id, input_size: self.tx.data.len() };
        match error {
            RunError::Transaction(invalid) => {
                RpcError::server(describe(&invalid, self.reader.instance, self.tx.caller, &facts))
            }
            RunError::Database(damaged) => damaged.into(),
            other => RpcError::server(other.to_string()),
        }
    }
}

impl CallObject {
    fn tx_env(self, chain_id: u64, gas_max: u64) -> Result<TxEnv, RpcError> {
        if let Some(Quantity64(asked)) = self.chain_id
            && asked != chain_id
        {
            return Err(RpcError::server(format!("chainId does not match node's (have={asked}, want={chain_id})")));
        }
        if self.gas_price.is_some() && (self.max_fee_per_gas.is_some() || self.max_priority_fee_per_gas.is_some()) {
            let message = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
            return Err(RpcError::server(message));
        }
        let gas_limit = self.gas.map_or(gas_max, |Quantity64(gas)| gas.min(gas_max));
        let access_list = self.access_list.map(|entries| AccessList(entries.into_iter().map(Into::into).collect()));
        let to = self.to.map(|AddressParam(to)| to);
        let authorizations = authorizations::recovered(self.authorization_list.unwrap_or_default(), gas_limit)?;
        Ok(TxEnv {
            tx_type: if authorizations.is_empty() { u8::from(access_list.is_some()) } else { EIP7702 },
            caller: self.from.map_or(Address::ZERO, |AddressParam(from)| from),
            gas_limit,
            gas_price: 0,
            kind: to.map_or(TxKind::Create, TxKind::Call),
            value: self.value.map_or(U256::ZERO, |Quantity(value)| value),
            data: input(self.data, self.input)?,
            nonce: 0,
            chain_id: Some(chain_id),
            access_list: access_list.unwrap_or_default(),
            gas_priority_fee: (!authorizations.is_empty()).then_some(0),
            blob_hashes: Vec::new(),
            max_fee_per_blob_gas: 0,
            authorization_list: authorizations,
        })
    }
}

fn input(data: Option<hex::Data>, input: Option<hex::Data>) -> Result<Bytes, RpcError> {
    match (data, input) {
        (Some(data), Some(input)) if data != input => Err(RpcError::server(
            "both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass transaction call data",
        )),
        (data, input) => Ok(input.or(data).unwrap_or_default().0),
    }
}

impl From<AccessListEntry> for AccessListItem {
    fn from(entry: AccessListEntry) -> Self {
        let storage_keys = entry.storage_keys.into_iter().map(|Word(key)| key).collect();
        Self { address: entry.address.0, storage_keys }
    }
}
