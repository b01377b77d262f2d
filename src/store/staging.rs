//! Per-process staging directories, and removal of stale ones.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use skopeo_index_core::machine::Staging;

use super::{DiskError, LockGuard, LockWait, PRIVATE_DIR, Store, TryLock};

/// Name prefix of staging directories.
const PREFIX: &str = "staging-";

/// Tries to create the staging directory: between mkdir and flock another process may
/// remove it as stale.
const CREATE_TRIES: u32 = 16;

/// The staging directory of this process.
pub(super) struct StagingDir {
    path: PathBuf,
    /// Its name, relative to the cache.
    name: String,
    /// The next fetch's number.
    next: u64,
    /// Shows other processes that this one is alive.
    _lock: LockGuard,
}

impl Store {
    /// Reserves names for one fetch in this process's staging directory.
    ///
    /// # Errors
    /// Where the directory can't be created or locked.
    pub fn new_staging(&self) -> Result<Staging, DiskError> {
        let mut staging_dir = self
            .staging_dir
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let staging_dir = match &mut *staging_dir {
            Some(staging_dir) => staging_dir,
            none => none.insert(self.create_staging_dir()?),
        };
        let n = staging_dir.next;
        staging_dir.next += 1;
        Ok(Staging::new(format!("{}/{n}", staging_dir.name)))
    }

    /// The directory that `skopeo copy` writes to in an attempt.
    #[must_use]
    pub fn attempt_dir(&self, staging: &Staging, attempt: u32) -> PathBuf {
        self.staging_path(staging, &format!("attempt-{attempt}"))
    }

    /// Removes what a fetch has staged in its attempts.
    pub fn remove_staging(&self, staging: &Staging, attempts: u32) -> Result<(), DiskError> {
        self.disk.remove(&self.staging_path(staging, "object"))?;
        (1..=attempts).try_for_each(|attempt| self.disk.remove(&self.attempt_dir(staging, attempt)))
    }

    /// Removes this process's staging directory.
    pub fn remove_staging_dir(&self) -> Result<(), DiskError> {
        let mut staging_dir = self
            .staging_dir
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        staging_dir
            .take()
            .map_or(Ok(()), |staging_dir| self.disk.remove(&staging_dir.path))
    }

    /// Removes stale staging directories, and returns their names relative to the cache.
    /// Those of live processes stay.
    ///
    /// # Errors
    /// The first error, after all have been tried.
    pub fn sweep(&self) -> Result<Vec<String>, DiskError> {
        self.for_each_stale(|dir| self.disk.remove(dir))
    }

    /// The names of stale staging directories, relative to the cache.
    ///
    /// # Errors
    /// As for [`Store::sweep`].
    pub fn stale_staging(&self) -> Result<Vec<String>, DiskError> {
        self.for_each_stale(|_| Ok(()))
    }

    /// Applies `action` to each stale staging directory.
    fn for_each_stale(
        &self,
        action: impl Fn(&Path) -> Result<(), DiskError>,
    ) -> Result<Vec<String>, DiskError> {
        let (mut stale, mut first_error) = (Vec::new(), None);
        for name in self.disk.list(&self.private_dir())? {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            match self.if_stale(&self.private_dir().join(name), &action) {
                Ok(Liveness::Stale) => stale.push(format!("{PRIVATE_DIR}/{name}")),
                Ok(Liveness::Alive) => {}
                // Another process sweeps it at the same time.
                Err(error)
                    if error.is(ErrorKind::NotFound) || error.is(ErrorKind::DirectoryNotEmpty) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(stale), Err)
    }

    fn if_stale(
        &self,
        dir: &Path,
        action: impl Fn(&Path) -> Result<(), DiskError>,
    ) -> Result<Liveness, DiskError> {
        match self.disk.lock(&dir.join("lock"), LockWait::Try)? {
            TryLock::Contended | TryLock::Unlinked => Ok(Liveness::Alive),
            TryLock::Acquired(_guard) => action(dir).map(|()| Liveness::Stale),
        }
    }

    fn create_staging_dir(&self) -> Result<StagingDir, DiskError> {
        self.ensure_private_dir()?;
        for _ in 0..CREATE_TRIES {
            let path = self.disk.make_unique_dir(&self.private_dir(), PREFIX)?;
            match self.disk.lock(&path.join("lock"), LockWait::Try) {
                Ok(TryLock::Acquired(lock)) => {
                    let last = path.file_name().unwrap_or_default().to_string_lossy();
                    let name = format!("{PRIVATE_DIR}/{last}");
                    return Ok(StagingDir {
                        path,
                        name,
                        next: 0,
                        _lock: lock,
                    });
                }
                // Another process removed it as stale.
                Ok(TryLock::Contended | TryLock::Unlinked) => {}
                Err(error) if error.is(ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Err(DiskError::contended(
            "create a directory in",
            &self.private_dir(),
        ))
    }
}

/// Whether the process of a staging directory is alive.
enum Liveness {
    Alive,
    Stale,
}
