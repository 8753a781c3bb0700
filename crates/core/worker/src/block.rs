//! One block as it is executed: which adapters are open, what each call came to.
//!
//! Adapters open at their first call. What opening wrote belongs to the first call that writes, so
//! it is kept apart until one does: a call that is refused leaves it untouched for the next. What
//! closing writes is added to the adapter's last transaction, which other adapters' transactions
//! may already follow; that changes nothing for them, because each adapter's maps are its own.

use bytes::Bytes;
use synod_kv::{State, Tx, WriteSet};
use synod_types::{Digest, Encode, Seqno};

use crate::{Adapter, BlockEnv, Call, CallContext, Executed, Outcome, Reply};

/// What one call may write and answer together, in bytes: the largest value and room for what goes with it.
pub const CALL_BYTES_MAX: usize = 10 << 20;

/// The size in bytes from which a block takes no further call. A call that begins just below brings
/// 8 MiB of input and [`CALL_BYTES_MAX`], and [`synod_types::limits::BLOCK_BYTES_MAX`] still holds them.
pub const BLOCK_BYTES_FULL: usize = 12 << 20;

/// What a call takes in a block besides its content, in bytes, at most: ids, lengths, its leaf.
const CALL_BYTES_FRAME: usize = 512;

/// An adapter in a worker.
pub struct Slot {
    pub name: &'static str,
    pub adapter: Box<dyn Adapter>,
}

/// A block while it is executed on the tip.
pub struct Block<'w> {
    env: BlockEnv,
    tip: &'w mut State,
    slots: &'w mut [Slot],
    /// By adapter: `Some` from its first call on.
    opened: Vec<Option<Opened>>,
    done: Vec<Done>,
    next: Seqno,
    size: usize,
}

/// What a block remembers of an adapter that is open.
#[derive(Default)]
struct Opened {
    /// What opening wrote, until a call that writes takes it along.
    pending: WriteSet,
    /// The place in `done` of its last call that wrote.
    last_writing: Option<usize>,
}

/// A call that was made.
struct Done {
    writes: Option<(Seqno, WriteSet)>,
    claims: Option<Digest>,
    reply: Reply,
}

impl<'w> Block<'w> {
    pub fn new(env: BlockEnv, tip: &'w mut State, slots: &'w mut [Slot]) -> Self {
        let opened = slots.iter().map(|_| None).collect();
        Self { env, tip, slots, opened, done: Vec::new(), next: env.first_seqno, size: 0 }
    }

    /// Makes one call, and applies what it wrote if its reply says so.
    pub fn call(&mut self, call: &Call) {
        if self.size >= BLOCK_BYTES_FULL {
            return self.refuse(Reply::json(503, BLOCK_FULL));
        }
        let place = usize::from(call.adapter.0);
        let slot = self.slots.get_mut(place).expect("calls name adapters of this network");
        let opened = self.opened[place].get_or_insert_with(|| open(slot, self.tip, &self.env));

        let mut tx = Tx::resume(self.tip, opened.pending.clone());
        let context = CallContext { block: &self.env, seqno: self.next, actor: &call.actor };
        let reply = slot.adapter.execute(&mut tx, &context, &call.input);

        let writes = (reply.writes && tx.has_written()).then(|| tx.into_write_set());
        let size = writes.as_ref().map_or(0, WriteSet::encoded_size) + reply.body.len();
        if size > CALL_BYTES_MAX {
            return self.refuse(Reply::json(413, CALL_TOO_LARGE));
        }
        self.size += call.input.len() + size + CALL_BYTES_FRAME;
        let writes = writes.map(|writes| {
            assert_own(slot.name, &writes);
            opened.pending = WriteSet::default();
            opened.last_writing = Some(self.done.len());
            self.tip.apply(&writes, self.next);
            let seqno = self.next;
            self.next = seqno.next();
            (seqno, writes)
        });
        self.done.push(Done { writes, claims: reply.claims, reply });
    }

    /// Closes the adapters that wrote. The second value is the block's last seqno, if it has any.
    pub fn close(mut self) -> (Executed, Option<Seqno>) {
        for (slot, opened) in self.slots.iter_mut().zip(&self.opened) {
            let last_writing = opened.as_ref().and_then(|opened| opened.last_writing);
            let Some(last) = last_writing.map(|place| &mut self.done[place]) else { continue };
            let (seqno, writes) = last.writes.as_mut().expect("last_writing names a call that wrote");
            let mut tx = Tx::new(self.tip);
            slot.adapter.close(&mut tx, &self.env);
            let closing = tx.into_write_set();
            assert_own(slot.name, &closing);
            self.tip.apply(&closing, *seqno);
            writes.merge(closing);
        }
        let count = self.next.0 - self.env.first_seqno.0;
        let last = (count > 0).then(|| Seqno(self.next.0 - 1));
        (Executed { env: self.env, outcomes: self.done.into_iter().map(Done::outcome).collect() }, last)
    }

    fn refuse(&mut self, reply: Reply) {
        self.done.push(Done { writes: None, claims: None, reply });
    }
}

impl Done {
    fn outcome(self) -> Outcome {
        let write_set = self.writes.map(|(_, writes)| Bytes::from(writes.to_bytes()));
        // Claims are part of a receipt, and only a transaction has one.
        let claims = self.claims.filter(|_| write_set.is_some());
        Outcome { write_set, claims, reply: self.reply }
    }
}

fn open(slot: &mut Slot, tip: &State, env: &BlockEnv) -> Opened {
    let mut tx = Tx::new(tip);
    slot.adapter.open(&mut tx, env);
    Opened { pending: tx.into_write_set(), last_writing: None }
}

/// Asserts that an adapter wrote only in maps of its own.
pub fn assert_own(adapter: &str, writes: &WriteSet) {
    for map in writes.maps() {
        let own = map.as_str().strip_prefix(adapter).is_some_and(|rest| rest.starts_with('.'));
        assert!(own, "adapter {adapter} wrote in {map}, which does not begin with its name and a dot");
    }
}

const BLOCK_FULL: &str =
    r#"{"error":{"code":"BlockFull","message":"the block has no room left for this call","hint":"send it again"}}"#;

const CALL_TOO_LARGE: &str = r#"{"error":{"code":"CallTooLarge","message":"the call writes or answers more than a block can hold","hint":"split it"}}"#;
