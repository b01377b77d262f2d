//! `skopeo-index audit export`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::ArgGroup;
use serde_json::Value;
use skopeo_index::audit_log::{OpenRuns, read_intact_logs};
use skopeo_index::dsse::EnvelopeKey;
use skopeo_index::os::NewFile;
use skopeo_index::units::Count;
use skopeo_index_core::audit::{Entry, LogId, ParsedLine, Record, VerifierId, statement};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::request::Request;

use super::{print_left_out, read_records};
use crate::cli::exit::ExitStatus;
use crate::cli::output::{self, CliError};

/// Export verdicts on indexes as in-toto statements, one JSON document per line
///
/// A verdict is a committed index, a digest mismatch, bytes that are not an index, or a
/// refusal by a verifier. Fetches that ended otherwise are skipped.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("which").required(true))]
pub(super) struct Args {
    /// The log, or several of which each continues the one before it
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// As in-toto Statement v1 with a SLSA verification summary
    #[arg(long, required = true)]
    in_toto: bool,
    /// The fetches of this digest
    #[arg(long, group = "which")]
    digest: Option<Digest>,
    /// The fetch that ended with this record of the last log
    #[arg(long, value_name = "N", group = "which")]
    seq: Option<u64>,
    /// All fetches
    #[arg(long, group = "which")]
    all: bool,
    /// Who makes the statements [default: URL of the log's origin]
    #[arg(long, value_name = "URI")]
    verifier_id: Option<VerifierId>,
    /// In signed DSSE envelopes
    #[arg(long, requires = "signing_key")]
    dsse: bool,
    /// Secret key of the envelopes: Ed25519 as `audit keygen` writes it, or ECDSA P-256 in a
    /// PKCS#8 PEM file
    #[arg(long, value_name = "FILE", requires = "dsse")]
    signing_key: Option<PathBuf>,
    /// Output file [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Args {
    fn matches(&self, log: &LogId, record: &Record, request: &Request) -> bool {
        self.digest.is_none_or(|digest| digest == request.digest())
            && self
                .seq
                .is_none_or(|seq| (log, seq) == (&record.log, record.seq))
    }

    /// The party that makes the statements of a log.
    fn verifier(&self, log: &LogId) -> Result<VerifierId, CliError> {
        let id = self.verifier_id.clone();
        id.or_else(|| VerifierId::of_log(log)).ok_or_else(|| {
            CliError::usage(
                "the log's origin is not a URL: name who makes the statements with \
                 --verifier-id URI",
            )
        })
    }
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let key = args.signing_key.as_deref().map(EnvelopeKey::read);
    let key = key.transpose()?;
    let line = |statement: &Value| -> Result<Vec<u8>, CliError> {
        let line = output::json_bytes(statement);
        let Some(key) = &key else { return Ok(line) };
        let envelope = key.sign(line.trim_ascii_end());
        let envelope = envelope.map_err(|error| CliError::other(error.to_string()))?;
        Ok(output::json_bytes(&envelope))
    };
    let Some(to) = &args.output else {
        return write_statements(args, |statement| output::bytes(line(statement)?));
    };
    let failed = |error: io::Error| CliError::file(ExitStatus::Other, to, error);
    check_output(to, &args.files)?;
    // A link to the file stays.
    let target = to.canonicalize().unwrap_or_else(|_| to.clone());
    let mut file = NewFile::create(&target).map_err(failed)?;
    write_statements(args, |statement| {
        file.write_all(&line(statement)?).map_err(failed)
    })?;
    file.finish().map_err(failed)
}

/// Refuses to replace a log itself, or something other than a file.
fn check_output(to: &Path, logs: &[PathBuf]) -> Result<(), CliError> {
    let Ok(existing) = fs::metadata(to) else {
        return Ok(());
    };
    let is_same = |log: fs::Metadata| (log.dev(), log.ino()) == (existing.dev(), existing.ino());
    let reason = if logs.iter().any(|log| fs::metadata(log).is_ok_and(is_same)) {
        "this is the log itself"
    } else if existing.is_file() {
        return Ok(());
    } else {
        "not a regular file"
    };
    Err(CliError::file(ExitStatus::Usage, to, reason))
}

/// Writes statements of the records that were verified, and not of later ones.
fn write_statements(
    args: &Args,
    mut write: impl FnMut(&Value) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let checkpoints = read_intact_logs(&args.files, None)?;
    let Some(last) = checkpoints.last().map(|last| &last.origin) else {
        return Err(CliError::usage("no log"));
    };
    let verifier = args.verifier(last)?;
    let mut runs = OpenRuns::default();
    let (mut written, mut skipped) = (0_u64, 0_u64);
    let mut take = |line: &ParsedLine| {
        if let Some(record) = line.record()
            && let Some(origin) = runs.fetch_end(record)
            && let Entry::Transition(transition) = &record.entry
            && args.matches(last, record, &transition.request)
        {
            match statement(record, line.leaf_hash(), &origin, &verifier) {
                Some(statement) => {
                    write(&statement)?;
                    written += 1;
                }
                None => skipped += 1,
            }
        }
        Ok(())
    };
    for (log, checkpoint) in args.files.iter().zip(&checkpoints) {
        read_records(log, checkpoint, &mut take)?;
    }
    print_left_out(&runs);
    if skipped > 0 {
        output::print_stderr(&format!(
            "skipped {} without a verdict on the index (see `audit show --failed`)",
            Count(skipped, "fetch")
        ));
    }
    let is_complete = args.all && runs.of_earlier_runs == 0;
    if written == 0 && !is_complete {
        let message = "no fetch with a verdict matches (see `audit show`)";
        return Err(CliError::new(ExitStatus::NotFound, message));
    }
    if written == 0 {
        output::print_stderr("no fetch with a verdict, nothing to export");
    }
    Ok(())
}
