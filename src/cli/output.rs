//! Errors, and all output: text for people is escaped, and a reader that stalls blocks
//! nothing but results.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde::Serialize;
use skopeo_index::audit_log::{LogError, ReadError};
use skopeo_index::os::{
    CancelToken, LineWriter, NotWritten, PathError, Priority, Rows, WriteError, best_effort,
};
use skopeo_index::store::DiskError;
use skopeo_index_core::audit::Severity;
use skopeo_index_core::escape::{self, EscapedPath, printable};
use skopeo_index_core::machine::{CancelReason, EffectError};

use super::exit::ExitStatus;
use super::shell;

/// Why a subcommand failed.
#[derive(Clone, Debug)]
pub(super) struct CliError {
    pub(super) status: ExitStatus,
    /// `None` where it was printed already.
    pub(super) message: Option<String>,
    pub(super) hint: Option<String>,
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

    /// An error about a file that was given on the command line.
    pub(super) fn file(status: ExitStatus, file: &Path, reason: impl Display) -> Self {
        Self::new(status, file_error(file, reason))
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

    /// Prints errors, each of which ends a part of the command only, and combines their
    /// statuses.
    pub(super) fn print_all(errors: impl IntoIterator<Item = impl Into<Self>>) -> ExitStatus {
        let errors = errors.into_iter().map(Into::into);
        errors.fold(ExitStatus::Success, |status, error| {
            error.print();
            status.and(error.status)
        })
    }

    pub(super) fn print(&self) {
        if let Some(message) = &self.message {
            print_stderr(&error_text(message, self.hint.as_deref()));
        }
    }
}

impl From<NotWritten> for CliError {
    /// [`finish`] prints why.
    fn from(_: NotWritten) -> Self {
        Self::silent(ExitStatus::Other)
    }
}

impl From<WriteError> for CliError {
    fn from(error: WriteError) -> Self {
        Self::other(format!("cannot write to stdout: {error}"))
    }
}

impl From<CancelReason> for CliError {
    fn from(reason: CancelReason) -> Self {
        let status = ExitStatus::of_error(&EffectError::Cancelled { reason });
        Self::new(status, reason.to_string())
    }
}

impl From<PathError> for CliError {
    fn from(error: PathError) -> Self {
        Self::other(error.to_string())
    }
}

impl From<DiskError> for CliError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Io(error) => error.into(),
            DiskError::Cancelled(reason) => reason.into(),
        }
    }
}

impl From<LogError> for CliError {
    fn from(error: LogError) -> Self {
        let message = error.to_string();
        let hint = log_hint(&error);
        let status = match error {
            LogError::Read(error) => return error.into(),
            LogError::NotExtended(_) => ExitStatus::AuditBroken,
            LogError::OtherOrigin { .. }
            | LogError::LongOrigin { .. }
            | LogError::LongVerifier { .. } => ExitStatus::Usage,
            error => ExitStatus::of_error(&error.into()),
        };
        Self::new(status, message).hint(hint)
    }
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> Self {
        let status = match &error {
            ReadError::Io(error) => of_io(&error.error),
            ReadError::NotIntact { finding, .. } => of_severity(Some(finding.kind.severity())),
            ReadError::Changed(_) => ExitStatus::AuditBroken,
        };
        Self::new(status, error.to_string())
    }
}

/// What to do about a log that can't be appended to.
fn log_hint(error: &LogError) -> Option<String> {
    let (when, command, log) = match error {
        LogError::Broken { path, .. } => ("to see why", "skopeo-index audit verify", path),
        LogError::AppendOnly(path) => ("first", "chattr -a", path),
        LogError::UnfinishedRotation { path, .. } => {
            ("once that is solved", "skopeo-index audit rotate", path)
        }
        _ => return None,
    };
    let log = shell::quote(log.as_os_str());
    Some(format!("{when}, run: {command} {log}"))
}

/// Text about a file that the command line names.
pub(super) fn file_error(path: &Path, error: impl Display) -> String {
    format!("{}: {error}", EscapedPath(path))
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

/// Where output goes.
struct Streams {
    stdout: LineWriter,
    stderr: LineWriter,
    stdout_is_terminal: bool,
    /// Whether what is written to stdout may reach the terminal of stderr by another way.
    is_foreign: bool,
}

static STREAMS: LazyLock<Streams> = LazyLock::new(|| {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let stat = |fd| rustix::fs::fstat(fd).ok();
    let stats = (stat(stdout.as_fd()), stat(stderr.as_fd()));
    let is_same = matches!(&stats, (Some(a), Some(b))
        if (a.st_dev, a.st_ino, a.st_rdev) == (b.st_dev, b.st_ino, b.st_rdev));
    let file_type = |stat: rustix::fs::Stat| rustix::fs::FileType::from_raw_mode(stat.st_mode);
    let is_fifo = stats.0.map(file_type) == Some(rustix::fs::FileType::Fifo);
    let stdout_is_terminal = stdout.is_terminal();
    // Descriptors 1 and 2 are never closed: std keeps them open for the process.
    let stderr = LineWriter::new(rustix::stdio::stderr());
    Streams {
        stdout: match is_same {
            true => stderr.clone(),
            false => LineWriter::new(rustix::stdio::stdout()),
        },
        stderr,
        stdout_is_terminal,
        is_foreign: !is_same && (is_fifo || stdout_is_terminal),
    }
});

/// The token that ends waits for a reader.
pub(super) fn cancel_with(cancel: &Arc<CancelToken>) {
    STREAMS.stdout.cancel_with(cancel);
    STREAMS.stderr.cancel_with(cancel);
}

/// How many rows fit below lines of another program (`| cat`): any object's path covers
/// one row, and on a narrow terminal it would cover a part of the next.
pub(super) fn max_rows() -> usize {
    if STREAMS.is_foreign { 1 } else { usize::MAX }
}

/// Draws rows on the terminal of stderr, below its lines.
pub(super) fn show(rows: Arc<dyn Rows>) {
    STREAMS.stderr.show(rows);
}

/// How many lines of stderr were dropped, because it was not read.
pub(super) fn dropped() -> usize {
    STREAMS.stderr.dropped()
}

/// Erases rows and flushes the output. Results that could not be written are a failure.
pub(super) fn finish(status: ExitStatus) -> ExitStatus {
    STREAMS.stderr.hide();
    let written = STREAMS.stdout.flush().map_err(CliError::from);
    let status = written.map_or_else(
        |error| {
            error.print();
            status.and(error.status)
        },
        |()| status,
    );
    // The exit status says enough where stderr is not read.
    best_effort(STREAMS.stderr.flush());
    status
}

/// Writes an error or a summary to stderr.
pub(super) fn print_stderr(line: &str) {
    push_stderr(Priority::Message, text_bytes(line));
}

/// Writes a line of progress to stderr.
pub(super) fn print_progress(line: &str) {
    push_stderr(Priority::Progress, text_bytes(line));
}

/// Writes a line of JSON to stderr.
pub(super) fn print_stderr_json(priority: Priority, value: &impl Serialize) {
    push_stderr(priority, json_bytes(value));
}

fn push_stderr(priority: Priority, line: Vec<u8>) {
    // Only results report errors.
    best_effort(STREAMS.stderr.push(priority, line));
}

/// A line of ASCII JSON. Our own values have no maps with other keys than strings.
pub(super) fn json_bytes(value: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::new();
    best_effort(escape::write_json(&mut line, value));
    line.push(b'\n');
    line
}

/// Writes a line of ASCII JSON to stdout.
pub(super) fn json_line(value: &impl Serialize) -> Result<(), CliError> {
    bytes(json_bytes(value))
}

/// A line for people.
fn text_bytes(line: &str) -> Vec<u8> {
    (printable(line) + "\n").into_bytes()
}

/// Writes text for people to stdout.
pub(super) fn line(text: &str) -> Result<(), CliError> {
    bytes(text_bytes(text))
}

/// Writes a path to stdout: its bytes, escaped on a terminal.
pub(super) fn path_line(path: &Path) -> Result<(), CliError> {
    match STREAMS.stdout_is_terminal {
        true => line(&EscapedPath(path).to_string()),
        false => bytes([path.as_os_str().as_bytes(), b"\n"].concat()),
    }
}

/// Writes a document to stdout: its bytes, escaped on a terminal.
pub(super) fn document(document: Vec<u8>) -> Result<(), CliError> {
    match STREAMS.stdout_is_terminal {
        true => line(&String::from_utf8_lossy(&document)),
        false => bytes(document),
    }
}

/// Writes bytes to stdout.
pub(super) fn bytes(bytes: Vec<u8>) -> Result<(), CliError> {
    Ok(STREAMS.stdout.push(Priority::Result, bytes)?)
}
