//! The corpus in corpus/index: what it lists is what the library, the program and other
//! readers say of its files.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::{Index, MediaType};
use test_support::program::harness::Cache;

/// A line of verdicts.jsonl.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Verdict {
    code: Option<String>,
    description: String,
    file: String,
    readers: BTreeMap<String, String>,
    sha256: String,
    verdict: String,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn corpus() -> PathBuf {
    repository().join("corpus/index")
}

fn verdicts() -> Vec<Verdict> {
    let text = fs::read_to_string(corpus().join("verdicts.jsonl")).expect("verdicts");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

fn bytes(verdict: &Verdict) -> Vec<u8> {
    fs::read(corpus().join(&verdict.file)).expect("a listed file")
}

fn word(accepted: bool) -> &'static str {
    if accepted { "accepted" } else { "refused" }
}

/// Compares the list with what it should be, and leaves the latter in a file.
#[track_caller]
fn assert_listed(expected: impl Fn(&Verdict) -> Verdict) {
    let listed = verdicts();
    let expected: Vec<_> = listed.iter().map(expected).collect();
    let lines = expected
        .iter()
        .map(|verdict| serde_json::to_string(verdict).expect("JSON") + "\n");
    let name = std::thread::current().name().expect("a test").to_owned();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name + ".jsonl");
    fs::write(&file, lines.collect::<String>()).expect("a file");
    for (listed, expected) in listed.iter().zip(&expected) {
        assert_eq!(listed, expected, "the right list is in {}", file.display());
    }
}

/// Compares one reader's column with what it reads.
#[track_caller]
fn assert_reader(reader: &str, read: impl Fn(&Verdict) -> String) {
    assert_listed(|verdict| {
        let mut expected = verdict.clone();
        expected.readers.insert(reader.to_owned(), read(verdict));
        expected
    });
}

/// Runs a reader with every file, and returns what it printed of each.
fn run_reader(command: &mut Command) -> HashMap<String, String> {
    let files = verdicts()
        .into_iter()
        .map(|verdict| corpus().join(verdict.file));
    let output = command.args(files).output().expect("a reader");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines = text.lines().map(|line| {
        let (file, verdict) = line.split_once('\t').expect("two columns");
        (file.to_owned(), verdict.to_owned())
    });
    lines.collect()
}

#[test]
fn corpus_lists_each_file_once_and_no_other() {
    let listed: Vec<_> = verdicts().into_iter().map(|verdict| verdict.file).collect();
    let entries = fs::read_dir(corpus()).expect("the corpus");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let present: BTreeSet<_> = names
        .map(|name| name.expect("UTF-8"))
        .filter(|name| name.ends_with(".json"))
        .collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), present);
    assert_eq!(listed.len(), present.len(), "a file is listed twice");
    for file in &listed {
        let is_ordinary = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        assert!(file.bytes().all(is_ordinary), "{file}");
    }
}

#[test]
fn digest_verdict_and_code_of_each_file_are_what_the_library_says() {
    assert_listed(|verdict| {
        let bytes = bytes(verdict);
        let parsed = Index::parse(&bytes);
        let code = parsed.as_ref().err().map(|reason| reason.code().to_owned());
        let prefix = code.as_deref().unwrap_or("accepted");
        let (name, _number) = verdict.file.rsplit_once('-').expect("CODE-N.json");
        assert_eq!(name, prefix, "{}: named after its code", verdict.file);
        Verdict {
            code,
            sha256: Digest::of(&bytes).hex().to_string(),
            verdict: word(parsed.is_ok()).to_owned(),
            ..verdict.clone()
        }
    });
}

/// The tags of a serialized reason, from the outermost.
fn tags(reason: &Value) -> Vec<&str> {
    match reason {
        Value::String(tag) => vec![tag],
        Value::Object(tagged) => {
            let (tag, content) = tagged.iter().next().expect("a tag");
            let inner = match tag.as_str() {
                "descriptor" => tags(&content["error"]),
                "not-interoperable" => tags(content),
                _ => Vec::new(),
            };
            [vec![tag.as_str()], inner].concat()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn code_is_the_tags_of_the_serialized_reason() {
    for verdict in verdicts() {
        if let Err(reason) = Index::parse(&bytes(&verdict)) {
            let serialized = serde_json::to_value(&reason).expect("JSON");
            assert_eq!(reason.code(), tags(&serialized).join("-"));
        }
    }
}

#[test]
fn every_documented_code_has_a_file_and_every_code_is_documented() {
    let document = repository().join("docs/index-validation.md");
    let document = fs::read_to_string(document).expect("the document");
    let (_, section) = document.split_once("\n## Reason codes\n").expect("codes");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let codes = rows.map(|row| row.split('`').next().unwrap_or_default().to_owned());
    let used = verdicts().into_iter().filter_map(|verdict| verdict.code);
    assert_eq!(codes.collect::<BTreeSet<_>>(), used.collect());
}

#[test]
fn inspect_says_the_listed_code_of_each_file() {
    let cache = Cache::new();
    for verdict in verdicts() {
        let file = corpus().join(&verdict.file).display().to_string();
        let output = cache.run(["inspect", "--format=json", &file]);
        output.assert_status(if verdict.code.is_some() { 11 } else { 0 });
        let json: Value = serde_json::from_str(&output.stdout).expect("JSON");
        let code = json["code"].as_str().map(str::to_owned);
        assert_eq!(code, verdict.code, "{}: {json}", verdict.file);
        assert_eq!(json["size"], bytes(&verdict).len(), "{json}");
        if verdict.code.as_deref() != Some("too-large") {
            assert_eq!(json["digest"], format!("sha256:{}", verdict.sha256));
        }
    }
}

#[test]
fn python_reads_each_file_as_listed() {
    let mut python = Command::new("python3");
    let read = run_reader(python.arg(corpus().join("readers/python.py")));
    assert_reader("python", |verdict| read[&verdict.file].clone());
}

/// The types of the image specification, as a Rust program derives them.
mod derived {
    #![expect(dead_code, reason = "only whether they can be read matters")]

    use std::collections::HashMap;

    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Index {
        schema_version: u32,
        pub media_type: Option<String>,
        artifact_type: Option<String>,
        manifests: Vec<Descriptor>,
        subject: Option<Descriptor>,
        annotations: Option<HashMap<String, String>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Descriptor {
        media_type: String,
        digest: String,
        size: u64,
        urls: Option<Vec<String>>,
        annotations: Option<HashMap<String, String>>,
        data: Option<String>,
        platform: Option<Platform>,
        artifact_type: Option<String>,
    }

    #[derive(Deserialize)]
    struct Platform {
        architecture: String,
        os: String,
        #[serde(rename = "os.version")]
        os_version: Option<String>,
        #[serde(rename = "os.features")]
        os_features: Option<Vec<String>>,
        variant: Option<String>,
    }
}

#[test]
fn serde_reads_each_file_as_listed() {
    assert_reader("serde", |verdict| {
        let read = serde_json::from_slice::<derived::Index>(&bytes(verdict));
        let is_index = |media_type: &str| MediaType::ALL.iter().any(|m| m.as_str() == media_type);
        let accepted = read.is_ok_and(|index| index.media_type.as_deref().is_none_or(is_index));
        word(accepted).to_owned()
    });
}
