//! What goes to stdout and stderr outside of progress.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::exit::ExitStatus;
use skopeo_index::fetch::FetchReport;
use skopeo_index_core::machine::Provenance;
use skopeo_index_core::escape;
use skopeo_index_core::escape::Escaped;

/// Why a subcommand can't go on.
#[derive(Debug)]
pub(super) struct CliError {
    pub(super) status: ExitStatus,
    /// `None` where it has been told.
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

    /// One that has been told already.
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

    /// Tells it on stderr.
    pub(super) fn tell(&self) {
        if let Some(message) = &self.message {
            tell(&error_text(message, self.hint.as_deref()));
        }
    }
}

impl From<io::Error> for CliError {
    /// Of writing to stdout. A reader who has seen enough is no failure, but
    /// not a success either.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::told(ExitStatus::Other),
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
pub(super) fn print_stderr(line: &str) {
    let _closed = writeln!(io::stderr().lock(), "{line}");
}

/// Writes a line of JSON to stdout, fit for a terminal too.
pub(super) fn json_line(value: &impl Serialize) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    escape::write_json(&mut out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

/// Writes a line of JSON to stderr, likewise, and in one piece.
pub(super) fn print_stderr_json(value: &impl Serialize) {
    let mut line = Vec::new();
    // What is told can always be written to memory.
    let _written = escape::write_json(&mut line, value);
    line.push(b'\n');
    let _closed = io::stderr().lock().write_all(&line);
}

/// Writes a line to stdout.
pub(super) fn line(text: &str) -> Result<(), CliError> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// A command as one types it.
pub(super) fn shell(program: &Path, argv: &[OsString]) -> String {
    let program = std::iter::once(program.as_os_str());
    let words = program.chain(argv.iter().map(OsString::as_os_str));
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// A word for a shell: bare, or as `'…'`, or as `$'…'` (POSIX 2024) where
/// something in it is no printable ASCII.
fn quoted(word: &OsStr) -> String {
    let word = word.as_encoded_bytes();
    let bare = |b: &u8| b.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(b);
    let printable = |b: &u8| matches!(b, b' '..=b'~');
    if !word.is_empty() && word.iter().all(bare) {
        return word.iter().copied().map(char::from).collect();
    }
    let escaped = |b: &u8| match b {
        b'\\' | b'\'' => format!("\\{}", char::from(*b)),
        b if printable(b) => char::from(*b).to_string(),
        b => format!("\\{b:03o}"),
    };
    if word.iter().all(printable) && !word.contains(&b'\'') {
        let word: String = word.iter().copied().map(char::from).collect();
        return format!("'{word}'");
    }
    format!("$'{}'", word.iter().map(escaped).collect::<String>())
}

/// A report as a JSON object.
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

/// The most characters of a cell that others are aligned to, and that are shown
/// of one that may be of any length: a digest of SHA-512 has 135.
const CELL_MAX: usize = 140;

/// The lines of a table, each made when it is asked for. The last column isn't
/// padded.
pub(super) fn columns<'t, const N: usize>(
    head: [&'t str; N],
    rows: &'t [[String; N]],
) -> impl Iterator<Item = String> + 't {
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count().min(CELL_MAX));
        cells.chain([head[at].len()]).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(|at| if at + 1 < N { width(at) } else { 0 });
    let rows = rows.iter().map(|row| row.each_ref().map(String::as_str));
    std::iter::once(head).chain(rows).map(move |cells| {
        let cells = cells.iter().zip(widths);
        let padded = cells.map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    })
}

/// A text that nobody vouches for, as a cell: escaped, and no longer than one
/// may be.
pub(super) fn cell(text: &str) -> String {
    let shown = Escaped(text).to_string();
    match shown.char_indices().nth(CELL_MAX - 1) {
        Some((at, last)) if shown.len() > at + last.len_utf8() => format!("{}…", &shown[..at]),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_command_back_as_it_was() {
        let words = [
            "plain",
            "",
            "a b",
            "it's",
            "$(x)`y`\\",
            "[overlay@/x]",
            "ä\u{1b}\n1",
            "~",
        ];
        let argv: Vec<OsString> = words.iter().map(Into::into).collect();
        let typed = shell(
            Path::new("printf"),
            &[&["%s|".into()], argv.as_slice()].concat(),
        );
        assert!(typed.bytes().all(|b| matches!(b, b' '..=b'~')), "{typed}");
        let shell = std::process::Command::new("bash")
            .args(["-c", &typed])
            .output();
        let read = shell.map(|ran| ran.stdout).unwrap_or_default();
        assert_eq!(
            String::from_utf8_lossy(&read),
            words.map(|w| format!("{w}|")).concat()
        );
    }
}
