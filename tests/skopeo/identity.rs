//! Which program is run.

use std::path::Path;

use skopeo_index::skopeo::{SkopeoBinary, identify};
use skopeo_index_core::audit::SkopeoIdentity;
use skopeo_index_core::digest::Digest;
use test_support::program::fakes::never_cancelled;

fn identity_of(program: &str) -> SkopeoIdentity {
    identify(&SkopeoBinary::new(program.into()), &never_cancelled())
}

#[test]
fn identity_of_a_name_is_the_first_program_on_the_path() {
    // `true` has a version and is installed everywhere.
    let identity = identity_of("true");
    let path = Path::new(&identity.path);
    assert!(path.is_absolute(), "{identity:?}");
    assert_eq!(path.file_name(), Some("true".as_ref()));
    let program = std::fs::read(path).expect("a program");
    assert_eq!(identity.sha256, Some(Digest::of(&program)));
    assert!(identity.version.starts_with("true ("), "{identity:?}");
}

#[test]
fn identity_of_a_path_is_not_looked_up_and_empty_if_missing() {
    let identity = identity_of("./true");
    let here = std::env::current_dir().expect("a directory");
    assert_eq!(Path::new(&identity.path), here.join("true"));
    assert_eq!((identity.sha256, identity.version.as_str()), (None, ""));
}

#[test]
fn identity_of_a_name_not_on_the_path_is_not_a_file_of_the_current_directory() {
    // Tests run in the package's directory.
    assert!(Path::new("Makefile").is_file());
    let identity = identity_of("Makefile");
    let found = (identity.path.as_str(), identity.sha256);
    assert_eq!(found, ("Makefile", None));
}

#[test]
fn identity_of_a_program_that_fails_has_no_version() {
    // `false --version` prints one all the same.
    let identity = identity_of("false");
    assert!(identity.sha256.is_some(), "{identity:?}");
    assert_eq!(identity.version, "");
}
