//! `skopeo-index audit export`.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use skopeo_index::audit_log::{OpenRuns, ReadError, read_intact_log, read_lines};
use skopeo_index_core::audit::{CompactRange, Entry, Record, statement};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::request::Request;
use tempfile::NamedTempFile;

use crate::cli::exit::ExitStatus;
use crate::cli::output::{self, CliError};

/// Which fetches are exported; all by default.
#[derive(Clone, Copy)]
pub(super) struct ExportFilter {
    pub(super) digest: Option<Digest>,
    pub(super) seq: Option<u64>,
}

impl ExportFilter {
    fn matches(self, record: &Record, request: &Request) -> bool {
        self.digest.is_none_or(|digest| digest == request.digest())
            && self.seq.is_none_or(|seq| seq == record.seq)
    }
}

pub(super) fn run(
    log: &Path,
    filter: ExportFilter,
    to: Option<&Path>,
) -> Result<ExitStatus, CliError> {
    let Some(to) = to else {
        write_statements(log, filter, output::bytes)?;
        return Ok(ExitStatus::Success);
    };
    let failed = |error: io::Error| CliError::file(ExitStatus::Other, to, error);
    check_output(to, log)?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    // Permissions as the umask has it.
    let builder = builder.permissions(Permissions::from_mode(0o666));
    let file = builder.tempfile_in(dir.unwrap_or(Path::new(".")));
    let mut file: NamedTempFile = file.map_err(failed)?;
    write_statements(log, filter, |line| file.write_all(&line).map_err(failed))?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(to).map_err(|error| failed(error.error))?;
    Ok(ExitStatus::Success)
}

/// Refuses to replace the log itself, or something other than a file.
fn check_output(to: &Path, log: &Path) -> Result<(), CliError> {
    let (Ok(existing), log) = (fs::metadata(to), fs::metadata(log).ok()) else {
        return Ok(());
    };
    let is_same = |log: fs::Metadata| (log.dev(), log.ino()) == (existing.dev(), existing.ino());
    let reason = if log.is_some_and(is_same) {
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
    log: &Path,
    filter: ExportFilter,
    mut write: impl FnMut(Vec<u8>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let checkpoint = read_intact_log(log)?;
    let (mut runs, mut range) = (OpenRuns::default(), CompactRange::default());
    let mut written = 0;
    read_lines(log, |line| {
        if range.size() == checkpoint.size {
            return Ok(());
        }
        range.push(line.leaf_hash());
        if let Some(record) = line.record()
            && let Some(origin) = runs.fetch_end(record)
            && let Entry::Transition { request, .. } = &record.entry
            && filter.matches(record, request)
            && let Some(statement) = statement(record, line.leaf_hash(), &origin)
        {
            write(output::json_bytes(&statement))?;
            written += 1;
        }
        Ok::<_, CliError>(())
    })?;
    if range.root() != checkpoint.root {
        return Err(ReadError::Changed(log.to_owned()).into());
    }
    if written == 0 {
        return Err(CliError::new(
            ExitStatus::NotFound,
            "no completed fetch matches (see `audit show`)",
        ));
    }
    Ok(())
}
