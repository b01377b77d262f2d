//! Image names: against the grammar, said a second time, and by skopeo's own word.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use skopeo_index_core::request::{ImageName, MAX_NAME_LEN, NameError};

/// How many names real skopeo is asked about.
const SAMPLE: usize = 60;

/// A piece of a grammar: where it may end in a text, from a place in it.
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

/// As skopeo reads it: completed first, then held against the grammar.
fn is_name(text: &str, grammar: &Piece) -> bool {
    let completed = match text.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => text.to_owned(),
        Some(_) => format!("docker.io/{text}"),
        None => format!("docker.io/library/{text}"),
    };
    grammar(completed.as_bytes(), 0).contains(&completed.len())
}

#[test]
fn names_are_the_grammars_for_every_short_text() {
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
            let named = text.parse::<ImageName>().is_ok();
            assert_eq!(named, is_name(text, &grammar), "{text}");
            names += usize::from(named);
        }
    }
    assert!(names > 100, "{names}");
}

fn component() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}"
}

/// Names by the grammar of distribution references.
pub fn name() -> impl Strategy<Value = String> {
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
    #![proptest_config(ProptestConfig { cases: 1000, ..crate::regressions("proptest-regressions/names.txt") })]

    #[test]
    fn names_are_the_grammars_for_longer_texts(text in "(localhost/|a\\.b/|h:80/)?[a-z0-9._/:A-]{0,14}([-_./]{1,3}[a-z]{0,3}){0,3}(:[A-Za-z0-9_.-]{0,130})?") {
        let named = text.parse::<ImageName>().is_ok();
        // A port is a number of 16 bits here, of any length there.
        let port = text.split('/').next().and_then(|domain| domain.split_once(':')).is_some_and(|(_, port)| port.len() > 4);
        prop_assume!(!port);
        prop_assert_eq!(named, is_name(&text, &grammar()), "{}", text);
    }

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
}

#[test]
fn a_name_is_at_most_as_long_as_skopeo_completes_it() {
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
