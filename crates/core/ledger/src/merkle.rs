//! The tree over a block's leaves, in CCF's shape: an odd node moves up as it is.
//!
//! Inner nodes hash 64 bytes and leaves 96 ([`crate::Leaf`]), so neither passes for the other.

use synod_crypto::sha256;
use synod_types::Digest;

/// One step of a path from a leaf to a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whether `digest` stands on the left.
    pub left: bool,
    /// The sibling.
    pub digest: Digest,
}

impl Step {
    /// The digest above `below`.
    pub fn up(&self, below: Digest) -> Digest {
        if self.left { parent(self.digest, below) } else { parent(below, self.digest) }
    }
}

/// The digest of the tree over `leaves`; `None` if there are none.
pub fn tree(leaves: &[Digest]) -> Option<Digest> {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = above(&level);
    }
    level.pop()
}

/// The path from leaf `place` to the digest of the tree.
///
/// # Panics
/// If there is no such leaf.
pub fn path(leaves: &[Digest], mut place: usize) -> Vec<Step> {
    assert!(place < leaves.len(), "leaf {place} of {}", leaves.len());
    let mut steps = Vec::new();
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        if let Some(digest) = level.get(place ^ 1) {
            steps.push(Step { left: place % 2 == 1, digest: *digest });
        }
        level = above(&level);
        place /= 2;
    }
    steps
}

/// The root after a block whose leaves are `leaves`; unchanged if there are none.
pub fn next_root(root: Digest, leaves: &[Digest]) -> Digest {
    tree(leaves).map_or(root, |tree| parent(root, tree))
}

fn above(level: &[Digest]) -> Vec<Digest> {
    level.chunks(2).map(|pair| if let [left, right] = pair { parent(*left, *right) } else { pair[0] }).collect()
}

fn parent(left: Digest, right: Digest) -> Digest {
    sha256(&[&left.0, &right.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|i| sha256(&[&i.to_le_bytes()])).collect()
    }

    #[test]
    fn small_trees_are_as_written_out() {
        let l = leaves(5);
        assert_eq!(tree(&[]), None);
        assert_eq!(tree(&l[..1]), Some(l[0]));
        assert_eq!(tree(&l[..3]), Some(parent(parent(l[0], l[1]), l[2])));
        let four = parent(parent(l[0], l[1]), parent(l[2], l[3]));
        assert_eq!(tree(&l), Some(parent(four, l[4])));
        assert_eq!(next_root(l[0], &[]), l[0]);
        assert_eq!(next_root(l[0], &l[1..2]), parent(l[0], l[1]));
    }

    #[test]
    fn every_leaf_of_every_small_tree_has_a_path_and_no_other_digest_fits_it() {
        for count in 1..=33 {
            let leaves = leaves(count);
            for place in 0..count {
                let path = path(&leaves, place);
                let climb = |leaf| path.iter().fold(leaf, |below, step| step.up(below));
                assert_eq!(Some(climb(leaves[place])), tree(&leaves), "{place} of {count}");
                assert_ne!(Some(climb(Digest([1; 32]))), tree(&leaves), "{place} of {count}");
            }
        }
    }
}
