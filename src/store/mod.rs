//! The content-addressed cache: objects under their digests, and nothing there
//! that wasn't proved.
//!
//! ```text
//! DIR/                                  a cache, or STORE/sources/org.osbuild.files
//! ├── sha256:<64 hex>                   an object; ours or another source's
//! └── .skopeo-index/                    ours alone
//!     ├── lock                          held for moments, while something is moved aside
//!     ├── quarantine/sha256:<64 hex>.N  what didn't hash to its name
//!     └── staging-XXXXXX/               one process's
//!         ├── lock                      held as long as that process lives
//!         ├── N.object                  one fetch's, to be renamed to sha256:<64 hex>
//!         └── N.attempt-N/              where `skopeo copy` writes to
//! ```

mod disk;
mod real;
mod staging;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

pub use disk::{Disk, Fault, Guard, Locked, Made, Renamed, Seen, Wait};
pub use real::RealDisk;
use staging::Area;

use crate::cancel::Cancel;
use crate::coalesce::Coalesced;
use crate::digest::Digest;
use crate::index::MANIFEST_MAX;
use crate::machine::{Placed, Staging};

/// Our own directory in a cache.
const OURS: &str = ".skopeo-index";

/// Where corrupt objects are kept, in [`OURS`].
const QUARANTINE: &str = "quarantine";

/// How often publishing tries anew, when others publish, move aside or remove
/// the same object at the same time.
const PUBLISH_TRIES: u32 = 8;

/// Why a directory above the cache may be one that can't be synced.
const UNSYNCABLE: [ErrorKind; 3] = [
    ErrorKind::PermissionDenied,
    ErrorKind::ReadOnlyFilesystem,
    ErrorKind::InvalidInput,
];

/// A cache on a disk.
pub struct Store<D> {
    root: PathBuf,
    disk: D,
    area: Mutex<Option<Area>>,
    root_syncs: Coalesced,
    /// Set when the names that lead to the cache are durable.
    is_found: OnceLock<()>,
}

/// What became of an object that was to be moved aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aside {
    /// It was moved to this name, relative to the cache.
    Moved(String),
    /// It was left where it is: by now it is sound, or gone.
    Left(Seen),
}

impl<D: Disk> Store<D> {
    /// The cache in `root`, which need not be there yet.
    #[must_use]
    pub fn new(root: PathBuf, disk: D) -> Self {
        Self {
            root,
            disk,
            area: Mutex::default(),
            root_syncs: Coalesced::default(),
            is_found: OnceLock::new(),
        }
    }

    /// The directory of the cache.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The disk that the cache is on.
    #[must_use]
    pub const fn disk(&self) -> &D {
        &self.disk
    }

    /// Where the object of `digest` is, or would be.
    #[must_use]
    pub fn object(&self, digest: Digest) -> PathBuf {
        self.root.join(digest.to_string())
    }

    /// The path of something in a place that [`Store::stage`] gave.
    fn path(&self, staging: &Staging, what: &str) -> PathBuf {
        self.root.join(format!("{}.{what}", staging.as_str()))
    }

    fn ours(&self) -> PathBuf {
        self.root.join(OURS)
    }

    /// Makes the directory of the cache, where it is missing.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn make(&self) -> Result<(), Fault> {
        self.make_dir(&self.root)
    }

    /// Reads an object, as it is.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn read(&self, digest: Digest) -> Result<Seen, Fault> {
        self.disk.read(&self.object(digest), MANIFEST_MAX)
    }

    /// Reads an object and makes it durable: whoever put it there may have died
    /// before, or may never sync (osbuild's Python source).
    ///
    /// # Errors
    /// [`Fault`].
    pub fn look_up(&self, digest: Digest) -> Result<Seen, Fault> {
        let seen = self.read(digest)?;
        if let Seen::Bytes(_) = seen {
            match self.disk.sync_file(&self.object(digest)) {
                // Somebody has moved it aside meanwhile.
                Err(fault) if fault.is(ErrorKind::NotFound) => return Ok(Seen::Absent),
                synced => synced?,
            }
            self.sync_root()?;
        }
        Ok(seen)
    }

    /// Puts `bytes` at the name `digest`, durably, and never over something
    /// else. The caller has proved that they belong there. `cancel` ends the wait
    /// for the cache's lock, which is needed where a corrupt object is in the way.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn publish(
        &self,
        digest: Digest,
        bytes: &[u8],
        at: &Staging,
        cancel: &Cancel,
    ) -> Result<Placed, Fault> {
        let (file, object) = (self.path(at, "object"), self.object(digest));
        self.disk.write(&file, bytes)?;
        self.disk.sync_file(&file)?;
        let mut placed = Placed::New;
        for _ in 0..PUBLISH_TRIES {
            if self.disk.rename(&file, &object)? == Renamed::Moved {
                self.sync_root()?;
                return Ok(placed);
            }
            match self.look_up(digest)? {
                Seen::Bytes(there) if there == bytes => return Ok(Placed::AlreadyThere),
                Seen::Absent => {}
                _ => {
                    if let Aside::Moved(name) = self.quarantine(digest, cancel)? {
                        placed = Placed::Replaced(name);
                    }
                }
            }
        }
        Err(Fault::busy("publish", &object))
    }

    /// Moves the object of `digest` aside, if its bytes don't hash to that name.
    /// It is read again under the cache's lock: by now somebody else may have
    /// put a sound one there. `cancel` ends the wait for the lock.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn quarantine(&self, digest: Digest, cancel: &Cancel) -> Result<Aside, Fault> {
        self.make_ours()?;
        let _guard = self.lock(cancel)?;
        // A sound one is a hit, and has to be durable as any.
        let seen = self.look_up(digest)?;
        if seen.hashes_to(digest) || seen == Seen::Absent {
            return Ok(Aside::Left(seen));
        }
        let quarantine = self.ours().join(QUARANTINE);
        self.make_dir(&quarantine)?;
        for n in 1_u32.. {
            let name = format!("{digest}.{n}");
            let to = quarantine.join(&name);
            if self.disk.rename(&self.object(digest), &to)? == Renamed::Moved {
                // First where it is now, then where it was: never nowhere.
                self.disk.sync_dir(&quarantine)?;
                self.sync_root()?;
                return Ok(Aside::Moved(format!("{OURS}/{QUARANTINE}/{name}")));
            }
        }
        Err(Fault::busy("quarantine", &self.object(digest)))
    }

    /// The digests that have an object, ours or another source's, in order.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn objects(&self) -> Result<Vec<Digest>, Fault> {
        let names = self.disk.list(&self.root)?;
        let digest = |name: std::ffi::OsString| name.to_str()?.parse().ok();
        let mut digests: Vec<Digest> = names.into_iter().filter_map(digest).collect();
        digests.sort_unstable();
        Ok(digests)
    }

    /// The names of what is in quarantine, relative to the cache, in order.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn quarantined(&self) -> Result<Vec<String>, Fault> {
        let names = self.disk.list(&self.ours().join(QUARANTINE))?;
        let name =
            |name: &std::ffi::OsString| format!("{OURS}/{QUARANTINE}/{}", name.to_string_lossy());
        let mut names: Vec<String> = names.iter().map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Makes sure of [`OURS`] and all above it.
    fn make_ours(&self) -> Result<(), Fault> {
        self.make_dir(&self.ours())
    }

    /// Makes a directory, and those above it where they are missing, durably.
    fn make_dir(&self, dir: &Path) -> Result<(), Fault> {
        let Some(parent) = dir.parent() else {
            return Ok(());
        };
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        let made = match self.disk.make_dir(dir) {
            Err(fault) if fault.is(ErrorKind::NotFound) => {
                self.make_dir(parent)?;
                self.disk.make_dir(dir)
            }
            made => made,
        }?;
        match (made, self.disk.sync_dir(parent)) {
            // One that has long been there may lie where we can't look.
            (Made::AlreadyThere, Err(fault)) if fault.is(ErrorKind::PermissionDenied) => Ok(()),
            (_, synced) => synced,
        }
    }

    /// Makes the cache's entries durable, and once the names that lead to it:
    /// whoever made them may have died before that, or never sync.
    fn sync_root(&self) -> Result<(), Fault> {
        self.root_syncs.sync(|| {
            if self.is_found.get().is_none() {
                self.sync_above()?;
                let _by_this_thread = self.is_found.set(());
            }
            self.disk.sync_dir(&self.root)
        })
    }

    fn sync_above(&self) -> Result<(), Fault> {
        let root = std::path::absolute(&self.root);
        let root = root.as_deref().unwrap_or(&self.root);
        root.ancestors().skip(1).try_for_each(|dir| {
            match self.disk.sync_dir(dir) {
                // Somebody else's, or of a file system where nothing is made.
                Err(fault) if UNSYNCABLE.iter().any(|why| fault.is(*why)) => Ok(()),
                synced => synced,
            }
        })
    }

    /// Takes the cache's lock, which is held for moments.
    fn lock(&self, cancel: &Cancel) -> Result<Guard, Fault> {
        let file = self.ours().join("lock");
        match self.disk.lock(&file, Wait::AWhile(cancel))? {
            Locked::Ours(guard) => Ok(guard),
            Locked::Theirs | Locked::Gone => Err(Fault::busy("lock", &file)),
        }
    }
}
