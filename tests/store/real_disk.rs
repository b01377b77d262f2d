//! The machine's own file system, call by call. Locks: tests/os/lock.rs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use skopeo_index::store::{DirStatus, Disk, RealDisk, RenameOutcome};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::CacheEntry;

use crate::{EEXIST, ENOENT, ENOTDIR, errno, temp_dir};

#[test]
fn read_symlink_socket_fifo_or_directory_is_not_a_file() {
    let dir = temp_dir();
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

    let content = b"1234".to_vec().into();
    assert_eq!(read("file").expect("read"), CacheEntry::File { content });
    assert_eq!(read("none").expect("read"), CacheEntry::Absent);
    for name in ["link", "socket", "fifo", "."] {
        assert_eq!(read(name).expect("read"), CacheEntry::NotAFile, "{name}");
    }
    let (digest, size) = (Digest::of(&vec![b'x'; 200_000]), 200_000);
    assert_eq!(
        read("larger").expect("read"),
        CacheEntry::Oversized { digest, size }
    );
    assert_eq!(errno(read("file/x")), Some(ENOTDIR));
}

#[test]
fn write_creates_file_readable_by_others_and_replaces_none() {
    let dir = temp_dir();
    let file = dir.path().join("file");
    RealDisk.write(&file, b"1").expect("written");
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    assert_eq!(errno(RealDisk.write(&file, b"2")), Some(EEXIST));
    assert_eq!(fs::read(&file).expect("the file"), b"1");
}

#[test]
fn rename_existing_target_is_not_replaced() {
    let dir = temp_dir();
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
    assert_eq!(fs::read(&one).expect("the file"), b"3");
    assert_eq!(fs::read(&other).expect("the file"), b"1");
    let nowhere = dir.path().join("none/1");
    assert_eq!(errno(RealDisk.rename(&one, &nowhere)), Some(ENOENT));
}

#[test]
fn directory_is_created_listed_and_removed() {
    let dir = temp_dir();
    let made = dir.path().join("made");
    assert_eq!(RealDisk.make_dir(&made).expect("made"), DirStatus::Created);
    assert_eq!(
        RealDisk.make_dir(&made).expect("existing"),
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
