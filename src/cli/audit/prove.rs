//! `skopeo-index audit prove`, and `verify --proof`.

use std::path::Path;

use serde_json::json;

use super::read;
use super::verify::read_checkpoint;
use crate::audit::{Proof, Prover, root_by_proof};
use crate::cli::exit::Status;
use crate::cli::options::Format;
use crate::cli::output::{self, Problem};
use crate::text::Escaped;

pub(super) fn run(file: &Path, seq: u64) -> Result<Status, Problem> {
    let checkpoint = read::sound(file)?;
    if seq >= checkpoint.size {
        let missing = format!("there is no record {seq}");
        return Err(Problem::new(Status::NotFound, missing));
    }
    let (mut prover, mut found, mut at) = (Prover::new(seq, checkpoint.size), None, 0);
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
        root_by_proof(*leaf, seq, checkpoint.size, &path) == Some(checkpoint.root)
    };
    let changed = || read::changed_meanwhile(file);
    let (record, _) = found.filter(is_in).ok_or_else(changed)?;
    output::json_line(&Proof::new(record, seq, checkpoint.size, path))?;
    Ok(Status::Done)
}

/// Checks a proof without its log.
pub(super) fn check(proof: &Path, checkpoint: &Path, format: Format) -> Result<Status, Problem> {
    let checkpoint = read_checkpoint(checkpoint)?;
    let of = |error: String| Problem::usage(format!("{}: {error}", proof.display()));
    let text = std::fs::read(proof).map_err(|error| of(error.to_string()))?;
    let read: Proof = serde_json::from_slice(&text).map_err(|error| of(error.to_string()))?;
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
            return Err(Problem::new(Status::AuditBroken, what));
        }
    }
    Ok(Status::Done)
}
