//! Operating-system primitives that the rest of the program shares. All `unsafe` is in
//! `process`.

mod cancel;
mod descendants;
mod file;
mod group_commit;
mod host;
mod line_writer;
mod lock;
mod parallel;
mod path_error;
mod process;
mod prompt;
mod rows;
mod syncfs;

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, getrlimit};

pub use cancel::{CancelToken, ignore_signals, timespec};
pub use descendants::Descendants;
pub use file::{NewFile, open_nonblocking, open_regular, read_all, replace_file};
pub(crate) use file::{
    absolute, allow_unsyncable, ancestors, create_secret_file, is_unsyncable, open_nofollow,
    parent_dir, proc_path, random_bytes, sync_dir,
};
pub(crate) use group_commit::GroupCommit;
pub use host::{Host, config_home, read_config_file};
pub use line_writer::{
    LineWriter, MAX_PROGRESS_QUEUE, MAX_QUEUE, NotWritten, Priority, WriteError,
};
pub use lock::{FileLock, lock_dir};
pub(crate) use lock::{LockAttempt, LockTimeout, acquire, try_acquire};
pub(crate) use parallel::for_each_in_parallel;
pub use path_error::{PathContext, PathError};
pub(crate) use process::{kill_with_parent, take_inherited_fd};
pub use prompt::prompt_secret;
pub use rows::Rows;
pub(crate) use syncfs::is_syncfs_usable;

/// Locks a mutex, also after a thread that had it has panicked.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of descriptors that the limit of open files leaves, beside those of the process
/// itself: libraries' files, the cache's directories, the log, pipes.
pub(crate) fn available_descriptors() -> usize {
    const RESERVED: u64 = 24;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(RESERVED)).unwrap_or(usize::MAX)
}

/// Ignores the result of an operation whose failure changes nothing. The call says why.
pub fn best_effort<T, E>(_: Result<T, E>) {}
