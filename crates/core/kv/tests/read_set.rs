//! Read sets: what a transaction saw, and whether it would see it again.

use std::ops::Bound;

use proptest::prelude::*;
use synod_kv::{Lookup, MapName, Order, ReadSet, State, Tx, WriteSet};
use synod_types::Seqno;

const MAP: MapName = MapName::from_static("log.m");
const OTHER: MapName = MapName::from_static("log.n");

/// A state in which key `n` was written at seqno `n`, for each of these.
fn state_with(keys: &[u8]) -> State {
    let mut state = State::default();
    keys.iter().for_each(|key| put(&mut state, *key, u64::from(*key)));
    state
}

fn put(state: &mut State, key: u8, version: u64) {
    let mut writes = WriteSet::default();
    writes.put(&MAP, [key], b"v");
    state.apply(&writes, Seqno(version));
}

fn remove(state: &mut State, key: u8) {
    let mut writes = WriteSet::default();
    writes.remove(&MAP, [key]);
    state.apply(&writes, Seqno(100));
}

fn reads(state: &State, work: impl FnOnce(&mut Tx<'_>)) -> ReadSet {
    let mut tx = Tx::recording(state);
    work(&mut tx);
    tx.into_parts().1
}

fn between(tx: &Tx<'_>, from: u8, to: u8, order: Order, take: usize) {
    tx.scan(&MAP, (Bound::Included(&[from]), Bound::Included(&[to])), order).take(take).for_each(drop);
}

#[test]
fn a_read_set_names_the_versions_that_were_seen() {
    let state = state_with(&[1, 2]);
    let reads = reads(&state, |tx| {
        tx.get(&MAP, &[2]);
        tx.has(&MAP, &[9]);
    });
    assert_eq!(reads.version(&MAP, &[2]), Some(Some(Seqno(2))));
    assert_eq!(reads.version(&MAP, &[9]), Some(None));
    assert_eq!(reads.version(&MAP, &[1]), None);
    assert_eq!(reads.version(&OTHER, &[2]), None);
    assert_eq!(reads.count(), 2);
    assert!(reads.still_valid(&state));
}

#[test]
fn a_transaction_that_does_not_record_has_seen_nothing() {
    let state = state_with(&[1]);
    let tx = Tx::new(&state);
    tx.get(&MAP, &[1]);
    assert_eq!(tx.into_parts().1, ReadSet::default());
}

#[test]
fn what_the_transaction_wrote_itself_is_not_read() {
    let mut state = state_with(&[1]);
    let reads = reads(&state, |tx| {
        tx.put(&MAP, [1], b"own");
        tx.remove(&MAP, [2]);
        assert_eq!(tx.get_value(&MAP, &[1]), Some(b"own".into()));
        assert!(!tx.has(&MAP, &[2]));
    });
    assert_eq!(reads.count(), 0);
    put(&mut state, 1, 50);
    put(&mut state, 2, 51);
    assert!(reads.still_valid(&state));
}

/// Each row: what is read of keys 1, 3 and 5, a later change, and whether the reads stay valid.
#[test]
fn reads_stay_valid_exactly_until_something_they_saw_changes() {
    type Read = fn(&mut Tx<'_>);
    type Change = fn(&mut State);
    let get_3: Read = |tx| drop(tx.get_value(&MAP, &[3]));
    let get_4: Read = |tx| drop(tx.get_value(&MAP, &[4]));
    let all: Read = |tx| between(tx, 2, 9, Order::Ascending, 99);
    let back: Read = |tx| between(tx, 0, 4, Order::Descending, 99);
    let one_only: Read = |tx| {
        // A walk looks one entry ahead, so what it saw is keys 1 and 3.
        between(tx, 0, 9, Order::Ascending, 1);
    };
    let none: Read = |tx| between(tx, 6, 9, Order::Ascending, 9);
    let rows: [(&str, Read, Change, bool); 14] = [
        ("a key read, then written", get_3, |s| put(s, 3, 50), false),
        ("a key read, then removed", get_3, |s| remove(s, 3), false),
        ("a key read, another written", get_3, |s| put(s, 4, 50), true),
        ("an absent key read, then written", get_4, |s| put(s, 4, 50), false),
        ("an absent key read, then removed", get_4, |s| remove(s, 4), true),
        ("a range walked, an entry in it written", all, |s| put(s, 5, 50), false),
        ("a range walked, an entry in it removed", all, |s| remove(s, 5), false),
        ("a range walked, an entry new at its end", all, |s| put(s, 9, 50), false),
        ("a range walked, an entry new before it", all, |s| put(s, 0, 50), true),
        ("a range walked down, an entry new at its end", back, |s| put(s, 0, 50), false),
        ("a range walked down, an entry new above it", back, |s| put(s, 6, 50), true),
        ("a walk that stopped, an entry new before where it stopped", one_only, |s| put(s, 2, 50), false),
        ("a walk that stopped, an entry new after where it stopped", one_only, |s| put(s, 4, 50), true),
        ("a walk that found nothing, an entry new in it", none, |s| put(s, 7, 50), false),
    ];
    for (what, read, change, valid) in rows {
        let mut state = state_with(&[1, 3, 5]);
        let reads = reads(&state, read);
        assert!(reads.still_valid(&state), "{what}");
        change(&mut state);
        assert_eq!(reads.still_valid(&state), valid, "{what}");
    }
}

proptest! {
    /// If a read set is still valid after some changes, reading again sees the same; if reading again
    /// sees something else, it is not valid.
    #[test]
    fn a_valid_read_set_means_the_same_reads(
        keys in prop::collection::btree_set(0u8..20, 0..12),
        gets in prop::collection::vec(0u8..20, 0..4),
        walks in prop::collection::vec((0u8..20, 0u8..20, any::<bool>(), 0usize..6), 0..3),
        changes in prop::collection::vec((0u8..20, any::<bool>()), 0..3),
    ) {
        let before = state_with(&keys.into_iter().collect::<Vec<_>>());
        let mut after = before.clone();
        for (version, (key, written)) in changes.into_iter().enumerate() {
            if written { put(&mut after, key, 50 + version as u64) } else { remove(&mut after, key) }
        }
        let order = |down: bool| if down { Order::Descending } else { Order::Ascending };
        let seen = |state: &State| -> Vec<Vec<(Vec<u8>, Option<Seqno>)>> {
            let versioned = |key: &[u8]| (key.to_vec(), state.version(&MAP, key));
            let got = gets.iter().map(|key| vec![versioned(&[*key])]);
            let walked = walks.iter().map(|(from, to, down, take)| {
                let bounds = (Bound::Included(&[*from][..]), Bound::Included(&[*to][..]));
                state.scan(&MAP, bounds, order(*down)).take(*take).map(|(key, _)| versioned(key)).collect()
            });
            got.chain(walked).collect()
        };
        let reads = reads(&before, |tx| {
            gets.iter().for_each(|key| drop(tx.get_value(&MAP, &[*key])));
            walks.iter().for_each(|(from, to, down, take)| between(tx, *from, *to, order(*down), *take));
        });
        prop_assert!(reads.still_valid(&before));
        if reads.still_valid(&after) {
            prop_assert_eq!(seen(&after), seen(&before));
        }
    }
}
