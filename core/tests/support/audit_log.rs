//! Audit logs in memory: verified, rewritten, tampered with.
//!
//! Trailers and the chain are computed here a second time, without the core's writer;
//! [`sample`] has logs of complete runs.

pub mod sample;

use serde_json::Value;
use skopeo_index_core::audit::{
    Checkpoint, Finding, KeepObjects, LogVerifier, ParsedLine, Severity, leaf_hash,
};
use skopeo_index_core::digest::Digest;

/// The lines of a log, each with its newline; the last may be torn.
pub fn lines(log: &[u8]) -> Vec<Vec<u8>> {
    log.split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

/// The log's checkpoint, and the findings above severity `Note`.
pub fn verify(log: &[u8], checkpoint: Option<Checkpoint>) -> (Option<Checkpoint>, Vec<Finding>) {
    let (checkpoint, mut findings) = all_findings(log, checkpoint);
    findings.retain(|finding| finding.kind.severity() > Severity::Note);
    (checkpoint, findings)
}

/// The log's checkpoint, and all findings.
pub fn all_findings(
    log: &[u8],
    checkpoint: Option<Checkpoint>,
) -> (Option<Checkpoint>, Vec<Finding>) {
    let mut verifier = LogVerifier::new(checkpoint, KeepObjects::No);
    let mut findings = Vec::new();
    let mut rest = log;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        findings.extend(verifier.check_line(&ParsedLine::parse(&rest[..end])));
        rest = &rest[end + 1..];
    }
    let (summary, more) = verifier.finish(rest.len() as u64);
    findings.extend(more);
    (summary.checkpoint, findings)
}

/// A line with the right trailer for any record, without a newline.
pub fn seal(record: &Value) -> Vec<u8> {
    let mut units = [0; 2];
    let ascii = |c: char| match c {
        ' '..='~' => c.to_string(),
        _ => {
            let units = c.encode_utf16(&mut units).iter();
            units.map(|unit| format!("\\u{unit:04x}")).collect()
        }
    };
    let mut record: String = record.to_string().chars().map(ascii).collect();
    record.pop();
    let sum = Digest::of(record.as_bytes()).hex();
    format!("{record},\"trailer\":\"{sum}\"}}").into_bytes()
}

/// The records of a log, without their trailers and without torn lines.
pub fn unseal(log: &[u8]) -> Vec<Value> {
    let read = |line: &Vec<u8>| {
        let mut record: Value = serde_json::from_slice(line).ok()?;
        record.as_object_mut()?.remove("trailer");
        Some(record)
    };
    lines(log).iter().filter_map(read).collect()
}

/// A log of any records, with numbers, chain and trailers recomputed.
pub fn rechain(records: &[Value]) -> Vec<u8> {
    let (mut log, mut prev) = (Vec::new(), [0; 32]);
    for (seq, record) in records.iter().enumerate() {
        let mut record = record.clone();
        record["seq"] = seq.into();
        record["prev"] = Digest::from_bytes(prev).hex().into();
        let line = seal(&record);
        prev = leaf_hash(&line);
        log.extend(line);
        log.push(b'\n');
    }
    log
}

/// The name of a log that no test writes.
pub fn another_log() -> String {
    format!("skopeo-index/{}", "0".repeat(32))
}

/// A position in anything: a fraction of its length, in 2⁻⁶⁴.
#[derive(Clone, Copy, Debug)]
pub struct Position(pub u64);

impl Position {
    /// The position in `len` elements.
    fn of(self, len: usize) -> usize {
        ((u128::from(self.0) * len as u128) >> 64) as usize
    }
}

/// A single change to a log.
#[derive(Clone, Debug)]
pub enum Change {
    FlipBit(Position, u8),
    SetByte(Position, u8),
    RemoveLine(Position),
    DuplicateLine(Position),
    SwapLines(Position, Position),
    MoveLine(Position, Position),
    ForeignLine(Position),
    AddSpace(Position),
    Truncate(Position),
}

/// The changed log, and the position of the first record that differs. Foreign lines
/// come from `other`.
pub fn tamper(log: &[u8], other: &[u8], change: &Change) -> (Vec<u8>, usize) {
    let mut lines = lines(log);
    let count = lines.len();
    let record_at = |byte: usize| log[..byte].iter().filter(|byte| **byte == b'\n').count();
    let at = match change {
        Change::FlipBit(at, bit) => {
            let (mut log, at) = (log.to_vec(), at.of(log.len()));
            log[at] ^= 1 << bit;
            return (log, record_at(at));
        }
        Change::SetByte(at, byte) => {
            let (mut log, at) = (log.to_vec(), at.of(log.len()));
            log[at] = *byte;
            return (log, record_at(at));
        }
        Change::Truncate(at) => {
            let at = at.of(log.len());
            return (log[..at].to_vec(), record_at(at));
        }
        Change::RemoveLine(at) => {
            let at = at.of(count);
            lines.remove(at);
            at
        }
        Change::DuplicateLine(at) => {
            let at = at.of(count);
            lines.insert(at, lines[at].clone());
            at + 1
        }
        Change::SwapLines(a, b) => {
            lines.swap(a.of(count), b.of(count));
            a.of(count).min(b.of(count))
        }
        Change::MoveLine(from, to) => {
            let line = lines.remove(from.of(count));
            lines.insert(to.of(count), line);
            from.of(count).min(to.of(count))
        }
        Change::ForeignLine(at) => {
            let at = at.of(count);
            let others = self::lines(other);
            lines[at] = others[at.min(others.len() - 1)].clone();
            at
        }
        Change::AddSpace(at) => {
            let at = at.of(count);
            let text = String::from_utf8(lines[at].clone()).expect("ASCII");
            lines[at] = text.replacen("\":", "\": ", 1).into_bytes();
            at
        }
    };
    (lines.concat(), at)
}
