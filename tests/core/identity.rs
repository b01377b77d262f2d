//! Which program is run.

use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::{SkopeoBinary, SkopeoIdentity, identify};
use skopeo_index_core::digest::Digest;

fn of(program: &str) -> SkopeoIdentity {
    let cancel = CancelToken::new(None).expect("a pipe");
    identify(&SkopeoBinary::new(program.into()), &cancel)
}

#[test]
fn a_program_by_its_name_is_the_first_on_the_path() {
    // It has a version and is everywhere.
    let identity = of("true");
    assert!(identity.path.is_absolute(), "{identity:?}");
    assert_eq!(identity.path.file_name(), Some("true".as_ref()));
    let program = std::fs::read(&identity.path).expect("a program");
    assert_eq!(identity.sha256, Some(Digest::of(&program)));
    assert!(identity.version.starts_with("true ("), "{identity:?}");
}

#[test]
fn a_program_by_its_path_is_not_looked_for() {
    let identity = of("./true");
    let here = std::env::current_dir().expect("a directory");
    assert_eq!(identity.path, here.join("true"));
    assert_eq!((identity.sha256, identity.version.as_str()), (None, ""));
}

#[test]
fn what_a_program_prints_that_fails_is_no_version() {
    // It prints one all the same.
    let identity = of("false");
    assert!(identity.sha256.is_some(), "{identity:?}");
    assert_eq!(identity.version, "");
}
