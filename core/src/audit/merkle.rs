//! The Merkle tree of RFC 6962, section 2.1.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

/// A SHA-256 of the tree.
pub type NodeHash = [u8; 32];

/// "MTH({d(0)}) = SHA-256(0x00 || d(0))": the leaf of a line without its newline.
#[must_use]
pub fn leaf_hash(line: &[u8]) -> NodeHash {
    leaf_hasher(line).finalize().into()
}

/// The same, of a line that goes on.
pub(super) fn leaf_hasher(line: &[u8]) -> Sha256 {
    Sha256::new_with_prefix([0]).chain_update(line)
}

/// `SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))`.
fn node(left: &NodeHash, right: &NodeHash) -> NodeHash {
    Sha256::new_with_prefix([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The roots of the complete subtrees of a growing log, which is all that its
/// root needs: as many as its size has bits set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactRange {
    size: u64,
    /// From the largest subtree to the smallest.
    roots: Vec<NodeHash>,
}

impl CompactRange {
    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: NodeHash) {
        let mut root = leaf;
        // Each trailing one of the size is a subtree that this one completes.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                root = node(&left, &root);
            }
        }
        self.roots.push(root);
        self.size += 1;
    }

    /// "The hash of an empty list is the hash of an empty string".
    #[must_use]
    pub fn root(&self) -> NodeHash {
        let folded = self
            .roots
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node(&left, &right));
        folded.unwrap_or_else(|| Sha256::digest([]).into())
    }
}

/// The largest power of two smaller than `n`, which is 2 or more.
const fn split(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

/// Makes the path of a leaf while all leaves go by (RFC 6962, section 2.1.1), in
/// memory for the path alone.
pub struct InclusionProofBuilder {
    seen: u64,
    /// The subtrees beside the leaf, from its own to the root's: their leaves'
    /// places, and their roots so far.
    beside: Vec<(Range<u64>, CompactRange)>,
}

impl InclusionProofBuilder {
    /// The path of leaf `at` of `size`; empty where there is no such leaf.
    #[must_use]
    pub fn new(at: u64, size: u64) -> Self {
        let (mut tree, mut beside) = (0..size, Vec::new());
        while tree.contains(&at) && tree.end - tree.start > 1 {
            let middle = tree.start + split(tree.end - tree.start);
            let (left, right) = (tree.start..middle, middle..tree.end);
            let (with, without) = if at < middle {
                (left, right)
            } else {
                (right, left)
            };
            beside.push((without, CompactRange::default()));
            tree = with;
        }
        beside.reverse();
        Self { seen: 0, beside }
    }

    /// Takes the next leaf.
    pub fn push(&mut self, leaf: NodeHash) {
        let mut beside = self.beside.iter_mut();
        if let Some((_, root)) = beside.find(|(leaves, _)| leaves.contains(&self.seen)) {
            root.push(leaf);
        }
        self.seen += 1;
    }

    /// The path, once all leaves were taken.
    #[must_use]
    pub fn path(self) -> Vec<NodeHash> {
        self.beside.iter().map(|(_, root)| root.root()).collect()
    }
}

/// The root that a leaf and its path lead to (RFC 9162, section 2.1.3.2); `None`
/// where the path has not as many hashes as such a leaf's.
#[must_use]
pub fn root_from_inclusion_proof(
    leaf: NodeHash,
    at: u64,
    size: u64,
    path: &[NodeHash],
) -> Option<NodeHash> {
    let (mut at, mut last) = (at, size.checked_sub(1)?);
    if at > last {
        return None;
    }
    let mut root = leaf;
    for hash in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            root = node(hash, &root);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            root = node(&root, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}
