//! JSON against the schemas of `src/cli/schemas`, by Python's `jsonschema`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn directory() -> PathBuf {
    repository().join("src/cli/schemas")
}

/// The names of all schemas, sorted.
pub fn names() -> Vec<String> {
    let files = std::fs::read_dir(directory()).expect("a directory");
    let name = |file: std::fs::DirEntry| file.path().file_stem()?.to_str().map(str::to_owned);
    let mut names: Vec<_> = files.flatten().filter_map(name).collect();
    names.sort();
    names
}

/// A schema, as its file has it.
pub fn file(name: &str) -> Value {
    let file = directory().join(name).with_extension("json");
    serde_json::from_slice(&std::fs::read(file).expect("a schema")).expect("JSON")
}

/// The JSON objects among some lines.
pub fn objects(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The lines that are valid by none of the schemas, and why. A schema is a name or a
/// document; none stands for all.
pub fn invalid(schemas: &[Value], lines: &[Value]) -> Vec<String> {
    ask(&json!({ "do": "validate", "schemas": schemas, "lines": lines }))
}

/// The single changes of lines that remain valid.
pub fn valid_changes(schema: &str, lines: &[Value]) -> Vec<String> {
    ask(&json!({ "do": "mutate", "schema": schema, "lines": lines }))
}

/// The parts of a schema that none of the lines needs.
pub fn unused(schema: &str, lines: &[Value]) -> Vec<String> {
    ask(&json!({ "do": "unused", "schema": schema, "lines": lines }))
}

/// The number of lines that are valid by a schema, and of all lines.
pub fn count_valid(schema: &str, lines: &[u8]) -> (usize, usize) {
    let parse = |line: &[u8]| serde_json::from_slice(line).expect("JSON");
    let lines = lines.trim_ascii_end().split(|byte| *byte == b'\n');
    let lines: Vec<Value> = lines.map(parse).collect();
    let invalid = invalid(&[schema.into()], &lines);
    // The errors of invalid lines.
    println!("{}", invalid.join("\n"));
    (lines.len() - invalid.len(), lines.len())
}

/// Asks a process that lives as long as the tests.
///
/// # Panics
/// Where Python or `jsonschema` is missing.
fn ask(question: &Value) -> Vec<String> {
    static PYTHON: OnceLock<Mutex<Child>> = OnceLock::new();
    let start = || {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", repository().join("target/python"));
        python.args([repository().join("tests/support/schemas.py"), directory()]);
        let python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Mutex::new(python.expect("no python3: run `make setup`"))
    };
    let python = PYTHON.get_or_init(start);
    let mut python = python.lock().unwrap_or_else(PoisonError::into_inner);
    let stdin = python.stdin.as_mut().expect("stdin");
    writeln!(stdin, "{question}").expect("no jsonschema: run `make setup`");
    let mut answer = String::new();
    // Nothing is left to read after the line: each question has one.
    let mut stdout = BufReader::new(python.stdout.as_mut().expect("stdout"));
    stdout.read_line(&mut answer).expect("an answer");
    serde_json::from_str(&answer).expect("no jsonschema: run `make setup`")
}
