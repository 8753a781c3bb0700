//! Planning a JSON-RPC body: everything that needs no state, signature recovery above all.

use std::borrow::Cow;

use bytes::Bytes;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use synod_types::Encode;
use synod_types::limits::REQUEST_CALLS_MAX;
use synod_worker::{Plan, Then};

use super::batch::{Batch, Item, Work};
use super::error::RpcError;
use super::params::{AddressParam, BlockId, Params};
use crate::call::{Action, Call, SignedTransaction};
use crate::hex;
use crate::refusal::TxRefused;
use crate::signed::{self, Malleable};

/// A request as it stands in a body.
#[derive(Debug, Deserialize)]
struct Request<'a> {
    /// Present and null is not the same as absent, which makes a notification.
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "present")]
    params: Option<&'a RawValue>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// One planned request: its place in the answer, and the call it needs.
type Planned = (Item, Option<Action>);

/// Plans a body for `instance`.
pub(crate) fn plan(instance: &str, body: &[u8]) -> Plan {
    let (is_single, planned) = match parse(body) {
        Ok(Body::Single(request)) => (true, vec![plan_request(request)]),
        Ok(Body::Many(requests)) => (false, plan_many(&requests)),
        Err(error) => (true, vec![answer("null".into(), &error)]),
    };
    let (items, actions): (Vec<_>, Vec<_>) = planned.into_iter().unzip();
    let call = |action| Bytes::from(Call { instance: instance.to_owned(), action }.to_bytes());
    let calls: Vec<Bytes> = actions.into_iter().flatten().map(call).collect();
    let token = Bytes::from(Batch { instance: instance.to_owned(), is_single, items }.to_bytes());
    if calls.is_empty() { Plan::Read(token) } else { Plan::Execute { calls, then: Then::Finish(token) } }
}

enum Body<'a> {
    Single(&'a str),
    Many(Vec<&'a RawValue>),
}

fn parse(body: &[u8]) -> Result<Body<'_>, RpcError> {
    // serde_json checks UTF-8 where it reads texts; the rest of the body is checked here.
    let text = std::str::from_utf8(body).map_err(|_| RpcError::invalid_request("the body is not UTF-8"))?;
    if !text.trim_start().starts_with('[') {
        let whole: &RawValue = serde_json::from_str(text).map_err(|reason| RpcError::parse(&reason))?;
        return Ok(Body::Single(whole.get()));
    }
    let requests: Vec<&RawValue> = serde_json::from_str(text).map_err(|reason| RpcError::parse(&reason))?;
    match requests.len() {
        0 => Err(RpcError::invalid_request("empty batch")),
        count if count > REQUEST_CALLS_MAX => {
            Err(RpcError::invalid_request(&format!("batch too large: {count} requests, at most {REQUEST_CALLS_MAX}")))
        }
        _ => Ok(Body::Many(requests)),
    }
}

/// Plans the requests of a batch in parallel: recovering a signature takes far longer than anything else.
fn plan_many(requests: &[&RawValue]) -> Vec<Planned> {
    requests.par_iter().with_min_len(PARALLEL_MIN).map(|request| plan_request(request.get())).collect()
}

/// How many requests are worth handing to another thread: some 0.2 ms of recovery.
const PARALLEL_MIN: usize = 4;

fn plan_request(json: &str) -> Planned {
    let Ok(request) = serde_json::from_str::<Request<'_>>(json) else {
        return answer("null".into(), &RpcError::invalid_request("not a JSON-RPC request"));
    };
    let id = request.id.map(|id| id.get().to_owned());
    if id.as_deref().is_some_and(|id| id.starts_with(['{', '['])) {
        return answer("null".into(), &RpcError::invalid_request("an id is a text, a number or null"));
    }
    let Some(method) = request.method else {
        return answer(id.unwrap_or_else(|| "null".into()), &RpcError::invalid_request("a request names a method"));
    };
    let params = request.params.map(RawValue::get);
    match plan_call(&method, params) {
        Ok(Some(action)) => {
            let work = if method == SEND_SYNC { Work::CallReceipt } else { Work::Call };
            (Item { id, work }, Some(action))
        }
        Ok(None) => {
            let work = Work::Read { method: method.into_owned(), params: params.map(str::to_owned) };
            (Item { id, work }, None)
        }
        Err(error) => (Item { id, work: Work::Answer(member(&error)) }, None),
    }
}

/// The call that a method needs, if it needs one.
fn plan_call(method: &str, params: Option<&str>) -> Result<Option<Action>, RpcError> {
    match method {
        "eth_sendRawTransaction" | SEND_SYNC => {
            let hex::Data(raw) = Params::parse(params)?.required(0)?;
            let transaction = recover(raw.0).map_err(|refused| RpcError::refused(&refused))?;
            Ok(Some(Action::Transact(transaction)))
        }
        "eth_getTransactionCount" => {
            let params = Params::parse(params)?;
            let AddressParam(address) = params.required(0)?;
            let pending = params.optional(1)? == Some(BlockId::Pending);
            Ok(pending.then_some(Action::PendingNonce(address)))
        }
        _ => Ok(None),
    }
}

/// EIP-7966: answers with the receipt. Here sending returns after the commit anyway, so its timeout is read past.
const SEND_SYNC: &str = "eth_sendRawTransactionSync";

/// Decodes a transaction for a live instance and finds out who signed it.
fn recover(raw: Bytes) -> Result<SignedTransaction, TxRefused> {
    // The form with blobs beside the transaction does not decode, and is refused with the same words.
    if raw.first() == Some(&BLOB) {
        return Err(TxRefused::Blob);
    }
    let envelope = signed::decode(&raw)?;
    if alloy_consensus::Transaction::chain_id(&envelope).is_none() {
        return Err(TxRefused::Unprotected);
    }
    let signers = signed::recover(&envelope, Malleable::Refused)?;
    Ok(SignedTransaction { signers, raw })
}

/// The type byte of a transaction with blobs (EIP-4844).
const BLOB: u8 = 3;

fn answer(id: String, error: &RpcError) -> Planned {
    (Item { id: Some(id), work: Work::Answer(member(error)) }, None)
}

fn member(error: &RpcError) -> String {
    let mut out = String::new();
    error.put(&mut out);
    out
}
