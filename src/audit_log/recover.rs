//! Recovery of a torn line: saved to a file, and recorded.
//!
//! ```text
//!  … record\n half a rec          LOG.torn-1: half a rec       durable, with its name
//!  … record\n recovered\n                                      written over the torn line
//! ```
//!
//! A file `LOG.torn-N` without a record is left by a recovery that was interrupted. The
//! next one records it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;
use skopeo_index_core::audit::{Entry, LogLine, MAX_RECORD_LEN, Record, RunId};
use skopeo_index_core::digest::Digest;

use super::end::{LogEnd, genesis};
use super::writer::dir_of;
use super::{LogError, LogWriter};
use crate::os::{best_effort, open_nofollow, sync_dir};

/// A file with a torn line.
struct TornFile {
    name: String,
    bytes: Vec<u8>,
}

impl LogWriter<'_> {
    /// Saves the torn line behind `found`, and writes over it. Where that fails, it stays
    /// in the log.
    pub(super) fn recover(
        &self,
        found: Option<LogEnd>,
        torn: &[u8],
        run: &RunId,
    ) -> Result<LogEnd, LogError> {
        let at = found.as_ref().map_or(0, |end| end.length);
        // Another description of the file, without O_APPEND.
        let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let file = OpenOptions::new().write(true).open(file);
        let file = file.map_err(self.context("write over a torn line of"))?;
        let saved = self.save(at, torn);
        let saved = saved.map_err(self.context("save a torn line of"))?;
        let end = self
            .record_saved(&file, found, saved, run)
            .inspect_err(|_| {
                // Where this fails too, the next recovery finds a torn line and a file
                // without a record.
                best_effort(
                    file.write_all_at(torn, at)
                        .and_then(|()| file.set_len(at + torn.len() as u64)),
                );
            })?;
        // The rest of the torn line.
        file.set_len(end.length).map_err(self.context("truncate"))?;
        Ok(end)
    }

    fn record_saved(
        &self,
        file: &File,
        found: Option<LogEnd>,
        saved: Vec<TornFile>,
        run: &RunId,
    ) -> Result<LogEnd, LogError> {
        let mut end = match found {
            Some(end) => end,
            None => self.write(file, self.empty_log()?, run, genesis())?,
        };
        for TornFile { name, bytes } in saved {
            let recovered = Entry::Recovered {
                bytes: bytes.len() as u64,
                file: name,
                sha256: Digest::of(&bytes),
            };
            end = self.write(file, end, run, recovered)?;
        }
        Ok(end)
    }

    /// Makes durable what is to be recorded: the torn line, and files of interrupted
    /// recoveries.
    fn save(&self, at: u64, torn: &[u8]) -> io::Result<Vec<TornFile>> {
        let mut files = self.unrecorded_files(at)?;
        // Left by a recovery of this line that was interrupted.
        let same_line = files.iter_mut().find(|file| torn.starts_with(&file.bytes));
        if let Some(saved) = same_line {
            let path = self.path.with_file_name(&saved.name);
            let file = OpenOptions::new().write(true).open(path)?;
            file.write_all_at(torn, 0)?;
            file.sync_all()?;
            saved.bytes = torn.to_vec();
        } else {
            let (name, bytes) = (self.save_new(torn)?, torn.to_vec());
            files.push(TornFile { name, bytes });
        }
        sync_dir(dir_of(&self.path))?;
        Ok(files)
    }

    fn save_new(&self, torn: &[u8]) -> io::Result<String> {
        for n in 1_u32.. {
            let name = format!("{}{n}", self.prefix());
            let path = self.path.with_file_name(&name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    let written = file.write_all_at(torn, 0).and_then(|()| file.sync_all());
                    return match written {
                        Ok(()) => Ok(name),
                        Err(error) => {
                            // The next recovery completes a file that stays.
                            best_effort(fs::remove_file(&path));
                            Err(error)
                        }
                    };
                }
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// File-name prefix of saved torn lines: `LOG.torn-`.
    fn prefix(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        format!("{}.torn-", name.to_string_lossy())
    }

    /// Files of torn lines that no record before `at` names.
    fn unrecorded_files(&self, at: u64) -> io::Result<Vec<TornFile>> {
        let prefix = self.prefix();
        let mut numbers = BTreeSet::new();
        for entry in fs::read_dir(dir_of(&self.path))? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&prefix));
            numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        let recorded = match numbers.is_empty() {
            true => BTreeSet::new(),
            false => self.recorded_names(at)?,
        };
        let names = numbers
            .into_iter()
            .map(|number| format!("{prefix}{number}"));
        let mut files = Vec::new();
        for name in names.filter(|name| !recorded.contains(name)) {
            if let Some(bytes) = self.read_saved(&name)? {
                files.push(TornFile { name, bytes });
            }
        }
        Ok(files)
    }

    /// A file's bytes; `None` if it isn't a saved torn line.
    fn read_saved(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.path.with_file_name(name);
        let file = match open_nofollow(OpenOptions::new().read(true), &path) {
            Ok(file) => file,
            Err(error) => {
                return match Errno::from_io_error(&error) {
                    // Just removed, a link, or a socket.
                    Some(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
                    _ => Err(error),
                };
            }
        };
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(MAX_RECORD_LEN as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok((bytes.len() <= MAX_RECORD_LEN).then_some(bytes))
    }

    /// The names in `recovered` records before `at`.
    fn recorded_names(&self, at: u64) -> io::Result<BTreeSet<String>> {
        // Where such a record begins; others needn't be parsed.
        const RECOVERED: &[u8] = b"{\"entry\":{\"recovered\":";
        let mut names = BTreeSet::new();
        let mut lines = self.lines(at);
        while let Some(line) = lines.next_line()? {
            if let LogLine::Line(line) = line
                && line.starts_with(RECOVERED)
                && let Ok(record) = Record::parse(line)
                && let Entry::Recovered { file, .. } = record.entry
            {
                names.insert(file);
            }
        }
        Ok(names)
    }
}
