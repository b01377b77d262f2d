//! `skopeo-index audit verify --proof`: without the log.

use std::path::Path;

use serde_json::json;
use skopeo_index::units::Count;
use skopeo_index_core::audit::{
    Checkpoint, ConsistencyProof, InclusionProof, Proof, ProofError, SavedCheckpoint,
    SignatureError,
};
use skopeo_index_core::escape::Escaped;

use super::trust::{SignatureCheck, Trust, read_checkpoint, read_proof};
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
    let signature = trust.check(trusted);
    let result = match (&proof, &signature) {
        (_, SignatureCheck::Refused(error)) => Err(refused(of, error)),
        _ if trusted.checkpoint() != found.checkpoint() => {
            Err((file, ProofError::Mismatch.to_string()))
        }
        (Proof::Inclusion(proof), _) => check_inclusion(file, proof, args)?,
        (Proof::Consistency(proof), _) => check_consistency(file, proof, &trust, args)?,
    };
    let Checkpoint { origin, size, .. } = found.checkpoint();
    let (origin, records) = (origin.as_str(), Count(*size, "record"));
    let (record, proven) = match &proof {
        Proof::Inclusion(InclusionProof { index, .. }) => (
            Some(index),
            format!("record {index} is in the log {origin} of {records}"),
        ),
        Proof::Consistency(ConsistencyProof { old_size, .. }) => (
            None,
            format!("the log {origin} of {records} extends that of {old_size}"),
        ),
    };
    match args.format {
        Format::Json => output::json_line(&json!({
            "record": record.filter(|_| result.is_ok()),
            "log": origin, "records": size, "signature": signature.json(),
            "intact": result.is_ok(), "error": result.as_ref().err().map(|(_, error)| error),
        }))?,
        Format::Text if result.is_ok() => {
            output::line(&proven)?;
            signature.print()?;
        }
        Format::Text => {}
    }
    result.map_err(|(file, error)| CliError::file(ExitStatus::AuditBroken, file, Escaped(&error)))
}

/// Whether something is proved, or the file that is at fault and why.
type Checked<'f> = Result<(), (&'f Path, String)>;

fn refused<'f>(file: &'f Path, error: &SignatureError) -> (&'f Path, String) {
    (file, format!("the checkpoint is refused: {error}"))
}

fn check_inclusion<'f>(
    file: &'f Path,
    proof: &InclusionProof,
    args: &'f Args,
) -> Result<Checked<'f>, CliError> {
    if args.checkpoint.is_none() && args.keys.is_empty() {
        return Err(CliError::usage(
            "an inclusion proof needs --checkpoint or --key: its own checkpoint proves nothing",
        ));
    }
    let (record, checked) = match (&args.record, args.leaf_hash) {
        (Some(record), _) => {
            let line = read_proof(record)?;
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            (record.as_path(), proof.check_record(line).map(drop))
        }
        (None, Some(leaf_hash)) => (file, proof.check(*leaf_hash.as_bytes())),
        (None, None) => {
            return Err(CliError::usage(
                "an inclusion proof needs --record or --leaf-hash",
            ));
        }
    };
    Ok(checked.map_err(|error| match error {
        ProofError::Record(_) => (record, error.to_string()),
        _ => (file, error.to_string()),
    }))
}

fn check_consistency<'f>(
    file: &'f Path,
    proof: &ConsistencyProof,
    trust: &Trust,
    args: &'f Args,
) -> Result<Checked<'f>, CliError> {
    let from = args.from.as_deref();
    let from = from.ok_or_else(|| CliError::usage("a consistency proof needs --from"))?;
    let old: SavedCheckpoint = read_checkpoint(from)?;
    Ok(match trust.check(&old) {
        SignatureCheck::Refused(error) => Err(refused(from, &error)),
        SignatureCheck::SignedBy(_) | SignatureCheck::NotChecked => {
            let checked = proof.check(old.checkpoint());
            checked.map_err(|error| (file, error.to_string()))
        }
    })
}
