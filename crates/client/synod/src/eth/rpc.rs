//! JSON-RPC to a node: one call, or many in one batch.

use serde_json::{Value, json};
use synod_client::{Client, Request, Response};

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// No answer came.
    #[error(transparent)]
    Client(#[from] synod_client::ClientError),
    /// The node refused the request as a whole.
    #[error("the node refused {method}: {summary}")]
    Refused {
        /// The method.
        method: String,
        /// What the node said.
        summary: String,
    },
    /// The call failed.
    #[error("{method} failed: {message}")]
    Failed {
        /// The method.
        method: String,
        /// What the node said.
        message: String,
    },
}

/// Calls one method of the live Ethereum instance.
///
/// # Errors
/// If there is no answer or it is an error.
pub async fn call(client: &Client, method: &str, params: Value) -> Result<Value, RpcError> {
    let mut results = batch(client, &[(method, params)]).await?;
    results.pop().expect("one result per call").map_err(|message| RpcError::Failed { method: method.into(), message })
}

/// Calls many methods in one request; a result, or the message of an error, for each.
///
/// # Errors
/// If there is no answer, or it does not answer every call.
pub async fn batch(client: &Client, calls: &[(&str, Value)]) -> Result<Vec<Result<Value, String>>, RpcError> {
    let body: Vec<Value> =
        calls.iter().enumerate().map(|(id, (method, params))| envelope(id, method, params)).collect();
    let response =
        client.send(Request::post(LIVE_INSTANCE, serde_json::to_vec(&body).expect("JSON has a text"))).await?;
    let method = calls.first().map_or("nothing", |(method, _)| method).to_owned();
    results(&response, calls.len()).ok_or_else(|| RpcError::Refused { method, summary: response.summary() })
}

fn envelope(id: usize, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// Orders a batch's answers by id. `None` if there is not one for each.
fn results(response: &Response, count: usize) -> Option<Vec<Result<Value, String>>> {
    let answers: Vec<Value> = serde_json::from_slice(&response.body).ok()?;
    let mut results: Vec<_> = (0..count).map(|_| None).collect();
    for mut answer in answers {
        let slot = results.get_mut(usize::try_from(answer["id"].as_u64()?).ok()?)?;
        *slot = Some(match answer.get("error") {
            Some(error) => Err(error["message"].as_str().unwrap_or("no message").to_owned()),
            None => Ok(answer["result"].take()),
        });
    }
    results.into_iter().collect()
}

/// Where the live Ethereum instance takes JSON-RPC.
pub const LIVE_INSTANCE: &str = "/app/evm/main";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &'static str, count: usize, expected: Option<Vec<Result<Value, String>>>) {
        let response = Response { status: 200, txid: None, body: body.into() };
        assert_eq!(results(&response, count), expected, "{body}");
    }

    #[test]
    fn answers_are_put_in_the_order_of_the_calls() {
        let body = r#"[{"id":1,"error":{"code":3,"message":"execution reverted"}},{"id":0,"result":"0x1"}]"#;
        check(body, 2, Some(vec![Ok(json!("0x1")), Err("execution reverted".into())]));
    }

    #[test]
    fn a_batch_that_is_not_answered_call_by_call_has_no_results() {
        check(r#"[{"id":0,"result":null}]"#, 2, None);
        check(r#"[{"id":7,"result":null}]"#, 1, None);
        check(r#"{"error":{"code":"NoLeader","message":"no leader answered in time"}}"#, 1, None);
    }
}
