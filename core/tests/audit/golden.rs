//! A stored log and its hashes: no version may read or compute them differently.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::audit_log::sample::logs;
use crate::support::audit_log::{all_findings, lines, verify};
use skopeo_index_core::audit::{
    Checkpoint, CompactRange, ConsistencyProof, FindingKind, InclusionProof, PathBuilder, Proof,
    Record, SavedCheckpoint, Severity, leaf_hash,
};
use skopeo_index_core::digest::Digest;

use crate::merkle::{naive_root, prove, prove_consistency};

/// The proved record.
const SEQ: u64 = 14;

/// Leaf hashes of the first and the last record.
const LEAVES: [&str; 2] = [
    "242711d54341bc09f8cb5cb9dd843ba2165fe31f3b07a1d324a4ab98a76b0dbb",
    "0a0aa200643656efc1eda8db99bf49c6faca7c36aa39af886917bbf9ba554c05",
];

const CHECKPOINT: &str = "skopeo-index/cd155c869010312047abc2998c8ba17f\n22\ncFlbKx8Cua/Lw31pOiFEyJbkFLTWzlG8RIKnFc807EA=\n";

/// From the leaf of record 14 to the root.
const PATH: [&str; 5] = [
    "7a8f7c49ef35d1283cf86aa47411bb330c872f99281c74ca0bb4e3377d00dc73",
    "39fda6da83d6e9d51be0db29131d573348b1fdaf6ca234d7f96b71833449d2d9",
    "ec87ed30641a2d1454f84d842c3c03a706da1fc7cd0e10699e3e947906c78209",
    "ed711304c1d21ec5463eff424a7a312367ebff7b543512b587d605a117a526f6",
    "6cebbbf67f3f1b50bc23e0ffa0c47388b375c4d668e8ac3a94cad358f22895e1",
];

/// The torn line in the log.
const TORN: &[u8] = b"{\"entry\":{\"transition";

fn golden(name: &str) -> PathBuf {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/audit/golden");
    PathBuf::from(golden).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(golden(name)).expect("a file")
}

#[test]
fn golden_log_keeps_its_leaves_chain_root_and_proof() {
    let log = fs::read(golden("log")).expect("a log");
    let (checkpoint, found) = all_findings(&log, None);
    let checkpoint = checkpoint.expect("records");
    assert_eq!(checkpoint.to_string(), CHECKPOINT);
    assert_eq!(read("checkpoint"), CHECKPOINT);
    let found: Vec<_> = found.into_iter().map(|finding| finding.kind).collect();
    assert!(
        matches!(&found[..], [FindingKind::RecoveredLine(21)]),
        "{found:?}"
    );
    assert_eq!(
        (found[0].code(), found[0].severity()),
        ("recovered-line", Severity::Note)
    );

    let (mut range, mut prover) = (
        CompactRange::default(),
        PathBuilder::inclusion(SEQ, checkpoint.size),
    );
    let (mut leaves, mut prev) = (Vec::new(), [0; 32]);
    for line in lines(&log) {
        let line = line.trim_ascii_end();
        if line != TORN {
            let record = Record::parse(line).expect("a record");
            assert_eq!(record.to_line().as_bytes(), line);
            assert_eq!(record.prev, prev);
        }
        prev = leaf_hash(line);
        range.push(prev);
        prover.push(prev);
        leaves.push(hex(prev));
    }
    assert_eq!(range.root(), checkpoint.root);
    assert_eq!([&leaves[0], &leaves[leaves.len() - 1]], LEAVES);
    assert_eq!(leaves, read("leaves").lines().collect::<Vec<_>>());
    let path: Vec<_> = prover.into_path().into_iter().map(hex).collect();
    assert_eq!(path, PATH);
    let proof = Proof::parse(read("proof").as_bytes()).expect("a proof");
    assert_eq!(proof.to_string(), read("proof"));
    let Proof::Inclusion(proof) = proof else {
        panic!("not an inclusion proof")
    };
    assert_eq!(proof.checkpoint.checkpoint(), &checkpoint);
    let line = &lines(&log)[usize::try_from(SEQ).expect("a position")];
    let record = proof.check_record(line.trim_ascii_end());
    assert_eq!(record.expect("a valid proof").seq, SEQ);
}

fn hex(hash: [u8; 32]) -> String {
    Digest::from_bytes(hash).hex()
}

/// Runs the independent reader on files.
#[track_caller]
fn verify_with_python(files: &[PathBuf]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/audit/verify_log.py");
    let output = Command::new("python3").arg(script).args(files).output();
    let output = output.expect("no python3: run `make setup`");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "ok",
        "{output:?}"
    );
}

#[test]
fn python_reader_verifies_the_golden_log() {
    verify_with_python(&["log", "checkpoint", "proof", "leaves"].map(golden));
}

#[test]
fn python_reader_verifies_checkpoint_and_proofs_of_a_written_log() {
    let log = &logs()[0];
    let lines: Vec<_> = lines(log)
        .iter()
        .map(|line| line.trim_ascii_end().to_vec())
        .collect();
    let leaves: Vec<_> = lines.iter().map(|line| leaf_hash(line)).collect();
    let checkpoint = verify(log, None).0.expect("records");
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, content).expect("a file");
        path
    };
    for at in [0, 7, 40] {
        let old = at + 1;
        let root = naive_root(&leaves[..old]);
        let old = Checkpoint {
            size: old as u64,
            root,
            ..checkpoint.clone()
        };
        let inclusion = InclusionProof {
            index: at as u64,
            path: prove(&leaves, at),
            checkpoint: SavedCheckpoint::unsigned(checkpoint.clone()),
        };
        let consistency = ConsistencyProof {
            old_size: old.size,
            path: prove_consistency(&leaves, at + 1),
            checkpoint: SavedCheckpoint::unsigned(checkpoint.clone()),
        };
        consistency.check(&old).expect("a valid proof");
        for proof in [inclusion.to_string(), consistency.to_string()] {
            verify_with_python(&[
                file("log", log),
                file("checkpoint", checkpoint.to_string().as_bytes()),
                file("proof", proof.as_bytes()),
            ]);
        }
    }
}
