//! Secrets are removed from foreign text, and nothing else.
#![allow(clippy::expect_used, reason = "a test that can't continue fails")]

mod support;

use crate::support::property::config;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::redact::Redactor;

fn redact(secrets: &[&str], text: &str) -> String {
    Redactor::new(secrets.iter().map(|secret| (*secret).to_owned())).redact(text)
}

/// Secrets, also such as are a part of another or of what replaces them.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{1,12}",
        "[a-c*?:/@]{1,6}",
        Just("***".to_owned()),
        Just("****".to_owned()),
        Just("é\"\\ü".to_owned())
    ]
}

/// Text with secrets, URLs, schemes and what stands around them.
fn text(secrets: Vec<String>) -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(secrets),
        "[ -~]{0,8}",
        prop::sample::select(vec![
            "https://", "://", "@", "?", "#", ":", "***", "Bearer ", "basic ", "eyJ", "\"", "\\\"",
            " ", "\n", "/", "a",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn secrets_and_text() -> impl Strategy<Value = (Vec<String>, String)> {
    prop::collection::vec(secret(), 1..4)
        .prop_flat_map(|secrets| (Just(secrets.clone()), text(secrets)))
}

proptest! {
    #![proptest_config(config(2000, "redact.txt"))]

    #[test]
    fn redact_removes_every_form_of_a_long_secret((secrets, text) in secrets_and_text()) {
        let clean = Redactor::new(secrets.clone()).redact(&text);
        let trimmed = secrets.iter().map(|secret| secret.trim());
        for secret in trimmed.filter(|s| s.len() >= 4 && s.contains(|c| c != '*')) {
            prop_assert!(!clean.contains(secret), "{:?} in {:?}", secret, clean);
        }
    }

    #[test]
    fn redact_is_idempotent((secrets, text) in secrets_and_text()) {
        let redactor = Redactor::new(secrets);
        let clean = redactor.redact(&text);
        prop_assert_eq!(redactor.redact(&clean), clean);
    }

    #[test]
    fn url_keeps_scheme_host_and_path_only(
        scheme in "(https?|socks5|docker)",
        login in prop::option::of("[A-Za-z0-9!$&'()*+,;=:%._~-]{1,9}@"),
        host in "[a-z]{3,5}(:[0-9]{2,4})?",
        path in "(/[a-z0-9.]{1,9}){0,3}",
        query in prop::option::of("[?#][A-Za-z0-9!$&'()*+,;=:@/?%._~-]{0,60}"),
        end in prop::sample::select(vec!["\"", "\\\"", " ", "\n", ">", ""]),
    ) {
        let (before, after) = (login.clone().unwrap_or_default(), query.clone().unwrap_or_default());
        let text = format!("Get \"{scheme}://{before}{host}{path}{after}{end}: refused");
        let before = login.map_or("", |_| "***@");
        // The colon of a message stays.
        let colon = if after.ends_with(':') || end.is_empty() { ":" } else { "" };
        let after = query.map_or(String::new(), |_| format!("?***{colon}"));
        let tail = if end.is_empty() && !after.is_empty() { " refused".into() } else { format!("{end}: refused") };
        let expected = format!("Get \"{scheme}://{before}{host}{path}{after}{tail}");
        prop_assert_eq!(redact(&[], &text), expected);
    }

    #[test]
    fn text_without_secret_url_or_scheme_is_unchanged(
        words in prop::collection::vec("[A-Za-df-z0-9.,:;!?\"'*@-]{0,20}", 0..20),
        digest: [u8; 32],
    ) {
        let is_scheme = |word: &str| {
            let word = word.to_ascii_lowercase();
            word.ends_with("basic") || word.ends_with("bearer")
        };
        prop_assume!(!words.iter().any(|word| is_scheme(word)));
        let digest = Digest::from_bytes(digest);
        let text = format!("{} docker://quay.io/app@{digest}: x@{digest}", words.join(" "));
        prop_assert_eq!(redact(&["correct horse"], &text), text);
    }

    #[test]
    fn digests_in_paths_are_kept(digest: [u8; 32]) {
        let digest = Digest::from_bytes(digest);
        for text in [
            format!("Get \"https://quay.io:443/v2/a/b/manifests/{digest}\": EOF"),
            format!("docker://app@{digest}"),
            format!("https://cdn.quay.io/sha256/{}", digest.to_string().replace("sha256:", "")),
        ] {
            prop_assert_eq!(redact(&[], &text), text);
        }
    }
}

#[test]
fn short_secret_is_replaced_as_a_whole_word_only() {
    assert_eq!(redact(&["a"], "a cat a,aa"), "*** cat ***,aa");
    assert_eq!(redact(&["aa"], "aaaa"), "aaaa");
}

#[test]
fn forms_of_a_secret_are_replaced() {
    let secret = "p\"ä/s>s?w\u{3e}";
    for form in [
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        "p\\\"ä/s>s?w>".to_owned(),
        "p%22%C3%A4%2Fs%3Es%3Fw%3E".to_owned(),
    ] {
        let clean = redact(&[secret], &format!("echo {form} end"));
        let rest = clean.trim_end_matches(" end").trim_end_matches('=');
        assert_eq!(rest, "echo ***", "{form}");
    }
}

#[test]
fn credentials_files_give_every_secret_in_them() {
    let auth = STANDARD.encode("alice:correct horse");
    let file = serde_json::json!({ "auths": {
        "a": { "auth": auth },
        "b": { "auth": "bm90IGEgcGFpcg", "identitytoken": "id-token-1" },
        "c": { "registrytoken": "registry-token-1", "password": "pass-1" },
        "d": {},
    }, "credHelpers": { "e": "x" } });
    let files = [b"not JSON".to_vec(), file.to_string().into_bytes()];
    let redactor = Redactor::of_auth_files(
        files.iter().map(Vec::as_slice),
        ["proxy-password".to_owned()],
    );
    let text = format!(
        "{auth} alice:correct horse, correct horse; not a pair; id-token-1 registry-token-1 \
         pass-1 proxy-password"
    );
    assert_eq!(redactor.redact(&text), "*** ***, ***; ***; *** *** *** ***");
}

#[test]
fn secrets_of_a_dockercfg_are_replaced() {
    let auth = STANDARD.encode("alice:correct horse");
    let file = serde_json::json!({"https://a/v1/": {"auth": auth, "email": "e"}}).to_string();
    let redactor = Redactor::of_auth_files([file.as_bytes()], []);
    let text = format!("{auth} correct horse");
    assert_eq!(redactor.redact(&text), "*** ***");
}

#[test]
fn credentials_after_a_scheme_and_tokens_are_replaced() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    for (text, expected) in [
        (
            "Authorization: Bearer abc123/+=_",
            "Authorization: Bearer ***",
        ),
        ("[Basic YWxpY2U6eA==]", "[Basic ***]"),
        (&format!("token={jwt}&x"), "token=***&x"),
        (&format!("{{\"token\":\"{jwt}\"}}"), "{\"token\":\"***\"}"),
        (
            "Bearer realm=\"https://a/token\"",
            "Bearer realm=\"https://a/token\"",
        ),
        ("basic authentication failed", "basic authentication failed"),
    ] {
        assert_eq!(redact(&[], text), expected);
    }
}

#[test]
fn what_looks_random_is_cut() {
    for (text, expected) in [
        (
            "Get \"https://cdn/v2/Zm9vYmFyMTIzNDU2Nzg5MEFCQw/blob\": refused",
            "Get \"https://cdn/v2/Zm9v***/blob\": refused",
        ),
        (
            "you sent Zm9vYmFyMTIzNDU2Nzg5MEFC+/FCQw==, which",
            "you sent Zm9v***/FCQw==, which",
        ),
    ] {
        assert_eq!(redact(&[], text), expected);
    }
}

#[test]
fn url_in_the_path_of_another_keeps_scheme_host_and_path_only() {
    for (text, clean) in [
        (
            "Get \"https://proxy/https://user:pw@host/x?y\": EOF",
            "Get \"https://proxy/https://***@host/x?***\": EOF",
        ),
        ("http://a@http://b:c@d/e", "http://***@http://***@d/e"),
        ("https://a/b?c=https://d:e@f/g", "https://a/b?***"),
    ] {
        assert_eq!(redact(&[], text), clean);
    }
}

/// As much as is kept of stderr. Time that grew with the square of the length took 45 s.
#[test]
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the test takes the time"
)]
fn redact_of_many_words_takes_linear_time() {
    for word in ["Ab ", "://"] {
        let text = word.repeat(40_000);
        let begin = std::time::Instant::now();
        assert_eq!(redact(&["secret"], &text), text);
        let elapsed = begin.elapsed();
        assert!(elapsed.as_secs() < 10, "{word:?}: {elapsed:?}");
    }
}
