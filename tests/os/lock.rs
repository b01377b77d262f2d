//! Advisory locks, taken through the real disk.

use std::fs;
use std::path::Path;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use skopeo_index::os::CancelToken;
use skopeo_index::store::{Disk, DiskError, LockGuard, LockWait, RealDisk};
use skopeo_index_core::machine::CancelReason;
use test_support::program::fakes::never_cancelled;

/// The descriptors with which this process has a file open.
fn descriptors(file: &Path) -> Vec<i32> {
    let links = fs::read_dir("/proc/self/fd").expect("a list").flatten();
    let number = |link: fs::DirEntry| link.file_name().to_str()?.parse().ok();
    links
        .filter(|link| fs::read_link(link.path()).is_ok_and(|to| to.starts_with(file)))
        .filter_map(number)
        .collect()
}

/// Waits until another thread has opened a lock's file as well.
fn wait_until_contended<T>(waiter: &ScopedJoinHandle<'_, T>, file: &Path) {
    while descriptors(file).len() < 2 {
        assert!(!waiter.is_finished(), "it didn't wait");
        std::thread::yield_now();
    }
}

fn lock(file: &Path, wait: LockWait<'_>) -> Result<Option<LockGuard>, DiskError> {
    let dir = RealDisk.open_dir(file.parent().expect("a directory"))?;
    RealDisk.lock(&dir, "lock", wait)
}

fn acquire(file: &Path) -> LockGuard {
    match lock(file, LockWait::Try) {
        Ok(Some(guard)) => guard,
        _ => panic!("the lock is free"),
    }
}

fn is_contended(file: &Path) -> bool {
    matches!(lock(file, LockWait::Try), Ok(None))
}

fn lock_file() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("lock");
    (dir, file)
}

#[test]
fn lock_contended_is_acquired_by_the_waiter_once_released() {
    let ((_dir, file), cancel) = (lock_file(), never_cancelled());
    let guard = acquire(&file);
    assert!(is_contended(&file));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| lock(&file, LockWait::Blocking(&cancel)));
        wait_until_contended(&waiter, &file);
        // The waiter has opened the file and found it locked.
        for _ in 0..1000 {
            assert!(is_contended(&file));
        }
        drop(guard);
        assert!(matches!(waiter.join().expect("no panic"), Ok(Some(_))));
    });
}

#[test]
fn lock_dropped_is_released_though_a_forked_child_shares_the_file() {
    let (_dir, file) = lock_file();
    let guard = acquire(&file);
    let this = pidfd_open(getpid(), PidfdFlags::empty()).expect("this process");
    let number = descriptors(&file)[0];
    // A second descriptor of the same description, as fork leaves one in a child.
    let _shared = pidfd_getfd(this, number, PidfdGetfdFlags::empty()).expect("Linux 5.6");
    drop(guard);
    drop(acquire(&file));
}

#[test]
fn lock_never_released_times_out() {
    let deadline = Instant::now() + Duration::from_secs(600);
    let cancel = CancelToken::new(Some(deadline)).expect("a pipe");
    let (_dir, file) = lock_file();
    let _guard = acquire(&file);
    let attempt = lock(&file, LockWait::Blocking(&cancel));
    assert!(matches!(attempt, Ok(None)));
}

#[test]
fn lock_wait_cancelled_returns_the_reason() {
    let ((_dir, file), cancel) = (lock_file(), never_cancelled());
    let _guard = acquire(&file);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| lock(&file, LockWait::Blocking(&cancel)));
        wait_until_contended(&waiter, &file);
        cancel.cancel(CancelReason::HungUp);
        assert!(matches!(
            waiter.join().expect("no panic"),
            Err(DiskError::Cancelled(CancelReason::HungUp))
        ));
    });
}

#[test]
fn lock_file_removed_while_waiting_is_not_acquired() {
    let ((_dir, file), cancel) = (lock_file(), never_cancelled());
    let guard = acquire(&file);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| lock(&file, LockWait::Blocking(&cancel)));
        wait_until_contended(&waiter, &file);
        fs::remove_file(&file).expect("the lock's file");
        drop(guard);
        assert!(matches!(waiter.join().expect("no panic"), Ok(None)));
    });
}
