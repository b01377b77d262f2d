//! The log's file: appended to under its lock, synced, never written again.
//!
//! ```text
//!  record\n record\n … record\n half a rec
//!                     └── End of what was written last   └── torn, by a crash: see recover
//! ```

mod error;
mod recover;
mod tail;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

pub use error::LogError;
use tail::{End, Tail, Written};

use super::checkpoint::Checkpoint;
use super::lines::{Piece, Pieces};
use super::merkle::{Frontier, leaf};
use super::names::RunId;
use super::record::Op;
use crate::cancel::Cancel;
use crate::coalesce::Coalesced;

/// How long an honest holder of the lock may take: it writes a record.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// How long one may take for whom was told to stop, and has an end to record.
const LOCK_GRACE: Duration = Duration::from_millis(100);

/// How often a lock is tried meanwhile.
const LOCK_EVERY: Duration = Duration::from_millis(5);

/// A log that is appended to, by this process and others at the same time.
#[derive(Debug)]
pub struct Log<'c> {
    file: File,
    path: PathBuf,
    cancel: &'c Cancel,
    tail: Mutex<Tail>,
    syncs: Coalesced,
    /// What the first sync that failed said. Linux tells that once, and the next
    /// sync ends well without what was lost.
    unsynced: OnceLock<String>,
}

impl<'c> Log<'c> {
    /// Opens a log, or begins one. Waits for its lock end with `cancel`.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn open(path: &Path, cancel: &'c Cancel) -> Result<Self, LogError> {
        let during = |doing| LogError::during(doing, path);
        // Also a log that may only be appended to (chattr +a) is opened so.
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
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
            cancel,
            tail: Mutex::default(),
            syncs: Coalesced::default(),
            unsynced: OnceLock::new(),
        })
    }

    /// Appends a record; it is durable after [`Log::sync`].
    ///
    /// A log that is moved meanwhile is gone on with where it is.
    ///
    /// # Errors
    /// [`LogError`]: then nothing was appended.
    pub fn append(&self, run: &RunId, op: Op) -> Result<(), LogError> {
        let mut tail = self.tail();
        self.never_failed_to_sync()?;
        self.lock(&mut tail)?;
        let appended = self.append_locked(tail.last.as_ref(), run, op);
        // Whatever comes of it, the record is there or it isn't.
        let _freed_when_closed = self.file.unlock();
        tail.last = Some(appended?);
        Ok(())
    }

    /// Makes all that was appended durable.
    ///
    /// # Errors
    /// [`LogError`]: after a first failure always, since nobody knows what was lost.
    pub fn sync(&self) -> Result<(), LogError> {
        self.syncs.sync(|| {
            self.never_failed_to_sync()?;
            self.file.sync_data().map_err(|error| {
                let _the_first_counts = self.unsynced.set(error.to_string());
                self.during("sync")(error)
            })
        })
    }

    /// Where the log stands: what all its lines hash to, whoever wrote them.
    ///
    /// # Errors
    /// [`LogError`]; a line that has no end is not counted.
    pub fn checkpoint(&self) -> Result<Checkpoint, LogError> {
        let origin = self.tail().last.as_ref().map(|last| last.end.log.clone());
        let origin = origin.ok_or_else(|| self.broken("it has no name"))?;
        let mut frontier = Frontier::default();
        let mut pieces = self.pieces(u64::MAX);
        while let Some(piece) = pieces.next().map_err(self.during("read"))? {
            match piece {
                Piece::Line(line) => frontier.push(leaf(line)),
                Piece::TooLong(leaf) => frontier.push(leaf),
                Piece::Torn(_) => {}
            }
        }
        Ok(Checkpoint {
            origin,
            size: frontier.size(),
            root: frontier.root(),
        })
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn never_failed_to_sync(&self) -> Result<(), LogError> {
        match self.unsynced.get() {
            None => Ok(()),
            Some(why) => Err(LogError::Unsynced {
                path: self.path.clone(),
                why: why.clone(),
            }),
        }
    }

    /// Anybody who can read the log can lock it. Whoever was waited for in vain
    /// isn't waited for again: then the lock is only tried.
    fn lock(&self, tail: &mut Tail) -> Result<(), LogError> {
        let begun = Instant::now();
        let mut until = begun + tail.patience;
        loop {
            match self.file.try_lock() {
                Ok(()) => {
                    tail.patience = LOCK_PATIENCE;
                    return Ok(());
                }
                Err(TryLockError::Error(error)) => return Err(self.during("lock")(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            if Instant::now() >= until {
                tail.patience = Duration::ZERO;
                return Err(LogError::Busy(self.path.clone()));
            }
            if self.cancel.wait(LOCK_EVERY).is_some() {
                until = until.min(begun + LOCK_GRACE);
                std::thread::sleep(LOCK_EVERY);
            }
        }
    }

    fn append_locked(
        &self,
        known: Option<&Written>,
        run: &RunId,
        op: Op,
    ) -> Result<Written, LogError> {
        let file = self.file.metadata().map_err(self.during("look at"))?;
        // Moved, it is kept all the same; what has no name any more is lost.
        if file.nlink() == 0 {
            return Err(self.during("write to")(io::Error::other("it was removed")));
        }
        let end = match known {
            Some(known) if known.end.length == file.len() => known.end.clone(),
            known => self.catch_up(known, file.len(), run)?,
        };
        self.extend(end, run, op)
    }

    /// Writes the next record, or nothing.
    fn extend(&self, end: End, run: &RunId, op: Op) -> Result<Written, LogError> {
        let from = end.length;
        let written = self.write(&self.file, end, run, op).inspect_err(|_| {
            // Half a line is no record. Where it can't be taken back, the next to
            // append finds it torn.
            let _found_torn = self.file.set_len(from);
        });
        written.map(|end| Written { from, end })
    }

    /// Reads from the beginning, beside whoever writes, wherever the file was moved.
    fn pieces(&self, up_to: u64) -> Pieces<BufReader<io::Take<FromStart<'_>>>> {
        let from = FromStart(&self.file, 0).take(up_to);
        Pieces::new(BufReader::with_capacity(1 << 18, from))
    }

    fn during(&self, doing: &'static str) -> impl Fn(io::Error) -> LogError + use<'_> {
        LogError::during(doing, &self.path)
    }

    fn broken(&self, why: &str) -> LogError {
        LogError::broken(&self.path, why)
    }
}

/// Reads a file by offsets.
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
    File::open(dir_of(file))?.sync_all()
}

fn dir_of(file: &Path) -> &Path {
    let parent = file.parent();
    let named = parent.filter(|parent| !parent.as_os_str().is_empty());
    named.unwrap_or(Path::new("."))
}
