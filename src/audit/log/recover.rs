//! What a crash has left of a line: kept aside, and recorded.
//!
//! ```text
//!  … record\n half a rec          LOG.torn-1: half a rec       durable, with its name
//!  … record\n recovered\n                                      written over what is torn
//! ```
//!
//! A file `LOG.torn-N` that no record tells of is what a recovery has left that
//! didn't come to its end. The next one tells of it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::super::lines::{LINE_MAX, Piece};
use super::super::names::RunId;
use super::super::record::{Op, Record};
use super::tail::{End, genesis};
use super::{Log, LogError, dir_of, sync_dir};
use crate::digest::Digest;

/// A file with what was torn.
struct Kept {
    name: String,
    bytes: Vec<u8>,
}

impl Log<'_> {
    /// Keeps what is torn behind `found`, and goes on in its place. Where that
    /// fails, it stays in the log.
    pub(super) fn recover(
        &self,
        found: Option<End>,
        torn: &[u8],
        run: &RunId,
    ) -> Result<End, LogError> {
        let at = found.as_ref().map_or(0, |end| end.length);
        // One that doesn't append, since what is torn has to be written over.
        let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let file = OpenOptions::new().write(true).open(file);
        let file = file.map_err(self.during("write over a torn line of"))?;
        let kept = self.kept(at, torn);
        let kept = kept.map_err(self.during("keep aside a torn line of"))?;
        let end = self.recovered(&file, found, kept, run).inspect_err(|_| {
            // Where it can't be put back, what is there is torn, and its file has no record.
            let _found_again = file
                .write_all_at(torn, at)
                .and_then(|()| file.set_len(at + torn.len() as u64));
        })?;
        // What is left behind the record was part of the torn line.
        file.set_len(end.length).map_err(self.during("shorten"))?;
        Ok(end)
    }

    fn recovered(
        &self,
        file: &File,
        found: Option<End>,
        kept: Vec<Kept>,
        run: &RunId,
    ) -> Result<End, LogError> {
        let mut end = match found {
            Some(end) => end,
            None => self.write(file, self.begin()?, run, genesis())?,
        };
        for Kept { name, bytes } in kept {
            let recovered = Op::Recovered {
                bytes: bytes.len() as u64,
                kept_as: name,
                sha256: Digest::of(&bytes),
            };
            end = self.write(file, end, run, recovered)?;
        }
        Ok(end)
    }

    /// What is to be recorded, durable: what is torn, and what earlier recoveries
    /// have kept without a record of it.
    fn kept(&self, at: u64, torn: &[u8]) -> io::Result<Vec<Kept>> {
        let mut kept = self.without_record(at)?;
        // One that was begun, or had no time for its record.
        let begun = kept.iter_mut().find(|kept| torn.starts_with(&kept.bytes));
        if let Some(begun) = begun {
            let path = self.path.with_file_name(&begun.name);
            let file = OpenOptions::new().write(true).open(path)?;
            file.write_all_at(torn, 0)?;
            file.sync_all()?;
            begun.bytes = torn.to_vec();
        } else {
            let (name, bytes) = (self.keep_aside(torn)?, torn.to_vec());
            kept.push(Kept { name, bytes });
        }
        sync_dir(&self.path)?;
        Ok(kept)
    }

    fn keep_aside(&self, torn: &[u8]) -> io::Result<String> {
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
                            // One that stays is finished by the next.
                            let _finished_later = fs::remove_file(&path);
                            Err(error)
                        }
                    };
                }
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// What files that are torn lines' are called, up to their number.
    fn prefix(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        format!("{}.torn-", name.to_string_lossy())
    }

    /// The files that no record before `at` tells of.
    fn without_record(&self, at: u64) -> io::Result<Vec<Kept>> {
        let prefix = self.prefix();
        let mut numbers = BTreeSet::new();
        for entry in fs::read_dir(dir_of(&self.path))? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&prefix));
            numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        let recorded = match numbers.is_empty() {
            true => BTreeSet::new(),
            false => self.recorded(at)?,
        };
        let names = numbers
            .into_iter()
            .map(|number| format!("{prefix}{number}"));
        let mut kept = Vec::new();
        for name in names.filter(|name| !recorded.contains(name)) {
            if let Some(bytes) = self.read_kept(&name)? {
                kept.push(Kept { name, bytes });
            }
        }
        Ok(kept)
    }

    /// A file's bytes; `None` if it isn't one that was made here.
    fn read_kept(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(self.path.with_file_name(name));
        let file = match opened {
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
        file.take(LINE_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok((bytes.len() <= LINE_MAX).then_some(bytes))
    }

    /// The names that records before `at` tell of.
    fn recorded(&self, at: u64) -> io::Result<BTreeSet<String>> {
        const RECOVERED: &[u8] = b"\"op\":{\"recovered\":";
        let mut names = BTreeSet::new();
        let mut pieces = self.pieces(at);
        while let Some(piece) = pieces.next()? {
            // It stands near the beginning: behind the log's name.
            if let Piece::Line(line) = piece
                && line[..line.len().min(128)]
                    .windows(RECOVERED.len())
                    .any(|at| at == RECOVERED)
                && let Ok(Record {
                    op: Op::Recovered { kept_as, .. },
                    ..
                }) = Record::parse(line)
            {
                names.insert(kept_as);
            }
        }
        Ok(names)
    }
}
