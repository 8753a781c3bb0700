//! What a transaction writes, and its one encoding.
//!
//! ```text
//! write set = format: u8 (1), count: u32, map*          maps strictly ascending by name
//! map       = name: bytes, count: u32 (not 0), entry*   entries strictly ascending by key
//! entry     = key: bytes, 0: u8                         removed
//!           | key: bytes, 1: u8, value: bytes           written
//! ```
//!
//! `bytes` and integers are those of [`synod_types::codec`]. The decoder refuses everything that
//! the encoder does not write, so a write set and its digest stand for each other.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;

use synod_crypto::sha256;
use synod_types::codec::DecodeReason;
use synod_types::limits::{BLOCK_BYTES_MAX, KEY_BYTES_MAX, MAP_NAME_BYTES_MAX, VALUE_BYTES_MAX};
use synod_types::{Decode, DecodeError, Decoder, Digest, Encode, Encoder};

use crate::{Key, MapName, Value};

/// What a transaction writes: for each map, keys with their new value, or with none if they are removed.
///
/// ```
/// use synod_kv::{MapName, WriteSet};
/// use synod_types::{Decode, Encode};
///
/// let map = MapName::from_static("log.messages");
/// let mut writes = WriteSet::default();
/// writes.put(&map, 7u64.to_be_bytes(), b"hello");
/// writes.remove(&map, 8u64.to_be_bytes());
/// assert_eq!(WriteSet::from_bytes(&writes.to_bytes()), Ok(writes));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteSet {
    /// No inner map is empty.
    maps: BTreeMap<MapName, Entries>,
}

type Entries = BTreeMap<Key, Option<Value>>;

/// The version of the encoding.
const FORMAT: u8 = 1;

impl WriteSet {
    /// Writes `value` at `key`.
    pub fn put(&mut self, map: &MapName, key: impl Into<Key>, value: impl Into<Value>) {
        self.entries_mut(map).insert(key.into(), Some(value.into()));
    }

    /// Removes `key`.
    pub fn remove(&mut self, map: &MapName, key: impl Into<Key>) {
        self.entries_mut(map).insert(key.into(), None);
    }

    /// What is written at `key`: `None` if nothing, `Some(None)` if it is removed.
    #[inline]
    pub fn get(&self, map: &MapName, key: &[u8]) -> Option<Option<&Value>> {
        self.maps.get(map)?.get(key).map(Option::as_ref)
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.maps.is_empty()
    }

    /// The maps written, ascending by name.
    pub fn maps(&self) -> impl Iterator<Item = &MapName> {
        self.maps.keys()
    }

    /// Everything written, ascending by map and key.
    pub fn iter(&self) -> impl Iterator<Item = (&MapName, &Key, Option<&Value>)> {
        self.maps.iter().flat_map(|(map, entries)| entries.iter().map(move |(key, value)| (map, key, value.as_ref())))
    }

    /// Adds what was written after this; where both wrote, `later` counts.
    pub fn merge(&mut self, later: Self) {
        for (map, mut entries) in later.maps {
            self.maps.entry(map).or_default().append(&mut entries);
        }
    }

    /// The size of the encoding, in bytes.
    pub fn encoded_size(&self) -> usize {
        let entry = |(key, value): (&Key, &Option<Value>)| {
            4 + key.as_slice().len() + 1 + value.as_ref().map_or(0, |value| 4 + value.size())
        };
        let map = |(name, entries): (&MapName, &Entries)| {
            4 + name.as_str().len() + 4 + entries.iter().map(entry).sum::<usize>()
        };
        1 + 4 + self.maps.iter().map(map).sum::<usize>()
    }

    /// SHA-256 of the encoding.
    pub fn digest(&self) -> Digest {
        sha256(&[&self.to_bytes()])
    }

    /// The entries of each map, for the state to apply.
    pub(crate) fn by_map(&self) -> impl Iterator<Item = (&MapName, &Entries)> {
        self.maps.iter()
    }

    /// The entries of one map between two bounds that are known to be in order.
    pub(crate) fn between(
        &self,
        map: &MapName,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> Option<btree_map::Range<'_, Key, Option<Value>>> {
        Some(self.maps.get(map)?.range::<[u8], _>(bounds))
    }

    fn entries_mut(&mut self, map: &MapName) -> &mut Entries {
        // Looking first saves a clone of the name on the common way.
        if !self.maps.contains_key(map) {
            self.maps.insert(map.clone(), Entries::new());
        }
        self.maps.get_mut(map).expect("inserted above")
    }
}

impl Encode for WriteSet {
    fn encode(&self, out: &mut Encoder) {
        FORMAT.encode(out);
        out.count(self.maps.len());
        for (name, entries) in &self.maps {
            out.bytes(name.as_str().as_bytes());
            out.count(entries.len());
            for (key, value) in entries {
                out.bytes(key.as_slice());
                value.is_some().encode(out);
                if let Some(value) = value {
                    out.bytes(value.as_slice());
                }
            }
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(self.encoded_size());
        self.encode(&mut out);
        out.finish()
    }
}

impl Decode for WriteSet {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.reading("write set").clone();
        if u8::decode(input)? != FORMAT {
            return Err(at.error(DecodeReason::ValueNotAllowed));
        }
        let mut maps = BTreeMap::new();
        for _ in 0..input.count(COUNT_MAX)? {
            let at = input.reading("map name of a write set").clone();
            let name = decode_name(input)?;
            if maps.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(at.error(DecodeReason::ValueNotAllowed));
            }
            maps.insert(name, decode_entries(input)?);
        }
        Ok(Self { maps })
    }
}

/// Counts have no limit of their own: a write set is part of a block, and each item takes its bytes.
const COUNT_MAX: usize = BLOCK_BYTES_MAX;

fn decode_name(input: &mut Decoder<'_>) -> Result<MapName, DecodeError> {
    let at = input.clone();
    let refused = || at.error(DecodeReason::ValueNotAllowed);
    let text = std::str::from_utf8(input.bytes(MAP_NAME_BYTES_MAX)?).map_err(|_| refused())?;
    MapName::new(text).map_err(|_| refused())
}

fn decode_entries(input: &mut Decoder<'_>) -> Result<Entries, DecodeError> {
    let at = input.reading("entries of a write set").clone();
    let count = input.count(COUNT_MAX)?;
    if count == 0 {
        return Err(at.error(DecodeReason::ValueNotAllowed));
    }
    let mut entries = Entries::new();
    for _ in 0..count {
        let at = input.clone();
        let key = Key::new(input.bytes(KEY_BYTES_MAX)?);
        if entries.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(at.error(DecodeReason::ValueNotAllowed));
        }
        let value = if bool::decode(input)? { Some(Value::new(input.bytes(VALUE_BYTES_MAX)?)) } else { None };
        entries.insert(key, value);
    }
    Ok(entries)
}
