//! `skopeo-index audit rotate`.

use std::fs;
use std::path::{Path, PathBuf};

use skopeo_index::audit_log::{LogWriter, ReadError};
use skopeo_index::os::PathContext;
use skopeo_index::units::Count;
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
    /// Name that the log is kept at, in its directory [default: FILE.N after N - 1 rotations]
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
    let name = args.to.as_deref().map(|to| kept_name(log, to));
    let name = name.transpose()?;
    let (checkpoint, kept) = LogWriter::open(log, &cancel)?.rotate(name)?;
    output::print_stderr(&format!(
        "{}: rotated after {}, kept as {}",
        EscapedPath(log),
        Count(checkpoint.size, "record"),
        EscapedPath(Path::new(kept.as_str())),
    ));
    output::line(checkpoint.to_string().trim_end())
}

/// The name in `--to`, which is in the directory of the log: the file is linked, not copied.
fn kept_name(log: &Path, to: &Path) -> Result<FileName, CliError> {
    let unusable = |reason: &str| CliError::usage(format!("--to {}: {reason}", EscapedPath(to)));
    let (Some(name), Some(dir)) = (to.file_name(), to.parent()) else {
        return Err(unusable("not the name of a file"));
    };
    let log = fs::canonicalize(log).context("resolve", log)?;
    let is_bare = dir.as_os_str().is_empty();
    if !is_bare && fs::canonicalize(dir).ok().as_deref() != log.parent() {
        return Err(unusable("not in the directory of the log"));
    }
    let name = name.to_str().ok_or_else(|| unusable("not UTF-8"))?;
    let name = FileName::try_from(name.to_owned());
    name.map_err(|error| unusable(&error.to_string()))
}
