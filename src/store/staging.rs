//! Places to copy to, and what dead processes left of theirs.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::{Disk, Fault, Guard, Locked, OURS, Store, Wait};
use crate::machine::Staging;

/// How the directory of one process begins.
const PREFIX: &str = "staging-";

/// How often a process tries to get a directory of its own: a sweeper may take
/// one for a dead process's in the moment before its lock is held.
const AREA_TRIES: u32 = 16;

/// The staging directory of this process.
pub(super) struct Area {
    dir: PathBuf,
    /// Its name, relative to the cache.
    name: String,
    /// The next fetch's number.
    next: u64,
    /// Tells sweepers that this process lives.
    _lock: Guard,
}

impl<D: Disk> Store<D> {
    /// A place for one fetch: names that nobody else uses.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn stage(&self) -> Result<Staging, Fault> {
        let mut area = self.area.lock().unwrap_or_else(PoisonError::into_inner);
        let area = match &mut *area {
            Some(area) => area,
            none => none.insert(self.make_area()?),
        };
        let n = area.next;
        area.next += 1;
        Ok(Staging::new(format!("{}/{n}", area.name)))
    }

    /// The directory for an attempt at copying.
    #[must_use]
    pub fn attempt_dir(&self, at: &Staging, attempt: u32) -> PathBuf {
        self.path(at, &format!("attempt-{attempt}"))
    }

    /// Removes all that is in a fetch's place after so many attempts.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn unstage(&self, at: &Staging, attempts: u32) -> Result<(), Fault> {
        self.disk.remove(&self.path(at, "object"))?;
        (1..=attempts).try_for_each(|attempt| self.disk.remove(&self.attempt_dir(at, attempt)))
    }

    /// Removes this process's staging directory.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn close(&self) -> Result<(), Fault> {
        let mut area = self.area.lock().unwrap_or_else(PoisonError::into_inner);
        area.take()
            .map_or(Ok(()), |area| self.disk.remove(&area.dir))
    }

    /// Removes what dead processes left, and says what that was: names relative
    /// to the cache. Live ones' directories are not touched.
    ///
    /// # Errors
    /// The first [`Fault`], after all have been tried.
    pub fn sweep(&self) -> Result<Vec<String>, Fault> {
        self.dead(|dir| self.disk.remove(dir))
    }

    /// What [`Store::sweep`] would remove.
    ///
    /// # Errors
    /// As there.
    pub fn left_over(&self) -> Result<Vec<String>, Fault> {
        self.dead(|_| Ok(()))
    }

    /// Does something to what dead processes left.
    fn dead(&self, act: impl Fn(&Path) -> Result<(), Fault>) -> Result<Vec<String>, Fault> {
        let (mut swept, mut first) = (Vec::new(), None);
        for name in self.disk.list(&self.ours())? {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            match self.if_dead(&self.ours().join(name), &act) {
                Ok(Holder::Dead) => swept.push(format!("{OURS}/{name}")),
                Ok(Holder::Alive) => {}
                Err(Fault::Halt) => return Err(Fault::Halt),
                // Somebody else sweeps it at the same time.
                Err(fault)
                    if fault.is(ErrorKind::NotFound) || fault.is(ErrorKind::DirectoryNotEmpty) => {}
                Err(fault) => first = first.or(Some(fault)),
            }
        }
        first.map_or(Ok(swept), Err)
    }

    fn if_dead(
        &self,
        dir: &Path,
        act: impl Fn(&Path) -> Result<(), Fault>,
    ) -> Result<Holder, Fault> {
        match self.disk.lock(&dir.join("lock"), Wait::No)? {
            Locked::Theirs | Locked::Gone => Ok(Holder::Alive),
            Locked::Ours(_guard) => act(dir).map(|()| Holder::Dead),
        }
    }

    fn make_area(&self) -> Result<Area, Fault> {
        self.make_ours()?;
        for _ in 0..AREA_TRIES {
            let dir = self.disk.make_unique_dir(&self.ours(), PREFIX)?;
            match self.disk.lock(&dir.join("lock"), Wait::No) {
                Ok(Locked::Ours(lock)) => {
                    let last = dir.file_name().unwrap_or_default().to_string_lossy();
                    let name = format!("{OURS}/{last}");
                    return Ok(Area {
                        dir,
                        name,
                        next: 0,
                        _lock: lock,
                    });
                }
                // A sweeper was faster.
                Ok(Locked::Theirs | Locked::Gone) => {}
                Err(fault) if fault.is(ErrorKind::NotFound) => {}
                Err(fault) => return Err(fault),
            }
        }
        Err(Fault::busy("make a directory in", &self.ours()))
    }
}

/// Whether a directory's process lives.
enum Holder {
    Alive,
    Dead,
}
