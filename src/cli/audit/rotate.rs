//! `skopeo-index audit rotate`.

use std::fs;
use std::path::{Path, PathBuf};

use skopeo_index::audit_log::{LogWriter, ReadError};
use skopeo_index::os::PathContext;
use skopeo_index_core::audit::FileName;
use skopeo_index_core::escape::EscapedPath;

use crate::cli::options::cancel_on_signals;
use crate::cli::output::{self, CliError};

/// End a log and continue it in a new one
///
/// The log is kept under another name; a new log, at the name of the old one, begins with
/// its checkpoint. Programs that write to the log continue in the new one. Prints the ended
/// log's checkpoint.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The log
    file: PathBuf,
    /// Name that the log is kept at, in its directory [default: the first free FILE.N]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let log = &args.file;
    // A log that doesn't exist is not created.
    fs::metadata(log)
        .context("read", log)
        .map_err(ReadError::from)?;
    let cancel = cancel_on_signals(None)?;
    let name = match &args.to {
        Some(to) => kept_name(log, to)?,
        None => first_free_name(log)?,
    };
    let (checkpoint, kept) = LogWriter::open(log, &cancel)?.rotate(name)?;
    output::print_stderr(&format!(
        "{}: rotated after {} records, kept as {}",
        EscapedPath(log),
        checkpoint.size,
        EscapedPath(Path::new(kept.as_str())),
    ));
    output::line(checkpoint.to_string().trim_end())
}

/// The name in `--to`, which is in the directory of the log: the file is linked, not copied.
fn kept_name(log: &Path, to: &Path) -> Result<FileName, CliError> {
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty());
    if dir.is_some_and(|dir| Some(dir) != log.parent()) {
        return Err(CliError::usage("--to must be in the directory of the log"));
    }
    file_name(to, "")
}

fn first_free_name(log: &Path) -> Result<FileName, CliError> {
    let log = fs::canonicalize(log).context("read", log);
    let log = log.map_err(ReadError::from)?;
    for n in 1_u32.. {
        let name = file_name(&log, &format!(".{n}"))?;
        if log
            .with_file_name(name.as_str())
            .symlink_metadata()
            .is_err()
        {
            return Ok(name);
        }
    }
    Err(CliError::usage("no free name for the log: use --to"))
}

/// The last component of a path, and a suffix.
fn file_name(path: &Path, suffix: &str) -> Result<FileName, CliError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| CliError::usage("the name of the log is not UTF-8: use --to"))?;
    let name = FileName::try_from(format!("{name}{suffix}"));
    name.map_err(|error| CliError::usage(error.to_string()))
}
