//! What the sealed parts hold.
//!
//! ```text
//! application part   format u8, seed 32 B, requests, setup (bytes or none)
//! request            adapter u8, actor 32 B, actor's kind u8, request id 16 B, calls
//! call               input, write set (or none), claims (32 B or none), reply
//! administrative     format u8, write set, detail
//! ```

use bytes::Bytes;
use synod_crypto::sha256;
use synod_types::codec::DecodeReason;
use synod_types::{ActorId, AdapterId, Decode, DecodeError, Decoder, Digest, Encode, Encoder, RequestId, limits};

use crate::header::BlockKind;
use crate::leaf::Leaf;

/// What the application part holds: enough to apply the block, to answer retries, and to execute it again.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The randomness that the block's calls could draw from.
    pub seed: [u8; 32],
    /// The requests, in the order in which they were executed.
    pub requests: Vec<RequestRecord>,
    /// What the adapters wrote as the network began; only in the genesis block.
    pub setup: Option<Bytes>,
}

/// One request.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// The adapter that executed it.
    pub adapter: AdapterId,
    /// On whose behalf.
    pub actor: ActorRecord,
    /// The id under which the actor sent it.
    pub request_id: RequestId,
    /// Its calls, in order. Each with a write set is one transaction.
    pub calls: Vec<CallRecord>,
}

/// What governance said of an actor when its request was ordered.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ActorRecord {
    /// Who.
    pub id: ActorId,
    /// What the actor may do, as the governance tables number it.
    pub kind: u8,
}

/// One call and what became of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CallRecord {
    /// What was executed.
    pub input: Bytes,
    /// The canonical write set; none if the call wrote nothing and is no transaction.
    pub write_set: Option<Bytes>,
    /// The digest that the receipt carries.
    pub claims: Option<Digest>,
    /// The answer.
    pub reply: Bytes,
}

/// What the administrative part holds.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AdminRecord {
    /// The canonical write set on the governance tables.
    pub write_set: Bytes,
    /// What led to it, in a form of governance's own.
    pub detail: Bytes,
}

const CONTENT_FORMAT: u8 = 1;

impl Content {
    /// The calls that wrote, in order: the transactions of an application block.
    pub fn writing_calls(&self) -> impl Iterator<Item = &CallRecord> {
        self.requests.iter().flat_map(|request| &request.calls).filter(|call| call.write_set.is_some())
    }

    /// Reads what `bytes` is all of; the records share its memory.
    ///
    /// # Errors
    /// If `bytes` is not exactly one encoding.
    pub(crate) fn from_shared(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        let content = Self::decode(&mut input, bytes)?;
        input.finish()?;
        Ok(content)
    }

    fn decode(input: &mut Decoder<'_>, shared: &Bytes) -> Result<Self, DecodeError> {
        check_format(input, "application part")?;
        let seed = input.array()?;
        let count = input.reading("requests of a block").count(limits::BLOCK_TRANSACTIONS_MAX)?;
        let requests = (0..count).map(|_| RequestRecord::decode(input, shared)).collect::<Result<_, _>>()?;
        Ok(Self { seed, requests, setup: shared_option(input, shared)? })
    }
}

impl Encode for Content {
    fn encode(&self, out: &mut Encoder) {
        CONTENT_FORMAT.encode(out);
        out.raw(&self.seed);
        out.list(&self.requests);
        self.setup.encode(out);
    }
}

impl RequestRecord {
    /// Reads what `bytes` is all of; the record shares its memory.
    ///
    /// # Errors
    /// If `bytes` is not exactly one encoding.
    pub fn from_shared(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        let record = Self::decode(&mut input, bytes)?;
        input.finish()?;
        Ok(record)
    }

    fn decode(input: &mut Decoder<'_>, shared: &Bytes) -> Result<Self, DecodeError> {
        let adapter = AdapterId::decode(input)?;
        let actor = ActorRecord { id: ActorId::decode(input)?, kind: u8::decode(input)? };
        let request_id = RequestId::decode(input)?;
        let count = input.reading("calls of a request").count(limits::REQUEST_CALLS_MAX)?;
        let calls = (0..count).map(|_| CallRecord::decode(input, shared)).collect::<Result<_, _>>()?;
        Ok(Self { adapter, actor, request_id, calls })
    }
}

impl Encode for RequestRecord {
    fn encode(&self, out: &mut Encoder) {
        self.adapter.encode(out);
        self.actor.id.encode(out);
        self.actor.kind.encode(out);
        self.request_id.encode(out);
        out.list(&self.calls);
    }
}

impl CallRecord {
    fn decode(input: &mut Decoder<'_>, shared: &Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            input: shared_bytes(input.reading("input of a call"), shared)?,
            write_set: shared_option(input.reading("write set of a call"), shared)?,
            claims: Option::decode(input.reading("claims of a call"))?,
            reply: shared_bytes(input.reading("reply of a call"), shared)?,
        })
    }
}

impl Encode for CallRecord {
    fn encode(&self, out: &mut Encoder) {
        self.input.encode(out);
        self.write_set.encode(out);
        self.claims.encode(out);
        self.reply.encode(out);
    }
}

impl AdminRecord {
    /// Reads what `bytes` is all of; the record shares its memory.
    pub(crate) fn from_shared(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        check_format(&mut input, "administrative part")?;
        let write_set = shared_bytes(&mut input, bytes)?;
        let detail = shared_bytes(&mut input, bytes)?;
        input.finish()?;
        Ok(Self { write_set, detail })
    }
}

impl Decode for AdminRecord {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        check_format(input, "administrative part")?;
        let mut bytes = || input.bytes(limits::BLOCK_BYTES_MAX).map(Bytes::copy_from_slice);
        Ok(Self { write_set: bytes()?, detail: bytes()? })
    }
}

impl Encode for AdminRecord {
    fn encode(&self, out: &mut Encoder) {
        CONTENT_FORMAT.encode(out);
        self.write_set.encode(out);
        self.detail.encode(out);
    }
}

/// The leaves of a block's transactions. `public` is the block's public part, which a governance transaction claims.
pub fn leaves(kind: BlockKind, content: Option<&Content>, admin: Option<&AdminRecord>, public: &[u8]) -> Vec<Leaf> {
    let admin = admin.map(|record| &record.write_set[..]);
    match kind {
        BlockKind::ViewStart => Vec::new(),
        BlockKind::Application => content
            .into_iter()
            .flat_map(Content::writing_calls)
            .map(|call| Leaf::new(call.write_set.as_deref(), None, call.claims))
            .collect(),
        BlockKind::Genesis => {
            let setup = content.and_then(|content| content.setup.as_deref());
            let writes = setup.is_some() || admin.is_some();
            writes.then(|| Leaf::new(setup, admin, None)).into_iter().collect()
        }
        BlockKind::Governance => {
            let claims = sha256(&[public]);
            admin.map(|writes| Leaf::new(None, Some(writes), Some(claims))).into_iter().collect()
        }
    }
}

fn check_format(input: &mut Decoder<'_>, what: &'static str) -> Result<(), DecodeError> {
    let at = input.reading(what).clone();
    if u8::decode(input)? == CONTENT_FORMAT { Ok(()) } else { Err(at.error(DecodeReason::ValueNotAllowed)) }
}

fn shared_bytes(input: &mut Decoder<'_>, shared: &Bytes) -> Result<Bytes, DecodeError> {
    input.bytes(limits::BLOCK_BYTES_MAX).map(|bytes| shared.slice_ref(bytes))
}

fn shared_option(input: &mut Decoder<'_>, shared: &Bytes) -> Result<Option<Bytes>, DecodeError> {
    if bool::decode(input)? { shared_bytes(input, shared).map(Some) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Content {
        let call = CallRecord {
            input: Bytes::from_static(b"in"),
            write_set: Some(Bytes::from_static(b"ws")),
            claims: Some(Digest([0xcc; 32])),
            reply: Bytes::from_static(b"re"),
        };
        let request = RequestRecord {
            adapter: AdapterId(2),
            actor: ActorRecord { id: ActorId([0xaa; 32]), kind: 1 },
            request_id: RequestId([0xbb; 16]),
            calls: vec![call, CallRecord::default()],
        };
        Content { seed: [0x5e; 32], requests: vec![request], setup: None }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_bytes_of_the_parts_are_these() {
        let expected = [
            "01",
            &"5e".repeat(32),
            "01000000",
            "02",
            &"aa".repeat(32),
            "01",
            &"bb".repeat(16),
            "02000000",
            "02000000696e",
            "01020000007773",
            &format!("01{}", "cc".repeat(32)),
            "020000007265",
            "00000000",
            "00",
            "00",
            "00000000",
            "00",
        ];
        assert_eq!(hex(&content().to_bytes()), expected.concat());
        let admin = AdminRecord { write_set: Bytes::from_static(b"ws"), detail: Bytes::from_static(b"d") };
        assert_eq!(hex(&admin.to_bytes()), "01020000007773".to_owned() + "0100000064");
    }

    #[test]
    fn parts_read_back_and_every_truncation_is_refused() {
        let setup = Content { setup: Some(Bytes::from_static(b"setup")), ..Content::default() };
        for content in [content(), setup] {
            let bytes = Bytes::from(content.to_bytes());
            assert_eq!(Content::from_shared(&bytes), Ok(content));
            for end in 0..bytes.len() {
                assert!(Content::from_shared(&bytes.slice(..end)).is_err(), "cut at {end}");
            }
        }
        let admin = AdminRecord { write_set: Bytes::from_static(b"ws"), detail: Bytes::from_static(b"d") };
        let bytes = Bytes::from(admin.to_bytes());
        assert_eq!(AdminRecord::from_shared(&bytes), Ok(admin));
        for end in 0..bytes.len() {
            assert!(AdminRecord::from_shared(&bytes.slice(..end)).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn another_format_and_left_over_bytes_are_refused() {
        let whole = content().to_bytes();
        let mut other = whole.clone();
        other[0] = 2;
        assert_eq!(
            Content::from_shared(&Bytes::from(other)).map_err(|refused| refused.to_string()),
            Err("value not allowed at byte 0 while reading application part".into())
        );
        assert!(Content::from_shared(&Bytes::from([&whole[..], &[0]].concat())).is_err());
    }

    #[test]
    fn only_calls_that_wrote_have_leaves() {
        let count = |kind, content, admin| leaves(kind, content, admin, b"public").len();
        let (content, admin) = (content(), AdminRecord::default());
        assert_eq!(count(BlockKind::Application, Some(&content), None), 1);
        assert_eq!(count(BlockKind::Genesis, Some(&content), Some(&admin)), 1);
        assert_eq!(count(BlockKind::Genesis, None, None), 0);
        assert_eq!(count(BlockKind::Governance, None, Some(&admin)), 1);
        assert_eq!(count(BlockKind::ViewStart, Some(&content), Some(&admin)), 0);
    }
}
