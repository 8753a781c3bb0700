//! What a transaction saw, so that one can tell whether it would see the same again.

use std::collections::BTreeMap;
use std::ops::Bound;

use synod_types::Seqno;

use crate::range::Bounds;
use crate::{Key, Lookup, MapName, Order, State};

/// The versions that a recording [`crate::Tx`] saw: of keys it looked up and of ranges it walked.
///
/// A transaction whose read set is still valid on a later state would do there what it did before.
/// Its own writes are not part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSet {
    keys: BTreeMap<MapName, BTreeMap<Key, Option<Seqno>>>,
    walks: Vec<Walk>,
}

/// One walk: what it saw up to where it stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Walk {
    map: MapName,
    from: Bound<Key>,
    to: Bound<Key>,
    order: Order,
    seen: Vec<(Key, Seqno)>,
    /// It saw that nothing follows.
    ended: bool,
}

impl ReadSet {
    /// The version seen of a key that was looked up: `None` if it was not looked up, `Some(None)` if it was absent.
    pub fn version(&self, map: &MapName, key: &[u8]) -> Option<Option<Seqno>> {
        self.keys.get(map)?.get(key).copied()
    }

    /// How many keys were looked up or walked over.
    pub fn count(&self) -> usize {
        self.keys.values().map(BTreeMap::len).sum::<usize>()
            + self.walks.iter().map(|walk| walk.seen.len()).sum::<usize>()
    }

    /// Whether the same reads on `state` see the same versions.
    pub fn still_valid(&self, state: &State) -> bool {
        let key_valid = |map, (key, version): (&Key, &Option<Seqno>)| state.version(map, key.as_slice()) == *version;
        self.keys.iter().all(|(map, keys)| keys.iter().all(|entry| key_valid(map, entry)))
            && self.walks.iter().all(|walk| walk.still_valid(state))
    }

    pub(crate) fn note_key(&mut self, map: &MapName, key: &[u8], version: Option<Seqno>) {
        if !self.keys.contains_key(map) {
            self.keys.insert(map.clone(), BTreeMap::new());
        }
        self.keys.get_mut(map).expect("inserted above").insert(Key::new(key), version);
    }

    /// Notes that a walk begins; its steps are noted under the number returned.
    pub(crate) fn note_walk(&mut self, map: &MapName, (from, to): Bounds<'_>, order: Order) -> usize {
        let (from, to) = (from.map(Key::new), to.map(Key::new));
        self.walks.push(Walk { map: map.clone(), from, to, order, seen: Vec::new(), ended: false });
        self.walks.len() - 1
    }

    pub(crate) fn note_step(&mut self, walk: usize, step: Option<(&Key, Seqno)>) {
        let walk = &mut self.walks[walk];
        match step {
            Some((key, version)) => walk.seen.push((key.clone(), version)),
            None => walk.ended = true,
        }
    }
}

impl Walk {
    fn still_valid(&self, state: &State) -> bool {
        let bounds = (self.from.as_ref().map(Key::as_slice), self.to.as_ref().map(Key::as_slice));
        let mut now = state.scan(&self.map, bounds, self.order).map(|(key, _)| key);
        let same = self.seen.iter().all(|(key, version)| {
            now.next() == Some(key.as_slice()) && state.version(&self.map, key.as_slice()) == Some(*version)
        });
        same && (!self.ended || now.next().is_none())
    }
}
