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
use crate::cli::options::Format;
use crate::cli::output::{self, CliError};

/// Checks a proof against a checkpoint that is trusted.
pub(super) fn check(file: &Path, args: &Args) -> Result<(), CliError> {
    let trust = args.keys.read()?;
    let proof = Proof::parse(&read_proof(file)?)
        .map_err(|error| CliError::file(ExitStatus::Usage, file, Escaped(&error.to_string())))?;
    let found = proof.checkpoint();
    let given = args.checkpoint.as_deref();
    let given = given.map(|file| Ok::<_, CliError>((file, read_checkpoint(file)?)));
    let given = given.transpose()?;
    let (of, trusted) = given
        .as_ref()
        .map_or((file, found), |(of, given)| (of, given));
    let signature = trust.check(of, trusted)?;
    let result = match &proof {
        _ if trusted.checkpoint() != found.checkpoint() => Err(ProofError::Mismatch),
        Proof::Inclusion(proof) => check_inclusion(proof, args)?,
        Proof::Consistency(proof) => check_consistency(proof, &trust, args)?,
    };
    let Checkpoint { origin, size, .. } = found.checkpoint();
    let origin = origin.as_str();
    let (record, proven) = match &proof {
        Proof::Inclusion(InclusionProof { index, .. }) => (
            Some(index),
            format!("record {index} is in the log {origin} of {size} records"),
        ),
        Proof::Consistency(ConsistencyProof { old_size, .. }) => (
            None,
            format!("the log {origin} of {size} records extends that of {old_size}"),
        ),
    };
    match args.format {
        Format::Json => output::json_line(&json!({
            "record": record.filter(|_| result.is_ok()),
            "log": origin, "records": size, "signature": signature.json(),
            "intact": result.is_ok(), "error": result.as_ref().err().map(ToString::to_string),
        }))?,
        Format::Text if result.is_ok() => {
            output::line(&proven)?;
            signature.print()?;
        }
        Format::Text => {}
    }
    result
        .map_err(|error| CliError::file(ExitStatus::AuditBroken, file, Escaped(&error.to_string())))
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
