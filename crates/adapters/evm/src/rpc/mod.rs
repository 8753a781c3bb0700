//! JSON-RPC 2.0 over HTTP: what a body asks for, which calls it needs, and the answer.
//!
//! A body is planned without any state: each request in it becomes a call (transactions, pending
//! nonces), a read, or an answer. Calls go into the order; once they are committed, or at once if
//! there are none, reads are made on one committed snapshot and the answer is put together. The
//! plan travels from the first step to the second as bytes, see [`batch`].

mod authorizations;
pub(crate) mod batch;
pub(crate) mod error;
mod fees;
mod json;
mod logs;
mod methods;
mod overrides;
mod params;
mod plan;
mod reader;
pub(crate) mod render;
mod simulate;

pub(crate) use json::Json;
pub(crate) use plan::plan;

use alloy_primitives::{B256, hex as digits};
use synod_kv::Lookup;
use synod_worker::{ContentType, Reply};

use batch::{Batch, Item, Work};
use error::RpcError;
use params::Params;
use reader::Reader;

use crate::instance::Instance;
use crate::store::Store;

/// The most bytes of an answer: what geth gives for a batch.
const ANSWER_BYTES_MAX: usize = 25_000_000;

/// Puts the answer together: makes the reads, and takes calls' replies in order.
pub(crate) fn finish<L: Lookup>(instance: &Instance, store: Store<'_, L>, batch: &Batch, replies: Vec<Reply>) -> Reply {
    let reader = Reader::new(instance, store);
    let mut replies = replies.into_iter();
    let mut out = String::with_capacity(batch.items.len() * 120);
    for item in &batch.items {
        let member = member(&reader, item, &mut replies, out.len());
        // A request without an id is a notification: it is carried out and not answered.
        let Some(id) = &item.id else { continue };
        out.push_str(if out.is_empty() { "" } else { "," });
        out.push_str("{\"jsonrpc\":\"2.0\",\"id\":");
        out.push_str(id);
        out.push(',');
        out.push_str(&member);
        out.push('}');
    }
    if !batch.is_single && !out.is_empty() {
        out.insert(0, '[');
        out.push(']');
    }
    Reply::json(200, out)
}

/// The member `"result"` or `"error"` of one answer.
fn member<L: Lookup>(
    reader: &Reader<'_, L>,
    item: &Item,
    replies: &mut impl Iterator<Item = Reply>,
    size: usize,
) -> String {
    let outcome = match &item.work {
        Work::Answer(member) => return member.clone(),
        Work::Call => match replies.next() {
            Some(reply) => return call_member(&reply),
            None => Err(not_executed()),
        },
        Work::CallReceipt => match replies.next() {
            Some(reply) if is_taken(&reply) => receipt(reader, &reply.body),
            Some(reply) => return call_member(&reply),
            None => Err(not_executed()),
        },
        Work::Read { .. } if size > ANSWER_BYTES_MAX => {
            Err(RpcError::limit("response too large, ask for less at once"))
        }
        Work::Read { method, params } => read(reader, method, params.as_deref()),
    };
    match outcome {
        Ok(result) => format!("\"result\":{result}"),
        Err(error) => {
            let mut out = String::new();
            error.put(&mut out);
            out
        }
    }
}

fn not_executed() -> RpcError {
    RpcError::server("the call was not executed, send it again")
}

/// Whether a call's reply is the hash of a transaction that was taken.
fn is_taken(reply: &Reply) -> bool {
    reply.status == 200 && reply.content_type == ContentType::Binary
}

/// The receipt of the transaction with this hash, which is committed.
fn receipt<L: Lookup>(reader: &Reader<'_, L>, hash: &[u8]) -> Result<String, RpcError> {
    let mut json = Json::default();
    let hash = B256::try_from(hash).map_err(|_| RpcError::server("the call gave no hash"))?;
    methods::get_receipt(reader, hash, &mut json)?;
    Ok(json.finish())
}

/// Whether `json` is already more than an answer may be, so that there is no point in going on.
const fn is_too_large(json: &Json) -> bool {
    json.size() > ANSWER_BYTES_MAX
}

fn too_large() -> RpcError {
    RpcError::limit("response too large, ask for less at once")
}

fn read<L: Lookup>(reader: &Reader<'_, L>, method: &str, params: Option<&str>) -> Result<String, RpcError> {
    let mut json = Json::default();
    methods::answer(reader, method, &Params::parse(params)?, &mut json)?;
    if is_too_large(&json) { Err(too_large()) } else { Ok(json.finish()) }
}

/// What [`crate::adapter`] and the worker reply to calls, as a member: a hash in binary, a member as
/// JSON, or a refusal of the worker, which has an HTTP status of its own.
fn call_member(reply: &Reply) -> String {
    match (reply.status, reply.content_type) {
        (200, ContentType::Binary) => format!("\"result\":\"{}\"", digits::encode_prefixed(&reply.body)),
        (200, _) => String::from_utf8_lossy(&reply.body).into_owned(),
        (status, _) => {
            let mut out = String::new();
            refused_by_worker(status).put(&mut out);
            out
        }
    }
}

fn refused_by_worker(status: u16) -> RpcError {
    match status {
        503 => RpcError::limit("the block has no room left, send it again"),
        413 => RpcError::limit("the transaction writes more than a block can hold"),
        _ => RpcError::server("the call was refused"),
    }
}
