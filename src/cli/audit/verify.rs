//! `skopeo-index audit verify`.

use std::path::Path;

use serde_json::json;

use super::{objects, read};
use skopeo_index_core::audit::{Checkpoint, Finding, KeepObjects, Severity};
use crate::cli::exit::ExitStatus;
use crate::cli::options::Format;
use crate::cli::output;
use crate::cli::output::CliError;
use skopeo_index_core::escape::Escaped;

/// What was found so far.
struct FindingPrinter {
    format: Format,
    worst: Option<Severity>,
    count: usize,
}

impl FindingPrinter {
    fn tell(&mut self, findings: Vec<Finding>) -> Result<(), CliError> {
        findings.iter().try_for_each(|finding| {
            self.worst = self.worst.max(Some(finding.what.severity()));
            self.count += 1;
            match self.format {
                Format::Text => output::line(&Escaped(&finding.to_string()).to_string()),
                Format::Json => output::json_line(&json!({
                    "record": finding.at,
                    "severity": finding.what.severity().as_str(),
                    "kind": finding.what.kind(),
                    "finding": finding.what.to_string(),
                })),
            }
        })
    }
}

pub(super) fn run(
    file: &Path,
    cache: Option<&Path>,
    checkpoint: Option<&Path>,
    format: Format,
) -> Result<ExitStatus, CliError> {
    let checkpoint = checkpoint.map(read_checkpoint).transpose()?;
    let keep = match cache {
        Some(_) => KeepObjects::Objects,
        None => KeepObjects::Nothing,
    };
    let (worst, count) = (None, 0);
    let mut told = FindingPrinter {
        format,
        worst,
        count,
    };
    let take = |_: &_, findings| told.tell(findings);
    let (verified, findings) = read::checked(file, checkpoint, keep, take)?;
    told.tell(findings)?;
    if let Some(cache) = cache {
        objects::check(&verified.committed, cache, |found| told.tell(vec![found]))?;
    }
    let (status, count) = (read::status(told.worst), told.count);
    let checkpoint = verified.checkpoint.as_ref();
    let size = checkpoint.map_or(0, |checkpoint| checkpoint.size);
    let word = match status {
        ExitStatus::Done => "sound",
        ExitStatus::Corrupt => "sound, but the cache is not",
        ExitStatus::AuditCut => "CUT SHORT",
        _ => "BROKEN",
    };
    match format {
        Format::Text => output::line(&format!("{size} records, {count} findings: {word}"))?,
        Format::Json => output::json_line(&json!({
            "records": size, "findings": count, "sound": status == ExitStatus::Done,
            "checkpoint": checkpoint.map(ToString::to_string),
        }))?,
    }
    Ok(status)
}

pub(super) fn read_checkpoint(file: &Path) -> Result<Checkpoint, CliError> {
    let of = |error: String| CliError::usage(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| of(error.to_string()))?;
    text.parse().map_err(|error| of(format!("{error}")))
}
