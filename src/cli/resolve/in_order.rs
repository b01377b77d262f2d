//! Concurrent work with results in the order of its items.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::Builder;

use skopeo_index::os::best_effort;

/// Works on `jobs` items at once, and delivers the results in their order.
pub(super) fn map_in_order<I: Sync, T: Send>(
    jobs: NonZeroUsize,
    items: &[I],
    work: impl Fn(usize, &I) -> T + Sync,
    mut deliver: impl FnMut(&I, T),
) {
    let (next, (sender, results)) = (AtomicUsize::new(0), mpsc::channel());
    let drain = |sender: &mpsc::Sender<_>| {
        let take = || {
            let at = next.fetch_add(1, Ordering::Relaxed);
            Some((at, items.get(at)?))
        };
        while let Some((at, item)) = take() {
            // The receiver lives as long as the workers.
            best_effort(sender.send((at, work(at, item))));
        }
    };
    std::thread::scope(|scope| {
        let drain = &drain;
        let spawn = |sender: mpsc::Sender<_>| {
            let spawned = Builder::new().spawn_scoped(scope, move || drain(&sender));
            spawned.is_ok()
        };
        let workers = jobs.get().min(items.len());
        // If the system has no more threads, fewer workers do the work.
        if (0..workers).take_while(|_| spawn(sender.clone())).count() == 0 {
            drain(&sender);
        }
        drop(sender);
        let (mut waiting, mut position) = (HashMap::new(), 0);
        for (at, result) in results {
            waiting.insert(at, result);
            while let (Some(result), Some(item)) = (waiting.remove(&position), items.get(position))
            {
                deliver(item, result);
                position += 1;
            }
        }
    });
}
