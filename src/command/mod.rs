//! Child processes within limits: skopeo and verifiers.
//!
//! ```text
//! CommandLine ──spawn──▶ process group ──outputs, exit──▶ CommandOutput, or a RunError
//!                             └─ killed at a limit, at cancellation, and when its leader exits
//! ```

mod child;
mod outputs;
mod program;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use skopeo_index_core::escape::EscapedPath;
use skopeo_index_core::machine::CancelReason;
use skopeo_index_core::skopeo::CommandOutput;

pub use outputs::MAX_STAGING_SIZE;
pub use program::{find_program, hash_program, is_path};

use self::child::Running;
use self::outputs::{Collector, Output};
use crate::os::{CancelToken, kill_with_parent};

/// Upper bound of timeouts, so that adding to one can't overflow: a year.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// A program and what it is given.
#[derive(Debug)]
pub struct CommandLine<'a> {
    /// The path of the program.
    pub program: &'a Path,
    /// The arguments, without the program.
    pub argv: &'a [OsString],
    /// A variable that is added to the environment, which the program inherits.
    pub variable: Option<(&'static str, &'static str)>,
    /// Its stdin; /dev/null without one.
    pub stdin: Option<File>,
    /// Where its stderr goes.
    pub stderr: Stderr,
}

/// Where a program's stderr goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stderr {
    /// To a pipe of its own, of which the last lines are kept.
    Separate,
    /// Where stdout goes.
    Merged,
}

/// Limits of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLimits<'a> {
    /// Time until the command is killed.
    pub timeout: Duration,
    /// The directory that it writes to, at most [`MAX_STAGING_SIZE`].
    pub output_dir: Option<&'a Path>,
}

/// Why a command did not end on its own.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The program does not exist.
    #[error("{}: command not found", EscapedPath(.0))]
    NotFound(PathBuf),
    /// It could not be started, or its pipes broke.
    #[error("{}: {error}", EscapedPath(.program))]
    Io {
        /// The program.
        program: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Its timeout expired.
    #[error("no exit within {}", humantime::format_duration(*.after))]
    TimedOut {
        /// The timeout.
        after: Duration,
        /// The last lines of what it had written to stderr.
        stderr: Vec<u8>,
    },
    /// The run was cancelled.
    #[error(transparent)]
    Cancelled(#[from] CancelReason),
    /// It wrote more to stdout than it may.
    #[error("more than {0} bytes of output")]
    OutputTooLarge(usize),
    /// It wrote more to its directory than any index takes.
    #[error("more than {0} {1} copied: this is not an index (a single image?)")]
    StagingTooLarge(u64, &'static str),
}

impl RunError {
    fn io(program: &Path, error: io::Error) -> Self {
        let program = program.to_owned();
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound(program),
            _ => Self::Io { program, error },
        }
    }
}

/// Runs a command within `limits` in a process group of its own, which is killed when the
/// command ends, exceeds a limit or is cancelled.
///
/// # Errors
/// Where the command did not end on its own.
pub fn run(
    line: CommandLine<'_>,
    limits: &CommandLimits<'_>,
    cancel: &CancelToken,
) -> Result<CommandOutput, RunError> {
    cancel.check()?;
    let program = line.program;
    let failed = |error| RunError::io(program, error);
    let until = Instant::now() + limits.timeout.min(MAX_TIMEOUT);
    let (mut running, stdout, stderr) = spawn(line).map_err(failed)?;
    let collector = Collector {
        program,
        stdout: Output::new(Some(stdout)),
        stderr: Output::new(stderr),
        exited: &running.exited,
        until,
        limits,
        cancel,
    };
    let (stdout, stderr) = collector.collect()?;
    Ok(CommandOutput {
        exit: running.reap().map_err(failed)?,
        stdout,
        stderr,
    })
}

/// Starts a command. Returns the child, its output, and its stderr if that is separate.
fn spawn(line: CommandLine<'_>) -> io::Result<(Running, PipeReader, Option<PipeReader>)> {
    let (stdout, stdout_writer) = io::pipe()?;
    let (stderr, stderr_writer) = match line.stderr {
        Stderr::Separate => {
            let (stderr, writer) = io::pipe()?;
            (Some(stderr), writer)
        }
        Stderr::Merged => (None, stdout_writer.try_clone()?),
    };
    let mut command = Command::new(line.program);
    command
        .args(line.argv)
        .envs(line.variable)
        .stdin(line.stdin.map_or_else(Stdio::null, Stdio::from))
        .stdout(stdout_writer)
        .stderr(stderr_writer)
        .process_group(0);
    kill_with_parent(&mut command);
    Ok((Running::new(command.spawn()?)?, stdout, stderr))
}
