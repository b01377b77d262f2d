//! A log that was once written, and what its hashes were then: neither may ever
//! change.

use std::fs;
use std::path::PathBuf;

use skopeo_index_core::audit::{
    CompactRange, FindingKind, InclusionProof, InclusionProofBuilder, Record, Severity, leaf_hash,
};
use skopeo_index_core::digest::Digest;

use super::{all_findings, lines};

/// The proved record.
const SEQ: u64 = 13;

/// Of the first record and the last, of all in the order of the log.
const LEAVES: [&str; 2] = [
    "55b2e618675ea76458a569f3afe19e0054f7df62fbb8c9c4011210ae303f0b87",
    "36d96c6db9b2d9751d714ac39dd92108ba4836fbd44b2432aae5b1db876b5ce5",
];

const CHECKPOINT: &str = "skopeo-index/cd155c869010312047abc2998c8ba17f\n21\nIFlBRwmZipkjJTayXEpdh2bYlUo+Re7+m5WuG0sNQC4=\n";

/// From the leaf of record 13 to the root.
const PATH: [&str; 5] = [
    "843ccb0c54b2a57b39d5720c1bb35d22b5a8fd7747390644d8bada5d106c3446",
    "ae2813ed0b940991b908be31cb1357e50c2d70a1a4a90c195ca372ad95fc1a58",
    "b0c0fc6a2df78e8201ed4777e6561774cad306389266d7b777d42757e91ad2bc",
    "e308d8cc78b2ddd71e03e71d1d6ac2eede319fdc3e0d5408726164fba3ae3963",
    "b85009a173d05346021657f53ddf821b49780fe17948768e32eaa4305ad8e8f5",
];

fn golden(name: &str) -> PathBuf {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/core/audit/golden");
    PathBuf::from(golden).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(golden(name)).expect("a file")
}

#[test]
fn the_old_log_has_its_old_leaves_chain_root_and_proof() {
    let log = fs::read(golden("log")).expect("a log");
    let (checkpoint, found) = all_findings(&log, None);
    let checkpoint = checkpoint.expect("records");
    assert_eq!(checkpoint.to_string(), CHECKPOINT);
    assert_eq!(read("checkpoint"), CHECKPOINT);
    let found: Vec<_> = found.into_iter().map(|finding| finding.what).collect();
    assert!(
        matches!(&found[..], [FindingKind::Recovered { bytes: 21, .. }]),
        "{found:?}"
    );
    assert_eq!(
        (found[0].kind(), found[0].severity()),
        ("recovered", Severity::Note)
    );

    let (mut frontier, mut prover) = (
        CompactRange::default(),
        InclusionProofBuilder::new(SEQ, checkpoint.size),
    );
    let (mut leaves, mut prev) = (Vec::new(), [0; 32]);
    for line in lines(&log) {
        let line = line.trim_ascii_end();
        let record = Record::parse(line).expect("a record");
        assert_eq!(record.to_line().as_bytes(), line);
        assert_eq!(record.prev, prev);
        prev = leaf_hash(line);
        frontier.push(prev);
        prover.push(prev);
        leaves.push(hex(prev));
    }
    assert_eq!(frontier.root(), checkpoint.root);
    assert_eq!([&leaves[0], &leaves[leaves.len() - 1]], LEAVES);
    assert_eq!(leaves, read("leaves").lines().collect::<Vec<_>>());
    let path: Vec<_> = prover.path().into_iter().map(hex).collect();
    assert_eq!(path, PATH);
    let proof: InclusionProof = serde_json::from_str(&read("proof")).expect("a proof");
    let record = proof.check(&checkpoint).expect("it holds");
    assert_eq!(record.seq, SEQ);
}

fn hex(hash: [u8; 32]) -> String {
    Digest::from_bytes(hash).hex()
}

#[test]
fn an_independent_computation_finds_the_same() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/core/audit.py");
    let files = ["log", "checkpoint", "proof", "leaves"].map(golden);
    let files = files.iter().map(|file| file.to_str().expect("UTF-8"));
    let args: Vec<_> = [script].into_iter().chain(files).collect();
    let said = test_support::loopback::run("python3", &args);
    assert_eq!(String::from_utf8_lossy(&said).trim(), "ok");
}
