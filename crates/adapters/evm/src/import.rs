//! Import requests: what JSON and bytes they take, and which calls they make.

use std::collections::BTreeMap;

use alloy_consensus::proofs::ordered_trie_root;
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B64, B256, Bloom, U256};
use alloy_rlp::Header as RlpHeader;
use bytes::Bytes;
use rayon::prelude::*;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use synod_types::limits::REQUEST_CALLS_MAX;

use crate::alloc::Alloc;
use crate::beside::{Beside, GENERATIONS_MAX, UNCLES_MAX};
use crate::call::{ANCESTORS_MAX, Action, SignedTransaction};
use crate::error::HttpError;
use crate::fork::{self, Activation, Forks};
use crate::hex::{self, Data, Number};
use crate::signed::{self, Malleable, SignedRefused};

/// A historic instance to be created. A file of `mainnet/` serves as it is, with a chain id beside
/// its `alloc` and `blockHashes`: members that are not named here are read past.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
struct Create {
    chain_id: Number<u64>,
    /// One fork for all blocks.
    fork: Option<String>,
    /// Forks by block number or time.
    forks: Option<Vec<ForkAt>>,
    #[serde(default)]
    alloc: Alloc,
    #[serde(default, alias = "blockHashes")]
    block_hashes: BTreeMap<Word64, Fixed<32>>,
}

#[derive(Debug, Deserialize)]
struct ForkAt {
    fork: String,
    block: Option<Number<u64>>,
    timestamp: Option<Number<u64>>,
}

/// A number that is a key of an object: hexadecimal or decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Word64(u64);

impl<'de> Deserialize<'de> for Word64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = |text: &str| match hex::quantity(text) {
            Some(number) => u64::try_from(number).ok(),
            None => text.parse().ok(),
        };
        hex::text(deserializer, "a block number", number).map(Self)
    }
}

/// Data of fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fixed<const N: usize>([u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex::text(deserializer, "data of fixed size in hexadecimal with 0x", hex::array).map(Self)
    }
}

/// The call that creates an instance.
pub(crate) fn create(body: &[u8]) -> Result<Action, HttpError> {
    let create: Create = json(body)?;
    let forks = forks(&create)?;
    if create.block_hashes.len() > ANCESTORS_MAX {
        return Err(HttpError::bad_request(format!(
            "at most {ANCESTORS_MAX} block hashes: BLOCKHASH reaches no further"
        )));
    }
    let ancestors = create.block_hashes.into_iter().map(|(Word64(number), Fixed(hash))| (number, hash.into()));
    Ok(Action::Create { chain_id: create.chain_id.0, forks, alloc: create.alloc, ancestors: ancestors.collect() })
}

/// The call that adds accounts: the body is an object of accounts.
pub(crate) fn allocate(body: &[u8]) -> Result<Action, HttpError> {
    json(body).map(Action::Allocate)
}

fn json<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, HttpError> {
    serde_json::from_slice(body).map_err(|error| HttpError::bad_request(error.to_string()))
}

fn forks(create: &Create) -> Result<Forks, HttpError> {
    let named = |name: &str| {
        fork::by_name(name).ok_or_else(|| HttpError::bad_request(format!("{name:?} is no fork of Ethereum's")))
    };
    match (&create.fork, &create.forks) {
        (Some(_), Some(_)) => Err(HttpError::bad_request("give either fork or forks")),
        (Some(name), None) => named(name).map(Forks::always),
        (None, Some(list)) => {
            let entry = |at: &ForkAt| {
                let activation = match (at.block, at.timestamp) {
                    (Some(Number(number)), None) => Activation::Block(number),
                    (None, Some(Number(time))) => Activation::Time(time),
                    _ => return Err(HttpError::bad_request("a fork has either block or timestamp")),
                };
                Ok((activation, named(&at.fork)?))
            };
            let forks = Forks::listed(list.iter().map(entry).collect::<Result<_, _>>()?);
            forks.ok_or_else(|| HttpError::bad_request("forks lists from 1 to 32 forks"))
        }
        (None, None) if create.chain_id.0 == MAINNET => Ok(Forks::mainnet()),
        (None, None) => Err(HttpError::bad_request("give fork or forks: only mainnet's (chain id 1) are known")),
    }
}

/// The chain id of Ethereum mainnet.
const MAINNET: u64 = 1;

/// A header as `eth_getBlockByNumber` gives it. What execution computes may be there and is not read,
/// but for roots that are not computed here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeaderObject {
    number: Number<u64>,
    timestamp: Number<u64>,
    gas_limit: Number<u64>,
    miner: Fixed<20>,
    parent_hash: Option<Fixed<32>>,
    sha3_uncles: Option<Fixed<32>>,
    state_root: Option<Fixed<32>>,
    receipts_root: Option<Fixed<32>>,
    #[serde(default)]
    difficulty: Number<U256>,
    mix_hash: Option<Fixed<32>>,
    nonce: Option<Fixed<8>>,
    #[serde(default)]
    extra_data: Data,
    base_fee_per_gas: Option<Number<u64>>,
    blob_gas_used: Option<Number<u64>>,
    excess_blob_gas: Option<Number<u64>>,
    parent_beacon_block_root: Option<Fixed<32>>,
    requests_hash: Option<Fixed<32>>,
    withdrawals: Option<Vec<WithdrawalObject>>,
    /// Headers; hashes, as `eth_getBlockByNumber` gives them, say nothing of who mined the uncles.
    #[serde(default)]
    uncles: Vec<Box<RawValue>>,
    // What execution computes, read of uncles only.
    transactions_root: Option<Fixed<32>>,
    logs_bloom: Option<Fixed<256>>,
    gas_used: Option<Number<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithdrawalObject {
    index: Number<u64>,
    validator_index: Number<u64>,
    address: Fixed<20>,
    amount: Number<u64>,
}

/// The call that opens a block.
pub(crate) fn open_block(body: &[u8]) -> Result<Action, HttpError> {
    let object: HeaderObject = json(body)?;
    if object.extra_data.0.len() > EXTRA_DATA_SIZE_MAX {
        return Err(HttpError::bad_request(format!("extraData takes at most {EXTRA_DATA_SIZE_MAX} bytes")));
    }
    let withdrawal = |object: &WithdrawalObject| Withdrawal {
        index: object.index.0,
        validator_index: object.validator_index.0,
        address: Address::from(object.address.0),
        amount: object.amount.0,
    };
    let withdrawals: Option<Vec<_>> = object.withdrawals.as_ref().map(|list| list.iter().map(withdrawal).collect());
    let beside = Beside { uncles: uncles(&object)?, withdrawals };
    let mut header = object.into_header();
    header.withdrawals_root = beside.withdrawals.as_deref().map(ordered_trie_root);
    // A header's optional fields follow each other in its encoding, so none may be missing before another.
    if alloy_rlp::decode_exact::<Header>(alloy_rlp::encode(&header)).as_ref() != Ok(&header) {
        return Err(HttpError::bad_request(
            "the header has a later fork's fields, but not all of the forks' before it",
        ));
    }
    Ok(Action::OpenBlock { header: Box::new(header), beside })
}

/// The uncles that a header names: their miners are paid, so they must be given whole.
fn uncles(object: &HeaderObject) -> Result<Vec<Header>, HttpError> {
    let whole = |uncle: &RawValue| json::<HeaderObject>(uncle.get().as_bytes()).map(HeaderObject::into_uncle);
    let are_hashes = object.uncles.iter().any(|uncle| uncle.get().starts_with('"'));
    let uncles = if are_hashes {
        Vec::new()
    } else {
        object.uncles.iter().map(AsRef::as_ref).map(whole).collect::<Result<_, _>>()?
    };
    let number = object.number.0;
    let is_near = |uncle: &Header| uncle.number < number && number - uncle.number <= GENERATIONS_MAX;
    if uncles.len() > UNCLES_MAX || !uncles.iter().all(is_near) {
        return Err(HttpError::bad_request(format!(
            "a block has at most {UNCLES_MAX} uncles, of the {GENERATIONS_MAX} generations before it"
        )));
    }
    let beside = Beside { uncles, withdrawals: None };
    let named = object.sha3_uncles.map_or_else(|| beside.uncles_hash(), |Fixed(hash)| hash.into());
    if named != beside.uncles_hash() {
        return Err(HttpError::bad_request(
            "sha3Uncles is not the hash of the uncles: give their whole headers in uncles, as eth_getUncleByBlockHashAndIndex does",
        ));
    }
    Ok(beside.uncles)
}

/// Ethereum's bound is 32; other chains with its format put signatures there.
const EXTRA_DATA_SIZE_MAX: usize = 1 << 10;

impl HeaderObject {
    /// The header of a block that is imported only as an uncle: all of it is read.
    fn into_uncle(self) -> Header {
        let transactions_root = self.transactions_root.map_or(EMPTY_ROOT_HASH, |Fixed(hash)| hash.into());
        let logs_bloom = self.logs_bloom.map_or(Bloom::ZERO, |Fixed(bloom)| Bloom::new(bloom));
        let gas_used = self.gas_used.map_or(0, |Number(gas)| gas);
        Header { transactions_root, logs_bloom, gas_used, ..self.into_header() }
    }

    fn into_header(self) -> Header {
        let hash = |given: Option<Fixed<32>>| given.map_or(B256::ZERO, |Fixed(hash)| hash.into());
        let optional = |given: Option<Fixed<32>>| given.map(|Fixed(hash)| hash.into());
        let number = |given: Option<Number<u64>>| given.map(|Number(number)| number);
        Header {
            parent_hash: hash(self.parent_hash),
            ommers_hash: self.sha3_uncles.map_or(EMPTY_OMMER_ROOT_HASH, |Fixed(hash)| hash.into()),
            beneficiary: self.miner.0.into(),
            state_root: hash(self.state_root),
            receipts_root: hash(self.receipts_root),
            logs_bloom: Bloom::ZERO,
            difficulty: self.difficulty.0,
            number: self.number.0,
            gas_limit: self.gas_limit.0,
            timestamp: self.timestamp.0,
            extra_data: self.extra_data.0,
            mix_hash: hash(self.mix_hash),
            nonce: self.nonce.map_or(B64::ZERO, |Fixed(nonce)| nonce.into()),
            base_fee_per_gas: number(self.base_fee_per_gas),
            blob_gas_used: number(self.blob_gas_used),
            excess_blob_gas: number(self.excess_blob_gas),
            parent_beacon_block_root: optional(self.parent_beacon_block_root),
            requests_hash: optional(self.requests_hash),
            ..Header::default()
        }
    }
}

/// The calls that import transactions: the body is an RLP list of signed transactions, each a byte
/// string in the form of EIP-2718. Senders are recovered here, in parallel.
pub(crate) fn transactions(body: &[u8]) -> Result<Vec<Action>, HttpError> {
    let all = split(body)?;
    let action = |(place, raw): (usize, &&[u8])| {
        let transaction = recover(raw)
            .map_err(|refused| HttpError::bad_request(format!("transaction {place} of the list: {refused}")))?;
        Ok(Action::Import(transaction))
    };
    all.par_iter().enumerate().with_min_len(PARALLEL_MIN).map(action).collect()
}

/// How many transactions are worth handing to another thread: some 0.2 ms of recovery.
const PARALLEL_MIN: usize = 4;

fn recover(raw: &[u8]) -> Result<SignedTransaction, SignedRefused> {
    let signers = signed::recover(&signed::decode(raw)?, Malleable::Accepted)?;
    Ok(SignedTransaction { signers, raw: Bytes::copy_from_slice(raw) })
}

fn split(body: &[u8]) -> Result<Vec<&[u8]>, HttpError> {
    let refused = |error: alloy_rlp::Error| HttpError::bad_request(format!("not an RLP list of byte strings: {error}"));
    let mut rest = body;
    let mut list = RlpHeader::decode_bytes(&mut rest, true).map_err(refused)?;
    if !rest.is_empty() {
        return Err(HttpError::bad_request("bytes follow the list"));
    }
    let mut all = Vec::new();
    while !list.is_empty() {
        if all.len() == REQUEST_CALLS_MAX {
            return Err(HttpError::bad_request(format!("at most {REQUEST_CALLS_MAX} transactions in one request")));
        }
        all.push(RlpHeader::decode_bytes(&mut list, false).map_err(refused)?);
    }
    if all.is_empty() {
        return Err(HttpError::bad_request("the list is empty"));
    }
    Ok(all)
}
