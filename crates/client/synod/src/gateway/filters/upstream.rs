//! What the gateway itself asks the nodes, and JSON-RPC errors on their way to whoever asked the gateway.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use synod_client::Client;

use super::super::forward::{LIMIT_EXCEEDED, SERVER_ERROR, forward};

/// One instance of the nodes.
#[derive(Clone, Copy)]
pub struct Upstream<'a> {
    /// The nodes.
    pub client: &'a Client,
    /// The instance.
    pub instance: &'a str,
}

/// An error object of JSON-RPC.
#[derive(Debug)]
pub struct RpcError {
    code: i32,
    json: String,
}

impl RpcError {
    /// An error of the gateway's.
    pub fn new(code: i32, message: &str) -> Self {
        Self { code, json: json!({"code": code, "message": message}).to_string() }
    }

    /// Whether less must be asked for at once.
    pub const fn is_limit(&self) -> bool {
        self.code == LIMIT_EXCEEDED
    }

    /// The error as JSON.
    pub fn into_json(self) -> String {
        self.json
    }
}

impl Upstream<'_> {
    /// The number of the last block.
    pub async fn head(self) -> Result<u64, RpcError> {
        let answer = self.call("eth_blockNumber", json!([])).await?;
        serde_json::from_str(answer.get()).ok().and_then(quantity).ok_or_else(not_understood)
    }

    /// Logs that meet `conditions` in a range of blocks, as the JSON array that the nodes answer with.
    pub async fn logs(
        self,
        conditions: &Map<String, Value>,
        (from, to): (BlockName, BlockName),
    ) -> Result<Box<RawValue>, RpcError> {
        let mut filter = conditions.clone();
        filter.insert("fromBlock".into(), from.into());
        filter.insert("toBlock".into(), to.into());
        self.call("eth_getLogs", json!([filter])).await
    }

    /// The hashes of the blocks `from..=to`, as JSON; fewer if not all fit into one answer.
    pub async fn block_hashes(self, from: u64, to: u64) -> Result<Vec<String>, RpcError> {
        #[derive(Deserialize)]
        struct Block {
            hash: String,
        }
        let request = |number| request(number, "eth_getBlockByNumber", &json!([format!("{number:#x}"), false]));
        let answers = self.post(&Value::Array((from..=to).map(request).collect())).await?;
        let answers: Vec<Answer> = serde_json::from_str(&answers).map_err(|_| whole_error(&answers))?;
        let mut hashes = Vec::with_capacity(answers.len());
        for answer in answers {
            match answer.into_result() {
                Ok(block) => {
                    hashes.push(serde_json::from_str::<Block>(block.get()).map_err(|_| not_understood())?.hash);
                }
                Err(error) if hashes.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(hashes)
    }

    async fn call(self, method: &str, params: Value) -> Result<Box<RawValue>, RpcError> {
        let answer = self.post(&request(0, method, &params)).await?;
        serde_json::from_str::<Answer>(&answer).map_err(|_| not_understood())?.into_result()
    }

    async fn post(self, body: &Value) -> Result<String, RpcError> {
        let answer = forward(self.client, self.instance, body.to_string().into()).await;
        String::from_utf8(answer.into()).map_err(|_| not_understood())
    }
}

/// A block as a range names it.
#[derive(Clone, Copy, Debug)]
pub enum BlockName {
    /// By number.
    Number(u64),
    /// The last one.
    Latest,
}

impl From<BlockName> for Value {
    fn from(name: BlockName) -> Self {
        match name {
            BlockName::Number(number) => format!("{number:#x}").into(),
            BlockName::Latest => "latest".into(),
        }
    }
}

/// A number in Ethereum's hexadecimal form.
pub fn quantity(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    // `from_str_radix` takes a sign.
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u64::from_str_radix(digits, 16).ok())?
}

#[derive(Deserialize)]
struct Answer {
    result: Option<Box<RawValue>>,
    error: Option<Box<RawValue>>,
}

impl Answer {
    fn into_result(self) -> Result<Box<RawValue>, RpcError> {
        #[derive(Deserialize)]
        struct Code {
            code: i32,
        }
        match (self.result, self.error) {
            (_, Some(error)) => {
                let code = serde_json::from_str(error.get()).map_or(SERVER_ERROR, |Code { code }| code);
                Err(RpcError { code, json: error.get().to_owned() })
            }
            (Some(result), None) => Ok(result),
            // A null result reads as none.
            (None, None) => Err(not_understood()),
        }
    }
}

/// The error that answers a batch as a whole.
fn whole_error(answer: &str) -> RpcError {
    let error = serde_json::from_str::<Answer>(answer).map(Answer::into_result);
    error.ok().and_then(Result::err).unwrap_or_else(not_understood)
}

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn not_understood() -> RpcError {
    RpcError::new(
        SERVER_ERROR,
        "a node gave an answer that is not understood: check that gateway and nodes are of one version",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_hexadecimal_with_its_mark_and_nothing_else() {
        let rows = [("0x0", Some(0)), ("0x1F", Some(31)), ("0xffffffffffffffff", Some(u64::MAX))];
        let refused = ["", "0x", "10", "0x+1", "0x-1", "0x 1", "0x10000000000000000"].map(|text| (text, None));
        for (text, expected) in rows.into_iter().chain(refused) {
            assert_eq!(quantity(text), expected, "{text:?}");
        }
    }
}
