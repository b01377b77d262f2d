//! The machine's own file system, call by call. Locks: tests/os/lock.rs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use std::path::Path;

use skopeo_index::store::{Dir, Disk, RealDisk, RenameOutcome};
use skopeo_index_core::machine::CacheEntry;

use crate::{EEXIST, ENOENT, ENOTDIR, errno, make_fifo, temp_dir};

fn open(path: &Path) -> Dir {
    RealDisk.open_dir(path).expect("a directory")
}

#[test]
fn read_symlink_socket_fifo_or_directory_is_not_a_file() {
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    let opened = open(dir.path());
    let read = |name: &str| RealDisk.read(&opened, name, 4).map(|read| read.entry);
    fs::write(at("file"), "1234").expect("a file");
    fs::write(at("larger"), vec![b'x'; 200_000]).expect("a file");
    symlink(at("file"), at("link")).expect("a link");
    let _socket = UnixListener::bind(at("socket")).expect("a socket");
    make_fifo(&at("fifo"));

    let content = b"1234".to_vec().into();
    assert_eq!(read("file").expect("read"), CacheEntry::File { content });
    assert_eq!(read("none").expect("read"), CacheEntry::Absent);
    for name in ["link", "socket", "fifo", "."] {
        assert_eq!(read(name).expect("read"), CacheEntry::NotAFile, "{name}");
    }
    let size = 200_000;
    assert_eq!(
        read("larger").expect("read"),
        CacheEntry::Oversized { size }
    );
    assert_eq!(errno(read("file/x")), Some(ENOTDIR));
}

#[test]
fn stage_and_publish_creates_file_readable_by_others_and_replaces_none() {
    let dir = temp_dir();
    let (opened, file) = (open(dir.path()), dir.path().join("file"));
    let staged = RealDisk.stage(&opened, "1", b"1").expect("staged");
    let publish = |staged| RealDisk.publish(staged, &opened, "file").expect("tried");
    assert_eq!(RealDisk.list(&opened).expect("a list"), [""; 0], "nameless");
    assert_eq!(publish(&staged), RenameOutcome::Renamed);
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let staged = RealDisk.stage(&opened, "2", b"2").expect("staged");
    assert_eq!(publish(&staged), RenameOutcome::TargetExists);
    assert_eq!(fs::read(&file).expect("the file"), b"1");
    // Another process removes it.
    fs::remove_file(&file).expect("a file");
    assert_eq!(publish(&staged), RenameOutcome::Renamed);
    assert_eq!(fs::read(&file).expect("the file"), b"2");
}

#[test]
fn rename_existing_target_is_not_replaced() {
    let dir = temp_dir();
    let (opened, at) = (open(dir.path()), |name: &str| dir.path().join(name));
    let rename = |to| RealDisk.rename((&opened, "1"), (&opened, to));
    fs::write(at("1"), "1").expect("a file");
    assert_eq!(rename("2").expect("renamed"), RenameOutcome::Renamed);
    fs::write(at("1"), "3").expect("a file");
    assert_eq!(rename("2").expect("tried"), RenameOutcome::TargetExists);
    assert_eq!(fs::read(at("1")).expect("the file"), b"3");
    assert_eq!(fs::read(at("2")).expect("the file"), b"1");
    assert_eq!(errno(rename("none/1")), Some(ENOENT));
}

#[test]
fn directory_is_created_listed_and_removed() {
    let dir = temp_dir();
    let made = dir.path().join("made");
    RealDisk.make_dir(&made).expect("made");
    RealDisk.make_dir(&made).expect("existing");
    fs::write(made.join("file"), "1").expect("a file");
    assert_eq!(errno(RealDisk.make_dir(&made.join("file"))), Some(EEXIST));
    assert_eq!(RealDisk.list(&open(&made)).expect("a list"), ["file"]);
    assert_eq!(errno(RealDisk.open_dir(&made.join("none"))), Some(ENOENT));
    assert_eq!(errno(RealDisk.open_dir(&made.join("file"))), Some(ENOTDIR));
    let parent = open(dir.path());
    assert_eq!(
        errno(RealDisk.remove(&parent, "made/file/x")),
        Some(ENOTDIR)
    );
    let (victim, deep) = (dir.path().join("victim"), made.join("1/0/0/1/2"));
    for dir in [&victim, &deep, &made.join("2"), &made.join("1/3/x")] {
        fs::create_dir_all(dir).expect("a directory");
        fs::write(dir.join("file"), "1").expect("a file");
        symlink(&victim, dir.join("link")).expect("a link");
    }
    fs::write(made.join("0"), "1").expect("a file");
    for gone in ["made/file", "made", "made"] {
        RealDisk.remove(&parent, gone).expect("removed");
        assert!(!dir.path().join(gone).exists());
    }
    assert!(victim.join("file").exists(), "no link was followed");
}
