//! The Merkle tree of RFC 6962, section 2.1.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash in the tree: of a leaf or of an inner node.
pub type NodeHash = [u8; 32];

/// The leaf hash of a line without its newline: "MTH({d(0)}) = SHA-256(0x00 || d(0))".
#[must_use]
pub fn leaf_hash(line: &[u8]) -> NodeHash {
    leaf_hasher().chain_update(line).finalize().into()
}

/// Computes the leaf hash of a line in pieces.
pub(super) fn leaf_hasher() -> Sha256 {
    Sha256::new_with_prefix([0])
}

/// `SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))`.
fn inner_hash(left: &NodeHash, right: &NodeHash) -> NodeHash {
    Sha256::new_with_prefix([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The roots of a growing tree's complete subtrees, from which its root is computed. There
/// are as many as its size has bits set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactRange {
    size: u64,
    /// From the largest subtree to the smallest.
    roots: Vec<NodeHash>,
}

impl CompactRange {
    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf_hash: NodeHash) {
        let mut root = leaf_hash;
        // Each trailing one of the size is a subtree that this leaf merges.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                root = inner_hash(&left, &root);
            }
        }
        self.roots.push(root);
        self.size += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> NodeHash {
        let roots = self.roots.iter().rev().copied();
        let root = roots.reduce(|right, left| inner_hash(&left, &right));
        // "The hash of an empty list is the hash of an empty string"
        root.unwrap_or_else(|| Sha256::digest([]).into())
    }
}

/// Computes a proof's path from all leaf hashes in their order. Its memory is proportional
/// to the path, not to the tree.
#[derive(Debug)]
pub struct PathBuilder {
    /// Number of leaves so far.
    size: u64,
    /// The subtrees of the path: the positions of their leaves, and the leaves so far.
    subtrees: Vec<(Range<u64>, CompactRange)>,
}

impl PathBuilder {
    /// Starts the inclusion proof of leaf `at` in a tree of `size` leaves (RFC 6962, section
    /// 2.1.1). It is empty if the tree has no such leaf.
    #[must_use]
    pub fn inclusion(at: u64, size: u64) -> Self {
        let (mut tree, mut path) = (0..size, Vec::new());
        while tree.contains(&at) && tree.end - tree.start > 1 {
            path.push(descend(&mut tree, at));
        }
        Self::new(path)
    }

    /// Starts the consistency proof of a tree of `size` leaves with its first `old` ones
    /// (RFC 6962, section 2.1.2). It is empty if `old` is 0 or not less than `size`.
    #[must_use]
    pub fn consistency(old: u64, size: u64) -> Self {
        let (mut tree, mut path) = (0..size, Vec::new());
        while 0 < old && old < tree.end {
            path.push(descend(&mut tree, old - 1));
        }
        // Another subtree than the old tree itself, whose root the verifier knows.
        if tree.start > 0 {
            path.push(tree);
        }
        Self::new(path)
    }

    /// The subtrees of a path, from the root to the leaf.
    fn new(path: Vec<Range<u64>>) -> Self {
        let subtrees = path.into_iter().rev();
        let subtrees = subtrees.map(|leaves| (leaves, CompactRange::default()));
        Self {
            size: 0,
            subtrees: subtrees.collect(),
        }
    }

    /// Appends the next leaf.
    pub fn push(&mut self, leaf_hash: NodeHash) {
        let mut subtrees = self.subtrees.iter_mut();
        if let Some((_, subtree)) = subtrees.find(|(leaves, _)| leaves.contains(&self.size)) {
            subtree.push(leaf_hash);
        }
        self.size += 1;
    }

    /// Returns the path, once all leaves were appended.
    #[must_use]
    pub fn into_path(self) -> Vec<NodeHash> {
        let subtrees = self.subtrees.iter();
        subtrees.map(|(_, subtree)| subtree.root()).collect()
    }
}

/// Replaces a tree of 2 leaves or more by its subtree with leaf `at`, and returns the other
/// one. The left one has as many leaves as "the largest power of two smaller than n".
fn descend(tree: &mut Range<u64>, at: u64) -> Range<u64> {
    let middle = tree.start + (1 << (tree.end - tree.start - 1).ilog2());
    let (left, right) = (tree.start..middle, middle..tree.end);
    let (subtree, sibling) = if at < middle {
        (left, right)
    } else {
        (right, left)
    };
    *tree = subtree;
    sibling
}

/// The root that results from the hash and path of leaf `at` (RFC 9162, section 2.1.3.2);
/// `None` if the path is too long or too short for a tree of `size` leaves.
#[must_use]
pub fn root_from_inclusion_proof(
    leaf_hash: NodeHash,
    at: u64,
    size: u64,
    path: &[NodeHash],
) -> Option<NodeHash> {
    let last = size.checked_sub(1).filter(|last| at <= *last)?;
    let mut root = leaf_hash;
    let is_whole = climb(at, last, path, |sibling| {
        root = match sibling {
            Sibling::Left(hash) => inner_hash(hash, &root),
            Sibling::Right(hash) => inner_hash(&root, hash),
        };
    });
    is_whole.then_some(root)
}

/// A hash of a path, on its side of the node that it is combined with.
enum Sibling<'p> {
    Left(&'p NodeHash),
    Right(&'p NodeHash),
}

/// Passes the hashes of a path to `combine`, from a node up to the root. `node` and `last`
/// are the RFC's fn and sn: positions of the node and of the last one, level by level.
/// Returns whether the path ends at the root.
fn climb<'p>(
    mut node: u64,
    mut last: u64,
    path: impl IntoIterator<Item = &'p NodeHash>,
    mut combine: impl FnMut(Sibling<'p>),
) -> bool {
    for hash in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            combine(Sibling::Left(hash));
            // Up to the level where it has a left sibling.
            last >>= node.trailing_zeros();
            node >>= node.trailing_zeros();
        } else {
            combine(Sibling::Right(hash));
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0
}

/// Whether a path shows that a tree is an extension of an older one, each given by its size
/// and root (RFC 9162, section 2.1.4.2).
#[must_use]
pub fn is_consistent(old: (u64, NodeHash), new: (u64, NodeHash), path: &[NodeHash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 {
        // "the empty tree is consistent with any tree, so no proof is necessary"
        return path.is_empty() && old_root == CompactRange::default().root();
    }
    if old_size >= new_size {
        return old == new && path.is_empty();
    }
    // "If first is an exact power of 2, then prepend first_hash to the consistency_path"
    let first = old_size.is_power_of_two().then_some(&old_root);
    let mut path = first.into_iter().chain(path);
    let Some(first) = path.next() else {
        return false;
    };
    // The largest subtree that the old tree ends with.
    let shift = (old_size - 1).trailing_ones();
    let (node, last) = ((old_size - 1) >> shift, (new_size - 1) >> shift);
    // The RFC's fr and sr.
    let (mut old, mut new) = (*first, *first);
    let is_whole = climb(node, last, path, |sibling| match sibling {
        Sibling::Left(hash) => (old, new) = (inner_hash(hash, &old), inner_hash(hash, &new)),
        Sibling::Right(hash) => new = inner_hash(&new, hash),
    });
    is_whole && old == old_root && new == new_root
}
