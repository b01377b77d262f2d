//! The machine's own file system, call by call.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use skopeo_index::os::CancelToken;
use skopeo_index::store::{
    DirStatus, Disk, DiskError, LockWait, RealDisk, RenameOutcome, Seen, Store, TryLock,
};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::CancelReason;

use crate::stand_in::Faulty;
use crate::stand_in::Injected;

const ENOENT: i32 = 2;
const EIO: i32 = 5;
const EACCES: i32 = 13;
const EEXIST: i32 = 17;
const ENOTDIR: i32 = 20;
const EINVAL: i32 = 22;
const EROFS: i32 = 30;
const ENOTEMPTY: i32 = 39;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// The numbers by which this process has a file open.
fn opened(file: &Path) -> Vec<i32> {
    let links = fs::read_dir("/proc/self/fd").expect("a list").flatten();
    let number = |link: fs::DirEntry| link.file_name().to_str()?.parse().ok();
    links
        .filter(|link| fs::read_link(link.path()).is_ok_and(|to| to.starts_with(file)))
        .filter_map(number)
        .collect()
}

/// What the system refused a call with.
fn errno<T>(result: Result<T, DiskError>) -> Option<i32> {
    match result.err()? {
        DiskError::Io { error, .. } => error.raw_os_error(),
        DiskError::Cancelled(_) | DiskError::Halt => None,
    }
}

/// Waits until another thread has opened a lock's file as well.
fn until_it_waits<T>(waits: &std::thread::ScopedJoinHandle<'_, T>, file: &Path) {
    while opened(file).len() < 2 {
        assert!(!waits.is_finished(), "it didn't wait");
        std::thread::yield_now();
    }
}

#[test]
fn a_lock_is_had_by_one_and_waited_for_if_so_wanted() {
    let (dir, cancel) = (dir(), CancelToken::new(None).expect("a pipe"));
    let file = dir.path().join("lock");
    let Ok(TryLock::Acquired(ours)) = RealDisk.lock(&file, LockWait::Try) else {
        panic!("nobody has it")
    };
    assert!(matches!(
        RealDisk.lock(&file, LockWait::Try),
        Ok(TryLock::Contended)
    ));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| RealDisk.lock(&file, LockWait::Blocking(&cancel)));
        until_it_waits(&waits, &file);
        // It has the file, and is told that another has the lock.
        for _ in 0..1000 {
            assert!(matches!(
                RealDisk.lock(&file, LockWait::Try),
                Ok(TryLock::Contended)
            ));
        }
        drop(ours);
        assert!(matches!(
            waits.join().expect("no panic"),
            Ok(TryLock::Acquired(_))
        ));
    });
}

#[test]
fn a_lock_ends_with_its_holder_though_a_child_that_is_being_started_has_its_file() {
    let dir = dir();
    let file = dir.path().join("lock");
    let Ok(TryLock::Acquired(ours)) = RealDisk.lock(&file, LockWait::Try) else {
        panic!("nobody has it")
    };
    let this = pidfd_open(getpid(), PidfdFlags::empty()).expect("this process");
    let number = opened(&file)[0];
    let _as_fork_leaves_it =
        pidfd_getfd(this, number, PidfdGetfdFlags::empty()).expect("a copy (Linux 5.6)");
    drop(ours);
    assert!(matches!(
        RealDisk.lock(&file, LockWait::Try),
        Ok(TryLock::Acquired(_))
    ));
}

#[test]
fn a_lock_that_is_never_freed_is_not_waited_for_for_ever() {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(600);
    let (dir, cancel) = (dir(), CancelToken::new(Some(deadline)).expect("a pipe"));
    let file = dir.path().join("lock");
    let Ok(TryLock::Acquired(_ours)) = RealDisk.lock(&file, LockWait::Try) else {
        panic!("nobody has it")
    };
    let waited = RealDisk.lock(&file, LockWait::Blocking(&cancel));
    assert!(matches!(waited, Ok(TryLock::Contended)));
}

#[test]
fn whoever_waits_for_a_lock_can_be_told_to_stop() {
    let (dir, cancel) = (dir(), CancelToken::new(None).expect("a pipe"));
    let file = dir.path().join("lock");
    let Ok(TryLock::Acquired(_ours)) = RealDisk.lock(&file, LockWait::Try) else {
        panic!("nobody has it")
    };
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| RealDisk.lock(&file, LockWait::Blocking(&cancel)));
        until_it_waits(&waits, &file);
        cancel.stop(CancelReason::HungUp);
        assert!(matches!(
            waits.join().expect("no panic"),
            Err(DiskError::Cancelled(CancelReason::HungUp))
        ));
    });
}

#[test]
fn a_lock_whose_file_was_removed_meanwhile_locks_nothing() {
    let (dir, cancel) = (dir(), CancelToken::new(None).expect("a pipe"));
    let file = dir.path().join("lock");
    let Ok(TryLock::Acquired(ours)) = RealDisk.lock(&file, LockWait::Try) else {
        panic!("nobody has it")
    };
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| RealDisk.lock(&file, LockWait::Blocking(&cancel)));
        until_it_waits(&waits, &file);
        fs::remove_file(&file).expect("it is there");
        drop(ours);
        assert!(matches!(
            waits.join().expect("no panic"),
            Ok(TryLock::Unlinked)
        ));
    });
}

#[test]
fn only_a_file_is_read_and_nothing_is_followed_or_waited_for() {
    let dir = dir();
    let at = |name: &str| dir.path().join(name);
    let read = |name: &str| RealDisk.read(&at(name), 4);
    fs::write(at("file"), "1234").expect("a file");
    fs::write(at("larger"), vec![b'x'; 200_000]).expect("a file");
    symlink(at("file"), at("link")).expect("a link");
    let _socket = UnixListener::bind(at("socket")).expect("a socket");
    let made = std::process::Command::new("mkfifo")
        .arg(at("fifo"))
        .status();
    assert!(made.expect("mkfifo, of coreutils").success());

    assert_eq!(read("file").expect("read"), Seen::Bytes(b"1234".to_vec()));
    assert_eq!(read("none").expect("read"), Seen::Absent);
    for name in ["link", "socket", "fifo", "."] {
        assert_eq!(read(name).expect("read"), Seen::NotAFile, "{name}");
    }
    let (digest, size) = (Digest::of(&vec![b'x'; 200_000]), 200_000);
    assert_eq!(
        read("larger").expect("read"),
        Seen::Oversized { digest, size }
    );
    assert_eq!(errno(read("file/x")), Some(ENOTDIR));
}

#[test]
fn what_is_written_is_new_and_others_may_read_it() {
    let dir = dir();
    let file = dir.path().join("file");
    RealDisk.write(&file, b"1").expect("written");
    let mode = fs::metadata(&file).expect("it").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    assert_eq!(errno(RealDisk.write(&file, b"2")), Some(EEXIST));
    assert_eq!(fs::read(&file).expect("it"), b"1");
}

#[test]
fn a_rename_replaces_nothing() {
    let dir = dir();
    let (one, other) = (dir.path().join("1"), dir.path().join("2"));
    RealDisk.write(&one, b"1").expect("written");
    assert_eq!(
        RealDisk.rename(&one, &other).expect("renamed"),
        RenameOutcome::Renamed
    );
    RealDisk.write(&one, b"3").expect("written");
    assert_eq!(
        RealDisk.rename(&one, &other).expect("tried"),
        RenameOutcome::TargetExists
    );
    assert_eq!(fs::read(&one).expect("it"), b"3");
    assert_eq!(fs::read(&other).expect("it"), b"1");
    let nowhere = dir.path().join("none/1");
    assert_eq!(errno(RealDisk.rename(&one, &nowhere)), Some(ENOENT));
}

#[test]
fn a_directory_is_made_listed_and_removed() {
    let dir = dir();
    let made = dir.path().join("made");
    assert_eq!(RealDisk.make_dir(&made).expect("made"), DirStatus::Created);
    assert_eq!(
        RealDisk.make_dir(&made).expect("there"),
        DirStatus::Existing
    );
    fs::write(made.join("file"), "1").expect("a file");
    assert_eq!(errno(RealDisk.make_dir(&made.join("file"))), Some(EEXIST));
    assert_eq!(RealDisk.list(&made).expect("a list"), ["file"]);
    assert_eq!(RealDisk.list(&made.join("none")).expect("a list"), [""; 0]);
    assert_eq!(errno(RealDisk.list(&made.join("file"))), Some(ENOTDIR));
    assert_eq!(errno(RealDisk.remove(&made.join("file/x"))), Some(ENOTDIR));
    for gone in [made.join("file"), made.clone(), made.clone()] {
        RealDisk.remove(&gone).expect("removed");
        assert!(!gone.exists());
    }
}

/// A cache with an object, on a disk whose `n`th call is refused.
fn refusing(n: usize, errno: i32) -> (tempfile::TempDir, Store<Faulty>, Digest) {
    let (dir, digest) = (dir(), Digest::of(b"1"));
    fs::write(dir.path().join(digest.to_string()), b"1").expect("an object");
    let disk = Faulty::new(n, Injected::Refusal(errno));
    let store = Store::new(dir.path().to_owned(), disk);
    (dir, store, digest)
}

#[test]
fn a_hit_that_cannot_be_made_durable_is_none() {
    // Reading is the first call, syncing the second.
    let (_dir, store, digest) = refusing(2, EIO);
    assert_eq!(errno(store.look_up(digest)), Some(EIO));
    let (_dir, store, digest) = refusing(2, ENOENT);
    assert_eq!(store.look_up(digest).expect("moved aside"), Seen::Absent);
}

#[test]
fn the_first_hit_makes_the_way_to_the_cache_durable_too() {
    let calls = |hits: usize| {
        let refused = |n: &usize| {
            let (_dir, store, digest) = refusing(*n, EIO);
            (0..hits).any(|_| store.look_up(digest).is_err())
        };
        (1..20).take_while(refused).count()
    };
    let above = dir().path().ancestors().skip(1).count();
    // Read, synced, and once all that is above, and its directory.
    assert_eq!(calls(1), 3 + above);
    assert_eq!(calls(2), 3 + above + 3);
}

#[test]
fn what_is_above_the_cache_need_not_be_its_owners_to_sync() {
    let refused = |errno| {
        let look_up = |n: &usize| {
            let (_dir, store, digest) = refusing(*n, errno);
            store.look_up(digest).is_err()
        };
        (1..20).filter(look_up).count()
    };
    for errno in [EACCES, EROFS, EINVAL] {
        // All but what is above: the object, read and synced, and its directory.
        assert_eq!(refused(errno), 3, "{errno}");
    }
}

#[test]
fn only_a_directory_that_has_long_been_there_may_lie_where_nobody_can_look() {
    let survived = |before: &str, errno| {
        let staged = |n: &usize| {
            let dir = dir();
            let root = dir.path().join("cache");
            fs::create_dir_all(dir.path().join(before)).expect("a directory");
            let store = Store::new(root, Faulty::new(*n, Injected::Refusal(errno)));
            store.stage().is_ok() && store.disk().has_failed()
        };
        (1..20).filter(staged).count()
    };
    assert_eq!(survived("", EACCES), 0, "they are new");
    assert_eq!(survived("cache/.skopeo-index", EIO), 0);
    assert_ne!(survived("cache/.skopeo-index", EACCES), 0);
}

#[test]
fn nothing_of_a_fetch_is_left_in_staging() {
    let dir = dir();
    let store = Store::new(dir.path().to_owned(), RealDisk);
    let at = store.stage().expect("a place");
    let attempts = [1, 2].map(|n| store.attempt_dir(&at, n));
    for attempt in &attempts {
        fs::create_dir(attempt).expect("a directory");
        fs::write(attempt.join("manifest.json"), b"x").expect("a file");
    }
    let area = attempts[0].parent().expect("the process's directory");
    let object = area.join("0.object");
    fs::write(&object, b"x").expect("a file");
    store.unstage(&at, 2).expect("removed");
    assert_eq!(RealDisk.list(area).expect("a list"), ["lock"]);
}

#[test]
fn what_another_sweeper_takes_meanwhile_is_no_fault() {
    let swept = |n, errno| {
        let dir = dir();
        let left = dir.path().join(".skopeo-index/staging-dead");
        fs::create_dir_all(&left).expect("a directory");
        Store::new(
            dir.path().to_owned(),
            Faulty::new(n, Injected::Refusal(errno)),
        )
        .sweep()
    };
    // Listing is the first call, locking the second, removing the third.
    let name = ".skopeo-index/staging-dead";
    assert_eq!(swept(9, EIO).expect("no fault"), [name]);
    for n in [2, 3] {
        for taken in [ENOENT, ENOTEMPTY] {
            assert_eq!(swept(n, taken).expect("no fault"), [""; 0]);
        }
        assert_eq!(errno(swept(n, EIO)), Some(EIO));
    }
}

#[test]
fn a_place_that_a_sweeper_takes_meanwhile_is_made_anew() {
    let staged = |n, error| {
        let dir = dir();
        fs::create_dir(dir.path().join(".skopeo-index")).expect("a directory");
        let disk = Faulty::new(n, Injected::Refusal(error));
        Store::new(dir.path().to_owned(), disk).stage().map(drop)
    };
    // Our directory is made and synced, then the place, then its lock.
    assert!(staged(4, ENOENT).is_ok());
    assert_eq!(errno(staged(4, EIO)), Some(EIO));
}
