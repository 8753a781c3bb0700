//! Forwarded requests and their answers as messages of a fit size.
//!
//! A message above [`limits::PEER_MESSAGE_BYTES_MAX`] would cost its channel, so what one client sends must
//! never make one. Many small things share a message, a large one has its own.

use synod_types::limits;

use crate::event::{ClientRequest, Response};

/// The most requests or answers in one message.
pub const FORWARDED_MAX: usize = 4_096;

/// How many bytes of requests or answers share one message, unless one alone is larger: large enough that the
/// cost of a message is lost in it, small enough that a heartbeat is not stuck behind it for long.
const FORWARDED_BYTES_TYPICAL: usize = 1 << 20;

/// The most bytes that one request or answer may take on its way between nodes: a message of its own holds it.
const ITEM_BYTES_MAX: usize = limits::PEER_MESSAGE_BYTES_MAX - MESSAGE_OVERHEAD_BYTES;

/// A message around its items: its kind and their count.
const MESSAGE_OVERHEAD_BYTES: usize = 16;

/// More than a request or an answer takes without its calls or replies.
const ITEM_OVERHEAD_BYTES: usize = 128;

/// More than a call or a reply takes without its bytes.
const PART_OVERHEAD_BYTES: usize = 64;

/// What takes room in a message.
pub trait Item {
    /// At least as many bytes as the item takes.
    fn bytes_at_most(&self) -> usize;

    /// Whether a message can hold the item.
    fn fits_a_message(&self) -> bool {
        self.bytes_at_most() <= ITEM_BYTES_MAX
    }
}

impl Item for ClientRequest {
    fn bytes_at_most(&self) -> usize {
        sum(self.calls.iter().map(bytes::Bytes::len))
    }
}

impl Item for Response {
    fn bytes_at_most(&self) -> usize {
        sum(self.result.iter().flat_map(|answer| &answer.replies).map(|reply| reply.body.len()))
    }
}

fn sum(parts: impl Iterator<Item = usize>) -> usize {
    parts.fold(ITEM_OVERHEAD_BYTES, |bytes, part| bytes + part + PART_OVERHEAD_BYTES)
}

/// `items` in order, as many to a message as fit.
pub fn batches<T: Item>(items: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut items = items.into_iter().peekable();
    std::iter::from_fn(move || {
        let first = items.next()?;
        let mut bytes = first.bytes_at_most();
        let mut batch = vec![first];
        let mut fits = |next: &T| {
            bytes = bytes.saturating_add(next.bytes_at_most());
            bytes <= FORWARDED_BYTES_TYPICAL
        };
        while batch.len() < FORWARDED_MAX
            && let Some(next) = items.next_if(&mut fits)
        {
            batch.push(next);
        }
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use synod_types::{ActorId, AdapterId, Encode, RequestId, Seqno, Time, TxId};
    use synod_worker::Reply;

    use super::*;
    use crate::event::{Answer, Proof};
    use crate::peer::PeerMessage;

    fn request(token: u64, calls: &[usize]) -> ClientRequest {
        let calls = calls.iter().map(|size| Bytes::from(vec![7; *size])).collect();
        let (actor, request_id) = (ActorId([1; 32]), RequestId([2; 16]));
        let proof = Proof { seqno: Seqno(u64::MAX), valid_until: Time(u64::MAX) };
        ClientRequest { token, actor, proof, request_id, adapter: AdapterId(3), calls }
    }

    fn response(token: u64, replies: &[usize]) -> Response {
        let reply = |size: &usize| Reply::text(200, "x".repeat(*size)).with_writes();
        Response { token, result: Ok(Answer { txid: TxId::default(), replies: replies.iter().map(reply).collect() }) }
    }

    fn sizes<T: Item>(items: Vec<T>) -> Vec<usize> {
        batches(items).map(|batch| batch.len()).collect()
    }

    #[test]
    fn small_things_share_a_message_and_a_large_one_has_its_own() {
        let large = 3 * FORWARDED_BYTES_TYPICAL;
        assert_eq!(sizes(vec![request(1, &[9]), request(2, &[large]), request(3, &[9]), request(4, &[9])]), [1, 1, 2]);
        assert_eq!(sizes((0..40).map(|token| response(token, &[64 << 10])).collect()), [15, 15, 10]);
        assert_eq!(sizes((0..5_000).map(|token| request(token, &[1])).collect()), [FORWARDED_MAX, 904]);
        assert_eq!(sizes(Vec::<Response>::new()), [0; 0]);
    }

    #[test]
    fn nothing_takes_more_than_its_bound_and_what_fits_a_message_is_below_its_limit() {
        for parts in [&[][..], &[0], &[5, 0, 1_000], &[0; limits::REQUEST_CALLS_MAX]] {
            let (request, response) = (request(u64::MAX, parts), response(u64::MAX, parts));
            assert!(request.to_bytes().len() <= request.bytes_at_most(), "{} calls", parts.len());
            assert!(response.to_bytes().len() <= response.bytes_at_most(), "{} replies", parts.len());
        }
        let largest = response(1, &[limits::BLOCK_BYTES_MAX]);
        assert!(largest.fits_a_message());
        assert!(PeerMessage::ForwardReply(vec![largest]).to_bytes().len() <= limits::PEER_MESSAGE_BYTES_MAX);
        assert!(!response(1, &[limits::PEER_MESSAGE_BYTES_MAX]).fits_a_message());
        assert!(!request(1, &[limits::PEER_MESSAGE_BYTES_MAX]).fits_a_message());
    }
}
