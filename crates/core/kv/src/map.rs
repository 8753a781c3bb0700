//! A typed door to one map.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use synod_types::DecodeError;
use synod_types::codec::DecodeReason;

use crate::{Key, KeyBuffer, KeyCodec, Lookup, MapName, Order, Range, Tx, Value, ValueCodec};

/// A typed door to one map: keys of type `K`, in their order, values of type `V`.
///
/// ```
/// use synod_kv::{Map, State, Tx};
///
/// const BALANCES: Map<u64, u64> = Map::from_static("shop.balances");
///
/// let state = State::default();
/// let mut tx = Tx::new(&state);
/// BALANCES.put(&mut tx, &7, &100);
/// BALANCES.put(&mut tx, &300, &5);
/// assert_eq!(BALANCES.get(&tx, &7)?, Some(100));
/// let all: Vec<_> = BALANCES.range(&tx, ..).collect::<Result<_, _>>()?;
/// assert_eq!(all, [(7, 100), (300, 5)]);
/// # Ok::<(), synod_kv::EntryRefused>(())
/// ```
pub struct Map<K, V> {
    name: MapName,
    types: PhantomData<fn(&K) -> V>,
}

/// An entry whose key or value is not of the map's types: another version of the code wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry of map {map} refused")]
pub struct EntryRefused {
    /// The map's name.
    pub map: MapName,
    /// What is wrong with it.
    pub source: DecodeError,
}

impl<K: KeyCodec, V: ValueCodec> Map<K, V> {
    /// The door to the map of this name.
    pub const fn new(name: MapName) -> Self {
        Self { name, types: PhantomData }
    }

    /// The door to the map of this name, for constants.
    ///
    /// # Panics
    /// If the text is not a map's name: at compile time where the door is a constant.
    pub const fn from_static(name: &'static str) -> Self {
        Self::new(MapName::from_static(name))
    }

    /// The map's name.
    pub const fn name(&self) -> &MapName {
        &self.name
    }

    /// The value at `key`.
    ///
    /// # Errors
    /// If the stored bytes are not a `V`.
    pub fn get(&self, view: &(impl Lookup + ?Sized), key: &K) -> Result<Option<V>, EntryRefused> {
        view.get(&self.name, &key.key_bytes()).map(|value| self.value(value)).transpose()
    }

    /// Whether there is a value at `key`.
    pub fn has(&self, view: &(impl Lookup + ?Sized), key: &K) -> bool {
        view.has(&self.name, &key.key_bytes())
    }

    /// Writes `value` at `key`.
    ///
    /// # Panics
    /// If either takes more bytes than [`synod_types::limits`] allow.
    pub fn put(&self, tx: &mut Tx<'_>, key: &K, value: &V) {
        tx.put(&self.name, Key::new(&key.key_bytes()), value.to_value());
    }

    /// Removes the value at `key`, if there is one.
    pub fn remove(&self, tx: &mut Tx<'_>, key: &K) {
        tx.remove(&self.name, Key::new(&key.key_bytes()));
    }

    /// The entries within `bounds`, ascending by key.
    pub fn range<'v>(&self, view: &'v (impl Lookup + ?Sized), bounds: impl RangeBounds<K>) -> Entries<'v, K, V> {
        self.scan(view, bounds, Order::Ascending)
    }

    /// The entries within `bounds`, descending by key.
    pub fn range_back<'v>(&self, view: &'v (impl Lookup + ?Sized), bounds: impl RangeBounds<K>) -> Entries<'v, K, V> {
        self.scan(view, bounds, Order::Descending)
    }

    fn scan<'v>(
        &self,
        view: &'v (impl Lookup + ?Sized),
        bounds: impl RangeBounds<K>,
        order: Order,
    ) -> Entries<'v, K, V> {
        let from = bounds.start_bound().map(KeyCodec::key_bytes);
        let to = bounds.end_bound().map(KeyCodec::key_bytes);
        Entries { map: Self::new(self.name.clone()), range: view.scan(&self.name, (slice(&from), slice(&to)), order) }
    }

    fn value(&self, value: &Value) -> Result<V, EntryRefused> {
        V::from_value(value).map_err(|source| EntryRefused { map: self.name.clone(), source })
    }

    fn key(&self, bytes: &[u8]) -> Result<K, EntryRefused> {
        let source = DecodeError { what: "key", offset: 0, reason: DecodeReason::ValueNotAllowed };
        K::read_key(bytes).ok_or_else(|| EntryRefused { map: self.name.clone(), source })
    }
}

fn slice(bound: &Bound<KeyBuffer>) -> Bound<&[u8]> {
    bound.as_ref().map(|key| &key[..])
}

impl<K, V> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), types: PhantomData }
    }
}

impl<K, V> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({})", self.name)
    }
}

/// The typed entries of a map between two bounds, in order. Made by [`Map::range`].
pub struct Entries<'v, K, V> {
    map: Map<K, V>,
    range: Range<'v>,
}

impl<K: KeyCodec, V: ValueCodec> Iterator for Entries<'_, K, V> {
    type Item = Result<(K, V), EntryRefused>;

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.range.next()?;
        Some(self.map.key(key).and_then(|key| Ok((key, self.map.value(value)?))))
    }
}
