//! registries.conf: which tables concern a repository, and which files concern all.

use std::collections::BTreeSet;

use crate::support::property::config;
use proptest::prelude::*;
use skopeo_index_core::registry::{RegistriesConf, RegistriesConfError, Repository};

use super::{name, repository};

#[track_caller]
fn parse(toml: &str) -> RegistriesConf {
    RegistriesConf::parse(toml.as_bytes()).expect("a registries.conf")
}

fn concerns(toml: &str, name: &str) -> bool {
    parse(toml).concerns(&repository(name)).is_some()
}

fn table(prefix: &str) -> String {
    format!("[[registry]]\nprefix = {prefix:?}\nlocation = 'elsewhere.io'\n")
}

#[test]
fn harmless_file_concerns_no_repository() {
    for toml in [
        "",
        "# comment\n",
        "unqualified-search-registries = ['quay.io', 'docker.io']\nshort-name-mode = 'enforcing'",
        "[aliases]\n'x' = 'quay.io/x'\n",
        "credential-helpers = ['containers-auth.json']",
        "[[registry]]\nlocation = 'b.io'\ninsecure = true\n[[registry.mirror]]\nlocation = 'quay.io'",
    ] {
        assert!(!concerns(toml, "quay.io/x"), "{toml}");
    }
}

#[test]
fn table_with_any_content_concerns_its_repositories() {
    for content in [
        "",
        "blocked = true",
        "insecure = true",
        "mirror-by-digest-only = true",
        "[[registry.mirror]]\nlocation = 'm.io'\npull-from-mirror = 'digest-only'",
    ] {
        let toml = format!("[[registry]]\nlocation = 'quay.io'\n{content}");
        assert!(concerns(&toml, "quay.io/x"), "{content}");
    }
    assert!(concerns(
        "registry = [{location = 'quay.io/x'}]",
        "quay.io/x"
    ));
}

#[test]
fn prefix_matches_whole_components() {
    let rows = [
        ("quay.io", "quay.io/a/b", true),
        ("quay.io/", "quay.io/a/b", true),
        ("QUAY.io", "quay.io/a", true),
        ("quay.io/a", "quay.io/a/b", true),
        ("quay.io/a", "quay.io/ab", false),
        ("quay.io/a/b/c", "quay.io/a/b", false),
        ("quay.io/a/b:tag", "quay.io/a/b", true),
        ("quay.io/a/b@sha256:00", "quay.io/a/b", true),
        ("quay.io", "quay.io:5000/a", true),
        ("quay.io:5000", "quay.io/a", false),
        ("docker.io", "x", true),
        ("docker.io/library", "x", true),
        ("docker.io/x", "x", false),
        ("*.example.com", "a.example.com/x", true),
        ("*.example.com", "a.b.example.com:5000/x", true),
        ("*.example.com/x", "a.example.com/x/y", true),
        ("*.example.com/x", "a.example.com/y", false),
        ("*.example.com", "example.com/x", false),
        ("*.example.com", "a.example.com.example.com/x", true),
        ("*.example.com", "quay.io/a.example.com", false),
        ("*.com", "a.example.org/x", false),
    ];
    for (prefix, name, expected) in rows {
        assert_eq!(concerns(&table(prefix), name), expected, "{prefix} {name}");
    }
}

#[test]
fn any_table_counts_as_a_registry_table() {
    assert!(!parse("").has_registry_tables());
    assert!(parse(&table("b.io")).has_registry_tables());
}

#[test]
fn file_that_may_concern_all_is_an_error() {
    type E = RegistriesConfError;
    let helpers = [
        "credential-helpers = ['secretservice']",
        "credential-helpers = ['containers-auth.json', 'pass']",
        "credential-helpers = []",
    ];
    for toml in helpers {
        assert_eq!(
            RegistriesConf::parse(toml.as_bytes()),
            Err(E::CredentialHelpers)
        );
    }
    for toml in [
        "[registries.block]\nregistries = ['quay.io']",
        "[registries]",
    ] {
        assert_eq!(RegistriesConf::parse(toml.as_bytes()), Err(E::V1Format));
    }
    for toml in [
        "[[registry]]",
        "[[registry]]\ninsecure = true",
        "[[registry]]\nprefix = 'b.io'\nlocation = 'https://b.io'",
        "[[registry]]\nprefix = '/'",
        "[[registry]]\nprefix = 'a b'",
        "[[registry]]\nlocation = 'b.io'\n[[registry.mirror]]\nlocation = ''",
    ] {
        assert_eq!(
            RegistriesConf::parse(toml.as_bytes()),
            Err(E::Table),
            "{toml}"
        );
    }
    for toml in [
        "x",
        "unknown = 1",
        "Registry = []",
        "[registry]\nlocation = 'b.io'",
        "registry = [['b.io', 'b.io', false, false, [], false]]",
        "[[registry]]\nlocation = 'b.io'\nmirror = [['m.io', false, '']]",
        "[[registry]]\nLocation = 'b.io'",
        "[[registry]]\nlocation = 'b.io'\nblocked = 'yes'",
        "[[registry]]\nlocation = 1",
        "[[registry]]\nlocation = 'b.io'\n[[registry.mirror]]\ninsecure = true",
        "unqualified-search-registries = 'quay.io'",
        "[aliases]\nx = 1",
        "a = 1\na = 2",
    ] {
        let error = RegistriesConf::parse(toml.as_bytes());
        assert!(matches!(error, Err(E::Syntax(_))), "{toml}");
    }
    let error = RegistriesConf::parse(b"# \xff");
    assert!(matches!(error, Err(E::Syntax(_))));
}

#[test]
fn deeply_nested_file_is_an_error() {
    const DEPTH: usize = 100_000;
    let nested =
        |open: &str, close: &str| format!("x = {}1{}", open.repeat(DEPTH), close.repeat(DEPTH));
    for toml in [
        nested("[", "]"),
        nested("{a = ", "}"),
        format!("{}a = 1", "a.".repeat(DEPTH)),
        format!("[{}a]\nb = 1", "a.".repeat(DEPTH)),
        format!("[[registry]]\n[registry.{}a]\nb = 1", "a.".repeat(DEPTH)),
    ] {
        assert!(RegistriesConf::parse(toml.as_bytes()).is_err());
    }
}

/// Every prefix that matches a repository, listed out of the parts of its name.
fn matching_prefixes(repository: &Repository) -> BTreeSet<String> {
    let (host, port) = match repository.domain().split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (repository.domain(), None),
    };
    let labels: Vec<&str> = host.split('.').collect();
    let mut prefixes = BTreeSet::new();
    for removed in 0..labels.len() {
        let star = if removed == 0 { "" } else { "*." };
        let mut prefix = format!("{star}{}", labels[removed..].join("."));
        prefixes.insert(prefix.clone());
        if let Some(port) = port {
            prefix = format!("{prefix}:{port}");
            prefixes.insert(prefix.clone());
        }
        for component in repository.path().split('/') {
            prefix = format!("{prefix}/{component}");
            prefixes.insert(prefix.clone());
        }
    }
    prefixes
}

/// A prefix of a name, with or without a wildcard in place of labels.
fn prefix() -> impl Strategy<Value = String> {
    (name(), 1..5_usize, 0..3_usize).prop_map(|(name, parts, removed)| {
        let prefix = name.split('/').take(parts).collect::<Vec<_>>().join("/");
        let shorter = prefix.splitn(removed + 1, '.').last().unwrap_or_default();
        if removed > 0 && shorter.len() < prefix.len() {
            format!("*.{shorter}")
        } else {
            prefix
        }
    })
}

proptest! {
    #![proptest_config(config(1000, "registry.txt"))]

    #[test]
    fn prefix_matching_agrees_with_the_list_of_prefixes(
        name in name(),
        prefix in prefix(),
        own in any::<Option<prop::sample::Index>>(),
        suffix in "/{0,2}|:tag|@sha256:00",
    ) {
        let repository = repository(&name);
        let matching = matching_prefixes(&repository);
        // A random prefix seldom matches.
        let prefix = own.map_or(prefix, |index| {
            matching.iter().nth(index.index(matching.len())).expect("a prefix").clone()
        });
        let expected = matching.contains(&prefix);
        let is_image = prefix.contains('/');
        let suffix = if is_image || suffix.starts_with('/') { suffix } else { String::new() };
        let conf = parse(&table(&format!("{prefix}{suffix}")));
        prop_assert_eq!(conf.concerns(&repository).is_some(), expected, "{}", prefix);
    }
}
