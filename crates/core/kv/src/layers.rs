//! The committed state, the uncommitted blocks on top of it, and the tip where work goes on.
//!
//! A layer stands for one uncommitted block. Since a clone of the state costs nothing, the layer
//! is the state after the block; going back is taking the one below.

use std::collections::VecDeque;

use synod_types::Seqno;

use crate::State;

/// The committed state, a layer for each uncommitted block, and the tip.
///
/// ```
/// use synod_kv::{Layers, Lookup, MapName, WriteSet};
/// use synod_types::Seqno;
///
/// let map = MapName::from_static("log.messages");
/// let mut writes = WriteSet::default();
/// writes.put(&map, b"k", b"hello");
///
/// let mut layers = Layers::default();
/// layers.tip_mut().apply(&writes, Seqno(1));
/// layers.push(Seqno(1));
/// assert!(layers.tip().has(&map, b"k"));
/// layers.truncate(Seqno(0));
/// assert!(!layers.tip().has(&map, b"k"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Layers {
    committed: Layer,
    /// Ascending by `upto`, all above `committed.upto`.
    uncommitted: VecDeque<Layer>,
    tip: State,
}

#[derive(Clone, Debug, Default)]
struct Layer {
    upto: Seqno,
    after: State,
}

impl Layers {
    /// Layers that begin at a committed state: everything up to `upto` is in it.
    pub fn new(committed: State, upto: Seqno) -> Self {
        Self { tip: committed.clone(), committed: Layer { upto, after: committed }, uncommitted: VecDeque::new() }
    }

    /// The state after the last block and whatever was written since.
    pub const fn tip(&self) -> &State {
        &self.tip
    }

    /// The tip, to write the next block in.
    pub const fn tip_mut(&mut self) -> &mut State {
        &mut self.tip
    }

    /// The last seqno of the last block.
    pub fn tip_seqno(&self) -> Seqno {
        self.top().upto
    }

    /// The state that has committed.
    pub const fn committed(&self) -> &State {
        &self.committed.after
    }

    /// The last seqno that has committed.
    pub const fn committed_seqno(&self) -> Seqno {
        self.committed.upto
    }

    /// How many blocks have not committed.
    pub fn uncommitted_count(&self) -> usize {
        self.uncommitted.len()
    }

    /// Ends a block: what was written in the tip becomes the layer of the block whose last seqno is `upto`.
    ///
    /// # Panics
    /// If the block holds no seqno.
    pub fn push(&mut self, upto: Seqno) {
        assert!(upto > self.tip_seqno(), "a block ends after it begins: {upto} after {}", self.tip_seqno());
        self.uncommitted.push_back(Layer { upto, after: self.tip.clone() });
    }

    /// Drops the layers above `to`, and whatever was written in the tip since the last.
    ///
    /// # Panics
    /// If `to` is not the end of a block from the committed one to the last.
    pub fn truncate(&mut self, to: Seqno) {
        assert!(
            to >= self.committed.upto,
            "truncation to {to} would drop what committed up to {}",
            self.committed.upto
        );
        while self.uncommitted.back().is_some_and(|layer| layer.upto > to) {
            self.uncommitted.pop_back();
        }
        assert!(self.tip_seqno() == to, "truncation to {to}, but the block below ends at {}", self.tip_seqno());
        self.tip = self.top().after.clone();
    }

    /// Marks the layers up to `upto` committed and returns the state after them. Does nothing if
    /// `upto` is already the last committed seqno.
    ///
    /// # Panics
    /// If `upto` is not the end of a block from the committed one to the last.
    pub fn commit(&mut self, upto: Seqno) -> &State {
        assert!(upto >= self.committed.upto, "commit of {upto} after {}", self.committed.upto);
        while self.uncommitted.front().is_some_and(|layer| layer.upto <= upto) {
            self.committed = self.uncommitted.pop_front().expect("checked in the condition");
        }
        assert!(self.committed.upto == upto, "commit of {upto}, but the block ends at {}", self.committed.upto);
        &self.committed.after
    }

    fn top(&self) -> &Layer {
        self.uncommitted.back().unwrap_or(&self.committed)
    }
}
