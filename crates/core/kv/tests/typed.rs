//! Typed maps: order, ranges, and entries of another type.

use proptest::prelude::*;
use synod_kv::{Key, KeyCodec, Layers, Lookup, Map, MapName, State, Tx, Value, WriteSet};
use synod_types::codec::DecodeReason;
use synod_types::{Digest, Seqno};

const COUNTS: Map<(u32, String), u64> = Map::from_static("shop.counts");
const NUMBERS: Map<u64, Value> = Map::from_static("shop.numbers");
const ONE: Map<(), u16> = Map::from_static("shop.one");

#[test]
fn what_is_put_is_got_and_what_is_removed_is_gone() {
    let mut state = State::default();
    let mut tx = Tx::new(&state);
    let key = (7, "apples".to_owned());
    assert_eq!(COUNTS.get(&tx, &key), Ok(None));
    COUNTS.put(&mut tx, &key, &3);
    ONE.put(&mut tx, &(), &9);
    assert_eq!(COUNTS.get(&tx, &key), Ok(Some(3)));
    let writes = tx.into_write_set();
    state.apply(&writes, Seqno(1));
    assert_eq!(COUNTS.get(&state, &key), Ok(Some(3)));
    assert_eq!(ONE.get(&state, &()), Ok(Some(9)));

    let mut tx = Tx::new(&state);
    COUNTS.remove(&mut tx, &key);
    assert!(!COUNTS.has(&tx, &key));
    assert!(COUNTS.has(&state, &key));
}

#[test]
fn ranges_are_typed_ordered_and_bounded() {
    let state = State::default();
    let mut tx = Tx::new(&state);
    for n in [300u64, 2, 70_000, 1] {
        NUMBERS.put(&mut tx, &n, &Value::new(&n.to_le_bytes()));
    }
    let keys =
        |entries: synod_kv::Entries<'_, u64, Value>| -> Vec<u64> { entries.map(|entry| entry.unwrap().0).collect() };
    assert_eq!(keys(NUMBERS.range(&tx, ..)), [1, 2, 300, 70_000]);
    assert_eq!(keys(NUMBERS.range_back(&tx, 2..)), [70_000, 300, 2]);
    assert_eq!(keys(NUMBERS.range(&tx, 2..70_000)), [2, 300]);
    assert_eq!(keys(NUMBERS.range(&tx, 2..=70_000)), [2, 300, 70_000]);
    #[expect(clippy::reversed_empty_ranges, reason = "a caller may compute such a range")]
    let reversed = NUMBERS.range(&tx, 300..2);
    assert_eq!(keys(reversed), [0; 0]);
    assert_eq!(keys(NUMBERS.range(&tx, 2..2)), [0; 0]);
}

#[test]
fn a_view_may_be_any_lookup() {
    fn double(view: &dyn Lookup) -> Option<u16> {
        ONE.get(view, &()).unwrap().map(|n| n * 2)
    }
    let state = State::default();
    let mut tx = Tx::new(&state);
    ONE.put(&mut tx, &(), &21);
    assert_eq!((double(&state), double(&tx)), (None, Some(42)));
}

#[test]
fn an_entry_of_another_type_is_refused_by_name_of_its_map() {
    let state = State::default();
    let mut tx = Tx::new(&state);
    tx.put(ONE.name(), b"", b"abc");
    tx.put(NUMBERS.name(), b"short", b"");
    let error = ONE.get(&tx, &()).unwrap_err();
    assert_eq!((error.map.as_str(), error.source.reason), ("shop.one", DecodeReason::BytesLeftOver));
    let error = NUMBERS.range(&tx, ..).next().unwrap().unwrap_err();
    assert_eq!((error.map.as_str(), error.source.what), ("shop.numbers", "key"));
    assert_eq!(error.to_string(), "entry of map shop.numbers refused");
}

#[test]
fn names_made_at_run_time_reach_the_same_map() {
    let named: Map<u64, Value> = Map::new(MapName::new(&format!("shop.{}", "numbers")).unwrap());
    let state = State::default();
    let mut tx = Tx::new(&state);
    named.put(&mut tx, &1, &b"x".into());
    assert!(NUMBERS.has(&tx, &1));
}

#[test]
fn values_small_and_large_keep_their_bytes() {
    for size in [0, 1, 37, 38, 39, 1_000] {
        let bytes: Vec<u8> = (0..size).map(|n| n as u8).collect();
        let value = Value::new(&bytes);
        assert_eq!((value.as_slice(), value.size(), &value.to_bytes()[..]), (&bytes[..], size, &bytes[..]));
        assert_eq!(value, Value::from(bytes));
    }
}

#[test]
fn debug_forms_show_no_content() {
    let mut writes = WriteSet::default();
    writes.put(NUMBERS.name(), b"marker", b"marker");
    let mut layers = Layers::default();
    layers.tip_mut().apply(&writes, Seqno(1));
    layers.push(Seqno(1));
    let tx = Tx::new(layers.tip());
    for shown in [format!("{writes:?}"), format!("{layers:?}"), format!("{tx:?}")] {
        assert!(shown.contains("shop.numbers"), "{shown}");
        assert!(!shown.contains("marker") && !shown.contains("109, 97"), "{shown}");
    }
}

fn ordered<K: KeyCodec + Ord + Clone + std::fmt::Debug>(a: &K, b: &K) {
    let (x, y) = (Key::new(&a.key_bytes()), Key::new(&b.key_bytes()));
    assert_eq!(x.cmp(&y), a.cmp(b));
    assert_eq!(K::read_key(x.as_slice()).as_ref(), Some(a));
}

proptest! {
    #[test]
    fn the_bytes_of_keys_are_ordered_as_the_keys_are_and_read_back(
        a in any::<(u64, u16, [u8; 20], String, Vec<u8>)>(),
        b in any::<(u64, u16, [u8; 20], String, Vec<u8>)>(),
    ) {
        ordered(&a.0, &b.0);
        ordered(&Seqno(a.0), &Seqno(b.0));
        ordered(&a.3, &b.3);
        ordered(&a.4, &b.4);
        ordered(&(a.1, a.3.clone()), &(b.1, b.3.clone()));
        ordered(&(a.1, b.1), &(b.1, a.1));
        ordered(&(a.2, a.0, a.4.clone()), &(b.2, b.0, b.4.clone()));
        ordered(&((a.1, a.0), Digest([a.2[0]; 32])), &((b.1, b.0), Digest([b.2[0]; 32])));
    }

    #[test]
    fn bytes_of_another_size_are_no_key(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(u64::read_key(&bytes).is_some(), bytes.len() == 8);
        prop_assert_eq!(<[u8; 20]>::read_key(&bytes).is_some(), bytes.len() == 20);
        prop_assert_eq!(<(u32, u16)>::read_key(&bytes).is_some(), bytes.len() == 6);
        prop_assert_eq!(<(u32, Vec<u8>)>::read_key(&bytes).is_some(), bytes.len() >= 4);
        prop_assert_eq!(<()>::read_key(&bytes).is_some(), bytes.is_empty());
    }
}
