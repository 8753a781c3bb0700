//! What a request asks for, in eight bytes: to tell a retry from another request under the same id.

use std::hash::{DefaultHasher, Hasher};

use synod_ledger::RequestRecord;
use synod_types::AdapterId;

use crate::event::ClientRequest;

/// A hash over adapter and calls, for the memory of this process: nothing else ever sees it.
///
/// Eight bytes, since millions are kept, and not a cryptographic hash, since two are made of each request. Whoever finds
/// two requests with the same digest can only mislead itself: it has one of its own requests answered as the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestDigest(pub u64);

impl RequestDigest {
    /// Of a request.
    pub fn of(request: &ClientRequest) -> Self {
        Self::of_calls(request.adapter, request.calls.iter().map(|call| &call[..]))
    }

    /// The same, from the ledger.
    pub fn of_record(request: &RequestRecord) -> Self {
        Self::of_calls(request.adapter, request.calls.iter().map(|call| &call.input[..]))
    }

    fn of_calls<'a>(adapter: AdapterId, calls: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(adapter.0);
        for call in calls {
            // The size tells where a call ends.
            hasher.write_usize(call.len());
            hasher.write(call);
        }
        Self(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use synod_ledger::{ActorRecord, CallRecord};
    use synod_types::{ActorId, RequestId, Seqno, Time};

    use super::*;
    use crate::event::Proof;

    fn request(adapter: u8, calls: &[&'static str]) -> ClientRequest {
        let calls = calls.iter().map(|call| Bytes::from_static(call.as_bytes())).collect();
        let (actor, request_id) = (ActorId([1; 32]), RequestId([2; 16]));
        ClientRequest { token: 0, actor, proof: Proof::default(), request_id, adapter: AdapterId(adapter), calls }
    }

    #[test]
    fn it_tells_adapters_and_calls_apart_and_nothing_else() {
        let asked = request(0, &["ab", "c"]);
        let digest = RequestDigest::of(&asked);
        for other in [request(1, &["ab", "c"]), request(0, &["a", "bc"]), request(0, &["abc"]), request(0, &["ab"])] {
            assert_ne!(RequestDigest::of(&other), digest, "{other:?}");
        }
        let proof = Proof { seqno: Seqno(3), valid_until: Time(4) };
        let elsewhere = ClientRequest { token: 9, actor: ActorId([3; 32]), proof, ..asked };
        assert_eq!(RequestDigest::of(&elsewhere), digest);
    }

    #[test]
    fn it_is_the_same_from_the_ledger() {
        let asked = request(3, &["ab", ""]);
        let call = |input: &Bytes| CallRecord {
            input: input.clone(),
            write_set: Some(Bytes::from_static(b"written")),
            ..CallRecord::default()
        };
        let record = RequestRecord {
            adapter: asked.adapter,
            actor: ActorRecord { id: asked.actor, kind: 1 },
            request_id: asked.request_id,
            calls: asked.calls.iter().map(call).collect(),
        };
        assert_eq!(RequestDigest::of_record(&record), RequestDigest::of(&asked));
    }
}
