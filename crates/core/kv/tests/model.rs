//! Transactions, states and layers against a model made of the standard library's ordered map.

use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::prelude::*;
use synod_kv::{Layers, Lookup, MapName, Order, State, Tx, WriteSet};
use synod_types::{Decode, Digest, Encode, Seqno};

/// (map, key) to (version, value).
type Model = BTreeMap<(usize, Vec<u8>), (u64, Vec<u8>)>;

const NAMES: [MapName; 2] = [MapName::from_static("a.first"), MapName::from_static("b.second")];

#[derive(Clone, Debug)]
enum Op {
    Put { map: usize, key: Vec<u8>, value: Vec<u8> },
    Remove { map: usize, key: Vec<u8> },
    Get { map: usize, key: Vec<u8> },
    Scan { map: usize, from: Bound<Vec<u8>>, to: Bound<Vec<u8>>, order: Order },
}

#[derive(Clone, Debug)]
enum Step {
    /// A block of transactions.
    Block(Vec<Vec<Op>>),
    /// Commit this many of the uncommitted blocks, at most all.
    Commit(usize),
    /// Drop this many of the uncommitted blocks, at most all.
    Drop(usize),
}

/// Enough different keys that nodes of the tree split and merge, and few enough that writes meet.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0u16..500).prop_map(|n| n.to_be_bytes().to_vec()),
        1 => prop::collection::vec(0u8..3, 0..3),
        1 => (0u8..9).prop_map(|n| [vec![1; 60], vec![n]].concat()),
    ]
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![key().prop_map(Bound::Included), key().prop_map(Bound::Excluded), Just(Bound::Unbounded)]
}

fn op() -> impl Strategy<Value = Op> {
    let map = || 0..NAMES.len();
    let order = prop_oneof![Just(Order::Ascending), Just(Order::Descending)];
    prop_oneof![
        6 => (map(), key(), prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(map, key, value)| Op::Put { map, key, value }),
        4 => (map(), key()).prop_map(|(map, key)| Op::Remove { map, key }),
        3 => (map(), key()).prop_map(|(map, key)| Op::Get { map, key }),
        1 => (map(), bound(), bound(), order).prop_map(|(map, from, to, order)| Op::Scan { map, from, to, order }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(prop::collection::vec(op(), 1..20), 1..8).prop_map(Step::Block),
        1 => (0usize..4).prop_map(Step::Commit),
        2 => (0usize..4).prop_map(Step::Drop),
    ]
}

fn slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(|key| &key[..])
}

fn model_scan(model: &Model, map: usize, from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>, order: Order) -> Vec<Vec<u8>> {
    let after_from = |key: &Vec<u8>| match from {
        Bound::Included(from) => key >= from,
        Bound::Excluded(from) => key > from,
        Bound::Unbounded => true,
    };
    let before_to = |key: &Vec<u8>| match to {
        Bound::Included(to) => key <= to,
        Bound::Excluded(to) => key < to,
        Bound::Unbounded => true,
    };
    let keys = model.keys().filter(|(of, key)| *of == map && after_from(key) && before_to(key));
    let mut keys: Vec<_> = keys.map(|(_, key)| key.clone()).collect();
    if order == Order::Descending {
        keys.reverse();
    }
    keys
}

/// Does one transaction on both, comparing every read; its writes are left in the model.
fn transact(base: &State, model: &mut Model, ops: &[Op], version: u64) -> WriteSet {
    let mut tx = Tx::new(base);
    for op in ops {
        match op {
            Op::Put { map, key, value } => {
                tx.put(&NAMES[*map], &key[..], &value[..]);
                model.insert((*map, key.clone()), (version, value.clone()));
            }
            Op::Remove { map, key } => {
                tx.remove(&NAMES[*map], &key[..]);
                model.remove(&(*map, key.clone()));
            }
            Op::Get { map, key } => {
                let expected = model.get(&(*map, key.clone())).map(|(_, value)| &value[..]);
                assert_eq!(tx.get(&NAMES[*map], key).map(|value| value.as_slice()), expected);
            }
            Op::Scan { map, from, to, order } => {
                let found: Vec<_> =
                    tx.scan(&NAMES[*map], (slice(from), slice(to)), *order).map(|(key, _)| key.to_vec()).collect();
                assert_eq!(found, model_scan(model, *map, from, to, *order));
            }
        }
    }
    tx.into_write_set()
}

fn content(state: &State) -> Model {
    let of = |map: usize| {
        state.range(&NAMES[map], ..).map(move |(key, value)| {
            let version = state.version(&NAMES[map], key).map_or(0, |version| version.0);
            ((map, key.to_vec()), (version, value.as_slice().to_vec()))
        })
    };
    (0..NAMES.len()).flat_map(of).collect()
}

fn check(state: &State, model: &Model) {
    assert_eq!(content(state), *model);
    for (place, name) in NAMES.iter().enumerate() {
        assert_eq!(state.len(name), model.keys().filter(|(map, _)| *map == place).count());
        let mut back: Vec<_> = state.range_back(name, ..).map(|(key, _)| key.to_vec()).collect();
        back.reverse();
        assert!(back.iter().eq(state.range(name, ..).map(|(key, _)| key)));
    }
    assert_eq!(state.is_empty(), model.is_empty());
}

/// A block's end as the model knows it.
#[derive(Clone)]
struct Kept {
    upto: u64,
    model: Model,
    digest: Digest,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Runs blocks, commits and truncations on both and compares everything after each step, with
    /// a snapshot of each step kept to the end.
    #[test]
    fn layers_and_transactions_do_what_a_plain_ordered_map_does(steps in prop::collection::vec(step(), 1..14)) {
        let mut layers = Layers::default();
        let mut kept = vec![Kept { upto: 0, model: Model::new(), digest: State::default().digest() }];
        let mut committed = 0;
        let mut snapshots = Vec::new();
        for step in steps {
            match step {
                Step::Block(transactions) => {
                    let Kept { mut upto, mut model, .. } = kept.last().unwrap().clone();
                    for ops in transactions {
                        upto += 1;
                        let writes = transact(layers.tip(), &mut model, &ops, upto);
                        let read_back = WriteSet::from_bytes(&writes.to_bytes()).unwrap();
                        assert_eq!(read_back, writes);
                        layers.tip_mut().apply(&read_back, Seqno(upto));
                    }
                    layers.push(Seqno(upto));
                    kept.push(Kept { upto, model, digest: layers.tip().digest() });
                }
                Step::Commit(count) => {
                    committed = (committed + count).min(kept.len() - 1);
                    let state = layers.commit(Seqno(kept[committed].upto));
                    assert_eq!(state.digest(), kept[committed].digest);
                }
                Step::Drop(count) => {
                    kept.truncate(kept.len() - count.min(kept.len() - 1 - committed));
                    layers.truncate(Seqno(kept.last().unwrap().upto));
                }
            }
            let last = kept.last().unwrap();
            check(layers.tip(), &last.model);
            check(layers.committed(), &kept[committed].model);
            assert_eq!(layers.tip().digest(), last.digest);
            assert_eq!((layers.tip_seqno(), layers.committed_seqno()), (Seqno(last.upto), Seqno(kept[committed].upto)));
            assert_eq!(layers.uncommitted_count(), kept.len() - 1 - committed);
            snapshots.push((layers.tip().clone(), last.clone()));
        }
        for (snapshot, then) in snapshots {
            check(&snapshot, &then.model);
            assert_eq!(snapshot.digest(), then.digest);
        }
    }

    /// Merging two write sets and applying the sum leaves the content that applying both leaves.
    #[test]
    fn merged_write_sets_write_what_both_write(first in prop::collection::vec(op(), 0..30), second in prop::collection::vec(op(), 0..30)) {
        let mut state = State::default();
        let mut model = Model::new();
        let mut sum = transact(&state, &mut model, &first, 1);
        state.apply(&sum, Seqno(1));
        let later = transact(&state, &mut model, &second, 1);
        state.apply(&later, Seqno(1));
        sum.merge(later);
        let mut merged = State::default();
        merged.apply(&sum, Seqno(1));
        prop_assert_eq!(merged.digest(), state.digest());
        prop_assert_eq!(sum.encoded_size(), sum.to_bytes().len());
    }

    /// States with the same content have the same digest, and one different version, value or key gives another.
    #[test]
    fn a_digest_stands_for_the_content_alone(mut entries in prop::collection::btree_map(key(), 0u8..9, 1..80), seed in any::<u64>()) {
        let state_of = |entries: &mut dyn Iterator<Item = (&Vec<u8>, &u8)>| {
            let mut state = State::default();
            for (key, value) in entries {
                let mut writes = WriteSet::default();
                writes.put(&NAMES[0], &key[..], [*value]);
                state.apply(&writes, Seqno(u64::from(*value)));
            }
            state
        };
        let up = state_of(&mut entries.iter());
        let mut down = state_of(&mut entries.iter().rev());
        prop_assert_eq!(up.digest(), down.digest());

        // Written and removed again: nothing is left of it.
        let mut writes = WriteSet::default();
        writes.put(&NAMES[1], b"gone", b"soon");
        down.apply(&writes, Seqno(99));
        prop_assert_ne!(up.digest(), down.digest());
        writes.remove(&NAMES[1], b"gone");
        down.apply(&writes, Seqno(100));
        prop_assert_eq!(up.digest(), down.digest());

        let place = seed as usize % entries.len();
        *entries.values_mut().nth(place).unwrap() += 1;
        prop_assert_ne!(up.digest(), state_of(&mut entries.iter()).digest());
    }
}
