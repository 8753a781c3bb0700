//! The id under which the nodes do a body of transactions once, however often and wherever it is sent.
//!
//! It follows from what the body asks for: the instance and, in order, the method and the parameters of
//! each request, byte for byte. A tool that lost its answer and sends the same again is given what the
//! first attempt led to. JSON-RPC's own ids are left out, because an answer is put together under those of
//! the body that it answers. Two bodies that differ in anything else are two requests: what a transaction
//! of one says of the other is then `already known`, as on any Ethereum node.

use synod_crypto::sha256;
use synod_types::RequestId;

use super::item::{Item, mentions, split};

/// The id of `body` for `instance`; `None` if it holds no transaction.
pub fn request_id(instance: &str, body: &[u8]) -> Option<RequestId> {
    // Most bodies are reads: look before parsing.
    if !mentions(body, &SENDING) {
        return None;
    }
    let items: Vec<Item<'_>> = split(body)?.items.into_iter().map(Item::read).collect();
    if !items.iter().any(|item| item.is_one_of(&SENDING)) {
        return None;
    }
    let mut parts = Parts(DOMAIN.to_vec());
    parts.push(instance.as_bytes());
    items.iter().for_each(|item| put(item, &mut parts));
    let digest = sha256(&[&parts.0]);
    Some(RequestId(digest.0[..RequestId::SIZE].try_into().expect("a digest is longer than an id")))
}

fn put(item: &Item<'_>, parts: &mut Parts) {
    let (kind, name, content) = match item {
        Item::Call { method, params: None, .. } => (b"c", method.as_ref(), ""),
        Item::Call { method, params: Some(params), .. } => (b"p", method.as_ref(), params.get()),
        Item::Refused(json) => (b"r", "", json.get()),
    };
    parts.push(kind);
    parts.push(name.as_bytes());
    parts.push(content.as_bytes());
}

/// Bytes to hash, each part behind its size, so that no two lists of parts give the same bytes.
struct Parts(Vec<u8>);

impl Parts {
    fn push(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.0.extend_from_slice(part);
    }
}

/// The methods that send a signed transaction.
pub const SENDING: [&str; 2] = ["eth_sendRawTransaction", "eth_sendRawTransactionSync"];

/// Keeps these ids apart from those that other clients of the same participant make.
const DOMAIN: &[u8] = b"synod gateway transactions v2\0";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn id(body: &Value) -> Option<RequestId> {
        request_id("main", body.to_string().as_bytes())
    }

    fn send(raw: &str, id: u64) -> Value {
        json!({"id": id, "method": "eth_sendRawTransaction", "params": [raw]})
    }

    fn pending(address: &str, id: u64) -> Value {
        json!({"id": id, "method": "eth_getTransactionCount", "params": [address, "pending"]})
    }

    #[test]
    fn the_same_requests_have_one_id_whatever_json_rpc_calls_them() {
        let batch = |first: u64| json!([send("0x01", first), pending("0xa", first + 1), send("0x02", first + 2)]);
        assert!(id(&batch(1)).is_some());
        assert_eq!(id(&batch(1)), id(&batch(7)));
        assert_eq!(id(&send("0x01", 1)), id(&send("0x01", 2)));
        assert_eq!(id(&json!([send("0x01", 1)])), id(&send("0x01", 1)), "one transaction is the same one in a batch");
    }

    #[test]
    fn whatever_else_differs_makes_another_request() {
        let bodies = [
            send("0x01", 1),
            send("0x02", 1),
            json!([send("0x01", 1), send("0x02", 2)]),
            json!([send("0x02", 1), send("0x01", 2)]),
            json!([send("0x01", 1), pending("0xa", 2)]),
            json!([pending("0xa", 1), send("0x01", 2)]),
            json!([send("0x01", 1), pending("0xb", 2)]),
            json!([send("0x01", 1), pending("0xa", 2), pending("0xa", 3)]),
            json!([send("0x01", 1), {"id": 2, "method": "eth_chainId"}]),
            json!([send("0x01", 1), {"id": 2, "method": "eth_chainId", "params": null}]),
            json!([send("0x01", 1), {"id": 2, "method": "eth_chainId", "params": []}]),
            json!([send("0x01", 1), 2]),
            json!({"id": 1, "method": "eth_sendRawTransactionSync", "params": ["0x01"]}),
            // The nodes refuse such an id without a look at the method.
            json!([send("0x01", 1), {"id": [2], "method": "eth_getTransactionCount", "params": ["0xa", "pending"]}]),
        ];
        let mut ids: Vec<_> = bodies.iter().map(|body| id(body).unwrap_or_else(|| panic!("no id: {body}")).0).collect();
        ids.push(request_id("other", bodies[0].to_string().as_bytes()).unwrap().0);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), bodies.len() + 1);
    }

    #[test]
    fn numbers_that_are_alike_only_when_rounded_are_told_apart() {
        let body = |number: &str| format!(r#"[{},{{"id":2,"method":"m","params":[{number}]}}]"#, send("0x01", 1));
        let id = |number: &str| request_id("main", body(number).as_bytes());
        assert_ne!(id("36893488147419103233"), id("36893488147419103234"));
    }

    #[test]
    fn a_body_without_a_transaction_has_no_id_of_its_own() {
        assert_eq!(id(&json!({"id": 1, "method": "eth_call", "params": ["eth_sendRawTransaction"]})), None);
        assert_eq!(id(&json!({"id": {}, "method": "eth_sendRawTransaction", "params": ["0x01"]})), None);
        assert_eq!(id(&json!([])), None);
        assert_eq!(request_id("main", b"eth_sendRawTransaction"), None);
    }
}
