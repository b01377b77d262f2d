//! Credentials files: which entry is for a repository.

use crate::support::property::config;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use skopeo_index_core::registry::{
    AuthFile, AuthFileError, AuthFileFormat, Credentials, Delegation, Entry, Repository,
};

use super::{name, repository};

fn look_up(json: &Value, name: &str) -> Entry {
    let file = AuthFile::parse(json.to_string().as_bytes(), AuthFileFormat::AuthJson);
    file.expect("a credentials file").look_up(&repository(name))
}

/// A user's name has no colon.
fn entry(user: &str) -> Value {
    let user = user.replace(':', ";");
    json!({"auth": STANDARD.encode(format!("{user}:pa:ss"))})
}

fn auths(keys: &[&str]) -> Value {
    let entries: Map<String, Value> = keys
        .iter()
        .map(|key| ((*key).to_owned(), entry(key)))
        .collect();
    json!({"auths": entries})
}

/// The user of the entry, which is its key in these tests.
#[track_caller]
fn user(found: &Entry) -> Option<String> {
    match found {
        Entry::Credentials(credentials) => Some(credentials.user().replace(';', ":")),
        Entry::Absent => None,
        Entry::Delegated(delegation) => panic!("{delegation}"),
    }
}

#[test]
fn credentials_are_sent_as_basic_and_not_shown() {
    let Entry::Credentials(found) = look_up(&auths(&["quay.io"]), "quay.io/a") else {
        panic!("no credentials")
    };
    let pair = STANDARD.encode("quay.io:pa:ss");
    assert_eq!(found.basic(), format!("Basic {pair}"));
    assert!(!format!("{found:?}").contains("pa:ss"));
}

#[test]
fn docker_hub_has_several_keys() {
    for key in [
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "https://index.docker.io/v1/",
        "https://registry-1.docker.io",
    ] {
        assert_eq!(user(&look_up(&auths(&[key]), "x")), Some(key.to_owned()));
    }
    assert_eq!(
        user(&look_up(&auths(&["index.docker.io/library"]), "x")),
        None
    );
}

#[test]
fn legacy_key_is_taken_where_no_other_matches() {
    let both = auths(&["https://quay.io/v1/", "quay.io"]);
    assert_eq!(
        user(&look_up(&both, "quay.io/a")),
        Some("quay.io".to_owned())
    );
    for key in ["http://quay.io", "https://quay.io/v2/a"] {
        assert_eq!(
            user(&look_up(&auths(&[key]), "quay.io/a")),
            Some(key.to_owned())
        );
    }
    let several = auths(&["https://quay.io/v1/", "http://quay.io"]);
    let ambiguous = Entry::Delegated(Delegation::Ambiguous);
    assert_eq!(look_up(&several, "quay.io/a"), ambiguous);
}

#[test]
fn dockercfg_is_the_map_alone() {
    let look_up = |json: &Value, name| {
        let file = AuthFile::parse(json.to_string().as_bytes(), AuthFileFormat::Dockercfg);
        file.expect("a credentials file").look_up(&repository(name))
    };
    let map = auths(&["quay.io/a", "https://index.docker.io/v1/"])["auths"].clone();
    // Keys are hosts here, and paths are ignored.
    assert_eq!(
        user(&look_up(&map, "quay.io/b")),
        Some("quay.io/a".to_owned())
    );
    assert_eq!(
        user(&look_up(&map, "x")),
        Some("https://index.docker.io/v1/".to_owned())
    );
    assert_eq!(user(&look_up(&map, "b.io/x")), None);
}

#[test]
fn entry_that_only_skopeo_understands_is_delegated() {
    let with = |key: &str, value: Value| {
        let mut entry = entry("u");
        entry[key] = value;
        json!({"auths": {"quay.io": entry}})
    };
    let auth = |text: &str| json!({"auths": {"quay.io": {"auth": STANDARD.encode(text)}}});
    let rows = [
        (json!({"credHelpers": {"quay.io": "x"}}), Delegation::Helper),
        (
            json!({"credHelpers": {"https://quay.io/": "x"}}),
            Delegation::Helper,
        ),
        (json!({"credsStore": "desktop"}), Delegation::Store),
        (with("identitytoken", json!("t")), Delegation::IdentityToken),
        (with("registrytoken", json!("t")), Delegation::IdentityToken),
        (with("Auth", json!("")), Delegation::Unknown),
        (with("other", json!(1)), Delegation::Unknown),
        (json!({"auths": {"quay.io": {}}}), Delegation::Unknown),
        (
            json!({"auths": {"quay.io": {"auth": "!"}}}),
            Delegation::Unknown,
        ),
        (auth("user"), Delegation::Unknown),
        (auth("user:"), Delegation::Unknown),
        (auth(":password"), Delegation::Unknown),
    ];
    for (json, delegation) in rows {
        assert_eq!(
            look_up(&json, "quay.io/a"),
            Entry::Delegated(delegation),
            "{json}"
        );
    }
}

#[test]
fn other_registries_and_settings_are_ignored() {
    let json = json!({
        "auths": {"b.io": {"identitytoken": "t"}, "quay.io": with_email()},
        "credHelpers": {"c.io": "x"},
        "credsStore": "",
        "HttpHeaders": {"a": "b"},
    });
    assert_eq!(user(&look_up(&json, "quay.io/a")), Some("u".to_owned()));
    assert_eq!(look_up(&json, "d.io/a"), Entry::Absent);
    assert_eq!(look_up(&json!({"auths": null}), "d.io/a"), Entry::Absent);
}

fn with_email() -> Value {
    let mut entry = entry("u");
    entry["email"] = json!("u@example.com");
    entry
}

#[test]
fn file_that_may_be_read_otherwise_is_an_error() {
    let parse = |text: &str| AuthFile::parse(text.as_bytes(), AuthFileFormat::AuthJson).err();
    for text in [
        "",
        "null",
        "{",
        "{} x",
        "{\"auths\":[1]}",
        "{\"auths\":{},\"auths\":{}}",
    ] {
        assert!(
            matches!(parse(text), Some(AuthFileError::Json { .. })),
            "{text}"
        );
    }
    for key in ["Auths", "AUTHS", "auth\u{17f}", "credhelpers", "CredsStore"] {
        let error = parse(&json!({key: {}}).to_string());
        assert_eq!(error, Some(AuthFileError::Key(key.to_owned())), "{key}");
    }
}

#[test]
fn deeply_nested_file_is_an_error() {
    let json = format!("{{\"x\": {}", "[".repeat(100_000));
    let parse = |format| AuthFile::parse(json.as_bytes(), format);
    assert!(parse(AuthFileFormat::AuthJson).is_err());
    assert!(parse(AuthFileFormat::Dockercfg).is_err());
}

#[test]
fn error_does_not_quote_the_file() {
    let json = br#"{"auths": {"quay.io": {"auth": {"s3cr3t": 1}}}}"#;
    let error = AuthFile::parse(json, AuthFileFormat::AuthJson).expect_err("an error");
    assert!(!format!("{error} {error:?}").contains("s3cr3t"));
}

/// The longest key that is the repository's name up to a `/`, letter by letter.
fn longest_prefix(keys: &[String], repository: &Repository) -> Option<String> {
    let name = format!("{}/", repository.full_name());
    let is_prefix = |key: &&String| name.starts_with(&format!("{key}/"));
    let longest = keys.iter().filter(is_prefix).max_by_key(|key| key.len());
    longest.cloned()
}

proptest! {
    #![proptest_config(config(500, "registry.txt"))]

    #[test]
    fn longest_key_of_the_repository_is_taken(
        name in name(),
        keys in prop::collection::vec((name_prefix(), any::<bool>()), 0..8),
    ) {
        // Keys that are near the name, or of other names.
        let near = |prefix: String, near: bool| if near {
            name.split('/').take(prefix.len() % 5).collect::<Vec<_>>().join("/")
        } else { prefix };
        let keys: Vec<String> = keys.into_iter().map(|(key, is_near)| near(key, is_near)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let owned: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let found = look_up(&auths(&keys), &name);
        let expected = longest_prefix(&owned, &repository(&name)).filter(|key| !key.is_empty());
        prop_assert_eq!(user(&found), expected);
    }
}

fn name_prefix() -> impl Strategy<Value = String> {
    (name(), 1..4_usize)
        .prop_map(|(name, parts)| name.split('/').take(parts).collect::<Vec<_>>().join("/"))
}

#[test]
fn file_of_credentials_has_them_for_one_registry() {
    let of = |user, password| Credentials::new(user, password);
    let parse = |file: &str| {
        let file = AuthFile::parse(file.as_bytes(), AuthFileFormat::AuthJson);
        file.expect("a credentials file")
    };
    let credentials = of("alice", "a:\u{e4}\n\"").expect("credentials");
    let file = parse(&credentials.auth_file("quay.io:443"));
    let entry = file.look_up(&repository("quay.io:443/a/b"));
    assert_eq!(entry, Entry::Credentials(credentials.clone()));
    assert_eq!(file.look_up(&repository("quay.io/a/b")), Entry::Absent);
    let file = parse(&credentials.auth_file("docker.io"));
    let entry = file.look_up(&repository("busybox"));
    assert_eq!(entry, Entry::Credentials(credentials));
    for (user, password) in [
        ("", "x"),
        ("x", ""),
        ("a:b", "x"),
        ("a\0", "x"),
        ("a", "x\0"),
    ] {
        assert_eq!(of(user, password), None, "{user:?} {password:?}");
    }
}
