//! `skopeo-index audit verify --proof`: without the log.

use std::path::Path;

use serde_json::json;
use skopeo_index_core::audit::{
    Checkpoint, ConsistencyProof, InclusionProof, Proof, ProofError, SavedCheckpoint,
};
use skopeo_index_core::escape::Escaped;

use super::trust::{Trust, read_checkpoint, read_proof};
use super::verify::Args;
use crate::cli::exit::ExitStatus;
use crate::cli::input::file_error;
use crate::cli::options::Format;
use crate::cli::output::{self, CliError};

/// Checks a proof against a checkpoint that is trusted.
pub(super) fn check(file: &Path, args: &Args) -> Result<ExitStatus, CliError> {
    let trust = args.keys.read()?;
    let proof = Proof::parse(&read_proof(file)?)
        .map_err(|error| CliError::usage(file_error(file, Escaped(&error.to_string()))))?;
    let given = args.checkpoint.as_deref();
    let given = given.map(|file| Ok::<_, CliError>((file, read_checkpoint(file)?)));
    let given = given.transpose()?;
    let signature = match &given {
        Some((file, checkpoint)) => trust.check(file, checkpoint)?,
        None => trust.check(file, proof.checkpoint())?,
    };
    let result = match (&given, proof.checkpoint()) {
        (Some((_, given)), found) if given.checkpoint() != found.checkpoint() => {
            Err(ProofError::Mismatch)
        }
        _ => match &proof {
            Proof::Inclusion(proof) => check_inclusion(proof, args)?,
            Proof::Consistency(proof) => check_consistency(proof, &trust, args)?,
        },
    };
    let Checkpoint { origin, size, .. } = proof.checkpoint().checkpoint();
    let record = match &proof {
        Proof::Inclusion(proof) => Some(proof.index),
        Proof::Consistency(_) => None,
    };
    match args.format {
        Format::Json => output::json_line(&json!({
            "record": record.filter(|_| result.is_ok()),
            "log": origin.as_str(), "records": size, "signature": signature.json(),
            "intact": result.is_ok(), "error": result.as_ref().err().map(ToString::to_string),
        }))?,
        Format::Text => {
            if result.is_ok() {
                let origin = origin.as_str();
                output::line(&match &proof {
                    Proof::Inclusion(proof) => {
                        let index = proof.index;
                        format!("record {index} is in the log {origin} of {size} records")
                    }
                    Proof::Consistency(proof) => {
                        let old = proof.old_size;
                        format!("the log {origin} of {size} records extends that of {old}")
                    }
                })?;
                signature.print()?;
            }
        }
    }
    match result {
        Ok(()) => Ok(ExitStatus::Success),
        Err(error) => Err(CliError::new(
            ExitStatus::AuditBroken,
            file_error(file, Escaped(&error.to_string())),
        )),
    }
}

fn check_inclusion(
    proof: &InclusionProof,
    args: &Args,
) -> Result<Result<(), ProofError>, CliError> {
    if args.checkpoint.is_none() && args.keys.is_empty() {
        return Err(CliError::usage(
            "an inclusion proof needs --checkpoint or --key: its own checkpoint proves nothing",
        ));
    }
    match (&args.record, args.leaf_hash) {
        (Some(record), _) => {
            let line = read_proof(record)?;
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            Ok(proof.check_record(line).map(drop))
        }
        (None, Some(leaf_hash)) => Ok(proof.check(*leaf_hash.as_bytes())),
        (None, None) => Err(CliError::usage(
            "an inclusion proof needs --record or --leaf-hash",
        )),
    }
}

fn check_consistency(
    proof: &ConsistencyProof,
    trust: &Trust,
    args: &Args,
) -> Result<Result<(), ProofError>, CliError> {
    let from = args.from.as_deref();
    let from = from.ok_or_else(|| CliError::usage("a consistency proof needs --from"))?;
    let old: SavedCheckpoint = read_checkpoint(from)?;
    trust.check(from, &old)?;
    Ok(proof.check(old.checkpoint()))
}
