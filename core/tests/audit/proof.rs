//! Inclusion and consistency proofs, and their text.

use crate::support::audit_log::sample::logs;
use crate::support::audit_log::{another_log, lines, verify};
use proptest::prelude::*;
use skopeo_index_core::audit::{
    Checkpoint, ConsistencyProof, InclusionProof, NodeHash, Proof, ProofError, SavedCheckpoint,
    leaf_hash,
};

use crate::merkle::{leaves, naive_root, prove, prove_consistency};

const EXAMPLE: &str = "example.com/a\n21\nYO+E9qMX9lQeovm9Lz3vbXR1FWIBXEFYlzaFWGTzExM=\n";

/// The lines of the sample, without newlines, their leaves, and the checkpoint.
fn sample() -> (Vec<Vec<u8>>, Vec<NodeHash>, Checkpoint) {
    let log = &logs()[0];
    let lines = lines(log);
    let lines: Vec<_> = lines
        .iter()
        .map(|line| line.trim_ascii_end().to_vec())
        .collect();
    let leaves = lines.iter().map(|line| leaf_hash(line)).collect();
    (lines, leaves, verify(log, None).0.expect("records"))
}

fn inclusion(leaves: &[NodeHash], at: usize, checkpoint: &Checkpoint) -> InclusionProof {
    InclusionProof {
        index: at as u64,
        path: prove(leaves, at),
        checkpoint: SavedCheckpoint::unsigned(checkpoint.clone()),
    }
}

proptest! {
    #![proptest_config(crate::support::property::config(256, "audit-proof.txt"))]

    #[test]
    fn accepted_proof_is_written_back_unchanged(
        head in "(c2sp.org/tlog-proof@v1\nindex |old )0?[0-9]{1,3}",
        hashes in prop::collection::vec(any::<[u8; 32]>(), 0..4),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let checkpoint = EXAMPLE.parse().expect("a checkpoint");
        let with_path = InclusionProof {
            index: 0,
            path: hashes,
            checkpoint: SavedCheckpoint::unsigned(checkpoint),
        }
        .to_string();
        let (_, rest) = with_path.split_once("index 0").expect("a proof");
        let mut text = format!("{head}{rest}").into_bytes();
        if let Ok(proof) = Proof::parse(&text) {
            prop_assert_eq!(proof.to_string().into_bytes(), text.clone());
        }
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(proof) = Proof::parse(&text) {
            prop_assert_eq!(proof.to_string().into_bytes(), text.clone());
        }
    }

    #[test]
    fn consistency_proof_with_any_other_hash_is_refused(
        old in 1..60_usize, more in 1..60_usize, at: prop::sample::Index, other: [u8; 32],
    ) {
        let leaves = leaves(old + more);
        let Checkpoint { origin, .. } = EXAMPLE.parse().expect("a checkpoint");
        let checkpoint = |size: usize| Checkpoint {
            origin: origin.clone(),
            size: size as u64,
            root: naive_root(&leaves[..size]),
        };
        let mut proof = ConsistencyProof {
            old_size: old as u64,
            path: prove_consistency(&leaves, old),
            checkpoint: SavedCheckpoint::unsigned(checkpoint(old + more)),
        };
        prop_assert_eq!(proof.check(&checkpoint(old)), Ok(()));
        let rewritten = Checkpoint { root: other, ..checkpoint(old) };
        prop_assert_eq!(proof.check(&rewritten), Err(ProofError::NotConsistent));
        let at = at.index(proof.path.len());
        proof.path[at] = other;
        prop_assert_eq!(proof.check(&checkpoint(old)), Err(ProofError::NotConsistent));
        proof.path.remove(at);
        prop_assert_eq!(proof.check(&checkpoint(old)), Err(ProofError::NotConsistent));
    }
}

#[test]
fn inclusion_proof_holds_only_for_its_record_and_checkpoint() {
    let (lines, leaves, checkpoint) = sample();
    let other = verify(&logs()[1], None).0.expect("records");
    for at in 0..leaves.len() {
        let proof = inclusion(&leaves, at, &checkpoint);
        assert_eq!(
            proof.check_record(&lines[at]).map(|record| record.seq),
            Ok(at as u64)
        );
        assert!(
            inclusion(&leaves, at, &other)
                .check_record(&lines[at])
                .is_err()
        );
        assert!(proof.check_record(&lines[(at + 1) % leaves.len()]).is_err());
        assert!(proof.check(leaves[(at + 1) % leaves.len()]).is_err());
    }
}

#[test]
fn invalid_inclusion_proof_gives_the_reason() {
    let (lines, leaves, checkpoint) = sample();
    let error = |proof: InclusionProof, line: &[u8]| {
        proof.check_record(line).expect_err("an invalid proof")
    };
    let right = |checkpoint: &Checkpoint| inclusion(&leaves, 1, checkpoint);
    assert!(right(&checkpoint).check_record(&lines[1]).is_ok());
    let elsewhere = Checkpoint {
        origin: another_log().try_into().expect("a name"),
        ..checkpoint.clone()
    };
    assert_eq!(error(right(&elsewhere), &lines[1]), ProofError::Mismatch);
    let rewritten = Checkpoint {
        root: [0; 32],
        ..checkpoint.clone()
    };
    assert_eq!(error(right(&rewritten), &lines[1]), ProofError::NotIncluded);
    let mut short = right(&checkpoint);
    short.path.remove(0);
    assert_eq!(error(short, &lines[1]), ProofError::NotIncluded);
    let misplaced = InclusionProof {
        index: 2,
        ..right(&checkpoint)
    };
    assert!(matches!(error(misplaced, &lines[1]), ProofError::Record(_)));
    assert!(matches!(
        error(right(&checkpoint), b"{}"),
        ProofError::Record(_)
    ));
}

#[test]
fn consistency_proof_is_for_one_log_and_one_size() {
    let (_, leaves, checkpoint) = sample();
    let old = Checkpoint {
        size: 7,
        root: naive_root(&leaves[..7]),
        ..checkpoint.clone()
    };
    let proof = ConsistencyProof {
        old_size: 7,
        path: prove_consistency(&leaves, 7),
        checkpoint: SavedCheckpoint::unsigned(checkpoint),
    };
    assert_eq!(proof.check(&old), Ok(()));
    let elsewhere = Checkpoint {
        origin: another_log().try_into().expect("a name"),
        ..old.clone()
    };
    assert_eq!(proof.check(&elsewhere), Err(ProofError::Mismatch));
    let smaller = Checkpoint { size: 6, ..old };
    assert_eq!(proof.check(&smaller), Err(ProofError::Mismatch));
}

#[test]
fn malformed_proof_gives_the_reason() {
    let (_, leaves, checkpoint) = sample();
    let text = inclusion(&leaves, 3, &checkpoint).to_string();
    let error = |text: &str| Proof::parse(text.as_bytes()).expect_err("not a proof");
    assert!(Proof::parse(text.as_bytes()).is_ok());
    assert_eq!(error(""), ProofError::NoCheckpoint);
    assert_eq!(error(&text.replace("\n\n", "\n")), ProofError::NoCheckpoint);
    assert_eq!(error(&text.replace("@v1", "@v2")), ProofError::Header);
    assert_eq!(
        error(&text.replace("index 3", "index 03")),
        ProofError::Header
    );
    assert_eq!(
        error(&text.replace("index 3", "extra AAAA\nindex 3")),
        ProofError::Header
    );
    assert_eq!(
        error(&text.replace("index 3\n", "index 3\nx\n")),
        ProofError::Hash(3)
    );
    let hash = "YO+E9qMX9lQeovm9Lz3vbXR1FWIBXEFYlzaFWGTzExM=\n".repeat(65);
    let long = text.replace("index 3\n", &format!("index 3\n{hash}"));
    assert_eq!(error(&long), ProofError::TooManyHashes);
    let lines = text.replace('\n', "\r\n");
    assert_eq!(error(&lines), ProofError::NoCheckpoint);
    let more = format!("{text}more\n");
    assert!(matches!(error(&more), ProofError::Checkpoint(_)));
}
