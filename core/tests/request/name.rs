//! Image names, against a second implementation of the grammar and against skopeo.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use skopeo_index_core::request::{ImageName, MAX_NAME_LEN, NameError};

/// Number of names that skopeo itself parses.
const SAMPLE: usize = 60;

/// A piece of a grammar: from a position in a text, every position where it may end.
type Piece = Box<dyn Fn(&[u8], usize) -> BTreeSet<usize>>;

fn one(of: impl Fn(u8) -> bool + 'static) -> Piece {
    Box::new(move |text, at| {
        text.get(at)
            .filter(|b| of(**b))
            .map(|_| at + 1)
            .into_iter()
            .collect()
    })
}

fn word(word: &'static str) -> Piece {
    Box::new(move |text, at| {
        text[at..]
            .starts_with(word.as_bytes())
            .then_some(at + word.len())
            .into_iter()
            .collect()
    })
}

fn any_of(pieces: Vec<Piece>) -> Piece {
    Box::new(move |text, at| pieces.iter().flat_map(|piece| piece(text, at)).collect())
}

fn all_of(pieces: Vec<Piece>) -> Piece {
    Box::new(move |text, at| {
        pieces.iter().fold(BTreeSet::from([at]), |ends, piece| {
            ends.into_iter().flat_map(|at| piece(text, at)).collect()
        })
    })
}

fn often(least: usize, most: usize, piece: Piece) -> Piece {
    Box::new(move |text, at| {
        let (mut all, mut ends) = (BTreeSet::new(), BTreeSet::from([at]));
        for times in 0..=most {
            if times >= least {
                all.extend(&ends);
            }
            ends = ends
                .into_iter()
                .flat_map(|at| piece(text, at))
                .filter(|end| times < least || !all.contains(end))
                .collect();
            if ends.is_empty() {
                break;
            }
        }
        all
    })
}

/// `DOMAIN[:PORT]/PATH[:TAG]`, from the regular expressions of distribution's
/// package `reference`.
fn grammar() -> Piece {
    let many = usize::MAX;
    let alnum = || one(|b| b.is_ascii_alphanumeric());
    let lower = || {
        often(
            1,
            many,
            one(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
        )
    };
    let inner = often(0, many, one(|b| b.is_ascii_alphanumeric() || b == b'-'));
    let label = || alnum();
    let label = all_of(vec![label(), often(0, 1, all_of(vec![inner, alnum()]))]);
    let dotted = |label: Piece| {
        let label = std::rc::Rc::new(label);
        let (first, more) = (std::rc::Rc::clone(&label), label);
        let more: Piece = Box::new(move |text, at| more(text, at));
        all_of(vec![
            Box::new(move |text, at| first(text, at)),
            often(0, many, all_of(vec![word("."), more])),
        ])
    };
    let port = all_of(vec![word(":"), often(1, many, one(|b| b.is_ascii_digit()))]);
    let domain = all_of(vec![dotted(label), often(0, 1, port)]);
    let joint = any_of(vec![
        word("."),
        word("_"),
        word("__"),
        often(1, many, word("-")),
    ]);
    let component = std::rc::Rc::new(all_of(vec![
        lower(),
        often(0, many, all_of(vec![joint, lower()])),
    ]));
    let again = std::rc::Rc::clone(&component);
    let more: Piece = Box::new(move |text, at| again(text, at));
    let path = all_of(vec![
        Box::new(move |text, at| component(text, at)),
        often(0, many, all_of(vec![word("/"), more])),
    ]);
    let first = one(|b| b.is_ascii_alphanumeric() || b == b'_');
    let rest = one(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let tag = all_of(vec![word(":"), first, often(0, 127, rest)]);
    all_of(vec![domain, word("/"), path, often(0, 1, tag)])
}

/// As skopeo parses it: completed first, then matched against the grammar.
fn is_name(text: &str, grammar: &Piece) -> bool {
    let completed = match text.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => text.to_owned(),
        Some(_) => format!("docker.io/{text}"),
        None => format!("docker.io/library/{text}"),
    };
    grammar(completed.as_bytes(), 0).contains(&completed.len())
}

#[test]
fn parser_agrees_with_grammar_for_every_short_text() {
    let grammar = grammar();
    let alphabet = b"aA._-/:";
    let (mut layer, mut names) = (vec![String::new()], 0);
    for _ in 0..5 {
        let next = layer.iter().flat_map(|text| {
            alphabet
                .iter()
                .map(move |b| format!("{text}{}", char::from(*b)))
        });
        layer = next.collect();
        for text in &layer {
            let accepted = text.parse::<ImageName>().is_ok();
            assert_eq!(accepted, is_name(text, &grammar), "{text}");
            names += usize::from(accepted);
        }
    }
    assert!(names > 100, "{names}");
}

fn component() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}"
}

/// Names by the grammar of distribution references.
pub(crate) fn name() -> impl Strategy<Value = String> {
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
            let domain = domain.map_or_else(String::new, |domain| format!("{domain}/"));
            let tag = tag.map_or_else(String::new, |tag| format!(":{tag}"));
            format!("{domain}{path}{tag}")
        })
}

proptest! {
    #![proptest_config(crate::support::property::config(1000, "request-name.txt"))]

    #[test]
    fn parser_agrees_with_grammar_for_longer_texts(text in "(localhost/|a\\.b/|h:80/)?[a-z0-9._/:A-]{0,14}([-_./]{1,3}[a-z]{0,3}){0,3}(:[A-Za-z0-9_.-]{0,130})?") {
        let accepted = text.parse::<ImageName>().is_ok();
        // A port is a number of 16 bits here, of any length there.
        let port = text.split('/').next().and_then(|domain| domain.split_once(':')).is_some_and(|(_, port)| port.len() > 4);
        prop_assume!(!port);
        prop_assert_eq!(accepted, is_name(&text, &grammar()), "{}", text);
    }

    #[test]
    fn name_round_trips_through_text(text in name()) {
        let name: ImageName = text.parse().expect("a name");
        prop_assert_eq!(name.as_str(), &text);
        let whole = name.tag().map_or(name.without_tag().to_owned(), |tag| format!("{}:{tag}", name.without_tag()));
        prop_assert_eq!(whole, text);
    }

    #[test]
    fn accepted_name_has_no_characters_special_to_skopeo_or_a_shell(text: String) {
        if text.parse::<ImageName>().is_ok() {
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:".contains(&b)));
            prop_assert!(!text.starts_with('-') && text.len() <= 255 + 129);
        }
    }

    #[test]
    fn name_with_an_inserted_special_character_is_rejected(text in name(), at: prop::sample::Index, bad in "[^a-zA-Z0-9._/:-]") {
        let mut broken = text;
        let at = at.index(broken.len() + 1);
        broken.insert_str(at, &bad);
        prop_assert!(broken.parse::<ImageName>().is_err(), "{}", broken);
    }
}

#[test]
#[allow(
    clippy::disallowed_types,
    reason = "the test runs skopeo; the core doesn't"
)]
fn accepted_name_is_accepted_by_skopeo() {
    let mut runner = TestRunner::deterministic();
    let dir = tempfile::tempdir().expect("a directory");
    for _ in 0..SAMPLE {
        let name = name().new_tree(&mut runner).expect("a name").current();
        let name: ImageName = name.parse().expect("a name");
        // skopeo parses the destination before it opens the source, which is missing.
        let from = format!("dir:{}", dir.path().join("missing").display());
        let to = format!("docker://{}", name.as_str());
        let output = std::process::Command::new("skopeo")
            .args(["copy", &from, &to])
            .output();
        let output = output.expect("no skopeo: run `make setup`");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.contains("no such file or directory") && !stderr.contains("Invalid"),
            "{name}: {stderr}"
        );
    }
}

#[test]
fn name_that_skopeo_reads_differently_is_rejected() {
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
}

#[test]
fn length_limit_counts_the_name_as_skopeo_completes_it() {
    let longest = [
        ("", "docker.io/library/".len()),
        ("x/", "docker.io/x/".len()),
        ("docker.io/", "docker.io/library/".len()),
        ("index.docker.io/", "docker.io/library/".len()),
        ("docker.io/x/", "docker.io/x/".len()),
        ("quay.io/", "quay.io/".len()),
    ];
    for (before, completed) in longest {
        let name = format!("{before}{}", "a".repeat(MAX_NAME_LEN - completed));
        assert!(name.parse::<ImageName>().is_ok(), "{name}");
        let longer = format!("{name}a:tag").parse::<ImageName>();
        assert_eq!(longer, Err(NameError::TooLong(MAX_NAME_LEN + 1)), "{name}");
    }
}

#[test]
fn every_name_error_has_a_message() {
    let (long, id) = ("a".repeat(255), "0".repeat(64));
    let texts = ["", "a@b", "-a.b/c", "App", "a//b", "a:-", &id, &long];
    let messages = crate::errors::<ImageName>(&texts).replace(&long, "aaa…");
    insta::assert_snapshot!("error_messages", messages);
}
