//! How a ledger protocol plugs in.
//!
//! A request takes this way: [`Frontend::plan`] (stateless, on any thread, on any node) turns it
//! into calls; the leader's worker gives each call to [`Adapter::execute`], once and in order;
//! once their block has committed, the reply of the only call, or what [`Frontend::finish`] makes
//! of all of them, is the answer. A read skips the order: [`Frontend::read`] looks at a committed
//! snapshot on whichever node was asked.

use std::sync::Arc;

use bytes::Bytes;
use synod_kv::{State, Tx};
use synod_types::codec::DecodeReason;
use synod_types::{ActorId, Decode, DecodeError, Decoder, Digest, Encode, Encoder, Seqno, Time, View, limits};

/// The ordered part of a ledger protocol. One value lives in each node's worker.
///
/// Everything that must survive lies in the maps that `tx` reaches; a field of the implementing
/// type may hold what lives from `open` to `close` of one block, and caches that tell by
/// themselves when the state under them is another.
///
/// An adapter's maps are its own: their names begin with the adapter's name and a dot, as in
/// `log.messages`. The worker relies on it where it adds [`Adapter::close`]'s writes to an earlier
/// transaction, and asserts it. Input must not make an adapter panic: that would stop the node.
///
/// A call may write and answer [`crate::CALL_BYTES_MAX`] together. What is above that is refused by
/// the worker after the call; an adapter that keeps fields from call to call refuses it by itself,
/// looking at `tx.writes().encoded_size()`.
///
/// Code may be non-deterministic (only write sets are replicated), but draws from
/// [`BlockEnv::seed`] and [`BlockEnv::time`] can be checked later by executing again.
pub trait Adapter: Send {
    /// Writes the first state, from the adapter's settings in the genesis document.
    ///
    /// # Errors
    /// If the settings are not valid.
    fn genesis(&mut self, tx: &mut Tx<'_>, settings: &[u8]) -> Result<(), SetupError>;

    /// Goes over from the settings `old`, under which it runs, to other ones, `new`, which members decided; what is
    /// written holds from the next block on. Called between blocks: after [`Adapter::close`] of one, before
    /// [`Adapter::open`] of the next. Nodes also ask on a state of their own choice whether settings that are
    /// proposed would do, and drop what is written.
    ///
    /// What comes of it is a function of the state and the settings.
    ///
    /// # Errors
    /// If the new settings are not valid, or change what cannot change any more. All goes on under the old ones then.
    fn configure(&mut self, tx: &mut Tx<'_>, old: &[u8], new: &[u8]) -> Result<(), SetupError>;

    /// Begins a block, before its first call of this adapter. Writes become part of the first
    /// transaction; if no call writes, they are dropped.
    fn open(&mut self, _tx: &mut Tx<'_>, _block: &BlockEnv) {}

    /// Executes one call. What it wrote through `tx` is kept if the reply says so ([`Reply::writes`]).
    fn execute(&mut self, tx: &mut Tx<'_>, context: &CallContext<'_>, input: &[u8]) -> Reply;

    /// Ends a block in which at least one call of this adapter wrote. Writes become part of the
    /// last transaction of this adapter.
    fn close(&mut self, _tx: &mut Tx<'_>, _block: &BlockEnv) {}
}

/// The stateless part of a ledger protocol, shared by all threads that serve clients.
pub trait Frontend: Send + Sync {
    /// Decides what a request needs, and does all work that needs no state: decoding, signature recovery.
    fn plan(&self, actor: &ActorFacts, request: &Request<'_>) -> Plan;

    /// Answers a query that [`Plan::Read`] named, on a committed snapshot.
    fn read(&self, state: &State, actor: &ActorFacts, query: &[u8]) -> Reply;

    /// Whether answering this query of [`Plan::Read`], or finishing with this token of [`Then::Finish`], may take
    /// longer than some tens of microseconds, for example because it runs code or scans. Such work runs beside
    /// the thread that serves the sessions.
    fn takes_long(&self, _query: &[u8]) -> bool {
        false
    }

    /// Makes one answer of several calls' replies; `token` is what [`Then::Finish`] carried, `state` a
    /// committed snapshot that holds the calls' writes.
    fn finish(&self, _state: &State, _actor: &ActorFacts, _token: &[u8], mut replies: Vec<Reply>) -> Reply {
        replies.pop().unwrap_or_else(|| Reply::text(500, "the request held no call"))
    }
}

/// What a request needs.
#[derive(Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: this is the answer.
    Answer(Reply),
    /// A read of a committed snapshot: [`Frontend::read`] with this query.
    Read(Bytes),
    /// Calls to be executed in this order, then an answer.
    Execute {
        /// At least one, at most [`limits::REQUEST_CALLS_MAX`].
        calls: Vec<Bytes>,
        /// Where the answer comes from.
        then: Then,
    },
}

/// Where the answer to executed calls comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Then {
    /// The reply of the only call.
    Reply,
    /// [`Frontend::finish`] with this token.
    Finish(Bytes),
}

/// A request, as the session layer took it off the wire.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The HTTP method.
    pub method: Method,
    /// The path below the adapter's name, without the leading slash; still percent-encoded, without the query.
    pub path: &'a str,
    /// What follows the question mark, or nothing.
    pub query: &'a str,
    /// At most [`limits::REQUEST_BODY_BYTES_MAX`] bytes.
    pub body: &'a [u8],
}

/// The HTTP methods that adapters serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Act, or call a procedure.
    Post,
    /// Write at a name.
    Put,
    /// Remove a name.
    Delete,
}

/// An adapter's answer. The numbers are HTTP's; an adapter that speaks another protocol maps them.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The kind of the body.
    pub content_type: ContentType,
    /// The body.
    pub body: Bytes,
    /// Whether the call's writes are kept. A call that is refused writes nothing and takes no seqno.
    pub writes: bool,
    /// A digest that the transaction's receipt will carry.
    pub claims: Option<Digest>,
}

impl Reply {
    /// A reply with a body of text.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, ContentType::Text, Bytes::from(text.into()))
    }

    /// A reply with a body of JSON.
    pub fn json(status: u16, json: impl Into<Bytes>) -> Self {
        Self::new(status, ContentType::Json, json.into())
    }

    /// A reply whose writes, if there were any, are dropped.
    pub const fn new(status: u16, content_type: ContentType, body: Bytes) -> Self {
        Self { status, content_type, body, writes: false, claims: None }
    }

    /// The same reply with the call's writes kept.
    #[must_use]
    pub const fn with_writes(mut self) -> Self {
        self.writes = true;
        self
    }

    /// The same reply with a digest for the receipt.
    #[must_use]
    pub const fn with_claims(mut self, claims: Digest) -> Self {
        self.claims = Some(claims);
        self
    }
}

/// The kind of a reply's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ContentType {
    /// Bytes.
    Binary = 0,
    /// UTF-8 text.
    Text = 1,
    /// JSON.
    Json = 2,
}

impl Encode for Reply {
    fn encode(&self, out: &mut Encoder) {
        self.status.encode(out);
        (self.content_type as u8).encode(out);
        self.writes.encode(out);
        self.claims.encode(out);
        self.body.encode(out);
    }
}

impl Decode for Reply {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let status = u16::decode(input.reading("reply"))?;
        let content_type = match u8::decode(input)? {
            0 => ContentType::Binary,
            1 => ContentType::Text,
            2 => ContentType::Json,
            _ => return Err(input.error(DecodeReason::ValueNotAllowed)),
        };
        Ok(Self {
            status,
            content_type,
            writes: bool::decode(input)?,
            claims: Option::decode(input)?,
            body: Bytes::copy_from_slice(input.bytes(limits::BLOCK_BYTES_MAX)?),
        })
    }
}

/// The facts of a block, the same for each of its transactions, kept in the ledger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BlockEnv {
    /// The leader's view.
    pub view: View,
    /// The seqno of the block's first transaction.
    pub first_seqno: Seqno,
    /// The block's time: never before an earlier block's.
    pub time: Time,
    /// Fresh randomness, known to nobody outside the enclaves.
    pub seed: [u8; 32],
}

/// What a call may know besides its input.
#[derive(Clone, Copy, Debug)]
pub struct CallContext<'a> {
    /// The block.
    pub block: &'a BlockEnv,
    /// The seqno that this call's transaction will have if it writes.
    pub seqno: Seqno,
    /// On whose behalf the call runs.
    pub actor: &'a ActorFacts,
}

/// What governance says of an actor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ActorFacts {
    /// Who.
    pub id: ActorId,
    /// What the actor may do.
    pub kind: ActorKind,
}

/// What an actor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ActorKind {
    /// Governs, and may transact.
    Member = 0,
    /// Transacts.
    Participant = 1,
}

/// Settings that an adapter refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("settings of adapter {adapter} refused: {reason}")]
pub struct SetupError {
    /// The adapter's name.
    pub adapter: &'static str,
    /// What is wrong with the settings.
    pub reason: String,
}

/// One adapter of a network: its name in paths and genesis, and the makers of its two parts.
#[derive(Clone)]
pub struct AdapterKit {
    /// The first segment of the path: `/app/<name>/…`. Lower-case letters and digits; not `worker`.
    pub name: &'static str,
    /// Makes the ordered part.
    pub adapter: fn() -> Box<dyn Adapter>,
    /// The stateless part.
    pub frontend: Arc<dyn Frontend>,
}
