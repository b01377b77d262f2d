//! Verifies an audit log and prints its findings and checkpoint: `cargo run -p
//! skopeo-index-core --example verify_log [LOG]`. Without LOG, it verifies a small one
//! that is built in.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an example may read files; the core itself does no I/O"
)]

use std::fs::File;
use std::io::{BufRead, BufReader};

use skopeo_index_core::audit::{
    KeepObjects, LineReader, LogLine, LogVerifier, ParsedLine, Severity,
};

/// A log of three runs.
const GOLDEN: &[u8] = include_bytes!("../tests/audit/golden/log");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let log: Box<dyn BufRead> = match std::env::args_os().nth(1) {
        Some(path) => Box::new(BufReader::new(File::open(path)?)),
        None => Box::new(GOLDEN),
    };
    // Pass a checkpoint that was stored elsewhere to find truncated or replaced logs.
    let mut verifier = LogVerifier::new(None, KeepObjects::Yes);
    let (mut findings, mut torn) = (Vec::new(), 0);
    // The reader's memory is bounded, however long a line is.
    let mut lines = LineReader::new(log);
    while let Some(line) = lines.next_line()? {
        let parsed = match line {
            LogLine::Line(line) => ParsedLine::parse(line),
            LogLine::TooLong(line) => ParsedLine::too_long(&line),
            // Text after the last newline: a record whose writing was interrupted.
            LogLine::Torn(rest) => {
                torn = rest.len() as u64;
                break;
            }
            LogLine::TornTooLong(line) => {
                torn = line.torn.bytes;
                break;
            }
        };
        // Chain, sequence, form, and a replay of each fetch through the machine.
        findings.extend(verifier.check_line(&parsed));
    }
    let (summary, more) = verifier.finish(torn);
    findings.extend(more);

    for finding in &findings {
        println!("{}: {finding}", finding.kind.severity().as_str());
    }
    for (cache, objects) in &summary.committed {
        println!("{} objects committed to {cache}", objects.len());
    }
    if let Some(checkpoint) = &summary.checkpoint {
        print!("checkpoint:\n{checkpoint}");
    }
    // Notes, such as a crash that was recovered from, don't make a log invalid.
    if findings
        .iter()
        .any(|finding| finding.kind.severity() > Severity::Note)
    {
        return Err("the log is not intact".into());
    }
    Ok(())
}
