//! The Merkle tree of RFC 6962, section 2.1.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash in the tree: of a leaf or of an inner node.
pub type NodeHash = [u8; 32];

/// The leaf hash of a line without its newline: "MTH({d(0)}) = SHA-256(0x00 || d(0))".
#[must_use]
pub fn leaf_hash(line: &[u8]) -> NodeHash {
    leaf_hasher(line).finalize().into()
}

/// Computes a leaf hash incrementally, from the start of a line.
pub(super) fn leaf_hasher(start: &[u8]) -> Sha256 {
    Sha256::new_with_prefix([0]).chain_update(start)
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

/// "the largest power of two smaller than n", which is 2 or more.
const fn split_point(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

/// Computes a proof's path from all leaf hashes in their order. Its memory is proportional
/// to the path, not to the tree.
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
            let (left, right) = split(&tree);
            let (subtree, sibling) = if at < left.end {
                (left, right)
            } else {
                (right, left)
            };
            path.push(sibling);
            tree = subtree;
        }
        Self::new(path)
    }

    /// Starts the consistency proof of a tree of `size` leaves with its first `old` ones
    /// (RFC 6962, section 2.1.2). It is empty if `old` is 0 or not less than `size`.
    #[must_use]
    pub fn consistency(old: u64, size: u64) -> Self {
        let (mut tree, mut path) = (0..size, Vec::new());
        while 0 < old && old < tree.end {
            let (left, right) = split(&tree);
            let (subtree, sibling) = if old <= left.end {
                (left, right)
            } else {
                (right, left)
            };
            path.push(sibling);
            tree = subtree;
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

/// The two subtrees of a tree of 2 leaves or more.
fn split(tree: &Range<u64>) -> (Range<u64>, Range<u64>) {
    let middle = tree.start + split_point(tree.end - tree.start);
    (tree.start..middle, middle..tree.end)
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
    // The RFC's fn and sn: positions of the node and of the last one, level by level.
    let (mut node, mut last) = (at, size.checked_sub(1)?);
    if node > last {
        return None;
    }
    let mut root = leaf_hash;
    for hash in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            root = inner_hash(hash, &root);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            root = inner_hash(&root, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
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
    // The RFC's fn and sn, fr and sr.
    let shift = (old_size - 1).trailing_ones();
    let (mut node, mut last) = ((old_size - 1) >> shift, (new_size - 1) >> shift);
    let (mut old, mut new) = (*first, *first);
    for hash in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            (old, new) = (inner_hash(hash, &old), inner_hash(hash, &new));
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = inner_hash(&new, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == old_root && new == new_root
}
