//! JSON Lines against the JSON schemas of tests/schema, by Python's `jsonschema`.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The number of lines that are valid by a schema, and of all lines.
///
/// # Panics
/// Where Python or `jsonschema` is missing.
pub fn count_valid(schema: &str, lines: &[u8]) -> (usize, usize) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("lines");
    fs::write(&file, lines).expect("a file");
    let repository = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let schemas = repository.join("tests/schema");
    let output = Command::new("python3")
        .env("PYTHONPATH", repository.join("target/python"))
        .args([schemas.join("validate.py"), schemas.join(schema), file])
        .output();
    let output = output.expect("no python3: run `make setup`");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{errors}no jsonschema: run `make setup`"
    );
    // The errors of invalid lines.
    println!("{errors}");
    let counts = String::from_utf8(output.stdout).expect("UTF-8");
    let (valid, all) = counts.trim().split_once(" of ").expect("two numbers");
    let number = |text: &str| text.parse().expect("a number");
    (number(valid), number(all))
}
