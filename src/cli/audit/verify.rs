//! `skopeo-index audit verify`.

use std::path::Path;

use serde_json::json;
use skopeo_index::audit_log::{check_objects, verify_log};
use skopeo_index_core::audit::{Checkpoint, Finding, KeepObjects, ParsedLine, Severity};
use skopeo_index_core::escape::Escaped;

use crate::cli::exit::ExitStatus;
use crate::cli::options::Format;
use crate::cli::output::{self, CliError, of_severity};

/// Prints findings, and keeps their number and the worst severity.
struct FindingPrinter {
    format: Format,
    worst: Option<Severity>,
    count: usize,
}

impl FindingPrinter {
    fn print(&mut self, finding: &Finding) -> Result<(), CliError> {
        self.worst = self.worst.max(Some(finding.kind.severity()));
        self.count += 1;
        match self.format {
            Format::Text => output::line(&Escaped(&finding.to_string()).to_string()),
            Format::Json => output::json_line(&json!({
                "record": finding.at,
                "severity": finding.kind.severity().as_str(),
                "kind": finding.kind.code(),
                "finding": finding.kind.to_string(),
            })),
        }
    }
}

pub(super) fn run(
    log: &Path,
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
    let (summary, findings) = verify_log(log, checkpoint, keep, |_: &ParsedLine, findings| {
        findings
            .iter()
            .try_for_each(|finding| printer.print(finding))
    })?;
    findings
        .iter()
        .try_for_each(|finding| printer.print(finding))?;
    if let Some(cache) = cache {
        check_objects(&summary.committed, cache, |finding| printer.print(&finding))?;
    }
    let (status, count) = (of_severity(printer.worst), printer.count);
    let checkpoint = summary.checkpoint.as_ref();
    let size = checkpoint.map_or(0, |checkpoint| checkpoint.size);
    let word = match status {
        ExitStatus::Success => "intact",
        ExitStatus::CacheCorrupt => "intact, but the cache is not",
        ExitStatus::AuditTruncated => "TRUNCATED",
        _ => "BROKEN",
    };
    match format {
        Format::Text => output::line(&format!("{size} records, {count} findings: {word}"))?,
        Format::Json => output::json_line(&json!({
            "records": size, "findings": count, "intact": status == ExitStatus::Success,
            "checkpoint": checkpoint.map(ToString::to_string),
        }))?,
    }
    Ok(status)
}

pub(super) fn read_checkpoint(file: &Path) -> Result<Checkpoint, CliError> {
    let usage = |error: String| CliError::file(ExitStatus::Usage, file, error);
    let text = std::fs::read_to_string(file).map_err(|error| usage(error.to_string()))?;
    text.parse().map_err(|error| usage(format!("{error}")))
}
