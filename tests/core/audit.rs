//! The audit log: it verifies after whatever a run or a crash does, and after
//! no change.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use loopback::samples;
use proptest::prelude::*;
use skopeo_index::audit::{
    Checkpoint, Finding, Frontier, Hash, Keep, Line, Log, Proof, Recorder, Severity, Verifier,
    What, leaf, prove, root_by_proof,
};
use skopeo_index::cancel::Cancel;
use skopeo_index::digest::Digest;
use skopeo_index::machine::{Method, Network, Plan};
use skopeo_index::request::Request;
use skopeo_index::store::{RealDisk, Store};

use crate::stand_in::{MockSkopeo, PLAN, failed, fetch, honest, printed, request};

/// How a run ends.
enum End {
    Well,
    /// Without a word, as by a crash.
    Suddenly,
}

fn recorded(
    log: &Path,
    cache: &Path,
    skopeo: &MockSkopeo,
    plan: Plan,
    requests: &[Request],
    end: &End,
) {
    let (log, store) = (
        Log::open(log).expect("a log"),
        Store::new(cache.to_owned(), RealDisk),
    );
    let recorder = Recorder::begin(&log, cache, plan, None).expect("a log");
    let cancel = Cancel::new(None).expect("a pipe");
    fetch(&store, skopeo, plan, requests, (3, &cancel, &[&recorder])).expect("no halt");
    if let End::Well = end {
        recorder.end().expect("a log");
    }
}

/// A log of all that happens: successes, hits, failures, retries, both methods,
/// crashes.
fn make_log(dir: &Path) -> PathBuf {
    let (log, cache) = (dir.join("log"), dir.join("cache"));
    let documents: Vec<_> = (0..3)
        .map(samples::distinct)
        .chain([samples::single_image()])
        .collect();
    let requests: Vec<_> = documents
        .iter()
        .map(|document| request(Digest::of(document)))
        .collect();
    let copy = Plan {
        method: Method::Copy,
        ..PLAN
    };
    recorded(
        &log,
        &cache,
        &honest(documents.clone()),
        PLAN,
        &requests,
        &End::Well,
    );
    recorded(
        &log,
        &cache,
        &honest(documents.clone()),
        PLAN,
        &requests[..2],
        &End::Suddenly,
    );
    fs::write(cache.join(requests[0].digest().to_string()), "corrupt").expect("an object");
    recorded(
        &log,
        &cache,
        &honest(documents),
        copy,
        &requests[..1],
        &End::Well,
    );
    let mut flaky = MockSkopeo::new();
    flaky
        .expect_run()
        .times(1)
        .returning(|_, _, _, _| failed("connection refused \u{e9}\u{1f600}\u{7f}"));
    flaky
        .expect_run()
        .returning(|_, _, _, _| printed(samples::empty()));
    let twice = Plan {
        attempts: 2.try_into().expect("not zero"),
        ..PLAN
    };
    recorded(
        &log,
        &cache,
        &flaky,
        twice,
        &[request(Digest::of(&samples::empty()))],
        &End::Well,
    );
    let offline = Plan {
        network: Network::Offline,
        ..PLAN
    };
    recorded(
        &log,
        &cache,
        &MockSkopeo::new(),
        offline,
        &[request(Digest::of(b"missing"))],
        &End::Well,
    );
    log
}

/// Made once: what is in it, and another's.
fn logs() -> &'static [Vec<u8>; 2] {
    static LOGS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    LOGS.get_or_init(|| {
        [(), ()].map(|()| {
            let dir = tempfile::tempdir().expect("a directory");
            fs::read(make_log(dir.path())).expect("a log")
        })
    })
}

fn lines(log: &[u8]) -> Vec<Vec<u8>> {
    log.split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

/// All findings that are more than a note, and where the log stands.
fn verify(log: &[u8], checkpoint: Option<Checkpoint>) -> (Option<Checkpoint>, Vec<Finding>) {
    let mut verifier = Verifier::new(checkpoint, Keep::Nothing);
    let mut found = Vec::new();
    let mut rest = log;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        found.extend(verifier.line(&Line::read(&rest[..end])));
        rest = &rest[end + 1..];
    }
    let (verified, more) = verifier.finish(rest);
    found.extend(more);
    found.retain(|finding| finding.what.severity() > Severity::Note);
    (verified.checkpoint, found)
}

#[test]
fn a_log_of_all_that_happens_verifies_after_each_of_its_records() {
    let [log, _] = logs();
    let lines = lines(log);
    assert!(lines.len() > 40, "{}", lines.len());
    for n in 0..=lines.len() {
        let (_, found) = verify(&lines[..n].concat(), None);
        assert_eq!(found, [], "after {n} records");
    }
}

#[test]
fn a_crash_at_any_byte_is_recovered_from_and_recorded() {
    let [log, _] = logs();
    for cut in (1..log.len()).step_by(397) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        fs::write(&path, &log[..cut]).expect("a file");
        recorded(
            &path,
            &dir.path().join("cache"),
            &honest(vec![samples::empty()]),
            PLAN,
            &[request(Digest::of(&samples::empty()))],
            &End::Well,
        );
        let now = fs::read(&path).expect("a log");
        assert_eq!(verify(&now, None).1, [], "cut at {cut}");
        let whole = log[..cut]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        assert!(now.starts_with(&log[..whole]), "cut at {cut}");
        let kept = fs::read(dir.path().join("log.torn-1")).unwrap_or_default();
        assert_eq!(kept, &log[whole..cut], "cut at {cut}");
        let recovered = now
            .windows(16)
            .any(|window| window == b"\"op\":\"recovered\"");
        assert_eq!(recovered, whole < cut, "cut at {cut}");
    }
}

/// One change of a log.
#[derive(Clone, Debug)]
enum Change {
    Bit(prop::sample::Index, u8),
    Byte(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Move(prop::sample::Index, prop::sample::Index),
    Foreign(prop::sample::Index),
    Respaced(prop::sample::Index),
    Cut(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        at().prop_map(Change::Remove),
        at().prop_map(Change::Double),
        (at(), at()).prop_map(|(a, b)| Change::Swap(a, b)),
        (at(), at()).prop_map(|(a, b)| Change::Move(a, b)),
        at().prop_map(Change::Foreign),
        at().prop_map(Change::Respaced),
        at().prop_map(Change::Cut),
    ]
}

/// The changed log, and the first record that isn't what it was.
fn changed(log: &[u8], other: &[u8], change: &Change) -> (Vec<u8>, usize) {
    let mut lines = lines(log);
    let count = lines.len();
    let record_at = |byte: usize| log[..byte].iter().filter(|byte| **byte == b'\n').count();
    let at = match change {
        Change::Bit(at, bit) => {
            let (mut log, at) = (log.to_vec(), at.index(log.len()));
            log[at] ^= 1 << bit;
            return (log, record_at(at));
        }
        Change::Byte(at, byte) => {
            let (mut log, at) = (log.to_vec(), at.index(log.len()));
            log[at] = *byte;
            return (log, record_at(at));
        }
        Change::Cut(at) => {
            let at = at.index(log.len());
            return (log[..at].to_vec(), record_at(at));
        }
        Change::Remove(at) => {
            let at = at.index(count);
            lines.remove(at);
            at
        }
        Change::Double(at) => {
            let at = at.index(count);
            lines.insert(at, lines[at].clone());
            at + 1
        }
        Change::Swap(a, b) => {
            lines.swap(a.index(count), b.index(count));
            a.index(count).min(b.index(count))
        }
        Change::Move(from, to) => {
            let line = lines.remove(from.index(count));
            lines.insert(to.index(count), line);
            from.index(count).min(to.index(count))
        }
        Change::Foreign(at) => {
            let at = at.index(count);
            let others = self::lines(other);
            lines[at] = others[at.min(others.len() - 1)].clone();
            at
        }
        Change::Respaced(at) => {
            let at = at.index(count);
            let text = String::from_utf8(lines[at].clone()).expect("ASCII");
            lines[at] = text.replacen("\":", "\": ", 1).into_bytes();
            at
        }
    };
    (lines.concat(), at)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..crate::regressions("proptest-regressions/audit.txt") })]

    #[test]
    fn no_change_goes_unnoticed(change in change()) {
        let [log, other] = logs();
        let (now, first) = changed(log, other, &change);
        prop_assume!(now != *log);
        let (checkpoint, _) = verify(log, None);
        let (_, found) = verify(&now, checkpoint);
        prop_assert!(!found.is_empty());
        // The record that was changed is named, or the first that is missing.
        let named = found.iter().filter_map(|finding| finding.at).min();
        let cut = found.iter().any(|finding| finding.what.severity() == Severity::Cut);
        prop_assert!(cut || named.is_some_and(|named| named <= first as u64 + 1), "{} {:?}", first, found);

        // Without a checkpoint, all but a cut at a record's end.
        let at_records_end = now.last().is_none_or(|byte| *byte == b'\n') && log.starts_with(&now);
        prop_assert_eq!(verify(&now, None).1.is_empty(), at_records_end);
    }

    #[test]
    fn every_record_of_a_tree_is_proved_and_no_other(size in 1_usize..70, at: prop::sample::Index, other: [u8; 32]) {
        let leaves: Vec<Hash> = (0..size).map(|n| leaf(n.to_string().as_bytes())).collect();
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        let at = at.index(size);
        let path = prove(&leaves, at);
        let (n, of) = (at as u64, size as u64);
        prop_assert_eq!(root_by_proof(leaves[at], n, of, &path), Some(frontier.root()));
        prop_assert_ne!(root_by_proof(other, n, of, &path), Some(frontier.root()));
        prop_assert_eq!(root_by_proof(leaves[at], of, of, &path), None);
        for wrong in (0..of).filter(|wrong| *wrong != n) {
            prop_assert_ne!(root_by_proof(leaves[at], wrong, of, &path), Some(frontier.root()));
        }
    }

    #[test]
    fn no_bytes_make_the_verifier_panic(bytes: Vec<u8>) {
        let _any = verify(&bytes, None);
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
    let mut frontier = Frontier::default();
    let hex = |hash: Hash| Digest::from_bytes(hash).hex();
    assert_eq!(
        hex(frontier.root()),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    frontier.push(leaf(leaves[0]));
    assert_eq!(
        hex(frontier.root()),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
    leaves[1..]
        .iter()
        .for_each(|bytes| frontier.push(leaf(bytes)));
    assert_eq!(
        hex(frontier.root()),
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    );
}

#[test]
fn a_rewritten_log_is_told_by_its_checkpoint_only() {
    let [log, other] = logs();
    let (checkpoint, _) = verify(log, None);
    assert_eq!(verify(other, None).1, []);
    let found = verify(other, checkpoint).1;
    assert!(
        found
            .iter()
            .any(|finding| matches!(finding.what, What::OtherCheckpoint(_))),
        "{found:?}"
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
    let leaves: Vec<Hash> = texts.iter().map(|line| leaf(line.as_bytes())).collect();
    for at in 0..leaves.len() {
        let of = |line: &str| {
            Proof::new(
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
        let said = loopback::run("python3", &[script, &log, &checkpoint, &proof]);
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

#[test]
fn a_log_that_cannot_be_continued_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    fs::write(&log, "not a record\n").expect("a file");
    let opened = Log::open(&log).expect("a file that can be opened");
    let error = Recorder::begin(&opened, dir.path(), PLAN, None).expect_err("no record to follow");
    assert!(error.to_string().contains("audit verify"), "{error}");
    assert_eq!(fs::read_to_string(&log).expect("a file"), "not a record\n");
}
