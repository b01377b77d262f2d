//! Records, and logs that somebody has changed.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use skopeo_index::audit::{Checkpoint, Finding, Keep, Line, Record, Severity, Verifier};

/// A log of a run with a success, a hit and failures, and what a second run added.
const SOUND: &[u8] = include_bytes!("sound.log");

static CHECKPOINT: LazyLock<Checkpoint> = LazyLock::new(|| {
    let (checkpoint, findings) = verified(SOUND, None);
    assert_eq!(findings, []);
    checkpoint.expect("a log with records")
});

fn verified(log: &[u8], then: Option<Checkpoint>) -> (Option<Checkpoint>, Vec<Finding>) {
    let mut verifier = Verifier::new(then, Keep::Objects);
    let end = log
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let lines = log[..end].split_inclusive(|byte| *byte == b'\n');
    let mut findings: Vec<_> = lines
        .flat_map(|line| verifier.line(&Line::read(&line[..line.len() - 1])))
        .collect();
    let (verified, more) = verifier.finish(&log[end..]);
    findings.extend(more);
    (verified.checkpoint, findings)
}

/// Any bytes are a log that is verified without a panic, and whose records are
/// written back as they were; a sound log in which the bytes change something
/// isn't sound any more.
pub fn target(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        match Record::parse(line) {
            Ok(record) => assert_eq!(record.to_line().as_bytes(), line),
            Err(refusal) => crate::assert_harmless(
                &skopeo_index::text::Escaped(&refusal.to_string()).to_string(),
            ),
        }
    }
    let (_, findings) = verified(data, None);
    assert!(!data.is_empty() || findings.is_empty());
    if let Ok(changed) = changed(&mut Unstructured::new(data)) {
        let (_, findings) = verified(&changed, Some(CHECKPOINT.clone()));
        let worst = findings.iter().map(|found| found.what.severity()).max();
        let found = worst >= Some(Severity::Cut);
        assert_eq!(
            found,
            changed != SOUND,
            "{}",
            String::from_utf8_lossy(&changed)
        );
    }
}

/// The sound log with a few changes, which may undo each other.
fn changed(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut log = SOUND.to_vec();
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
