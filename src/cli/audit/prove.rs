//! `skopeo-index audit prove`, and `audit verify --proof`.

use std::path::Path;

use serde_json::json;
use skopeo_index::audit_log::{ReadError, read_intact_log, read_lines};
use skopeo_index_core::audit::{
    InclusionProof, InclusionProofBuilder, ParsedLine, root_from_inclusion_proof,
};
use skopeo_index_core::escape::Escaped;

use super::verify::{read_checkpoint, read_proof};
use crate::cli::exit::ExitStatus;
use crate::cli::input::file_error;
use crate::cli::options::Format;
use crate::cli::output::{self, CliError};

pub(super) fn run(log: &Path, seq: u64) -> Result<ExitStatus, CliError> {
    let checkpoint = read_intact_log(log)?;
    if seq >= checkpoint.size {
        let message = format!("{}: no record {seq}", log.display());
        return Err(CliError::new(ExitStatus::NotFound, message));
    }
    let mut builder = InclusionProofBuilder::new(seq, checkpoint.size);
    let (mut found, mut at) = (None, 0);
    read_lines(log, |line: &ParsedLine| {
        // Another process may append.
        if at < checkpoint.size {
            builder.push(line.leaf_hash());
        }
        if at == seq {
            found = line
                .record()
                .map(|record| (record.to_line(), line.leaf_hash()));
        }
        at += 1;
        Ok::<_, CliError>(())
    })?;
    let path = builder.into_path();
    let is_included = |(_, leaf): &(_, _)| {
        root_from_inclusion_proof(*leaf, seq, checkpoint.size, &path) == Some(checkpoint.root)
    };
    let changed = || ReadError::Changed(log.to_owned());
    let (record, _) = found.filter(is_included).ok_or_else(changed)?;
    output::json_line(&InclusionProof::new(record, seq, checkpoint.size, path))?;
    Ok(ExitStatus::Success)
}

/// Checks a proof without its log.
pub(super) fn check(
    file: &Path,
    checkpoint: &Path,
    format: Format,
) -> Result<ExitStatus, CliError> {
    let checkpoint = read_checkpoint(checkpoint)?;
    let proof: InclusionProof = serde_json::from_slice(&read_proof(file)?)
        .map_err(|error| CliError::usage(file_error(file, Escaped(&error.to_string()))))?;
    let (log, size) = (checkpoint.origin.as_str(), checkpoint.size);
    let result = proof.check(&checkpoint);
    match format {
        Format::Json => output::json_line(&json!({
            "record": result.as_ref().ok().map(|record| record.seq),
            "log": log, "records": size,
            "intact": result.is_ok(), "error": result.as_ref().err().map(ToString::to_string),
        }))?,
        Format::Text => {
            if let Ok(record) = &result {
                output::line(&format!(
                    "record {} is in the log {log} of {size} records",
                    record.seq
                ))?;
            }
        }
    }
    match result {
        Ok(_) => Ok(ExitStatus::Success),
        Err(error) => Err(CliError::new(
            ExitStatus::AuditBroken,
            file_error(file, Escaped(&error.to_string())),
        )),
    }
}
