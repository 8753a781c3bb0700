//! One JSON-RPC body to the nodes and back.

use bytes::Bytes;
use serde_json::{Value, json};
use synod_client::{Client, ClientError, Request, Response};

use super::request_id::request_id;

/// Sends `body` to the Ethereum instance `instance` and returns the JSON-RPC answer, which may be an error.
pub async fn forward(client: &Client, instance: &str, body: Bytes) -> Bytes {
    let mut request = Request::post(format!("/app/evm/{instance}"), body.clone());
    request.id = request_id(instance, &body);
    match client.send(request).await {
        Ok(response) if response.is_success() => response.body,
        Ok(response) => refusal(&body, &response),
        Err(error) => error_answer(&body, SERVER_ERROR, &no_answer(&error)),
    }
}

/// A node's refusal of the whole request, in the words of JSON-RPC.
fn refusal(body: &[u8], response: &Response) -> Bytes {
    let code = match response.status {
        401 | 403 => UNAUTHORIZED,
        413 => LIMIT_EXCEEDED,
        // The request's id was used for another one: as it stands it will never be done.
        422 => INVALID_REQUEST,
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

/// JSON-RPC's code for errors of the server.
pub const SERVER_ERROR: i32 = -32_000;

/// EIP-1474: limit exceeded.
pub const LIMIT_EXCEEDED: i32 = -32_005;

/// JSON-RPC's code for a request that is not one.
const INVALID_REQUEST: i32 = -32_600;

/// Refused at the door; not one of EIP-1474's.
const UNAUTHORIZED: i32 = -32_001;
