//! Bodies that the gateway answers in part: filters here, everything else at the nodes.

use bytes::Bytes;
use serde_json::value::RawValue;
use synod_types::limits::REQUEST_CALLS_MAX;

use super::Door;
use super::filters::{self, RpcError, Upstream};
use super::forward::LIMIT_EXCEEDED;
use super::item::{Body, Item, mentions, split};
use super::turn::forward_in_turn;

/// The answer to `body` on `instance`.
pub async fn answer(door: &Door, instance: &str, body: Bytes) -> Bytes {
    match of_filters(&body) {
        None => forward_in_turn(&door.client, instance, body).await,
        Some(parts) => answer_parts(door, instance, parts).await,
    }
}

/// The parts of a body that has a filter's method in it. `None` for any other, and for what the nodes refuse whole.
fn of_filters(body: &[u8]) -> Option<Body<'_>> {
    if !mentions(body, &filters::METHODS) {
        return None;
    }
    let parts = split(body)?;
    let is_of_filters = parts.items.iter().any(|item| Item::read(item).is_one_of(&filters::METHODS));
    (is_of_filters && parts.items.len() <= REQUEST_CALLS_MAX).then_some(parts)
}

/// What the nodes do comes first, so that filters tell of transactions in the same batch.
async fn answer_parts(door: &Door, instance: &str, Body { items, is_batch }: Body<'_>) -> Bytes {
    let upstream = Upstream { client: &door.client, instance };
    let mut of_nodes = ask_nodes(upstream, &items).await.into_iter();
    let mut answers = Answers::default();
    for json in &items {
        let item = Item::read(json);
        match &item {
            Item::Call { id, method, params } if item.is_one_of(&filters::METHODS) => {
                let result = if answers.size() > ANSWER_BYTES_MAX {
                    Err(RpcError::new(LIMIT_EXCEEDED, "response too large, ask for less at once"))
                } else {
                    filters::answer(&door.filters, upstream, method, *params).await
                };
                if let Some(id) = id {
                    answers.push(&member(id.get(), result));
                }
            }
            _ if item.is_answered() => answers.push(&of_nodes.next().unwrap_or_default()),
            _ => {}
        }
    }
    answers.finish(is_batch)
}

/// The nodes' answers to those requests of a batch that are theirs and have one, in order.
async fn ask_nodes(upstream: Upstream<'_>, items: &[&RawValue]) -> Vec<String> {
    let theirs: Vec<_> = items.iter().filter(|item| !Item::read(item).is_one_of(&filters::METHODS)).collect();
    if theirs.is_empty() {
        return Vec::new();
    }
    let body = serde_json::to_string(&theirs).expect("raw JSON serialises");
    let answer = forward_in_turn(upstream.client, upstream.instance, body.into()).await;
    match serde_json::from_slice::<Vec<&RawValue>>(&answer) {
        Ok(answers) => answers.into_iter().map(|answer| answer.get().to_owned()).collect(),
        // An error for all of them.
        Err(_) => theirs.iter().filter_map(|item| under_its_id(&answer, item)).collect(),
    }
}

/// The error `answer` as the answer to `item`; none if that is a notification.
fn under_its_id(answer: &[u8], item: &RawValue) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        error: &'a RawValue,
    }
    let error = serde_json::from_slice::<Answer<'_>>(answer).map_or("null", |answer| answer.error.get());
    match Item::read(item) {
        Item::Call { id: None, .. } => None,
        Item::Call { id: Some(id), .. } => Some(with_error(id.get(), error)),
        Item::Refused(_) => Some(with_error("null", error)),
    }
}

fn member(id: &str, result: Result<String, RpcError>) -> String {
    match result {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err(error) => with_error(id, &error.into_json()),
    }
}

fn with_error(id: &str, error: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}

/// Answers, one behind the other.
#[derive(Default)]
struct Answers(String);

impl Answers {
    fn push(&mut self, answer: &str) {
        self.0.push(if self.0.is_empty() { '[' } else { ',' });
        self.0.push_str(answer);
    }

    const fn size(&self) -> usize {
        self.0.len()
    }

    /// All of them; nothing at all if there are none.
    fn finish(mut self, is_batch: bool) -> Bytes {
        if is_batch && !self.0.is_empty() {
            self.0.push(']');
        } else if !self.0.is_empty() {
            self.0.remove(0);
        }
        self.0.into()
    }
}

/// The most bytes of an answer before filters are asked for no more: what the nodes give for a batch.
const ANSWER_BYTES_MAX: usize = 25_000_000;
