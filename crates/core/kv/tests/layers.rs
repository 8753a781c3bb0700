//! Layers: what may be asked of them, and what must not be.

use synod_kv::{Layers, Lookup, MapName, WriteSet};
use synod_types::Seqno;

const MAP: MapName = MapName::from_static("log.m");

/// Blocks that end at seqnos 2, 5 and 6, of which the first has committed; each writes its end.
fn layers() -> Layers {
    let mut layers = Layers::default();
    for upto in [2, 5, 6] {
        let mut writes = WriteSet::default();
        writes.put(&MAP, b"last", [upto]);
        layers.tip_mut().apply(&writes, Seqno(u64::from(upto)));
        layers.push(Seqno(u64::from(upto)));
    }
    layers.commit(Seqno(2));
    layers
}

fn last(layers: &Layers) -> (Option<u8>, Option<u8>) {
    let of = |state: &synod_kv::State| state.get(&MAP, b"last").map(|value| value.as_slice()[0]);
    (of(layers.committed()), of(layers.tip()))
}

#[test]
fn truncation_goes_back_to_the_end_of_any_uncommitted_block() {
    for (to, tip) in [(6, 6), (5, 5), (2, 2)] {
        let mut layers = layers();
        layers.truncate(Seqno(to));
        assert_eq!(last(&layers), (Some(2), Some(tip)));
    }
}

#[test]
fn truncation_also_drops_what_was_written_since_the_last_block() {
    let mut layers = layers();
    let before = layers.tip().digest();
    let mut writes = WriteSet::default();
    writes.put(&MAP, b"last", b"x");
    layers.tip_mut().apply(&writes, Seqno(7));
    layers.truncate(layers.tip_seqno());
    assert_eq!(layers.tip().digest(), before);
}

#[test]
fn several_blocks_commit_at_once_and_committing_again_changes_nothing() {
    let mut layers = layers();
    layers.commit(Seqno(6));
    layers.commit(Seqno(6));
    assert_eq!((last(&layers), layers.uncommitted_count()), ((Some(6), Some(6)), 0));
}

#[test]
fn layers_may_begin_at_any_committed_state() {
    let begun = Layers::new(layers().tip().clone(), Seqno(6));
    assert_eq!((begun.tip_seqno(), begun.committed_seqno()), (Seqno(6), Seqno(6)));
    assert_eq!(last(&begun), (Some(6), Some(6)));
}

#[test]
#[should_panic(expected = "truncation to 1 would drop what committed up to 2")]
fn what_committed_is_not_truncated() {
    layers().truncate(Seqno(1));
}

#[test]
#[should_panic(expected = "truncation to 4, but the block below ends at 2")]
fn a_block_is_not_truncated_in_part() {
    layers().truncate(Seqno(4));
}

#[test]
#[should_panic(expected = "truncation to 7, but the block below ends at 6")]
fn truncation_does_not_go_forward() {
    layers().truncate(Seqno(7));
}

#[test]
#[should_panic(expected = "commit of 3, but the block ends at 2")]
fn a_block_is_not_committed_in_part() {
    layers().commit(Seqno(3));
}

#[test]
#[should_panic(expected = "commit of 1 after 2")]
fn commits_do_not_go_back() {
    layers().commit(Seqno(1));
}

#[test]
#[should_panic(expected = "a block ends after it begins: 6 after 6")]
fn a_block_without_a_seqno_is_no_layer() {
    layers().push(Seqno(6));
}
