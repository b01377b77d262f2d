//! Names, locations, references.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use skopeo_index::request::{ImageName, Items, Reference, StorageLocation};

/// How many names real skopeo is asked about.
const SAMPLE: usize = 60;

fn component() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}"
}

/// Names by the grammar of distribution references.
fn name() -> impl Strategy<Value = String> {
    let domain =
        "([a-zA-Z0-9]([a-zA-Z0-9-]{0,4}[a-zA-Z0-9])?\\.[a-z]{2,3}|localhost)(:[1-9][0-9]{0,3})?";
    // A first component with a "." in it would be a domain.
    let more = prop::collection::vec(component(), 0..3);
    let path =
        ("[a-z0-9]{1,6}", more).prop_map(|(first, more)| [vec![first], more].concat().join("/"));
    (
        prop::option::of(domain),
        path,
        prop::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}"),
    )
        .prop_map(|(domain, path, tag)| {
            let mut name = domain.map_or_else(String::new, |domain| format!("{domain}/"));
            name.push_str(&path);
            if let Some(tag) = tag {
                let _ = write!(name, ":{tag}");
            }
            name
        })
}

proptest! {
    #![proptest_config(crate::regressions("proptest-regressions/request.txt"))]

    #[test]
    fn every_name_of_the_grammar_is_taken_as_it_is(text in name()) {
        let name: ImageName = text.parse().expect("a name");
        prop_assert_eq!(name.as_str(), &text);
        let whole = name.tag().map_or(name.without_tag().to_owned(), |tag| format!("{}:{tag}", name.without_tag()));
        prop_assert_eq!(whole, text);
    }

    #[test]
    fn a_name_has_nothing_that_skopeo_or_a_shell_could_take_for_more(text: String) {
        if text.parse::<ImageName>().is_ok() {
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:".contains(&b)));
            prop_assert!(!text.starts_with('-') && text.len() <= 255 + 129);
        }
    }

    #[test]
    fn a_broken_name_is_refused(text in name(), at: prop::sample::Index, bad in "[^a-zA-Z0-9._/:-]") {
        let mut broken = text;
        let at = at.index(broken.len() + 1);
        broken.insert_str(at, &bad);
        prop_assert!(broken.parse::<ImageName>().is_err(), "{}", broken);
    }

    #[test]
    fn a_location_is_an_absolute_path_and_nothing_else(text in "/?[a-z.\\[\\]+:,@ /\n-]{0,12}") {
        if let Ok(location) = text.parse::<StorageLocation>() {
            prop_assert!(location.as_path().is_absolute());
            prop_assert!(!text.contains(['[', ']', '+', ':', ',', '\n']));
            prop_assert!(location.as_path().components().all(|part| part != std::path::Component::ParentDir));
        }
    }

    #[test]
    fn a_reference_comes_back_as_it_was(name in name(), prefix in prop_oneof![
        Just(""), Just("docker://"), Just("containers-storage:"), Just("containers-storage:[overlay@/var/lib/x]"),
    ], digest: [u8; 32], has_digest: bool) {
        let digest = skopeo_index::digest::Digest::from_bytes(digest);
        let text = if has_digest { format!("{prefix}{name}@{digest}") } else { format!("{prefix}{name}") };
        let reference: Reference = text.parse().expect("a reference");
        prop_assert_eq!(reference.to_string(), text);
        prop_assert_eq!(reference.digest(), has_digest.then_some(digest));
    }
}

#[test]
fn what_is_accepted_here_skopeo_accepts() {
    let mut runner = TestRunner::deterministic();
    let dir = tempfile::tempdir().expect("a directory");
    for _ in 0..SAMPLE {
        let name = name().new_tree(&mut runner).expect("a name").current();
        let name: ImageName = name.parse().expect("a name");
        // A destination that is parsed last, and a source that is nowhere: skopeo
        // stumbles over the source's absence, not over the name.
        let from = format!("dir:{}", dir.path().join("nowhere").display());
        let to = format!("docker://{}", name.as_str());
        let ran = std::process::Command::new("skopeo")
            .args(["copy", &from, &to])
            .output();
        let ran = ran.expect("skopeo is not there; `make setup` installs it");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(
            said.contains("no such file or directory") && !said.contains("Invalid"),
            "{name}: {said}"
        );
    }
}

#[test]
fn what_skopeo_would_take_for_something_else_is_refused() {
    let bad = [
        "",
        "UPPER/app",
        "app:",
        "app@sha256:00",
        "-app",
        "--flag",
        "a//b",
        "a/",
        "/a",
        "a b",
        "a..b",
        "[overlay@/x]app",
        "quay.io/app:tag:tag",
        "quay.io:x/app",
        "host:99999/app",
        "ä/app",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ];
    for text in bad {
        assert!(text.parse::<ImageName>().is_err(), "{text}");
    }
    assert!(
        "a".repeat(255).parse::<ImageName>().is_err(),
        "with docker.io/library/ it is too long"
    );
}

#[test]
fn items_keep_their_order_and_come_once() {
    let items: Items = serde_json::from_str(r#"{"b": 1, "a": 2}"#).expect("items");
    let keys: Vec<_> = items.0.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["b", "a"]);
    assert!(serde_json::from_str::<Items>(r#"{"a": 1, "a": 2}"#).is_err());
}
