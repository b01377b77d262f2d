//! The log's file: appending, and what a crash has left.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::checkpoint::Checkpoint;
use super::merkle::{Frontier, Hash, leaf};
use super::record::{Op, Origin, Record, RunId, Schema, Time};
use crate::coalesce::Coalesced;
use crate::digest::Digest;
use crate::text::Escaped;

/// The longest line: far beyond any record, whose texts are bounded.
pub const LINE_MAX: usize = 1 << 20;

/// A log that is appended to, by this process and others at the same time.
#[derive(Debug)]
pub struct Log {
    file: File,
    path: PathBuf,
    tail: Mutex<Tail>,
    syncs: Coalesced,
}

/// What the next record follows.
#[derive(Debug, Default)]
struct Tail {
    /// Bytes of the file; another number means that somebody else has appended.
    length: u64,
    /// Of the next record.
    seq: u64,
    prev: Hash,
    /// `None` before the first record.
    log: Option<Origin>,
}

/// Why the log can't be appended to.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The system refused it.
    #[error("cannot {doing} {}: {error}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Its last line is no record, so that nothing can follow it.
    #[error("{}: the last line is not a record ({why}); `skopeo-index audit verify` tells more", .path.display())]
    Broken {
        /// The log.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Log {
    /// Opens a log, or begins one.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let during = |doing| {
            move |error| LogError::Io {
                doing,
                path: path.to_owned(),
                error,
            }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path)
            .map_err(during("open"))?;
        if !file.metadata().map_err(during("look at"))?.is_file() {
            return Err(during("write to")(io::Error::other("it is not a file")));
        }
        sync_dir(path).map_err(during("sync the directory of"))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            tail: Mutex::default(),
            syncs: Coalesced::default(),
        })
    }

    /// Appends a record; it is durable after [`Log::sync`].
    ///
    /// A log that is moved meanwhile is gone on with where it is.
    ///
    /// # Errors
    /// [`LogError`]: then nothing was appended.
    pub fn append(&self, run: &RunId, op: Op) -> Result<(), LogError> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        self.file.lock().map_err(self.during("lock"))?;
        let appended = self.append_locked(&mut tail, run, op);
        // Whatever comes of it, the record is there or it isn't.
        let _freed_when_closed = self.file.unlock();
        appended
    }

    /// Makes all that was appended durable.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn sync(&self) -> Result<(), LogError> {
        self.syncs
            .sync(|| self.file.sync_data().map_err(self.during("sync")))
    }

    /// Where the log stands: what all its lines hash to, whoever wrote them.
    ///
    /// # Errors
    /// [`LogError`]; a line that has no end is not counted.
    pub fn checkpoint(&self) -> Result<Checkpoint, LogError> {
        let origin = self
            .tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .log
            .clone();
        let origin = origin.ok_or_else(|| self.broken("it has no name"))?;
        let mut reader = BufReader::new(FromStart(&self.file, 0));
        let (mut line, mut frontier) = (Vec::new(), Frontier::default());
        while reader
            .read_until(b'\n', &mut line)
            .map_err(self.during("read"))?
            > 0
        {
            if let Some(line) = line.strip_suffix(b"\n") {
                frontier.push(leaf(line));
            }
            line.clear();
        }
        Ok(Checkpoint {
            origin,
            size: frontier.size(),
            root: frontier.root(),
        })
    }

    fn append_locked(&self, tail: &mut Tail, run: &RunId, op: Op) -> Result<(), LogError> {
        let file = self.file.metadata().map_err(self.during("look at"))?;
        // Moved, it is kept all the same; what has no name any more is lost.
        if file.nlink() == 0 {
            return Err(self.during("write to")(io::Error::other("it was removed")));
        }
        let length = file.len();
        if length != tail.length || tail.log.is_none() {
            self.catch_up(tail, length, run)?;
        }
        self.write(tail, run, op)
    }

    /// Finds out what others have appended.
    fn catch_up(&self, tail: &mut Tail, length: u64, run: &RunId) -> Result<(), LogError> {
        let end = self.read_end(length)?;
        let whole = end
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let torn = &end[whole..];
        *tail = Tail {
            length: length - torn.len() as u64,
            ..Tail::default()
        };
        match end[..whole].strip_suffix(b"\n") {
            // One without a whole line is as good as new.
            None if length == torn.len() as u64 => {
                tail.log = Some(Origin::random());
                if torn.is_empty() {
                    let version = env!("CARGO_PKG_VERSION").to_owned();
                    self.write(tail, run, Op::Genesis { version })?;
                }
            }
            None => return Err(self.broken("it has no end")),
            Some(lines) => {
                let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or(lines);
                let record =
                    Record::parse(last).map_err(|error| self.broken(&error.to_string()))?;
                (tail.seq, tail.prev, tail.log) = (record.seq + 1, leaf(last), Some(record.log));
            }
        }
        if torn.is_empty() {
            Ok(())
        } else {
            self.recover(tail, torn, run)
        }
    }

    /// The last bytes, enough for two lines.
    fn read_end(&self, length: u64) -> Result<Vec<u8>, LogError> {
        let from = length.saturating_sub(2 * LINE_MAX as u64);
        // The difference is at most two lines.
        let mut end = vec![0; usize::try_from(length - from).unwrap_or(0)];
        self.file
            .read_exact_at(&mut end, from)
            .map_err(self.during("read"))?;
        Ok(end)
    }

    /// Keeps what a crash has left of a line, and goes on in its place.
    fn recover(&self, tail: &mut Tail, torn: &[u8], run: &RunId) -> Result<(), LogError> {
        let (kept, name) = self
            .keep_aside(torn)
            .map_err(self.during("keep aside a torn line of"))?;
        kept.sync_all()
            .map_err(self.during("keep aside a torn line of"))?;
        sync_dir(&self.path).map_err(self.during("sync the directory of"))?;
        if tail.seq == 0 {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            self.write(tail, run, Op::Genesis { version })?;
        }
        let (bytes, sha256) = (torn.len() as u64, Digest::of(torn));
        self.write(
            tail,
            run,
            Op::Recovered {
                bytes,
                kept_as: name,
                sha256,
            },
        )?;
        // What is left behind the record was part of the torn line.
        self.file
            .set_len(tail.length)
            .map_err(self.during("shorten"))
    }

    fn keep_aside(&self, torn: &[u8]) -> io::Result<(File, String)> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        for n in 1_u32.. {
            let name = format!("{name}.torn-{n}");
            match OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(self.path.with_file_name(&name))
            {
                Ok(file) => {
                    file.write_all_at(torn, 0)?;
                    return Ok((file, name));
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    fn write(&self, tail: &mut Tail, run: &RunId, op: Op) -> Result<(), LogError> {
        let log = tail
            .log
            .clone()
            .ok_or_else(|| self.broken("it has no name"))?;
        let record = Record {
            log,
            op,
            prev: tail.prev,
            run: run.clone(),
            schema: Schema,
            seq: tail.seq,
            time: Time::now(),
        };
        let mut line = record.to_line();
        let leaf = leaf(line.as_bytes());
        line.push('\n');
        if let Err(error) = self.file.write_all_at(line.as_bytes(), tail.length) {
            // Half a line is no record. Where it can't be taken back, the next
            // to append finds it torn.
            let _found_torn = self.file.set_len(tail.length);
            return Err(self.during("write")(error));
        }
        tail.length += line.len() as u64;
        (tail.seq, tail.prev) = (tail.seq + 1, leaf);
        Ok(())
    }

    fn during(&self, doing: &'static str) -> impl FnOnce(io::Error) -> LogError {
        let path = self.path.clone();
        move |error| LogError::Io { doing, path, error }
    }

    fn broken(&self, why: &str) -> LogError {
        LogError::Broken {
            path: self.path.clone(),
            why: Escaped(why).to_string(),
        }
    }
}

/// Reads a file that others read and write too, and may have moved.
struct FromStart<'f>(&'f File, u64);

impl Read for FromStart<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read_at(into, self.1)?;
        self.1 += read as u64;
        Ok(read)
    }
}

/// Makes a file's name durable.
fn sync_dir(file: &Path) -> io::Result<()> {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
