//! Roots, checkpoints and proofs.

use std::fs;

use proptest::prelude::*;
use skopeo_index_core::audit::{
    Checkpoint, CheckpointError, CompactRange, FindingKind, InclusionProof, InclusionProofBuilder,
    NodeHash, leaf_hash, root_from_inclusion_proof,
};
use skopeo_index_core::digest::Digest;

use super::{another_log, lines, logs, make_log, verify};

fn prove(leaves: &[NodeHash], at: usize) -> Vec<NodeHash> {
    let mut prover = InclusionProofBuilder::new(at as u64, leaves.len() as u64);
    leaves.iter().for_each(|leaf_hash| prover.push(*leaf_hash));
    prover.path()
}

proptest! {
    #[test]
    fn every_record_of_a_tree_is_proved_and_no_other(size in 1_usize..70, at: prop::sample::Index, other: [u8; 32]) {
        let leaves: Vec<NodeHash> = (0..size).map(|n| leaf_hash(n.to_string().as_bytes())).collect();
        let mut frontier = CompactRange::default();
        leaves.iter().for_each(|leaf_hash| frontier.push(*leaf_hash));
        let at = at.index(size);
        let path = prove(&leaves, at);
        let (n, of) = (at as u64, size as u64);
        prop_assert_eq!(root_from_inclusion_proof(leaves[at], n, of, &path), Some(frontier.root()));
        prop_assert_ne!(root_from_inclusion_proof(other, n, of, &path), Some(frontier.root()));
        prop_assert_eq!(root_from_inclusion_proof(leaves[at], of, of, &path), None);
        prop_assert!(prove(&leaves, size).is_empty());
        for wrong in (0..of).filter(|wrong| *wrong != n) {
            prop_assert_ne!(root_from_inclusion_proof(leaves[at], wrong, of, &path), Some(frontier.root()));
        }
    }
}

/// RFC 6962 has none; these are Certificate Transparency's own, for the leaves of
/// its reference tests.
#[test]
fn roots_are_those_of_certificate_transparency() {
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
    let mut frontier = CompactRange::default();
    let hex = |hash: NodeHash| Digest::from_bytes(hash).hex();
    assert_eq!(
        hex(frontier.root()),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    frontier.push(leaf_hash(leaves[0]));
    assert_eq!(
        hex(frontier.root()),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
    leaves[1..]
        .iter()
        .for_each(|bytes| frontier.push(leaf_hash(bytes)));
    assert_eq!(
        hex(frontier.root()),
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    );
}

#[test]
fn a_checkpoint_comes_back_as_it_was_and_ignores_signatures() {
    let (checkpoint, _) = verify(&logs()[0], None);
    let checkpoint = checkpoint.expect("records");
    let text = checkpoint.to_string();
    assert_eq!(text.lines().count(), 3);
    assert_eq!(text.parse(), Ok(checkpoint.clone()));
    assert_eq!(
        format!("{text}\n— name signature\n").parse(),
        Ok(checkpoint)
    );
    for wrong in [
        "",
        "a\n",
        "a\n1\n",
        "a\n01\nFITsVzEIo3QkJRcq7CVtqNQ5PBGyPZ5oxGggDJxLSY=\n",
        "a\n1\nx\n",
    ] {
        assert!(wrong.parse::<Checkpoint>().is_err(), "{wrong:?}");
    }
}

#[test]
fn a_proof_holds_for_its_record_and_its_checkpoint_only() {
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
fn a_checkpoint_holds_for_every_log_that_goes_on_from_it() {
    let [log, _] = logs();
    let lines = lines(log);
    let whole = verify(log, None).0.expect("records");
    let what = |log: &[u8], checkpoint: Checkpoint| {
        let found = verify(log, Some(checkpoint)).1;
        found
            .into_iter()
            .map(|finding| finding.what)
            .collect::<Vec<_>>()
    };
    for n in [1, lines.len() / 2, lines.len()] {
        let then = verify(&lines[..n].concat(), None).0.expect("records");
        assert_eq!(what(log, then.clone()), [], "{n}");
        let root = [7; 32];
        assert_eq!(
            what(log, Checkpoint { root, ..then }),
            [FindingKind::Rewritten(n as u64)]
        );
    }
    let none = Checkpoint {
        size: 0,
        ..whole.clone()
    };
    assert_eq!(what(log, none.clone()), []);
    assert_eq!(what(b"", none), [FindingKind::Empty]);
    let (expected, found) = (whole.size, whole.size - 1);
    let shorter = lines[..lines.len() - 1].concat();
    assert_eq!(
        what(&shorter, whole),
        [FindingKind::Shorter { expected, found }]
    );
}

#[test]
fn a_proof_says_why_it_does_not_hold() {
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
    let refused =
        |proof: InclusionProof, checkpoint| proof.check(checkpoint).expect_err("it does not hold");
    let right = || proof(line, 1, size, path.clone());
    assert!(right().check(&checkpoint).is_ok());

    let shorter = Checkpoint {
        size: size - 1,
        ..checkpoint.clone()
    };
    assert_eq!(refused(right(), &shorter), CheckpointError::Mismatch);
    let elsewhere = Checkpoint {
        origin: another_log().try_into().expect("a name"),
        ..checkpoint.clone()
    };
    assert_eq!(refused(right(), &elsewhere), CheckpointError::Mismatch);
    let rewritten = Checkpoint {
        root: [0; 32],
        ..checkpoint.clone()
    };
    assert_eq!(refused(right(), &rewritten), CheckpointError::NotIncluded);
    let short = proof(line, 1, size, path[1..].to_vec());
    assert_eq!(refused(short, &checkpoint), CheckpointError::NotIncluded);
    let misplaced = proof(line, 2, size, path.clone());
    assert!(matches!(
        refused(misplaced, &checkpoint),
        CheckpointError::Record(_)
    ));
    let none = proof(b"{}", 1, size, path.clone());
    assert!(matches!(
        refused(none, &checkpoint),
        CheckpointError::Record(_)
    ));
}

#[test]
fn an_independent_computation_agrees_on_leaves_chain_root_and_proof() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = make_log(dir.path());
    let ours = env!("CARGO_BIN_EXE_skopeo-index");
    let print = |args: &[&str], to: &str| {
        let mut command = std::process::Command::new(ours);
        let ran = command.args(args).output().expect("the binary");
        assert!(ran.status.success(), "{ran:?}");
        let file = dir.path().join(to);
        fs::write(&file, ran.stdout).expect("a file");
        file.display().to_string()
    };
    let log = log.display().to_string();
    let checkpoint = print(&["audit", "checkpoint", &log], "checkpoint");
    for seq in ["0", "7", "40"] {
        let proof = print(&["audit", "prove", &log, "--seq", seq], "proof");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/core/audit.py");
        let said = test_support::loopback::run("python3", &[script, &log, &checkpoint, &proof]);
        assert_eq!(String::from_utf8_lossy(&said).trim(), "ok");
        let check = [
            "audit",
            "verify",
            "--proof",
            &proof,
            "--checkpoint",
            &checkpoint,
        ];
        print(&check, "checked");
    }
}
