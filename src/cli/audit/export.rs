//! `skopeo-index audit export`.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;

use super::read::{self, Runs};
use skopeo_index_core::audit::{CompactRange, Entry, Record, statement};
use crate::cli::exit::ExitStatus;
use crate::cli::output::CliError;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::request::Request;

/// Which fetches; all, if nothing is said.
#[derive(Clone, Copy)]
pub(super) struct ExportFilter {
    pub(super) digest: Option<Digest>,
    pub(super) seq: Option<u64>,
}

impl ExportFilter {
    fn takes(self, record: &Record, request: &Request) -> bool {
        self.digest.is_none_or(|digest| digest == request.digest())
            && self.seq.is_none_or(|seq| seq == record.seq)
    }
}

pub(super) fn run(file: &Path, which: ExportFilter, to: Option<&Path>) -> Result<ExitStatus, CliError> {
    let Some(to) = to else {
        state(file, which, io::stdout().lock(), CliError::from)?;
        return Ok(ExitStatus::Done);
    };
    let failed = |error: io::Error| CliError::other(format!("{}: {error}", to.display()));
    refuse_to_replace(to, file)?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut whole = tempfile::Builder::new();
    // As the umask has it.
    let whole = whole.permissions(Permissions::from_mode(0o666));
    let whole = whole.tempfile_in(dir.unwrap_or(Path::new(".")));
    let mut whole: NamedTempFile = whole.map_err(failed)?;
    state(file, which, &mut whole, failed)?;
    whole.as_file().sync_all().map_err(failed)?;
    whole.persist(to).map_err(|error| failed(error.error))?;
    Ok(ExitStatus::Done)
}

/// Neither the log itself nor a device is to be written over.
fn refuse_to_replace(to: &Path, log: &Path) -> Result<(), CliError> {
    let (Ok(there), log) = (fs::metadata(to), fs::metadata(log).ok()) else {
        return Ok(());
    };
    let why = if log.is_some_and(|log| (log.dev(), log.ino()) == (there.dev(), there.ino())) {
        "it is the log itself"
    } else if there.is_file() {
        return Ok(());
    } else {
        "it is not a file"
    };
    Err(CliError::usage(format!("{}: {why}", to.display())))
}

/// Writes statements of what was found sound, and of nothing that came since.
fn state(
    file: &Path,
    which: ExportFilter,
    mut to: impl Write,
    unwritten: impl Fn(io::Error) -> CliError,
) -> Result<(), CliError> {
    let checkpoint = read::sound(file)?;
    let (mut runs, mut frontier, mut stated) = (Runs::default(), CompactRange::default(), 0);
    read::lines(file, |line| {
        if frontier.size() == checkpoint.size {
            return Ok(());
        }
        frontier.push(line.leaf());
        if let Some(record) = line.record()
            && let Some(run) = runs.ended(record)
            && let Entry::Transition { request, .. } = &record.op
            && which.takes(record, request)
            && let Some(statement) = statement(record, line.leaf(), run)
        {
            writeln!(to, "{statement}").map_err(&unwritten)?;
            stated += 1;
        }
        Ok(())
    })?;
    if frontier.root() != checkpoint.root {
        return Err(read::changed_meanwhile(file));
    }
    if stated == 0 {
        return Err(CliError::new(ExitStatus::NotFound, "no such fetch has ended"));
    }
    to.flush().map_err(unwritten)
}
