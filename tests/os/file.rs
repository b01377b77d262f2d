//! `os::file`: files that take the place of another one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use skopeo_index::os::NewFile;

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
    let mut names: Vec<_> = entries.flatten().map(name).collect();
    names.sort();
    names
}

/// So that a process that is killed leaves nothing.
#[test]
fn new_file_has_no_name_until_it_is_complete() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    drop(NewFile::create(&path).expect("a file"));
    for content in ["first", "second"] {
        let before = names(dir.path());
        let mut file = NewFile::create(&path).expect("a file");
        file.write_all(content.as_bytes()).expect("bytes");
        assert_eq!(names(dir.path()), before);
        file.finish().expect("a name");
        assert_eq!(names(dir.path()), ["file"]);
        assert_eq!(fs::read_to_string(&path).expect("a file"), content);
    }
}

#[test]
fn new_file_has_the_mode_of_the_one_that_it_replaces() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, "old").expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a file");
    let mut file = NewFile::create(&path).expect("a file");
    file.write_all(b"new").expect("bytes");
    file.finish().expect("a name");
    assert_eq!(fs::read(&path).expect("a file"), b"new");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn new_file_in_a_missing_directory_or_at_a_directory_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    for path in [dir.path().to_owned(), dir.path().join("missing/file")] {
        let error = NewFile::create(&path).err().expect("no file");
        assert!(!error.to_string().contains(" at path "), "{error}");
    }
}
