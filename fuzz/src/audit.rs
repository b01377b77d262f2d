//! Records, and logs that were tampered with.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use skopeo_index_core::audit::{
    Checkpoint, Finding, KeepObjects, LogVerifier, ParsedLine, Record, Severity, leaf_hash,
};
use skopeo_index_core::digest::Digest;

/// A log of a run with a success, a hit and failures, and what a second run added.
const INTACT: &[u8] = include_bytes!("intact.log");

static CHECKPOINT: LazyLock<Checkpoint> = LazyLock::new(|| {
    let (checkpoint, findings) = verify(INTACT, None);
    assert_eq!(findings, []);
    checkpoint.expect("a log with records")
});

fn verify(log: &[u8], checkpoint: Option<Checkpoint>) -> (Option<Checkpoint>, Vec<Finding>) {
    let mut verifier = LogVerifier::new(checkpoint, KeepObjects::Yes);
    let end = log
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let lines = log[..end].split_inclusive(|byte| *byte == b'\n');
    let mut findings: Vec<_> = lines
        .flat_map(|line| verifier.check_line(&ParsedLine::parse(&line[..line.len() - 1])))
        .collect();
    let (summary, more) = verifier.finish((log.len() - end) as u64);
    findings.extend(more);
    (summary.checkpoint, findings)
}

/// Any bytes are verified without a panic, and records are written back unchanged; an
/// intact log that the bytes change is not intact any more.
pub fn target(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        for line in [line, &seal(line)] {
            match Record::parse(line) {
                Ok(record) => assert_eq!(record.to_line().as_bytes(), line),
                Err(error) => crate::assert_harmless(
                    &skopeo_index_core::escape::Escaped(&error.to_string()).to_string(),
                ),
            }
        }
    }
    let (_, findings) = verify(data, None);
    assert!(!data.is_empty() || !findings.is_empty());
    let mut u = Unstructured::new(data);
    if let Ok((skill, changed)) = skill(&mut u).and_then(|skill| Ok((skill, changed(&mut u)?))) {
        assert_found(skill, &forge(skill, &changed));
    }
}

/// What an attacker recomputes after a change.
#[derive(Clone, Copy)]
enum Skill {
    /// Nothing.
    None,
    /// The trailers of the lines.
    Trailers,
    /// Trailers and chain.
    Chain,
}

fn skill(u: &mut Unstructured<'_>) -> Result<Skill> {
    u.choose(&[Skill::None, Skill::Trailers, Skill::Chain])
        .copied()
}

/// A change is found: with a checkpoint always, without one as far as the attacker's skill
/// allows.
fn assert_found(skill: Skill, log: &[u8]) {
    let wrong = |checkpoint| {
        let (_, findings) = verify(log, checkpoint);
        findings.iter().map(|found| found.kind.severity()).max() >= Some(Severity::Truncated)
    };
    let shown = || String::from_utf8_lossy(log);
    // All but the last line, with its newline.
    let lines = log.strip_suffix(b"\n").unwrap_or(log);
    let followed = lines.iter().rposition(|byte| *byte == b'\n');
    let followed = &log[..followed.map_or(0, |at| at + 1)];
    let cut = INTACT.starts_with(log) && log.ends_with(b"\n");
    match skill {
        Skill::None => assert_eq!(wrong(None), !cut, "{}", shown()),
        // No later record chains to the last line, so a possible change to it is not found.
        Skill::Trailers => {
            assert!(wrong(None) || INTACT.starts_with(followed), "{}", shown());
        }
        Skill::Chain => {}
    }
    // An extended log is not a changed one.
    if wrong(Some(CHECKPOINT.clone())) {
        assert_ne!(log, INTACT);
    } else {
        assert!(log.starts_with(INTACT), "{}", shown());
    }
}

/// A line with the right trailer.
fn seal(line: &[u8]) -> Vec<u8> {
    const TRAILER: &[u8] = b",\"trailer\":\"";
    let at = line.windows(TRAILER.len()).rposition(|at| at == TRAILER);
    let record = match at {
        Some(at) => &line[..at],
        None => line.strip_suffix(b"}").unwrap_or(line),
    };
    let sum = Digest::of(record).hex();
    [record, TRAILER, sum.as_bytes(), b"\"}"].concat()
}

/// The log with trailers and chain recomputed, as far as the skill allows.
fn forge(skill: Skill, log: &[u8]) -> Vec<u8> {
    const PREV: &[u8] = b"\"prev\":\"";
    let (mut forged, mut prev) = (Vec::new(), None);
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let (mut record, end) = match line.strip_suffix(b"\n") {
            Some(record) => (record.to_vec(), &b"\n"[..]),
            None => (line.to_vec(), &b""[..]),
        };
        let at = record.windows(PREV.len()).position(|at| at == PREV);
        if let (Skill::Chain, Some(at), Some(prev)) = (skill, at, prev) {
            let hex = at + PREV.len()..record.len().min(at + PREV.len() + 64);
            record.splice(hex, Digest::from_bytes(prev).hex().into_bytes());
        }
        if !matches!(skill, Skill::None) {
            record = seal(&record);
        }
        prev = Some(leaf_hash(&record));
        forged.extend_from_slice(&record);
        forged.extend_from_slice(end);
    }
    forged
}

/// The intact log with a few changes, which may undo each other.
fn changed(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut log = INTACT.to_vec();
    for _ in 0..u.int_in_range(1..=3)? {
        let mut lines: Vec<Vec<u8>> = log
            .split_inclusive(|b| *b == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        if lines.is_empty() {
            break;
        }
        let at = u.choose_index(lines.len())?;
        let byte = u.choose_index(lines[at].len())?;
        match u.int_in_range(0..=6)? {
            0 => lines[at][byte] ^= u.int_in_range(1..=255)?,
            1 => drop(lines[at].remove(byte)),
            2 => lines[at].insert(byte, u.arbitrary()?),
            3 => drop(lines.remove(at)),
            4 => {
                let line = lines[at].clone();
                lines.insert(u.choose_index(lines.len())?, line);
            }
            5 => {
                let other = u.choose_index(lines.len())?;
                lines.swap(at, other);
            }
            _ => {
                lines[at].truncate(byte);
                lines.truncate(at + 1);
            }
        }
        log = lines.concat();
    }
    Ok(log)
}
