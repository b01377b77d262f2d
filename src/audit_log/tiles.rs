//! Writes a log's tiles, c2sp.org/tlog-tiles, for a static web server.
//!
//! ```text
//!  DIR/tile/entries/x000/…  DIR/tile/0/x000/…     durable first
//!  DIR/checkpoint                                 then what they add up to, alone
//!  DIR/.tmp/                                      files before their names; locked
//! ```
//!
//! The tiles of the checkpoint's size are there whenever it is; an interrupted run leaves
//! the old checkpoint and some newer tiles, which the next run writes again.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use skopeo_index_core::audit::{
    Checkpoint, LineReader, LineTooLong, LogLine, SavedCheckpoint, Tile, TileBuilder,
};
use skopeo_index_core::escape::EscapedPath;

use super::checkpoint::read_replaced_checkpoint;
use super::{ReadError, read_intact_log, sync_log};
use crate::os::{
    PathContext, PathError, allow_unsyncable, best_effort, for_each_in_parallel, open_nofollow,
    open_regular, parent_dir, sync_dir, try_acquire,
};
use crate::signing::{SigningKey, sign_checkpoint};

/// Files that are fsynced together: a tile has at most 16 MiB, an ordinary one a third.
const BATCH_FILES: usize = 64;

/// Threads that fsync at once, so that the file system can commit their files together.
const SYNC_THREADS: usize = 16;

/// Why tiles can't be written.
#[derive(Debug, thiserror::Error)]
pub enum TilesError {
    /// The log can't be read, is not intact, or is not an extension of the directory's.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// The directory's checkpoint can't be replaced: it can't be read, or is signed and no key
    /// is given.
    #[error(transparent)]
    Checkpoint(PathError),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A torn line is too long for a tile.
    #[error(transparent)]
    LongLine(#[from] LineTooLong),
    /// Another process writes tiles there.
    #[error("{}: another process writes tiles there", EscapedPath(.0))]
    Locked(PathBuf),
}

/// Brings a directory to the state of a log, which has to be intact and an extension of
/// the log that the directory has tiles of. Returns the checkpoint.
///
/// # Errors
/// The directory's checkpoint is as it was.
pub fn write_tiles(
    log: &Path,
    dir: &Path,
    key: Option<&SigningKey>,
) -> Result<Checkpoint, TilesError> {
    let failed = |error: io::Error| PathError::new("write tiles to", dir, error);
    let temporary = dir.join(".tmp");
    fs::create_dir_all(&temporary).map_err(failed)?;
    // Its files are removed: a link to another directory is refused.
    let lock = open_nofollow(OpenOptions::new().read(true), &temporary).map_err(failed)?;
    let Some(_lock) = try_acquire(lock).map_err(failed)? else {
        return Err(TilesError::Locked(dir.to_owned()));
    };
    let saved = read_replaced_checkpoint(&dir.join("checkpoint"), key);
    let saved = saved.map_err(TilesError::Checkpoint)?;
    let earlier = saved.as_ref().map(SavedCheckpoint::checkpoint);
    let checkpoint = read_intact_log(log, earlier)?;
    let mut writer = TileWriter {
        dir,
        temporary,
        batch: Vec::new(),
        dirs: BTreeSet::new(),
        full: Vec::new(),
    };
    writer.clear_temporary().map_err(failed)?;
    let from = earlier.map_or(0, |earlier| earlier.size);
    write_changed(log, &checkpoint, from, &mut writer)?;
    writer.finish().map_err(failed)?;
    sync_log(log)?;
    let saved = sign_checkpoint(key, checkpoint.clone()).map_err(failed)?;
    let written = writer.write(dir.join("checkpoint"), saved.to_string().as_bytes());
    written.and_then(|()| writer.finish()).map_err(failed)?;
    writer.remove_partial_tiles();
    Ok(checkpoint)
}

/// Writes the tiles of a log of the checkpoint's size that one of `from` records lacks.
fn write_changed(
    log: &Path,
    checkpoint: &Checkpoint,
    from: u64,
    writer: &mut TileWriter<'_>,
) -> Result<(), TilesError> {
    let unreadable = |error: io::Error| ReadError::from(PathError::new("read", log, error));
    let mut take = |tile: Tile| -> Result<(), TilesError> {
        let written = writer.write_tile(&tile);
        Ok(written.context("write tiles to", writer.dir)?)
    };
    let file = open_regular(log).map_err(unreadable)?;
    let mut lines = LineReader::new(BufReader::with_capacity(1 << 18, file));
    let mut tiles = TileBuilder::new(from);
    // Another process may append.
    while tiles.tree().size() < checkpoint.size {
        match lines.next_line().map_err(unreadable)? {
            Some(LogLine::Line(line)) => tiles.push(line, &mut take)?,
            Some(LogLine::TooLong(_)) => {
                let at = tiles.tree().size();
                return Err(LineTooLong { at }.into());
            }
            _ => return Err(ReadError::Changed(log.to_owned()).into()),
        }
    }
    if tiles.tree().root() != checkpoint.root {
        return Err(ReadError::Changed(log.to_owned()).into());
    }
    tiles.finish(take)
}

/// Writes files, and gives them their names once they are durable.
struct TileWriter<'d> {
    dir: &'d Path,
    /// Directory of the files of the batch, by their positions in it.
    temporary: PathBuf,
    /// Names of files that are not durable yet.
    batch: Vec<PathBuf>,
    /// Directories with new names.
    dirs: BTreeSet<PathBuf>,
    /// Directories of partial tiles that are not needed beside a full one.
    full: Vec<PathBuf>,
}

impl TileWriter<'_> {
    /// Removes the files of an interrupted run.
    fn clear_temporary(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.temporary)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    fn temporary(&self, position: usize) -> PathBuf {
        self.temporary.join(position.to_string())
    }

    fn write_tile(&mut self, tile: &Tile) -> io::Result<()> {
        let partial = tile.partial_tiles();
        self.full.extend(partial.map(|path| self.dir.join(path)));
        self.write(self.dir.join(tile.to_string()), tile.bytes())
    }

    /// Writes a file that gets its name with its batch.
    fn write(&mut self, name: PathBuf, bytes: &[u8]) -> io::Result<()> {
        fs::write(self.temporary(self.batch.len()), bytes)?;
        self.batch.push(name);
        if self.batch.len() == BATCH_FILES {
            self.publish()?;
        }
        Ok(())
    }

    /// Makes the batch durable, and renames its files.
    fn publish(&mut self) -> io::Result<()> {
        let files: Vec<_> = (0..self.batch.len()).map(|n| self.temporary(n)).collect();
        for_each_in_parallel(&files, SYNC_THREADS, 1, |file| File::open(file)?.sync_all())?;
        for (file, name) in files.iter().zip(std::mem::take(&mut self.batch)) {
            let parents = name.ancestors().skip(1);
            let parents = parents.take_while(|parent| parent.starts_with(self.dir));
            self.dirs.extend(parents.map(Path::to_owned));
            match fs::rename(file, &name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    fs::create_dir_all(parent_dir(&name))?;
                    fs::rename(file, &name)?;
                }
                renamed => renamed?,
            }
        }
        Ok(())
    }

    /// Makes the last files and all names durable.
    fn finish(&mut self) -> io::Result<()> {
        self.publish()?;
        let dirs = std::mem::take(&mut self.dirs);
        dirs.iter().try_for_each(|dir| sync_dir(dir))?;
        // The directory itself may be new.
        allow_unsyncable(sync_dir(parent_dir(self.dir)))
    }

    /// "Logs […] MAY delete any partial tile once the corresponding full tile is […]
    /// available": one that stays costs its space only.
    fn remove_partial_tiles(&self) {
        for dir in &self.full {
            best_effort(fs::remove_dir_all(dir));
        }
    }
}
