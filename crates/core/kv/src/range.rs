//! Walking a map in order, with a transaction's own writes laid over what was there.

use std::cell::RefCell;
use std::collections::btree_map;
use std::ops::{Bound, RangeBounds};

use imbl::ordmap::RangedIter;
use imbl::shared_ptr::DefaultSharedPtr;

use crate::read_set::ReadSet;
use crate::state::Stored;
use crate::{Key, Value};

/// The direction of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the smallest key up.
    Ascending,
    /// From the largest key down.
    Descending,
}

/// The bounds of a walk, over the bytes of keys.
pub type Bounds<'k> = (Bound<&'k [u8]>, Bound<&'k [u8]>);

/// The entries of a map between two bounds, in order. Made by [`crate::Lookup::range`].
pub struct Range<'a> {
    order: Order,
    base: Option<RangedIter<'a, Key, Stored, DefaultSharedPtr>>,
    writes: Option<btree_map::Range<'a, Key, Option<Value>>>,
    base_next: Option<(&'a Key, &'a Stored)>,
    write_next: Option<(&'a Key, Option<&'a Value>)>,
    recorder: Option<Recorder<'a>>,
}

/// Where a recording transaction notes what the walk saw.
pub struct Recorder<'a> {
    pub reads: &'a RefCell<ReadSet>,
    pub walk: usize,
}

impl<'a> Range<'a> {
    pub(crate) fn new(
        order: Order,
        base: Option<RangedIter<'a, Key, Stored, DefaultSharedPtr>>,
        writes: Option<btree_map::Range<'a, Key, Option<Value>>>,
        recorder: Option<Recorder<'a>>,
    ) -> Self {
        let mut range = Self { order, base, writes, base_next: None, write_next: None, recorder };
        range.advance_base();
        range.advance_writes();
        range
    }

    fn advance_base(&mut self) {
        self.base_next = self.base.as_mut().and_then(|base| match self.order {
            Order::Ascending => base.next(),
            Order::Descending => base.next_back(),
        });
        if let Some(Recorder { reads, walk }) = self.recorder {
            reads.borrow_mut().note_step(walk, self.base_next.map(|(key, stored)| (key, stored.version)));
        }
    }

    fn advance_writes(&mut self) {
        let next = self.writes.as_mut().and_then(|writes| match self.order {
            Order::Ascending => writes.next(),
            Order::Descending => writes.next_back(),
        });
        self.write_next = next.map(|(key, value)| (key, value.as_ref()));
    }

    /// Whether the next written key comes before, with or after the next key that was there.
    fn compare_next(&self) -> Option<std::cmp::Ordering> {
        let (write, base) = (self.write_next?.0, self.base_next?.0);
        Some(match self.order {
            Order::Ascending => write.cmp(base),
            Order::Descending => base.cmp(write),
        })
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = (&'a [u8], &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        // Each turn takes at least one entry, so the loop is bounded by the entries left; it turns
        // again only past a removed key.
        loop {
            let compared = self.compare_next();
            if self.write_next.is_none() || compared.is_some_and(std::cmp::Ordering::is_gt) {
                let (key, stored) = self.base_next?;
                self.advance_base();
                return Some((key.as_slice(), &stored.value));
            }
            let (key, value) = self.write_next.expect("checked above");
            if compared.is_some_and(std::cmp::Ordering::is_eq) {
                self.advance_base();
            }
            self.advance_writes();
            if let Some(value) = value {
                return Some((key.as_slice(), value));
            }
        }
    }
}

/// The bounds as a pair, or `None` if nothing can lie between them (the maps would refuse such a range).
pub fn checked<'k>(range: &'k (impl RangeBounds<[u8]> + ?Sized)) -> Option<Bounds<'k>> {
    let bounds = (range.start_bound(), range.end_bound());
    let empty = match bounds {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from >= to,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    };
    (!empty).then_some(bounds)
}
