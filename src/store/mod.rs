//! The content-addressed cache: verified objects, named by their digests.
//!
//! [`skopeo_index_core::layout`] has the names below its directory.

mod disk;
mod names;
mod open_dir;
mod real_disk;
mod staging;
mod sync;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::MAX_MANIFEST_SIZE;
use skopeo_index_core::layout::{
    PRIVATE_DIR, QUARANTINE_DIR, file_name, quarantined, staged_object,
};
use skopeo_index_core::machine::{CacheEntry, ManifestBytes, Placement, Staging};

pub use disk::{
    Dir, Disk, DiskError, FileSystemSync, LockGuard, LockWait, OpenFile, ReadFile, RenameOutcome,
    StagedFile,
};
pub use names::{NameRecord, NameRecords};
pub use real_disk::RealDisk;
use staging::StagingDir;
pub use staging::StaleStaging;

use crate::os::{CancelToken, GroupCommit, PathError, parent_dir};

/// Tries to give an object its name, while other processes publish, quarantine or remove
/// it.
const PUBLISH_TRIES: u32 = 8;

/// A cache on a disk. Its directories are opened once and stay the same while it lives.
pub struct Store {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    root: OnceLock<Dir>,
    private: OnceLock<Dir>,
    staging_dir: Mutex<Option<StagingDir>>,
    root_syncs: GroupCommit,
    /// Set once the cache's ancestor directories are synced.
    ancestors_synced: AtomicBool,
    /// Set by the first failed sync of the file system.
    file_system_sync_failed: AtomicBool,
}

/// The result of quarantining an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuarantineOutcome {
    /// It was moved to this name, relative to the cache.
    Quarantined(String),
    /// It is intact or absent now, so it was not touched.
    Kept(CacheEntry<ManifestBytes>),
}

impl Store {
    /// The cache in the directory `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: PathBuf, disk: Arc<dyn Disk>) -> Self {
        Self {
            path,
            disk,
            root: OnceLock::new(),
            private: OnceLock::new(),
            staging_dir: Mutex::default(),
            root_syncs: GroupCommit::default(),
            ancestors_synced: AtomicBool::new(false),
            file_system_sync_failed: AtomicBool::new(false),
        }
    }

    /// The cache in `path` on the machine's own file system.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self::new(path, Arc::new(RealDisk))
    }

    /// The directory of the cache.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.path
    }

    /// The path of the object of `digest`.
    #[must_use]
    pub fn object(&self, digest: Digest) -> PathBuf {
        self.path.join(digest.to_string())
    }

    /// Opens the cache; `None` where it doesn't exist.
    fn open_root(&self) -> Result<Option<&Dir>, PathError> {
        open_once(&self.root, || self.disk.open_dir(&self.path))
    }

    /// Opens the private directory; `None` where it doesn't exist.
    fn open_private(&self) -> Result<Option<&Dir>, PathError> {
        match self.open_root()? {
            Some(root) => open_once(&self.private, || {
                self.disk.open_private_dir(root, PRIVATE_DIR)
            }),
            None => Ok(None),
        }
    }

    /// Creates the directory of the cache, unless it exists.
    pub fn create(&self) -> Result<(), PathError> {
        self.make_root().map(|_| ())
    }

    fn make_root(&self) -> Result<&Dir, PathError> {
        if let Some(root) = self.open_root()? {
            return Ok(root);
        }
        self.make_dirs(&self.path)?;
        let root = self.disk.open_dir(&self.path)?;
        Ok(self.root.get_or_init(|| root))
    }

    fn make_private(&self) -> Result<&Dir, PathError> {
        let root = self.make_root()?;
        if let Some(private) = self.open_private()? {
            return Ok(private);
        }
        let private = self.disk.make_private_dir(root, PRIVATE_DIR)?;
        Ok(self.private.get_or_init(|| private))
    }

    /// Reads an object.
    pub fn read(&self, digest: Digest) -> Result<CacheEntry<ManifestBytes>, PathError> {
        Ok(self.open(digest)?.entry)
    }

    /// Reads an object, and keeps it open for [`Store::sync_objects`].
    pub fn open(&self, digest: Digest) -> Result<ReadFile, PathError> {
        match self.open_root()? {
            Some(root) => self.disk.read(root, &digest.to_string(), MAX_MANIFEST_SIZE),
            None => Ok(CacheEntry::Absent.into()),
        }
    }

    /// Reads an object and makes it durable: its writer may have crashed before its
    /// fsync, or never call it (osbuild's Python source).
    pub fn look_up(&self, digest: Digest) -> Result<CacheEntry<ManifestBytes>, PathError> {
        let ReadFile { entry, file } = self.open(digest)?;
        if let Some(file) = file {
            self.disk.sync_file(&file)?;
            self.sync_root()?;
        }
        Ok(entry)
    }

    /// Puts verified bytes at the name `digest`, durably, without replacing an object, and
    /// returns what is at that name then. `cancel` ends the wait for the cache's lock, which
    /// is taken where a corrupt object has the name.
    pub fn publish(
        &self,
        digest: Digest,
        content: &ManifestBytes,
        staging: &Staging,
        cancel: &CancelToken,
    ) -> Result<(Placement, CacheEntry<ManifestBytes>), DiskError> {
        let placement = self.place(digest, content, staging, cancel)?;
        let read_back = self.read(digest)?;
        if read_back.digest() != Some(digest) {
            // Another user's process replaced it: wrong bytes must not keep the name.
            self.quarantine(digest, cancel)?;
        }
        Ok((placement, read_back))
    }

    fn place(
        &self,
        digest: Digest,
        content: &ManifestBytes,
        staging: &Staging,
        cancel: &CancelToken,
    ) -> Result<Placement, DiskError> {
        let (root, name) = (self.make_root()?, digest.to_string());
        let file = self.in_staging(|dir| {
            self.disk
                .stage(dir, file_name(&staged_object(staging)), content.as_slice())
        })?;
        let mut placement = Placement::New;
        for _ in 0..PUBLISH_TRIES {
            if self.disk.publish(&file, root, &name)? == RenameOutcome::Renamed {
                self.sync_root()?;
                return Ok(placement);
            }
            match self.look_up(digest)? {
                CacheEntry::File { content: present } if present == *content => {
                    return Ok(Placement::AlreadyThere);
                }
                CacheEntry::Absent => {}
                _ => {
                    if let QuarantineOutcome::Quarantined(name) = self.quarantine(digest, cancel)? {
                        placement = Placement::Replaced(name);
                    }
                }
            }
        }
        Err(PathError::contended("publish", &self.object(digest)).into())
    }

    /// Moves the object of `digest` to quarantine, if its bytes don't hash to that name.
    /// It is read again under the cache's lock: another process may have replaced it with
    /// an intact one.
    pub fn quarantine(
        &self,
        digest: Digest,
        cancel: &CancelToken,
    ) -> Result<QuarantineOutcome, DiskError> {
        let (root, private) = (self.make_root()?, self.make_private()?);
        let _guard = self.lock(private, cancel)?;
        // An intact object is a hit, so it must be durable like any other.
        let entry = self.look_up(digest)?;
        if entry == CacheEntry::Absent || entry.digest() == Some(digest) {
            return Ok(QuarantineOutcome::Kept(entry));
        }
        let quarantine = self.disk.make_private_dir(private, QUARANTINE_DIR)?;
        for n in 1_u32.. {
            let name = quarantined(digest, n);
            let (from, to) = (
                (root, &*digest.to_string()),
                (&quarantine, file_name(&name)),
            );
            if self.disk.rename(from, to)? == RenameOutcome::Renamed {
                // Sync the destination first: after a crash the object is in at least one
                // of the two directories.
                self.disk.sync_dir(&quarantine)?;
                self.disk.sync_dir(private)?;
                self.sync_root()?;
                return Ok(QuarantineOutcome::Quarantined(name));
            }
        }
        Err(PathError::contended("quarantine", &self.object(digest)).into())
    }

    /// The digests of all objects, of this source and others, sorted.
    pub fn objects(&self) -> Result<Vec<Digest>, PathError> {
        let digest = |name: OsString| name.to_str()?.parse().ok();
        let names = match self.open_root()? {
            Some(root) => self.disk.list(root)?,
            None => Vec::new(),
        };
        let mut digests: Vec<Digest> = names.into_iter().filter_map(digest).collect();
        digests.sort_unstable();
        Ok(digests)
    }

    /// The names of quarantined objects, relative to the cache, sorted.
    pub fn quarantined(&self) -> Result<Vec<String>, PathError> {
        let Some(private) = self.open_private()? else {
            return Ok(Vec::new());
        };
        let names = match self.disk.open_private_dir(private, QUARANTINE_DIR) {
            Err(error) if error.is(ErrorKind::NotFound) => Vec::new(),
            quarantine => self.disk.list(&quarantine?)?,
        };
        let name = |name: &OsString| {
            let name = name.to_string_lossy();
            format!("{PRIVATE_DIR}/{QUARANTINE_DIR}/{name}")
        };
        let mut names: Vec<String> = names.iter().map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Creates a directory and its ancestors, unless they exist, durably.
    fn make_dirs(&self, dir: &Path) -> Result<(), PathError> {
        let parent = parent_dir(dir);
        match self.disk.make_dir(dir) {
            Err(error) if error.is(ErrorKind::NotFound) && parent != dir => {
                self.make_dirs(parent)?;
                self.disk.make_dir(dir)?;
            }
            made => made?,
        }
        self.disk.sync_path(parent)
    }

    /// Takes the cache's lock.
    fn lock(&self, private: &Dir, cancel: &CancelToken) -> Result<LockGuard, DiskError> {
        let wait = LockWait::Blocking(cancel);
        let guard = self.disk.lock(private, "lock", wait)?;
        let path = private.path().join("lock");
        guard.ok_or_else(|| PathError::contended("lock", &path).into())
    }
}

/// Opens a directory once; `None` where it doesn't exist.
fn open_once(
    opened: &OnceLock<Dir>,
    open: impl FnOnce() -> Result<Dir, PathError>,
) -> Result<Option<&Dir>, PathError> {
    if let Some(dir) = opened.get() {
        return Ok(Some(dir));
    }
    match open() {
        Ok(dir) => Ok(Some(opened.get_or_init(|| dir))),
        Err(error) if error.is(ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
