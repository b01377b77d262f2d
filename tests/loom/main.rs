//! Shared syncs, in every order that threads can come in.
//!
//! There is no more to explore between threads:
//! - the executor's workers share a counter, each of whose numbers one worker
//!   gets, and a channel; a digest belongs to one worker, so what is asked for
//!   twice is fetched once by construction;
//! - of the staging area each use is under one mutex from beginning to end, and
//!   so is each append to the log; what is appended is made durable outside of it,
//!   by a shared sync;
//! - of a run's recorder two counters are read when the workers have ended, and
//!   which fetches have lost a record is asked and told by the one worker of each;
//! - being told to stop is a byte in a pipe that nobody drains; its reason is set
//!   once, before it, and signals, which set none, have one of their own;
//! - what shows progress decides nothing;
//! - the threads that read a log to verify it share nothing: each owns its lines.
//!
//! Between processes, the model checker explores it.
#![allow(
    clippy::expect_used,
    reason = "a test that can't go on says why and fails"
)]

#[path = "../../src/coalesce.rs"]
mod coalesce;

mod sync {
    pub use loom::sync::{Condvar, Mutex, MutexGuard};
}

use coalesce::Coalesced;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// A directory: a bit for each entry, made and durable.
#[derive(Default)]
struct Directory {
    made: AtomicUsize,
    durable: AtomicUsize,
    syncs: AtomicUsize,
    shared: Coalesced,
}

impl Directory {
    /// Makes what was there when it began durable, or fails.
    fn sync(&self, fails: impl Fn(usize) -> bool) -> Result<(), usize> {
        let number = self.syncs.fetch_add(1, Ordering::SeqCst);
        let then = self.made.load(Ordering::SeqCst);
        if fails(number) {
            return Err(number);
        }
        self.durable.fetch_or(then, Ordering::SeqCst);
        Ok(())
    }

    /// Makes an entry, and shares a sync; whether it is durable then.
    fn make(&self, entry: usize, fails: impl Fn(usize) -> bool) -> Result<bool, usize> {
        self.made.fetch_or(entry, Ordering::SeqCst);
        self.shared.sync(|| self.sync(&fails))?;
        Ok(self.durable.load(Ordering::SeqCst) & entry != 0)
    }
}

/// So many threads each make an entry: whether each was durable, in the end, and
/// by how many syncs.
fn all(threads: usize, fails: fn(usize) -> bool) -> (Vec<Result<bool, usize>>, usize) {
    let directory = Arc::new(Directory::default());
    let made: Vec<_> = (1..threads)
        .map(|n| {
            let directory = Arc::clone(&directory);
            thread::spawn(move || directory.make(1 << n, fails))
        })
        .collect();
    let mut results = vec![directory.make(1, fails)];
    results.extend(
        made.into_iter()
            .map(|thread| thread.join().expect("no panic")),
    );
    (results, directory.syncs.load(Ordering::SeqCst))
}

#[test]
fn whoever_returns_well_is_durable() {
    loom::model(|| {
        let (results, _) = all(2, |_| false);
        assert_eq!(results, [Ok(true), Ok(true)]);
    });
}

#[test]
fn three_share_as_two_do() {
    let mut model = loom::model::Builder::new();
    // As loom advises for more than two threads.
    model.preemption_bound = Some(3);
    // Not loom's: it is to outlive each of the orders.
    let fewest = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(usize::MAX));
    let of_all = std::sync::Arc::clone(&fewest);
    model.check(move || {
        let (results, syncs) = all(3, |_| false);
        assert!(
            results.iter().all(|result| *result == Ok(true)),
            "{results:?}"
        );
        of_all.fetch_min(syncs, Ordering::SeqCst);
    });
    assert_eq!(
        fewest.load(Ordering::SeqCst),
        2,
        "those who wait for one share the next"
    );
}

#[test]
fn a_failure_is_nobody_elses_success() {
    loom::model(|| {
        let (results, _) = all(2, |number| number == 0);
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
