//! The content-addressed cache: verified objects, named by their digests.
//!
//! ```text
//! DIR/                                  a cache, or STORE/sources/org.osbuild.files
//! ├── sha256:<64 hex>                   an object, of this source or another
//! └── .skopeo-index/                    private
//!     ├── lock                          held while an object is quarantined
//!     ├── quarantine/sha256:<64 hex>.N  corrupt objects
//!     └── staging-XXXXXX/               of one process
//!         ├── lock                      held while that process lives
//!         ├── N.object                  of one fetch, to be renamed to sha256:<64 hex>
//!         └── N.attempt-N/              where `skopeo copy` writes to
//! ```

mod disk;
mod real_disk;
mod staging;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::MAX_MANIFEST_SIZE;
use skopeo_index_core::machine::{CacheEntry, ManifestBytes, Placement, Staging};

pub use disk::{DirStatus, Disk, DiskError, LockGuard, LockWait, RenameOutcome, TryLock};
pub use real_disk::RealDisk;
use staging::StagingDir;

use crate::os::{CancelToken, GroupCommit, best_effort, parent_dir};

/// Our private directory in a cache.
const PRIVATE_DIR: &str = ".skopeo-index";

/// Directory of corrupt objects, in [`PRIVATE_DIR`].
const QUARANTINE: &str = "quarantine";

/// Tries to give an object its name, while other processes publish, quarantine or remove
/// it.
const PUBLISH_TRIES: u32 = 8;

/// Errors tolerated when syncing ancestors of the cache: they may not be ours.
const UNSYNCABLE: [ErrorKind; 3] = [
    ErrorKind::PermissionDenied,
    ErrorKind::ReadOnlyFilesystem,
    ErrorKind::InvalidInput,
];

/// A cache on a disk.
pub struct Store {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    staging_dir: Mutex<Option<StagingDir>>,
    root_syncs: GroupCommit,
    /// Set once the cache's ancestor directories are synced.
    ancestors_synced: OnceLock<()>,
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
    /// The cache in `root`, which need not exist yet.
    #[must_use]
    pub fn new(root: PathBuf, disk: Arc<dyn Disk>) -> Self {
        Self {
            root,
            disk,
            staging_dir: Mutex::default(),
            root_syncs: GroupCommit::default(),
            ancestors_synced: OnceLock::new(),
        }
    }

    /// The cache in `root` on the machine's own file system.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self::new(root, Arc::new(RealDisk))
    }

    /// The directory of the cache.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The disk that the cache is on.
    #[must_use]
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The path of the object of `digest`.
    #[must_use]
    pub fn object(&self, digest: Digest) -> PathBuf {
        self.root.join(digest.to_string())
    }

    fn staging_path(&self, staging: &Staging, suffix: &str) -> PathBuf {
        self.root.join(format!("{}.{suffix}", staging.as_str()))
    }

    fn private_dir(&self) -> PathBuf {
        self.root.join(PRIVATE_DIR)
    }

    /// Creates the directory of the cache, unless it exists.
    pub fn create(&self) -> Result<(), DiskError> {
        self.make_dir(&self.root)
    }

    /// Reads an object.
    pub fn read(&self, digest: Digest) -> Result<CacheEntry<ManifestBytes>, DiskError> {
        self.disk.read(&self.object(digest), MAX_MANIFEST_SIZE)
    }

    /// Reads an object and makes it durable: its writer may have crashed before its
    /// fsync, or never call it (osbuild's Python source).
    pub fn look_up(&self, digest: Digest) -> Result<CacheEntry<ManifestBytes>, DiskError> {
        let entry = self.read(digest)?;
        if let CacheEntry::File { .. } = entry {
            match self.disk.sync_file(&self.object(digest)) {
                // Another process quarantined or removed it.
                Err(error) if error.is(ErrorKind::NotFound) => return Ok(CacheEntry::Absent),
                synced => synced?,
            }
            self.sync_root()?;
        }
        Ok(entry)
    }

    /// Puts verified bytes at the name `digest`, durably, without replacing an object.
    /// `cancel` ends the wait for the cache's lock, which is taken where a corrupt object
    /// has that name.
    ///
    /// # Errors
    /// Where the system refuses, or the wait is cancelled.
    pub fn publish(
        &self,
        digest: Digest,
        content: &ManifestBytes,
        staging: &Staging,
        cancel: &CancelToken,
    ) -> Result<Placement, DiskError> {
        let (file, object) = (self.staging_path(staging, "object"), self.object(digest));
        self.disk.write(&file, content.as_slice())?;
        self.disk.sync_file(&file)?;
        let mut placement = Placement::New;
        for _ in 0..PUBLISH_TRIES {
            if self.disk.rename(&file, &object)? == RenameOutcome::Renamed {
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
        Err(DiskError::contended("publish", &object))
    }

    /// Moves the object of `digest` to quarantine, if its bytes don't hash to that name.
    /// It is read again under the cache's lock: another process may have replaced it with
    /// an intact one.
    ///
    /// # Errors
    /// Where the system refuses, or the wait for the lock is cancelled.
    pub fn quarantine(
        &self,
        digest: Digest,
        cancel: &CancelToken,
    ) -> Result<QuarantineOutcome, DiskError> {
        self.ensure_private_dir()?;
        let _guard = self.lock(cancel)?;
        // An intact object is a hit, so it must be durable like any other.
        let entry = self.look_up(digest)?;
        if entry == CacheEntry::Absent || entry.digest() == Some(digest) {
            return Ok(QuarantineOutcome::Kept(entry));
        }
        let quarantine = self.private_dir().join(QUARANTINE);
        self.make_dir(&quarantine)?;
        for n in 1_u32.. {
            let name = format!("{digest}.{n}");
            let to = quarantine.join(&name);
            if self.disk.rename(&self.object(digest), &to)? == RenameOutcome::Renamed {
                // Sync the destination first: after a crash the object is in at least one
                // of the two directories.
                self.disk.sync_dir(&quarantine)?;
                self.sync_root()?;
                return Ok(QuarantineOutcome::Quarantined(quarantined_name(&name)));
            }
        }
        Err(DiskError::contended("quarantine", &self.object(digest)))
    }

    /// The digests of all objects, of this source and others, sorted.
    pub fn objects(&self) -> Result<Vec<Digest>, DiskError> {
        let digest = |name: OsString| name.to_str()?.parse().ok();
        let names = self.disk.list(&self.root)?;
        let mut digests: Vec<Digest> = names.into_iter().filter_map(digest).collect();
        digests.sort_unstable();
        Ok(digests)
    }

    /// The names of quarantined objects, relative to the cache, sorted.
    pub fn quarantined(&self) -> Result<Vec<String>, DiskError> {
        let names = self.disk.list(&self.private_dir().join(QUARANTINE))?;
        let name = |name: &OsString| quarantined_name(&name.to_string_lossy());
        let mut names: Vec<String> = names.iter().map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Creates [`PRIVATE_DIR`] and its ancestors, unless they exist.
    fn ensure_private_dir(&self) -> Result<(), DiskError> {
        self.make_dir(&self.private_dir())
    }

    /// Creates a directory and its ancestors, unless they exist, durably.
    fn make_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let Some(parent) = parent_dir(dir) else {
            return Ok(());
        };
        let status = match self.disk.make_dir(dir) {
            Err(error) if error.is(ErrorKind::NotFound) => {
                self.make_dir(parent)?;
                self.disk.make_dir(dir)
            }
            status => status,
        }?;
        match (status, self.disk.sync_dir(parent)) {
            // The parent of an existing directory may be unreadable.
            (DirStatus::Existing, Err(error)) if error.is(ErrorKind::PermissionDenied) => Ok(()),
            (_, synced) => synced,
        }
    }

    /// Makes the cache's entries durable, and once per process those of its ancestors:
    /// their creator may not have synced.
    fn sync_root(&self) -> Result<(), DiskError> {
        self.root_syncs.sync(|| {
            if self.ancestors_synced.get().is_none() {
                self.sync_ancestors()?;
                // Another thread may have set it.
                best_effort(self.ancestors_synced.set(()));
            }
            self.disk.sync_dir(&self.root)
        })
    }

    fn sync_ancestors(&self) -> Result<(), DiskError> {
        let root = std::path::absolute(&self.root);
        let root = root.as_deref().unwrap_or(&self.root);
        root.ancestors()
            .skip(1)
            .try_for_each(|dir| match self.disk.sync_dir(dir) {
                Err(error) if UNSYNCABLE.iter().any(|kind| error.is(*kind)) => Ok(()),
                synced => synced,
            })
    }

    /// Takes the cache's lock.
    fn lock(&self, cancel: &CancelToken) -> Result<LockGuard, DiskError> {
        let file = self.private_dir().join("lock");
        match self.disk.lock(&file, LockWait::Blocking(cancel))? {
            TryLock::Acquired(guard) => Ok(guard),
            TryLock::Contended | TryLock::Unlinked => Err(DiskError::contended("lock", &file)),
        }
    }
}

fn quarantined_name(name: &str) -> String {
    format!("{PRIVATE_DIR}/{QUARANTINE}/{name}")
}
