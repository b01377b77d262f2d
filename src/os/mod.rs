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

pub use cancel::{CancelToken, ignore_signals, timespec};
pub use descendants::Descendants;
pub(crate) use file::{
    allow_unsyncable, ancestors, create_secret_file, is_unsyncable, open_nofollow, parent_dir,
    random_bytes, sync_dir,
};
pub use file::{open_nonblocking, open_regular, read_all, replace_file};
pub(crate) use group_commit::GroupCommit;
pub use host::{Host, config_home};
pub use line_writer::{LineWriter, MAX_PROGRESS_QUEUE, MAX_QUEUE, Priority, WriteError};
pub(crate) use lock::{FileLock, LockAttempt, LockTimeout, acquire, try_acquire};
pub(crate) use parallel::for_each_in_parallel;
pub use path_error::{PathContext, PathError};
pub(crate) use process::{kill_with_parent, take_inherited_fd};
pub use prompt::prompt_secret;
pub use rows::Rows;
pub(crate) use syncfs::is_syncfs_usable;

/// Ignores the result of an operation whose failure changes nothing. The call says why.
pub fn best_effort<T, E>(_: Result<T, E>) {}
