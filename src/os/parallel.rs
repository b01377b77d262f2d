//! Work on many items in several threads.

use std::panic::resume_unwind;
use std::thread::{Builder, scope};

/// Calls `work` for each item, in at most `threads` threads, of which this one is the first.
/// Each has `min_items` at least, so that few items don't pay for a thread, and ends at its
/// first error. Returns the first error.
pub(crate) fn for_each_in_parallel<T: Sync, E: Send>(
    items: &[T],
    threads: usize,
    min_items: usize,
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let work = |part: &[T]| part.iter().try_for_each(&work);
    let per_thread = items.len().div_ceil(threads).max(min_items);
    scope(|scope| {
        let mut parts = items.chunks(per_thread);
        let own = parts.next().unwrap_or_default();
        let spawned: Vec<_> = parts
            .map(|part| (part, Builder::new().spawn_scoped(scope, || work(part))))
            .collect();
        let mut result = work(own);
        for (part, spawned) in spawned {
            result = result.and(match spawned {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                // The system has no more threads.
                Err(_) => work(part),
            });
        }
        result
    })
}
