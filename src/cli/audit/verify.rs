//! `skopeo-index audit verify`.

use std::path::{Path, PathBuf};

use serde_json::json;
use skopeo_index::audit_log::{check_objects, verify_logs};
use skopeo_index::units::Count;
use skopeo_index_core::audit::{Finding, FindingKind, KeepObjects, Severity};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::escape::{EscapedPath, json_text, printable};

use super::proof;
use super::trust::{KeyArgs, SignatureCheck, read_checkpoint};
use crate::cli::exit::ExitStatus;
use crate::cli::options::Format;
use crate::cli::output::{self, CliError, of_severity};

/// Verify the hash chain, numbering and format, and replay every fetch
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The log, or several of which each continues the one before it; not needed with --proof
    #[arg(required_unless_present = "proof")]
    files: Vec<PathBuf>,
    /// Rehash every object that was committed to this cache
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Check against a saved checkpoint: nothing was removed or changed since
    #[arg(long, value_name = "FILE")]
    pub(super) checkpoint: Option<PathBuf>,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
    /// Check a proof of `audit prove`, without the log
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "cache"])]
    proof: Option<PathBuf>,
    /// The record of an inclusion proof: its line of the log
    #[arg(
        long,
        value_name = "FILE",
        requires = "proof",
        conflicts_with = "leaf_hash"
    )]
    pub(super) record: Option<PathBuf>,
    /// The record's leaf hash, in hexadecimal, instead of the record
    #[arg(long, value_name = "HEX", requires = "proof", value_parser = parse_leaf_hash)]
    pub(super) leaf_hash: Option<Digest>,
    /// The earlier checkpoint of a consistency proof
    #[arg(long, value_name = "CHECKPOINT", requires = "proof", conflicts_with_all = ["record", "leaf_hash"])]
    pub(super) from: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

fn parse_leaf_hash(text: &str) -> Result<Digest, &'static str> {
    Digest::from_hex(text).map_err(|_| "expected 64 digits of 0-9 and a-f")
}

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
                output::line(&format!("{log}{}", printable(&finding.to_string())))
            }
            Format::Json => {
                let mut line = json!({
                    "record": finding.at,
                    "severity": finding.kind.severity().as_str(),
                    "kind": finding.kind.code(),
                    "finding": finding.kind.to_string(),
                });
                if let Some(log) = log {
                    line["log"] = json_text(log).into();
                }
                output::json_line(&line)
            }
        }
    }
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    match &args.proof {
        Some(proof) => proof::check(proof, args).map(|()| ExitStatus::Success),
        None => verify(args),
    }
}

fn verify(args: &Args) -> Result<ExitStatus, CliError> {
    let (logs, cache, format) = (&args.files, args.cache.as_deref(), args.format);
    let trust = args.keys.read()?;
    let (checkpoint, signature) = match args.checkpoint.as_deref() {
        Some(file) => {
            let saved = read_checkpoint(file)?;
            let signature = trust.check(&saved);
            let is_trusted = !matches!(signature, SignatureCheck::Refused(_));
            let checkpoint = saved.checkpoint().clone();
            (Some(checkpoint).filter(|_| is_trusted), Some(signature))
        }
        None if args.keys.is_empty() => (None, None),
        None => return Err(CliError::usage("--key needs --checkpoint or --proof")),
    };
    let keep = match cache {
        Some(_) => KeepObjects::Yes,
        None => KeepObjects::No,
    };
    let mut printer = FindingPrinter {
        format,
        worst: None,
        count: 0,
    };
    if let Some(SignatureCheck::Refused(error)) = &signature {
        let kind = FindingKind::RefusedCheckpoint(error.clone());
        printer.print(None, &Finding { at: None, kind })?;
    }
    let summary = verify_logs(logs, checkpoint, keep, |log, _, findings| {
        let log = (logs.len() > 1).then_some(log);
        let mut findings = findings.iter();
        findings.try_for_each(|finding| printer.print(log, finding))
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
            signature.as_ref().map_or(Ok(()), SignatureCheck::print)?;
            let (records, findings) = (Count(size, "record"), Count(count, "finding"));
            output::line(&format!("{records}, {findings}: {word}"))?;
        }
        Format::Json => output::json_line(&json!({
            "records": size, "findings": count, "intact": status == ExitStatus::Success,
            "checkpoint": checkpoint.map(ToString::to_string),
            "signature": signature.as_ref().map(SignatureCheck::json),
        }))?,
    }
    Ok(status)
}
