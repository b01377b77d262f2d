//! Per-process staging directories, and removal of stale ones.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

use skopeo_index_core::index::MAX_MANIFEST_SIZE;
use skopeo_index_core::layout::{
    self, COPIED_MANIFEST, PRIVATE_DIR, STAGING_PREFIX, file_name, staged_object, verifier_dir,
};
use skopeo_index_core::machine::{CacheEntry, ManifestBytes, Staging};

use crate::os::{PathError, absolute, best_effort};

use super::{Dir, DiskError, LockGuard, LockWait, Store};

/// Retries when creating the staging directory: between mkdir and flock another process
/// may remove it as stale.
const CREATE_TRIES: u32 = 16;

/// The staging directory of this process.
pub(super) struct StagingDir {
    dir: Arc<Dir>,
    /// Its name in the private directory.
    name: String,
    /// The next fetch's number.
    next: u64,
    /// Shows other processes that this one is alive.
    _lock: LockGuard,
}

/// Staging directories of processes that have ended.
#[derive(Debug, Default)]
pub struct StaleStaging {
    /// Their names, relative to the cache.
    pub names: Vec<String>,
    /// Why others were not examined or removed.
    pub errors: Vec<DiskError>,
}

impl Store {
    fn staging_dir(&self) -> MutexGuard<'_, Option<StagingDir>> {
        self.staging_dir
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `action` in this process's staging directory, which exists once a
    /// [`Staging`] was made.
    pub(super) fn in_staging<T>(
        &self,
        action: impl FnOnce(&Dir) -> Result<T, PathError>,
    ) -> Result<T, PathError> {
        // Not held during the action: fetches write at the same time.
        let dir = self.staging_dir().as_ref().map(|own| Arc::clone(&own.dir));
        match dir {
            Some(dir) => action(&dir),
            None => Err(PathError::contended("use staging in", self.root())),
        }
    }

    /// Reserves names for one fetch in this process's staging directory.
    pub fn new_staging(&self) -> Result<Staging, DiskError> {
        let mut staging_dir = self.staging_dir();
        let staging_dir = match &mut *staging_dir {
            Some(staging_dir) => staging_dir,
            none => none.insert(self.create_staging_dir()?),
        };
        let n = staging_dir.next;
        staging_dir.next += 1;
        Ok(layout::staging(&staging_dir.name, n))
    }

    /// The directory that `skopeo copy` writes to in an attempt.
    #[must_use]
    pub fn attempt_dir(&self, staging: &Staging, attempt: u32) -> PathBuf {
        self.root().join(layout::attempt_dir(staging, attempt))
    }

    /// The file of an attempt's copy.
    #[must_use]
    pub fn copied_manifest(&self, staging: &Staging, attempt: u32) -> PathBuf {
        self.attempt_dir(staging, attempt).join(COPIED_MANIFEST)
    }

    /// Creates the directory of an attempt, in place of that of the attempt before: all
    /// attempts together take no more space than one.
    pub fn new_attempt_dir(&self, staging: &Staging, attempt: u32) -> Result<PathBuf, PathError> {
        self.in_staging(|dir| {
            if attempt > 1 {
                self.disk.remove(dir, &attempt_name(staging, attempt - 1))?;
            }
            self.disk
                .make_private_dir(dir, &attempt_name(staging, attempt))
        })?;
        Ok(self.attempt_dir(staging, attempt))
    }

    /// Reads the manifest that `skopeo copy` has written in an attempt.
    pub fn read_copy(
        &self,
        staging: &Staging,
        attempt: u32,
    ) -> Result<CacheEntry<ManifestBytes>, PathError> {
        let copy = self.in_staging(|dir| {
            self.disk
                .open_private_dir(dir, &attempt_name(staging, attempt))
        })?;
        let read = self.disk.read(&copy, COPIED_MANIFEST, MAX_MANIFEST_SIZE)?;
        Ok(read.entry)
    }

    /// Runs `action` with the absolute path of a private directory, which is removed then.
    pub fn in_verifier_dir<T>(&self, action: impl FnOnce(&Path) -> T) -> Result<T, DiskError> {
        let staging = self.new_staging()?;
        let path = verifier_dir(&staging);
        let name = file_name(&path);
        self.in_staging(|dir| self.disk.make_private_dir(dir, name))?;
        let result = action(&absolute(self.root()).join(&path));
        // What can't be removed goes with the staging directory.
        best_effort(self.in_staging(|dir| self.disk.remove(dir, name)));
        Ok(result)
    }

    /// Removes what a fetch has staged in its attempts.
    pub fn remove_staging(&self, staging: &Staging, attempts: u32) -> Result<(), PathError> {
        self.in_staging(|dir| {
            self.disk.remove(dir, file_name(&staged_object(staging)))?;
            (1..=attempts)
                .try_for_each(|attempt| self.disk.remove(dir, &attempt_name(staging, attempt)))
        })
    }

    /// Removes this process's staging directory.
    pub fn remove_staging_dir(&self) -> Result<(), PathError> {
        match self.staging_dir().take() {
            Some(staging_dir) => self.disk.remove(self.make_private()?, &staging_dir.name),
            None => Ok(()),
        }
    }

    /// Removes stale staging directories. Those of live processes stay.
    ///
    /// # Errors
    /// Where they can't be listed.
    pub fn sweep(&self) -> Result<StaleStaging, DiskError> {
        self.for_each_stale(|private, name| self.disk.remove(private, name))
    }

    /// Finds stale staging directories.
    ///
    /// # Errors
    /// Where they can't be listed.
    pub fn stale_staging(&self) -> Result<StaleStaging, DiskError> {
        self.for_each_stale(|_, _| Ok(()))
    }

    /// Applies `action` to each stale staging directory.
    fn for_each_stale(
        &self,
        action: impl Fn(&Dir, &str) -> Result<(), PathError>,
    ) -> Result<StaleStaging, DiskError> {
        let mut stale = StaleStaging::default();
        let Some(private) = self.open_private()? else {
            return Ok(stale);
        };
        for name in self.disk.list(private)? {
            let Some(name) = name
                .to_str()
                .filter(|name| name.starts_with(STAGING_PREFIX))
            else {
                continue;
            };
            match self.if_stale(private, name, &action) {
                Ok(true) => stale.names.push(format!("{PRIVATE_DIR}/{name}")),
                Ok(false) => {}
                // Another process sweeps it at the same time.
                Err(error)
                    if error.is(ErrorKind::NotFound) || error.is(ErrorKind::DirectoryNotEmpty) => {}
                Err(error) => stale.errors.push(error),
            }
        }
        Ok(stale)
    }

    /// Applies `action` to a staging directory if its process has ended; returns whether it
    /// has.
    fn if_stale(
        &self,
        private: &Dir,
        name: &str,
        action: impl Fn(&Dir, &str) -> Result<(), PathError>,
    ) -> Result<bool, DiskError> {
        let dir = self.disk.open_private_dir(private, name)?;
        let guard = self.disk.lock(&dir, "lock", LockWait::Try)?;
        if guard.is_some() {
            action(private, name)?;
        }
        Ok(guard.is_some())
    }

    fn create_staging_dir(&self) -> Result<StagingDir, DiskError> {
        let private = self.make_private()?;
        for _ in 0..CREATE_TRIES {
            let made = self.disk.make_unique_dir(private, STAGING_PREFIX);
            let locked = made.map_err(DiskError::from).and_then(|(name, dir)| {
                let lock = self.disk.lock(&dir, "lock", LockWait::Try)?;
                Ok((name, dir, lock))
            });
            match locked {
                Ok((name, dir, Some(lock))) => {
                    return Ok(StagingDir {
                        dir: Arc::new(dir),
                        name,
                        next: 0,
                        _lock: lock,
                    });
                }
                // Another process removed it as stale, before it was opened or locked.
                Ok((.., None)) => {}
                Err(error)
                    if error.is(ErrorKind::NotFound) || error.is(ErrorKind::AlreadyExists) => {}
                Err(error) => return Err(error),
            }
        }
        Err(PathError::contended("create a directory in", private.path()).into())
    }
}

/// The directory of an attempt, in the staging directory.
fn attempt_name(staging: &Staging, attempt: u32) -> String {
    file_name(&layout::attempt_dir(staging, attempt)).to_owned()
}
