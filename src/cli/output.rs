//! What goes to stdout and stderr outside of progress.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::exit::Status;
use crate::executor::Report;
use crate::machine::Provenance;

/// Why a subcommand can't go on.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: Status,
    /// `None` where it has been told.
    message: Option<String>,
    hint: Option<String>,
}

impl Problem {
    pub(super) fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: Some(message.into()),
            hint: None,
        }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Status::Usage, message)
    }

    pub(super) fn other(message: impl Into<String>) -> Self {
        Self::new(Status::Other, message)
    }

    /// One that has been told already.
    pub(super) const fn told(status: Status) -> Self {
        Self {
            status,
            message: None,
            hint: None,
        }
    }

    pub(super) fn hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// Tells it on stderr.
    pub(super) fn tell(&self) {
        if let Some(message) = &self.message {
            tell(&error_text(message, self.hint.as_deref()));
        }
    }
}

impl From<io::Error> for Problem {
    /// Of writing to stdout. A reader who has seen enough is no failure, but
    /// not a success either.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::told(Status::Other),
            _ => Self::other(format!("cannot write to stdout: {error}")),
        }
    }
}

/// The lines of an error.
pub(super) fn error_text(message: &str, hint: Option<&str>) -> String {
    let hint = hint.map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
    format!("error: {message}{hint}")
}

/// Writes a line to stderr; nothing helps where that is closed.
pub(super) fn tell(line: &str) {
    let _closed = writeln!(io::stderr().lock(), "{line}");
}

/// Writes a line of JSON to stdout.
pub(super) fn json_line(value: &impl Serialize) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

/// Writes a line to stdout.
pub(super) fn line(text: &str) -> Result<(), Problem> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// A report as a JSON object.
pub(super) fn result_json(report: &Report, cache: &Path) -> Value {
    let digest = report.request.digest();
    let mut json = json!({ "reference": report.request.to_string(), "digest": digest });
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
        Err(failure) => json!({
            "success": false,
            "state": failure.at,
            "attempts": failure.attempts,
            "error": failure.cause.to_string(),
            "cause": failure.cause,
        }),
    };
    if let (Value::Object(json), Value::Object(more)) = (&mut json, more) {
        json.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
    }
    json
}

/// The lines of a table whose last column is as wide as it likes.
pub(super) fn columns<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([head[at].len()]).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let padded = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let body = rows
        .iter()
        .map(|row| line(std::array::from_fn(|at| row[at].as_str())));
    std::iter::once(line(head)).chain(body).collect()
}
