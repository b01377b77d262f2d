//! `skopeo-index audit verify`.

use std::path::{Path, PathBuf};

use serde_json::json;
use skopeo_index::audit_log::{check_objects, verify_chain};
use skopeo_index::os::{open_nonblocking, read_all};
use skopeo_index_core::audit::{Checkpoint, CheckpointError, Finding, KeepObjects, Severity};
use skopeo_index_core::escape::{Escaped, EscapedPath, json_path};

use crate::cli::exit::ExitStatus;
use crate::cli::input::file_error;
use crate::cli::options::Format;
use crate::cli::output::{self, CliError, of_severity};

/// Prints findings, and keeps their number and the worst severity.
struct FindingPrinter {
    format: Format,
    worst: Option<Severity>,
    count: u64,
}

impl FindingPrinter {
    /// `log` is given where there are several.
    fn print(&mut self, log: Option<&Path>, finding: &Finding) -> Result<(), CliError> {
        self.worst = self.worst.max(Some(finding.kind.severity()));
        self.count += 1;
        match self.format {
            Format::Text => {
                let log = log.map_or_else(String::new, |log| format!("{}: ", EscapedPath(log)));
                output::line(&format!("{log}{}", Escaped(&finding.to_string())))
            }
            Format::Json => {
                let mut line = json!({
                    "record": finding.at,
                    "severity": finding.kind.severity().as_str(),
                    "kind": finding.kind.code(),
                    "finding": finding.kind.to_string(),
                });
                if let Some(log) = log {
                    line["log"] = json_path(log).into();
                }
                output::json_line(&line)
            }
        }
    }
}

pub(super) fn run(
    logs: &[PathBuf],
    cache: Option<&Path>,
    checkpoint: Option<&Path>,
    format: Format,
) -> Result<ExitStatus, CliError> {
    let checkpoint = checkpoint.map(read_checkpoint).transpose()?;
    let keep = match cache {
        Some(_) => KeepObjects::Yes,
        None => KeepObjects::No,
    };
    let mut printer = FindingPrinter {
        format,
        worst: None,
        count: 0,
    };
    let summary = verify_chain(logs, checkpoint, keep, |log, finding| {
        printer.print((logs.len() > 1).then_some(log), finding)
    })?;
    if let Some(cache) = cache {
        check_objects(&summary.committed, cache, |finding| {
            printer.print(None, &finding)
        })?;
    }
    let (status, count) = (of_severity(printer.worst), printer.count);
    let checkpoint = summary.checkpoint.as_ref();
    let size = checkpoint.map_or(0, |_| summary.lines);
    let word = match status {
        ExitStatus::Success => "intact",
        ExitStatus::CacheCorrupt => "intact, but the cache is not",
        ExitStatus::AuditTruncated => "TRUNCATED",
        _ => "BROKEN",
    };
    match format {
        Format::Text => {
            let plural = |n: u64| if n == 1 { "" } else { "s" };
            output::line(&format!(
                "{size} record{}, {count} finding{}: {word}",
                plural(size),
                plural(count)
            ))?;
        }
        Format::Json => output::json_line(&json!({
            "records": size, "findings": count, "intact": status == ExitStatus::Success,
            "checkpoint": checkpoint.map(ToString::to_string),
        }))?,
    }
    Ok(status)
}

pub(super) fn read_checkpoint(file: &Path) -> Result<Checkpoint, CliError> {
    let text = String::from_utf8(read_proof(file)?);
    let text = text.map_err(|error| CliError::usage(file_error(file, error)))?;
    text.parse()
        .map_err(|error: CheckpointError| CliError::usage(file_error(file, error)))
}

/// Limit of a checkpoint or proof in bytes. A checkpoint has three lines, and may have more
/// with signatures; a proof has a record, of some KiB, and 64 hashes at most.
const MAX_PROOF_SIZE: usize = 64 << 10;

/// Reads a checkpoint or proof.
pub(super) fn read_proof(file: &Path) -> Result<Vec<u8>, CliError> {
    open_nonblocking(file)
        .and_then(|proof| read_all(proof, MAX_PROOF_SIZE, None))
        .map_err(|error| CliError::usage(file_error(file, error)))
}
