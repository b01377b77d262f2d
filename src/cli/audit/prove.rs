//! `skopeo-index audit prove`, and `verify --proof`.

use std::path::Path;

use serde_json::json;

use super::read;
use super::verify::read_checkpoint;
use skopeo_index_core::audit::{InclusionProof, InclusionProofBuilder, root_from_inclusion_proof};
use crate::cli::exit::ExitStatus;
use crate::cli::options::Format;
use crate::cli::output;
use crate::cli::output::CliError;
use skopeo_index_core::escape::Escaped;

pub(super) fn run(file: &Path, seq: u64) -> Result<ExitStatus, CliError> {
    let checkpoint = read::sound(file)?;
    if seq >= checkpoint.size {
        let missing = format!("there is no record {seq}");
        return Err(CliError::new(ExitStatus::NotFound, missing));
    }
    let (mut prover, mut found, mut at) = (InclusionProofBuilder::new(seq, checkpoint.size), None, 0);
    read::lines(file, |line| {
        // Others may append meanwhile.
        if at < checkpoint.size {
            prover.push(line.leaf());
        }
        if at == seq {
            found = line.record().map(|record| (record.to_line(), line.leaf()));
        }
        at += 1;
        Ok(())
    })?;
    let path = prover.path();
    let is_in = |(_, leaf): &(_, _)| {
        root_from_inclusion_proof(*leaf, seq, checkpoint.size, &path) == Some(checkpoint.root)
    };
    let changed = || read::changed_meanwhile(file);
    let (record, _) = found.filter(is_in).ok_or_else(changed)?;
    output::json_line(&InclusionProof::new(record, seq, checkpoint.size, path))?;
    Ok(ExitStatus::Done)
}

/// Checks a proof without its log.
pub(super) fn check(proof: &Path, checkpoint: &Path, format: Format) -> Result<ExitStatus, CliError> {
    let checkpoint = read_checkpoint(checkpoint)?;
    let of = |error: String| CliError::usage(format!("{}: {error}", proof.display()));
    let text = std::fs::read(proof).map_err(|error| of(error.to_string()))?;
    let read: InclusionProof = serde_json::from_slice(&text).map_err(|error| of(error.to_string()))?;
    let (log, size) = (checkpoint.origin.as_str(), checkpoint.size);
    let json = |record: Option<u64>, error: Option<String>| {
        let found = json!({
            "record": record, "log": log, "records": size,
            "sound": error.is_none(), "error": error,
        });
        output::json_line(&found)
    };
    match (read.check(&checkpoint), format) {
        (Ok(record), Format::Json) => json(Some(record.seq), None)?,
        (Ok(record), Format::Text) => output::line(&format!(
            "record {} of {log} is among the {size} records of the checkpoint",
            record.seq
        ))?,
        (Err(error), format) => {
            if format == Format::Json {
                json(None, Some(error.to_string()))?;
            }
            let what = Escaped(&error.to_string()).to_string();
            let what = format!("{}: {what}", proof.display());
            return Err(CliError::new(ExitStatus::AuditBroken, what));
        }
    }
    Ok(ExitStatus::Done)
}
