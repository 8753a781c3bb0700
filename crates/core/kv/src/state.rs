//! The state: all maps at one point of the order.

use std::fmt;
use std::ops::RangeBounds;

use imbl::OrdMap;
use synod_crypto::Hasher;
use synod_types::{Digest, Seqno};

use crate::range::{self, Bounds, Range};
use crate::{Key, MapName, Order, Value, WriteSet};

/// All maps at one point of the order. A clone is O(1), shares everything with the original, and
/// is a snapshot: later writes to either are not seen in the other.
///
/// ```
/// use synod_kv::{Lookup, MapName, State, WriteSet};
/// use synod_types::Seqno;
///
/// let map = MapName::from_static("log.messages");
/// let mut writes = WriteSet::default();
/// writes.put(&map, b"k", b"hello");
///
/// let mut state = State::default();
/// let before = state.clone();
/// state.apply(&writes, Seqno(1));
/// assert_eq!(state.get(&map, b"k").map(|value| value.as_slice()), Some(&b"hello"[..]));
/// assert_eq!(state.version(&map, b"k"), Some(Seqno(1)));
/// assert_eq!(before.get(&map, b"k"), None);
/// ```
#[derive(Clone, Default)]
pub struct State {
    /// No inner map is empty.
    maps: OrdMap<MapName, OrdMap<Key, Stored>>,
}

/// A value and the seqno of the transaction that wrote it.
#[derive(Clone)]
pub struct Stored {
    pub version: Seqno,
    pub value: Value,
}

/// Reading maps: of a [`State`], or of a [`crate::Tx`] with its own writes.
pub trait Lookup {
    /// The value at `key`.
    fn get(&self, map: &MapName, key: &[u8]) -> Option<&Value>;

    /// The entries within `bounds`, in `order`. See [`Lookup::range`] for bounds of other types.
    fn scan(&self, map: &MapName, bounds: Bounds<'_>, order: Order) -> Range<'_>;

    /// Whether there is a value at `key`.
    fn has(&self, map: &MapName, key: &[u8]) -> bool {
        self.get(map, key).is_some()
    }

    /// A copy of the value at `key`.
    fn get_value(&self, map: &MapName, key: &[u8]) -> Option<Value> {
        self.get(map, key).cloned()
    }

    /// The entries within `bounds`, ascending by key: `..`, or a pair of [`std::ops::Bound`]s of slices.
    fn range(&self, map: &MapName, bounds: impl RangeBounds<[u8]>) -> Range<'_>
    where
        Self: Sized,
    {
        self.scan(map, (bounds.start_bound(), bounds.end_bound()), Order::Ascending)
    }

    /// The entries within `bounds`, descending by key.
    fn range_back(&self, map: &MapName, bounds: impl RangeBounds<[u8]>) -> Range<'_>
    where
        Self: Sized,
    {
        self.scan(map, (bounds.start_bound(), bounds.end_bound()), Order::Descending)
    }
}

impl Lookup for State {
    #[inline]
    fn get(&self, map: &MapName, key: &[u8]) -> Option<&Value> {
        self.stored(map, key).map(|stored| &stored.value)
    }

    fn scan(&self, map: &MapName, bounds: Bounds<'_>, order: Order) -> Range<'_> {
        let entries = self.maps.get(map).zip(range::checked(&bounds));
        Range::new(order, entries.map(|(entries, bounds)| entries.range::<_, [u8]>(bounds)), None, None)
    }
}

impl State {
    /// The seqno of the transaction that wrote the value at `key`.
    pub fn version(&self, map: &MapName, key: &[u8]) -> Option<Seqno> {
        self.stored(map, key).map(|stored| stored.version)
    }

    /// The seqno of the latest transaction that wrote one of the values of a map. It walks all of them.
    pub fn newest(&self, map: &MapName) -> Option<Seqno> {
        self.maps.get(map)?.values().map(|stored| stored.version).max()
    }

    /// Whether this and `other` share a map, so that it is the same in both. It takes no time, and tells nothing if they do
    /// not: what was written to one of them since may have left the same.
    ///
    /// ```
    /// use synod_kv::{MapName, State, WriteSet};
    /// use synod_types::Seqno;
    ///
    /// let [one, other] = ["log.one", "log.other"].map(MapName::from_static);
    /// let write = |map: &MapName| {
    ///     let mut writes = WriteSet::default();
    ///     writes.put(map, b"k", b"v");
    ///     writes
    /// };
    /// let mut state = State::default();
    /// state.apply(&write(&one), Seqno(1));
    /// let before = state.clone();
    /// state.apply(&write(&other), Seqno(2));
    /// assert!(state.shares(&before, &one) && !state.shares(&before, &other));
    /// ```
    pub fn shares(&self, other: &Self, map: &MapName) -> bool {
        match (self.maps.get(map), other.maps.get(map)) {
            (Some(own), Some(others)) => own.ptr_eq(others),
            (own, others) => own.is_none() && others.is_none(),
        }
    }

    /// How many entries a map has.
    pub fn len(&self, map: &MapName) -> usize {
        self.maps.get(map).map_or(0, OrdMap::len)
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.maps.is_empty()
    }

    /// The maps that have entries, ascending by name.
    pub fn maps(&self) -> impl Iterator<Item = &MapName> {
        self.maps.keys()
    }

    /// Carries out a transaction's writes; they get the version `version`.
    pub fn apply(&mut self, writes: &WriteSet, version: Seqno) {
        for (name, entries) in writes.by_map() {
            if !self.maps.contains_key(name) {
                self.maps.insert(name.clone(), OrdMap::new());
            }
            let map = self.maps.get_mut(name).expect("inserted above");
            for (key, value) in entries {
                match value {
                    Some(value) => drop(map.insert(key.clone(), Stored { version, value: value.clone() })),
                    None => drop(map.remove(key.as_slice())),
                }
            }
            if map.is_empty() {
                self.maps.remove(name);
            }
        }
    }

    /// SHA-256 over everything: maps, keys, versions and values. States with the same content have
    /// the same digest however they came about. It walks all entries: for tests and audits.
    pub fn digest(&self) -> Digest {
        let mut hash = Hasher::default();
        let mut sized = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for (name, entries) in &self.maps {
            sized(name.as_str().as_bytes());
            sized(&(entries.len() as u64).to_le_bytes());
            for (key, stored) in entries {
                sized(key.as_slice());
                sized(&stored.version.0.to_le_bytes());
                sized(stored.value.as_slice());
            }
        }
        hash.finish()
    }

    #[inline]
    fn stored(&self, map: &MapName, key: &[u8]) -> Option<&Stored> {
        self.maps.get(map)?.get(key)
    }

    /// What lies in one map between checked bounds, for a transaction to lay its writes over.
    pub(crate) fn base_range(&self, map: &MapName, bounds: Bounds<'_>) -> Option<BaseRange<'_>> {
        Some(self.maps.get(map)?.range::<_, [u8]>(bounds))
    }
}

/// A walk over what a state holds.
pub type BaseRange<'a> = imbl::ordmap::RangedIter<'a, Key, Stored, imbl::shared_ptr::DefaultSharedPtr>;

impl fmt::Debug for State {
    /// Prints names and sizes only: content is private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.maps.iter().map(|(name, entries)| (name.as_str(), entries.len()))).finish()
    }
}
