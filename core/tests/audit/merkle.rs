//! The Merkle tree of RFC 6962: roots and inclusion proofs.

use proptest::prelude::*;
use skopeo_index_core::audit::{
    Checkpoint, CheckpointError, CompactRange, InclusionProof, InclusionProofBuilder, NodeHash,
    leaf_hash, root_from_inclusion_proof,
};
use skopeo_index_core::digest::Digest;
use test_support::audit_log::sample::logs;
use test_support::audit_log::{another_log, lines, verify};

/// The inclusion proof of a leaf.
pub(crate) fn prove(leaves: &[NodeHash], at: usize) -> Vec<NodeHash> {
    let mut prover = InclusionProofBuilder::new(at as u64, leaves.len() as u64);
    leaves.iter().for_each(|leaf| prover.push(*leaf));
    prover.into_path()
}

proptest! {
    #![proptest_config(test_support::property::config(256, "audit-merkle.txt"))]

    #[test]
    fn inclusion_proof_holds_for_its_leaf_and_no_other(size in 1_usize..70, at: prop::sample::Index, other: [u8; 32]) {
        let leaves: Vec<NodeHash> = (0..size).map(|n| leaf_hash(n.to_string().as_bytes())).collect();
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

#[test]
fn inclusion_proof_holds_only_for_its_record_and_checkpoint() {
    let [log, other] = logs();
    let (checkpoint, other) = (
        verify(log, None).0.expect("records"),
        verify(other, None).0.expect("records"),
    );
    let texts: Vec<String> = lines(log)
        .iter()
        .map(|line| String::from_utf8_lossy(line).trim_end().to_owned())
        .collect();
    let leaves: Vec<NodeHash> = texts
        .iter()
        .map(|line| leaf_hash(line.as_bytes()))
        .collect();
    for at in 0..leaves.len() {
        let of = |line: &str| {
            InclusionProof::new(
                line.to_owned(),
                at as u64,
                leaves.len() as u64,
                prove(&leaves, at),
            )
        };
        assert!(of(&texts[at]).check(&checkpoint).is_ok());
        assert!(of(&texts[at]).check(&other).is_err());
        assert!(
            of(&texts[(at + 1) % leaves.len()])
                .check(&checkpoint)
                .is_err()
        );
    }
}

#[test]
fn invalid_inclusion_proof_gives_the_reason() {
    let [log, _] = logs();
    let checkpoint = verify(log, None).0.expect("records");
    let lines: Vec<_> = lines(log)
        .iter()
        .map(|line| line.trim_ascii_end().to_vec())
        .collect();
    let leaves: Vec<NodeHash> = lines.iter().map(|line| leaf_hash(line)).collect();
    let size = checkpoint.size;
    let proof = |line: &[u8], seq, size, path| {
        let line = String::from_utf8_lossy(line).into_owned();
        InclusionProof::new(line, seq, size, path)
    };
    let (line, path) = (&lines[1], prove(&leaves, 1));
    let error =
        |proof: InclusionProof, checkpoint| proof.check(checkpoint).expect_err("an invalid proof");
    let right = || proof(line, 1, size, path.clone());
    assert!(right().check(&checkpoint).is_ok());

    let shorter = Checkpoint {
        size: size - 1,
        ..checkpoint.clone()
    };
    assert_eq!(error(right(), &shorter), CheckpointError::Mismatch);
    let elsewhere = Checkpoint {
        origin: another_log().try_into().expect("a name"),
        ..checkpoint.clone()
    };
    assert_eq!(error(right(), &elsewhere), CheckpointError::Mismatch);
    let rewritten = Checkpoint {
        root: [0; 32],
        ..checkpoint.clone()
    };
    assert_eq!(error(right(), &rewritten), CheckpointError::NotIncluded);
    let short = proof(line, 1, size, path[1..].to_vec());
    assert_eq!(error(short, &checkpoint), CheckpointError::NotIncluded);
    let misplaced = proof(line, 2, size, path.clone());
    assert!(matches!(
        error(misplaced, &checkpoint),
        CheckpointError::Record(_)
    ));
    let none = proof(b"{}", 1, size, path.clone());
    assert!(matches!(
        error(none, &checkpoint),
        CheckpointError::Record(_)
    ));
}
