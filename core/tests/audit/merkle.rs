//! The Merkle tree of RFC 6962: roots, inclusion and consistency proofs.

use proptest::prelude::*;
use skopeo_index_core::audit::{
    CompactRange, NodeHash, PathBuilder, is_consistent, leaf_hash, root_from_inclusion_proof,
};
use skopeo_index_core::digest::Digest;

/// Leaves of a log of this size.
pub(crate) fn leaves(size: usize) -> Vec<NodeHash> {
    (0..size)
        .map(|n| leaf_hash(n.to_string().as_bytes()))
        .collect()
}

fn node(left: NodeHash, right: NodeHash) -> NodeHash {
    *Digest::of(&[&[1], &left[..], &right[..]].concat()).as_bytes()
}

/// RFC 6962, section 2.1, to the letter: "k […] the largest power of two smaller than n".
pub(crate) fn naive_root(leaves: &[NodeHash]) -> NodeHash {
    match leaves {
        [] => *Digest::of(b"").as_bytes(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node(naive_root(left), naive_root(right))
        }
    }
}

/// RFC 6962, section 2.1.2, to the letter: SUBPROOF(m, D[n], b).
fn naive_consistency(m: usize, leaves: &[NodeHash], is_known: bool) -> Vec<NodeHash> {
    if m == leaves.len() {
        return if is_known {
            vec![]
        } else {
            vec![naive_root(leaves)]
        };
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut path, last) = if m <= k {
        (naive_consistency(m, left, is_known), naive_root(right))
    } else {
        (naive_consistency(m - k, right, false), naive_root(left))
    };
    path.push(last);
    path
}

/// The consistency proof with the first `old` leaves.
pub(crate) fn prove_consistency(leaves: &[NodeHash], old: usize) -> Vec<NodeHash> {
    let mut prover = PathBuilder::consistency(old as u64, leaves.len() as u64);
    leaves.iter().for_each(|leaf| prover.push(*leaf));
    prover.into_path()
}

/// Compares a proof with the definition, and checks it.
#[track_caller]
fn assert_consistent(leaves: &[NodeHash], old: usize) {
    let path = prove_consistency(leaves, old);
    let old_tree = (old as u64, naive_root(&leaves[..old]));
    let tree = (leaves.len() as u64, naive_root(leaves));
    assert_eq!(
        path,
        naive_consistency(old, leaves, true),
        "{old} of {}",
        leaves.len()
    );
    assert!(
        is_consistent(old_tree, tree, &path),
        "{old} of {}",
        leaves.len()
    );
}

/// The inclusion proof of a leaf.
pub(crate) fn prove(leaves: &[NodeHash], at: usize) -> Vec<NodeHash> {
    let mut prover = PathBuilder::inclusion(at as u64, leaves.len() as u64);
    leaves.iter().for_each(|leaf| prover.push(*leaf));
    prover.into_path()
}

proptest! {
    #![proptest_config(crate::support::property::config(256, "audit-merkle.txt"))]

    #[test]
    fn inclusion_proof_holds_for_its_leaf_and_no_other(size in 1_usize..70, at: prop::sample::Index, other: [u8; 32]) {
        let leaves = leaves(size);
        let mut range = CompactRange::default();
        leaves.iter().for_each(|leaf| range.push(*leaf));
        let at = at.index(size);
        let path = prove(&leaves, at);
        let (n, of) = (at as u64, size as u64);
        prop_assert_eq!(root_from_inclusion_proof(leaves[at], n, of, &path), Some(range.root()));
        prop_assert_ne!(root_from_inclusion_proof(other, n, of, &path), Some(range.root()));
        prop_assert_eq!(root_from_inclusion_proof(leaves[at], of, of, &path), None);
        prop_assert!(prove(&leaves, size).is_empty());
        for wrong in (0..of).filter(|wrong| *wrong != n) {
            prop_assert_ne!(root_from_inclusion_proof(leaves[at], wrong, of, &path), Some(range.root()));
        }
    }
}

proptest! {
    #![proptest_config(crate::support::property::config(24, "audit-consistency.txt"))]

    #[test]
    fn consistency_proof_of_a_large_log_matches_the_definition(size in 41..1500_usize, old: prop::sample::Index) {
        assert_consistent(&leaves(size), 1 + old.index(size));
    }
}

#[test]
fn consistency_proof_of_every_pair_of_small_sizes_matches_the_definition_and_no_other_pair() {
    const MAX: usize = 40;
    let leaves = leaves(MAX);
    let roots: Vec<_> = (0..=MAX).map(|size| naive_root(&leaves[..size])).collect();
    let tree = |size: usize| (size as u64, roots[size]);
    for new in 1..=MAX {
        for old in 1..=new {
            assert_consistent(&leaves[..new], old);
            let path = prove_consistency(&leaves[..new], old);
            for other in (1..=new).filter(|other| *other != old) {
                assert!(
                    !is_consistent(tree(other), tree(new), &path),
                    "{other}, {old}, {new}"
                );
            }
            let forged = (old as u64, [7; 32]);
            assert!(!is_consistent(forged, tree(new), &path), "{old}, {new}");
            assert!(
                !is_consistent(tree(old), (new as u64, [7; 32]), &path),
                "{old}, {new}"
            );
        }
    }
}

#[test]
fn empty_log_is_consistent_with_any_without_a_path() {
    let leaves = leaves(3);
    let (empty, three) = ((0, naive_root(&[])), (3, naive_root(&leaves)));
    assert!(prove_consistency(&leaves, 0).is_empty());
    assert!(is_consistent(empty, three, &[]));
    assert!(is_consistent(empty, empty, &[]));
    assert!(!is_consistent(empty, three, &[[0; 32]]));
    assert!(!is_consistent((0, [0; 32]), three, &[]));
    assert!(!is_consistent(three, empty, &[]));
}

/// RFC 6962 has no test vectors; these are from the reference tests of Certificate
/// Transparency.
#[test]
fn merkle_roots_match_certificate_transparency() {
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let mut range = CompactRange::default();
    let hex = |hash: NodeHash| Digest::from_bytes(hash).hex();
    assert_eq!(
        hex(range.root()),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    range.push(leaf_hash(leaves[0]));
    assert_eq!(
        hex(range.root()),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
    leaves[1..]
        .iter()
        .for_each(|bytes| range.push(leaf_hash(bytes)));
    assert_eq!(
        hex(range.root()),
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    );
}
