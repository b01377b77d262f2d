//! Errors, and output outside of progress.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use skopeo_index::audit_log::{LogError, ReadError};
use skopeo_index::fetch::FetchReport;
use skopeo_index::os::best_effort;
use skopeo_index::store::DiskError;
use skopeo_index_core::audit::Severity;
use skopeo_index_core::escape;
use skopeo_index_core::machine::{CancelReason, EffectError, Provenance};

use super::exit::ExitStatus;

/// Why a subcommand failed.
#[derive(Debug)]
pub(super) struct CliError {
    pub(super) status: ExitStatus,
    /// `None` where it was printed already.
    message: Option<String>,
    hint: Option<String>,
}

impl CliError {
    pub(super) fn new(status: ExitStatus, message: impl Into<String>) -> Self {
        Self {
            status,
            message: Some(message.into()),
            hint: None,
        }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Usage, message)
    }

    pub(super) fn other(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Other, message)
    }

    /// An error that was printed already.
    pub(super) const fn silent(status: ExitStatus) -> Self {
        Self {
            status,
            message: None,
            hint: None,
        }
    }

    pub(super) fn hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// Prints it on stderr.
    pub(super) fn print(&self) {
        if let Some(message) = &self.message {
            print_stderr(&error_text(message, self.hint.as_deref()));
        }
    }
}

impl From<io::Error> for CliError {
    /// An error of writing to stdout. EPIPE: exit 1 without a message.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(ExitStatus::Other),
            _ => Self::other(format!("cannot write to stdout: {error}")),
        }
    }
}

impl From<CancelReason> for CliError {
    fn from(reason: CancelReason) -> Self {
        let status = ExitStatus::of_error(&EffectError::Cancelled { reason });
        Self::new(status, reason.to_string())
    }
}

impl From<DiskError> for CliError {
    fn from(error: DiskError) -> Self {
        Self::other(error.to_string())
    }
}

impl From<LogError> for CliError {
    fn from(error: LogError) -> Self {
        let message = error.to_string();
        Self::new(ExitStatus::of_error(&error.into()), message)
    }
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> Self {
        let status = match &error {
            ReadError::Io { error, .. } => of_io(error),
            ReadError::NotIntact { finding, .. } => of_severity(Some(finding.kind.severity())),
            ReadError::Changed(_) => ExitStatus::AuditBroken,
        };
        Self::new(status, error.to_string())
    }
}

/// The status of a file that can't be read.
pub(super) fn of_io(error: &io::Error) -> ExitStatus {
    match error.kind() {
        io::ErrorKind::NotFound => ExitStatus::NotFound,
        _ => ExitStatus::Other,
    }
}

/// The status of the worst finding in an audit log.
pub(super) const fn of_severity(worst: Option<Severity>) -> ExitStatus {
    match worst {
        None | Some(Severity::Note) => ExitStatus::Success,
        Some(Severity::Object) => ExitStatus::CacheCorrupt,
        Some(Severity::Truncated) => ExitStatus::AuditTruncated,
        Some(Severity::Broken) => ExitStatus::AuditBroken,
    }
}

/// The lines of an error.
pub(super) fn error_text(message: &str, hint: Option<&str>) -> String {
    let hint = hint.map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
    format!("error: {message}{hint}")
}

/// Writes a line to stderr, unless that is closed.
pub(super) fn print_stderr(line: &str) {
    best_effort(writeln!(io::stderr().lock(), "{line}"));
}

/// Writes a line of JSON to stderr, in one piece, unless that is closed.
pub(super) fn print_stderr_json(value: &impl Serialize) {
    let mut line = Vec::new();
    // Writing to memory succeeds.
    best_effort(escape::write_json(&mut line, value));
    line.push(b'\n');
    best_effort(io::stderr().lock().write_all(&line));
}

/// Writes a line of ASCII JSON to stdout.
pub(super) fn json_line(value: &impl Serialize) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    escape::write_json(&mut out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

/// Writes a line to stdout.
pub(super) fn line(text: &str) -> Result<(), CliError> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// The result of a fetch as a JSON object.
pub(super) fn result_json(report: &FetchReport, cache: &Path) -> Value {
    let digest = report.request.digest();
    let mut json = json!({
        "reference": report.request.to_string(), "digest": digest,
        "source": report.request.skopeo_source(),
    });
    let more = match &report.result {
        Ok(committed) => json!({
            "success": true,
            "path": cache.join(digest.to_string()),
            "cached": *committed.provenance() == Provenance::Hit,
            "attempts": committed.attempts(),
            "size": committed.size(),
            "mediaType": committed.index().media_type,
            "manifests": committed.index().manifests,
            "platforms": committed.index().platforms,
            "quarantined": committed.quarantined(),
        }),
        Err(failed) => json!({
            "success": false,
            "state": failed.state(),
            "attempts": failed.attempts(),
            "error": failed.cause().to_string(),
            "cause": failed.cause(),
        }),
    };
    if let (Value::Object(json), Value::Object(more)) = (&mut json, more) {
        json.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
    }
    json
}
