//! Group commit, in every order in which threads can run.
//!
//! Nothing else needs exploring between threads:
//! - the executor's workers share a counter, each of whose numbers one worker gets, and a
//!   channel; a digest belongs to one worker, so a duplicate is fetched once by
//!   construction;
//! - the threads that hash or fsync a batch of hits have objects of their own; what an
//!   object's bytes are is computed once, under a lock of its own;
//! - each use of the staging directory is under one mutex from beginning to end, and so
//!   is each append to the log; what is appended is made durable outside of it, by group
//!   commit;
//! - a run's recorder has two counters, which are read once the workers have ended; which
//!   fetches are unrecorded is asked and set by the one worker of each;
//! - cancellation is a reason that is set once, or the flag of signals, and after that a
//!   byte in a pipe that is never drained;
//! - progress displays decide nothing;
//! - the threads that read a log to verify it share nothing: each owns its lines.
//!
//! The model checker (tests/model) explores processes.
#![allow(
    clippy::expect_used,
    reason = "a test that can't go on says why and fails"
)]

// The module itself and not the library's copy: loom's types replace those of `sync`.
#[path = "../../src/os/group_commit.rs"]
mod group_commit;

mod sync {
    pub use loom::sync::{Condvar, Mutex, MutexGuard};
}

use group_commit::GroupCommit;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// A directory: a bit for each entry, in memory and on disk.
#[derive(Default)]
struct Directory {
    entries: AtomicUsize,
    durable: AtomicUsize,
    syncs: AtomicUsize,
    group_commit: GroupCommit,
}

impl Directory {
    /// Makes the entries durable that exist when it begins, or fails with its number.
    fn sync(&self, fails: impl Fn(usize) -> bool) -> Result<(), usize> {
        let number = self.syncs.fetch_add(1, Ordering::SeqCst);
        let entries = self.entries.load(Ordering::SeqCst);
        if fails(number) {
            return Err(number);
        }
        self.durable.fetch_or(entries, Ordering::SeqCst);
        Ok(())
    }

    /// Creates an entry and syncs; returns whether the entry is durable.
    fn create(&self, entry: usize, fails: impl Fn(usize) -> bool) -> Result<bool, usize> {
        self.entries.fetch_or(entry, Ordering::SeqCst);
        self.group_commit.sync(|| self.sync(&fails))?;
        Ok(self.durable.load(Ordering::SeqCst) & entry != 0)
    }
}

/// Each thread creates an entry. Returns their results, and the number of syncs.
fn create_all(threads: usize, fails: fn(usize) -> bool) -> (Vec<Result<bool, usize>>, usize) {
    let directory = Arc::new(Directory::default());
    let created: Vec<_> = (1..threads)
        .map(|n| {
            let directory = Arc::clone(&directory);
            thread::spawn(move || directory.create(1 << n, fails))
        })
        .collect();
    let mut results = vec![directory.create(1, fails)];
    results.extend(
        created
            .into_iter()
            .map(|thread| thread.join().expect("no panic")),
    );
    (results, directory.syncs.load(Ordering::SeqCst))
}

#[test]
fn group_commit_success_means_the_entry_is_durable() {
    loom::model(|| {
        let (results, _) = create_all(2, |_| false);
        assert_eq!(results, [Ok(true), Ok(true)]);
    });
}

#[test]
fn group_commit_of_three_callers_needs_two_syncs() {
    let mut model = loom::model::Builder::new();
    // As loom advises for more than two threads.
    model.preemption_bound = Some(3);
    // std's atomic, not loom's: it is kept over all orders.
    let fewest = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(usize::MAX));
    let over_all = std::sync::Arc::clone(&fewest);
    model.check(move || {
        let (results, syncs) = create_all(3, |_| false);
        assert!(
            results.iter().all(|result| *result == Ok(true)),
            "{results:?}"
        );
        over_all.fetch_min(syncs, Ordering::SeqCst);
    });
    assert_eq!(
        fewest.load(Ordering::SeqCst),
        2,
        "callers that wait for one sync share the next"
    );
}

#[test]
fn group_commit_failed_sync_is_not_a_success_of_another_caller() {
    loom::model(|| {
        let (results, _) = create_all(2, |number| number == 0);
        assert_eq!(
            results.iter().filter(|result| **result == Err(0)).count(),
            1
        );
        assert!(
            results.iter().all(|result| *result != Ok(false)),
            "{results:?}"
        );
    });
}
