//! One JSON-RPC body to the nodes and back.

use alloy_primitives::{hex, keccak256};
use bytes::Bytes;
use serde_json::{Value, json};
use synod_client::{Client, ClientError, Request, Response};
use synod_crypto::sha256;
use synod_types::RequestId;

/// Sends `body` to the Ethereum instance `instance` and returns the JSON-RPC answer, which may be an error.
pub async fn forward(client: &Client, instance: &str, body: Bytes) -> Bytes {
    let mut request = Request::post(format!("/app/evm/{instance}"), body.clone());
    request.id = request_id(&body);
    match client.send(request).await {
        Ok(response) if response.is_success() => response.body,
        Ok(response) => refusal(&body, &response),
        Err(error) => error_answer(&body, SERVER_ERROR, &no_answer(&error)),
    }
}

/// The id under which the nodes do `body` once: made of the hashes of the signed transactions that it
/// holds, so that it is the same however and wherever they are sent again. `None` if it holds none.
pub fn request_id(body: &[u8]) -> Option<RequestId> {
    // Most bodies are reads: look before parsing.
    let named = body.windows(SEND_RAW.len()).any(|window| window == SEND_RAW.as_bytes());
    if !named {
        return None;
    }
    let parsed: Value = serde_json::from_slice(body).ok()?;
    let calls = parsed.as_array().map_or(std::slice::from_ref(&parsed), Vec::as_slice);
    let hashes: Vec<_> = calls.iter().filter_map(transaction_hash).collect();
    if hashes.is_empty() {
        return None;
    }
    let mut parts: Vec<&[u8]> = vec![DOMAIN];
    parts.extend(hashes.iter().map(|hash| hash.as_slice()));
    let digest = sha256(&parts);
    Some(RequestId(digest.0[..RequestId::SIZE].try_into().expect("a digest is longer than an id")))
}

fn transaction_hash(call: &Value) -> Option<alloy_primitives::B256> {
    if call["method"].as_str()? != SEND_RAW {
        return None;
    }
    let raw = hex::decode(call["params"][0].as_str()?).ok()?;
    Some(keccak256(raw))
}

/// A node's refusal of the whole request, in the words of JSON-RPC.
fn refusal(body: &[u8], response: &Response) -> Bytes {
    let code = match response.status {
        401 | 403 => UNAUTHORIZED,
        413 => LIMIT_EXCEEDED,
        _ => SERVER_ERROR,
    };
    error_answer(body, code, &response.summary())
}

fn no_answer(error: &ClientError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// An error that answers `body`: under its id if it is one call, under none if it is a batch or not JSON.
pub fn error_answer(body: &[u8], code: i32, message: &str) -> Bytes {
    let call = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let id = call.get("id").cloned().unwrap_or_default();
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}).to_string().into()
}

const SEND_RAW: &str = "eth_sendRawTransaction";

/// Keeps these ids apart from those that other clients of the same participant make.
const DOMAIN: &[u8] = b"synod gateway transactions\0";

/// JSON-RPC's code for errors of the server.
pub const SERVER_ERROR: i32 = -32_000;

/// EIP-1474: limit exceeded.
pub const LIMIT_EXCEEDED: i32 = -32_005;

/// Refused at the door; not one of EIP-1474's.
const UNAUTHORIZED: i32 = -32_001;
