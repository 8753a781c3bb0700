//! A transaction at work: reads see its own writes, which are collected and applied by nobody yet.

use std::cell::RefCell;
use std::fmt;

use crate::range::{self, Bounds, Range, Recorder};
use crate::{Key, Lookup, MapName, Order, ReadSet, State, Value, WriteSet};

/// A view of a [`State`] in which one can write. The state itself stays as it is.
///
/// ```
/// use synod_kv::{Lookup, MapName, State, Tx};
///
/// let map = MapName::from_static("log.messages");
/// let state = State::default();
/// let mut tx = Tx::new(&state);
/// tx.put(&map, b"k", b"hello");
/// assert!(tx.has(&map, b"k"));
/// assert!(!state.has(&map, b"k"));
/// let writes = tx.into_write_set();
/// assert_eq!(writes.iter().count(), 1);
/// ```
pub struct Tx<'s> {
    base: &'s State,
    writes: WriteSet,
    wrote: bool,
    reads: Option<RefCell<ReadSet>>,
}

impl<'s> Tx<'s> {
    /// A transaction on `base` that has written nothing.
    pub fn new(base: &'s State) -> Self {
        Self::resume(base, WriteSet::default())
    }

    /// A transaction on `base` that goes on from writes already made.
    pub const fn resume(base: &'s State, writes: WriteSet) -> Self {
        Self { base, writes, wrote: false, reads: None }
    }

    /// A transaction on `base` that records what it reads there.
    pub fn recording(base: &'s State) -> Self {
        Self { reads: Some(RefCell::default()), ..Self::new(base) }
    }

    /// Writes `value` at `key`.
    pub fn put(&mut self, map: &MapName, key: impl Into<Key>, value: impl Into<Value>) {
        self.wrote = true;
        self.writes.put(map, key, value);
    }

    /// Removes the value at `key`, if there is one.
    pub fn remove(&mut self, map: &MapName, key: impl Into<Key>) {
        self.wrote = true;
        self.writes.remove(map, key);
    }

    /// Whether anything was put or removed since the transaction was made or resumed.
    pub const fn has_written(&self) -> bool {
        self.wrote
    }

    /// What was written so far.
    pub const fn writes(&self) -> &WriteSet {
        &self.writes
    }

    /// What was written.
    pub fn into_write_set(self) -> WriteSet {
        self.writes
    }

    /// What was written, and what was read if the transaction recorded it (nothing otherwise).
    pub fn into_parts(self) -> (WriteSet, ReadSet) {
        (self.writes, self.reads.map(RefCell::into_inner).unwrap_or_default())
    }
}

impl Lookup for Tx<'_> {
    #[inline]
    fn get(&self, map: &MapName, key: &[u8]) -> Option<&Value> {
        if let Some(written) = self.writes.get(map, key) {
            return written;
        }
        if let Some(reads) = &self.reads {
            reads.borrow_mut().note_key(map, key, self.base.version(map, key));
        }
        self.base.get(map, key)
    }

    fn scan(&self, map: &MapName, bounds: Bounds<'_>, order: Order) -> Range<'_> {
        let Some(bounds) = range::checked(&bounds) else { return Range::new(order, None, None, None) };
        let recorder = self.reads.as_ref().map(|reads| {
            let walk = reads.borrow_mut().note_walk(map, bounds, order);
            Recorder { reads, walk }
        });
        Range::new(order, self.base.base_range(map, bounds), self.writes.between(map, bounds), recorder)
    }
}

impl fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("base", self.base).field("writes", &self.writes).finish_non_exhaustive()
    }
}
