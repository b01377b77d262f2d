//! `Cargo.toml`, as the published crate has it; `make crates` tests the crate itself.

use std::fs;
use std::path::Path;

/// Whether a file below a directory uses the crate test-support.
fn uses_support(dir: &Path) -> bool {
    let entries = fs::read_dir(dir).expect("a directory");
    entries
        .map(|entry| entry.expect("an entry").path())
        .any(|path| {
            if path.is_dir() {
                return uses_support(&path);
            }
            fs::read_to_string(path).is_ok_and(|text| text.contains("test_support::"))
        })
}

#[test]
fn test_binary_requires_the_feature_if_and_only_if_it_uses_test_support() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = include_str!("../../Cargo.toml");
    let mut count = 0;
    for entry in fs::read_dir(root.join("tests")).expect("a directory") {
        let dir = entry.expect("an entry").path();
        if dir.join("main.rs").is_file() {
            count += 1;
            let name = dir.file_name().expect("a name").display();
            let line = format!("{{ name = \"{name}\", required-features = [\"repository\"] }}");
            assert_eq!(manifest.contains(&line), uses_support(&dir), "{name}");
        }
    }
    assert!(count > 10, "{count}");
}
