//! The disk of one process.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use skopeo_index::os::PathError;
use skopeo_index::store::{
    Dir, Disk, DiskError, FileSystemSync, LockGuard, LockWait, OpenFile, ReadFile, RenameOutcome,
    StagedFile,
};
use skopeo_index_core::machine::CacheEntry;

use super::{Simulation, text};
use crate::call::{Answer, Call, LockMode};
use crate::file_system::{FileId, Text, VICTIM, intern};
use crate::seeded_bug::SeededBug;

fn in_dir(dir: &Dir, name: &str) -> Text {
    text(&dir.path().join(name))
}

/// The file that was read.
fn file_id(file: &OpenFile) -> FileId {
    let name = file.path().to_str().expect("UTF-8");
    let (path, number) = name.rsplit_once('#').expect("a path and a number");
    (intern(path), number.parse().expect("a number"))
}

/// Whether a directory was created.
#[derive(PartialEq, Eq)]
enum Made {
    New,
    Existing,
}

/// Releases a lock when dropped, unless the process has crashed with it.
struct SimulatedLock(Simulation, FileId);

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut script = self.0.script();
        if !script.crashed {
            let file = self.1;
            script.locks.retain(|held| *held != file);
        }
    }
}

impl Simulation {
    fn make(&self, dir: Text) -> Result<Made, PathError> {
        match self.call(Call::MakeDir(dir)) {
            Ok(_) => Ok(Made::New),
            Err(error) if error.is(ErrorKind::AlreadyExists) => Ok(Made::Existing),
            Err(error) => Err(error),
        }
    }

    fn rename_path(&self, from: Text, to: Text) -> Result<RenameOutcome, PathError> {
        match self.call(Call::Rename(from, to)) {
            Ok(_) => Ok(RenameOutcome::Renamed),
            Err(error) if error.is(ErrorKind::AlreadyExists) => Ok(RenameOutcome::TargetExists),
            Err(error) => Err(error),
        }
    }

    fn remove_all(&self, path: Text) -> Result<(), PathError> {
        let allow_missing = |removed: Result<(), PathError>| match removed {
            Err(error) if error.is(ErrorKind::NotFound) => Ok(()),
            other => other,
        };
        match self.call(Call::Unlink(path)) {
            Err(error) if error.is(ErrorKind::IsADirectory) => {}
            other => return allow_missing(other.map(drop)),
        }
        if let Answer::Names(names) = self.call(Call::List(path))? {
            for name in names {
                self.remove_all(intern(&format!("{path}/{name}")))?;
            }
        }
        allow_missing(self.call(Call::RemoveDir(path)).map(drop))
    }
}

impl Disk for Simulation {
    fn open_dir(&self, path: &Path) -> Result<Dir, PathError> {
        self.call(Call::OpenDir(text(path)))?;
        Ok(Dir::simulated(path.to_owned()))
    }

    fn make_dir(&self, dir: &Path) -> Result<(), PathError> {
        self.make(text(dir)).map(drop)
    }

    fn ancestors(&self, path: &Path) -> Vec<PathBuf> {
        path.ancestors().skip(1).map(Into::into).collect()
    }

    fn sync_path(&self, path: &Path) -> Result<(), PathError> {
        if self.has(SeededBug::DirectoryNeverSynced) {
            return Ok(());
        }
        self.call(Call::SyncDir(text(path))).map(drop)
    }

    fn open_private_dir(&self, parent: &Dir, name: &str) -> Result<Dir, PathError> {
        match self.open_dir(&parent.path().join(name)) {
            Err(error)
                if error.is(ErrorKind::NotADirectory) && self.has(SeededBug::LinkFollowed) =>
            {
                Ok(Dir::simulated(VICTIM.into()))
            }
            opened => opened,
        }
    }

    fn make_private_dir(&self, parent: &Dir, name: &str) -> Result<Dir, PathError> {
        self.make(in_dir(parent, name))?;
        self.open_private_dir(parent, name)
    }

    fn make_unique_dir(&self, parent: &Dir, prefix: &str) -> Result<(String, Dir), PathError> {
        let process = self.script().name;
        for n in 0.. {
            let name = format!("{prefix}{process}{n}");
            if self.make(in_dir(parent, &name))? == Made::New {
                let dir = self.open_private_dir(parent, &name)?;
                return Ok((name, dir));
            }
        }
        unreachable!("the names are unlimited")
    }

    fn lock(
        &self,
        dir: &Dir,
        name: &str,
        wait: LockWait<'_>,
    ) -> Result<Option<LockGuard>, DiskError> {
        let path = in_dir(dir, name);
        let file = match self.call(Call::OpenLock(path)) {
            Ok(Answer::Opened(file)) => file,
            Err(error) if error.is(ErrorKind::InvalidInput) && self.has(SeededBug::PipeAwaited) => {
                self.call(Call::AwaitPipe(path))?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
            Ok(_) => unreachable!("the answer to OpenLock is Opened or Error"),
        };
        let mode = match wait {
            LockWait::Try => LockMode::Try,
            LockWait::Blocking(_) => LockMode::Blocking,
        };
        if mode == LockMode::Try && self.has(SeededBug::SweptWithoutLock) {
            return Ok(Some(Box::new(())));
        }
        Ok(match self.call(Call::Lock(file, mode))? {
            Answer::Contended | Answer::Unlinked => None,
            _ => {
                self.script().locks.push(file);
                if mode == LockMode::Blocking && self.has(SeededBug::LockedTwice) {
                    self.call(Call::Lock(file, mode))?;
                }
                let guard: LockGuard = Box::new(SimulatedLock(self.clone(), file));
                Some(guard)
            }
        })
    }

    fn stage(&self, dir: &Dir, name: &str, bytes: &[u8]) -> Result<StagedFile, PathError> {
        let (file, bytes) = (in_dir(dir, name), str::from_utf8(bytes).expect("UTF-8"));
        self.call(Call::Create(file))?;
        self.call(Call::Write(file, intern(bytes)))?;
        if !self.has(SeededBug::RenamedBeforeSynced) && !self.has(SeededBug::FileNeverSynced) {
            self.call(Call::SyncFile(file))?;
        }
        Ok(StagedFile::named(file.into()))
    }

    fn publish(&self, file: &StagedFile, to: &Dir, name: &str) -> Result<RenameOutcome, PathError> {
        let (from, to) = (text(file.path()), in_dir(to, name));
        if self.has(SeededBug::WrittenInPlace)
            && let Answer::File(_, bytes) = self.call(Call::Read(from))?
        {
            self.call(Call::Create(to))?;
            self.call(Call::Write(to, bytes))?;
            self.call(Call::SyncFile(to))?;
            return Ok(RenameOutcome::Renamed);
        }
        let outcome = self.rename_path(from, to)?;
        if self.has(SeededBug::RenamedBeforeSynced) {
            self.call(Call::SyncFile(to))?;
        }
        Ok(outcome)
    }

    fn read(&self, dir: &Dir, name: &str, _: usize) -> Result<ReadFile, PathError> {
        Ok(match self.call(Call::Read(in_dir(dir, name)))? {
            Answer::File((path, number), bytes) => {
                let content = Vec::from(bytes).into();
                let file = PathBuf::from(format!("{path}#{number}"));
                ReadFile {
                    entry: CacheEntry::File { content },
                    file: Some(OpenFile::simulated(file)),
                }
            }
            Answer::Endless => CacheEntry::Oversized { size: 8 << 40 }.into(),
            Answer::NotAFile => CacheEntry::NotAFile.into(),
            _ => CacheEntry::Absent.into(),
        })
    }

    fn sync_file(&self, file: &OpenFile) -> Result<(), PathError> {
        if self.has(SeededBug::FileNeverSynced) {
            return Ok(());
        }
        self.call(Call::SyncOpened(file_id(file))).map(drop)
    }

    fn sync_file_system(&self, _: &Dir, files: &[OpenFile]) -> Result<FileSystemSync, PathError> {
        let skipped = files.first().map(file_id);
        let skipped = skipped.filter(|_| self.has(SeededBug::SyncSkipsFile));
        let call = Call::SyncFileSystem { skipped };
        if self.has(SeededBug::ReportedBeforeSynced) {
            self.script().delayed_sync = Some(call);
            return Ok(FileSystemSync::Done);
        }
        match self.call(call) {
            Ok(Answer::Unavailable) => Ok(FileSystemSync::Unavailable),
            Err(_) if self.has(SeededBug::FailedSyncIgnored) => Ok(FileSystemSync::Done),
            synced => synced.map(|_| FileSystemSync::Done),
        }
    }

    fn is_on_file_system_of(&self, _: &Dir, _: &Path) -> bool {
        true
    }

    fn sync_dir(&self, dir: &Dir) -> Result<(), PathError> {
        self.sync_path(dir.path())
    }

    fn rename(
        &self,
        (from, name): (&Dir, &str),
        (to, new_name): (&Dir, &str),
    ) -> Result<RenameOutcome, PathError> {
        self.rename_path(in_dir(from, name), in_dir(to, new_name))
    }

    fn replace(&self, _: &Dir, _: &str, _: &[u8]) -> Result<(), PathError> {
        unreachable!("names are outside the model")
    }

    fn list(&self, dir: &Dir) -> Result<Vec<OsString>, PathError> {
        let Answer::Names(names) = self.call(Call::List(text(dir.path())))? else {
            unreachable!("the answer to List is Names or Error")
        };
        Ok(names.into_iter().map(OsString::from).collect())
    }

    fn remove(&self, dir: &Dir, name: &str) -> Result<(), PathError> {
        self.remove_all(in_dir(dir, name))
    }
}
