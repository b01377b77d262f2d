//! Secrets are removed from foreign text, and nothing else.
#![allow(clippy::expect_used, reason = "a test that can't continue fails")]

mod credentials;

#[path = "../support/mod.rs"]
mod support;

use crate::support::property::config;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::redact::Redactor;

fn redact(secrets: &[&str], text: &str) -> String {
    Redactor::new(secrets).redact(text)
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
        // A percent sign may be decoded to a delimiter, and asterisks may be what is left.
        login in prop::option::of("[A-Za-z0-9!$&'()+,;=:._~-]{1,9}@"),
        host in "[a-z]{3,5}(:[0-9]{2,4})?",
        path in "(/[a-z0-9.]{1,9}){0,3}",
        query in prop::option::of("[?#][A-Za-z0-9][A-Za-z0-9!$&'()+,;=:@/?%._~-]{0,59}"),
        end in prop::sample::select(vec!["\"", "\\\"", " ", "\n", ">", ""]),
    ) {
        let (before, after) = (login.clone().unwrap_or_default(), query.clone().unwrap_or_default());
        let text = format!("Get \"{scheme}://{before}{host}{path}{after}{end}: refused");
        let before = login.map_or("", |_| "***@");
        // The colon of a message stays.
        let colon = if after.ends_with(':') || end.is_empty() { ":" } else { "" };
        let after = query.map_or(String::new(), |query| format!("{}***{colon}", &query[..1]));
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
        "p\\\\\\\"\\u00e4\\/s\\u003es?w>".to_owned(),
        "p&quot;ä/s&gt;s?w&gt;".to_owned(),
        "p&#34;&#228;&#47;s&#62;s&quest;w&#0062;".to_owned(),
        "&#x70;&#X22;&#xE4;&sol;s&#x3e;s?w&#x000003E;".to_owned(),
        "p&#34&#228/s&#62s?w&#62".to_owned(),
        "p\\u0026#34;ä/s%26gt%3bs?w&amp;#x3e;".to_owned(),
        "p%22%C3%A4%2Fs%3Es%3Fw%3E".to_owned(),
    ] {
        let clean = redact(&[secret], &format!("echo {form} end"));
        let rest = clean.trim_end_matches(" end").trim_end_matches('=');
        assert_eq!(rest, "echo ***", "{form}");
    }
}

#[test]
fn spaces_of_a_secret_are_found_as_forms_write_them() {
    for form in [
        "my+dog+rex",
        "my+dog%20rex",
        "my%2Bdog%2brex",
        "my&#43;dog&plus;rex",
        "my%20dog%20rex",
    ] {
        let secret = if form == "my+dog%20rex" {
            "my+dog rex"
        } else {
            "my dog rex"
        };
        assert_eq!(
            redact(&[secret], &format!("no {form}, x")),
            "no ***, x",
            "{form}"
        );
    }
    assert_eq!(redact(&["my dog+rex"], "no my+dog%2Brex"), "no ***");
}

#[test]
fn quoted_url_ends_at_its_closing_quote() {
    for (text, clean) in [
        (
            "Get \"http://h:1/b?sig=AAA<S1\": dial tcp",
            "Get \"http://h:1/b?***\": dial tcp",
        ),
        (
            "Get \"http://h:1/b?sig=AAA S1\": dial tcp",
            "Get \"http://h:1/b?***\": dial tcp",
        ),
        (
            "Get \"http://h:1/b?a=\\\"S1\\tS2\": EOF",
            "Get \"http://h:1/b?***\": EOF",
        ),
        (
            "Get \"http://h:1/b#S1>S2 S3\": EOF",
            "Get \"http://h:1/b#***\": EOF",
        ),
        (
            "Get \"http://bob:S1 S2@h:1/b\": EOF",
            "Get \"http://***@h:1/b\": EOF",
        ),
        ("parse \"/b?sig=AAA S1\": x", "parse \"/b?***\": x"),
        (
            "msg=\"Get \\\"http://h/b?a=b S1\\\": EOF\"",
            "msg=\"Get \\\"http://h/b?***\\\": EOF\"",
        ),
        (
            "msg=\"Get \\\"http://h/b?a=\\\\\\\"S1\\\\tS2\\\": EOF\"",
            "msg=\"Get \\\"http://h/b?***\\\": EOF\"",
        ),
        (
            "Get \"http://h/b;S1/S2\": EOF",
            "Get \"http://h/b;***\": EOF",
        ),
        ("see https://h/b; S1", "see https://h/b; S1"),
        (
            "\"http://h/b\" and \"c? d=e\"",
            "\"http://h/b\" and \"c? d=e\"",
        ),
        ("\"http://h/b?c=S1 d", "\"http://h/b?*** d"),
    ] {
        assert_eq!(redact(&[], text), clean, "{text}");
    }
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
        (
            "not with 123e4567-e89b-12d3-a456-426614174000, sir",
            "not with 123e***, sir",
        ),
        (
            "dop_v1_3b1f0a9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a",
            "dop_v1_3b1f***",
        ),
        ("robot B8QKX1Y7PZ3M5TA9L2VNC4RW", "robot B8QK***"),
        (
            "lookup images.6aa30f8b08e16409b46e0173d6de2f56.r2.example: no such host",
            "lookup images.6aa3***.r2.example: no such host",
        ),
    ] {
        assert_eq!(redact(&[], text), expected);
    }
}

#[test]
fn names_and_statuses_are_kept() {
    let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for text in [
        "docker-images-prod.s3.us-east-1.amazonaws.com: no such host",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/rhel9-x86_64-ppc64le-s390x-v1beta1",
        "time=\"2026-11-26T13:37:43Z\" level=debug msg=\"Content-Type is \\\"text/html;charset=utf-8\\\"\"",
        "Ping https://localhost:5000/v2/ status 503",
        "application/vnd.oci.image.index.v1+json, */*; q=0.5",
        "repository:library/app:pull; is it there? error=none",
        &format!("/docker/registry/v2/blobs/sha256/e3/{hex}/data"),
        &format!("sha512:{hex}{hex} sha256:{hex} sha256%3A{hex}"),
    ] {
        assert_eq!(redact(&[], text), text);
    }
}

#[test]
fn secrets_within_urls_are_replaced_however_they_are_written() {
    for (text, clean) in [
        ("https:\\/\\/h\\/b?sig=x1", "https:\\/\\/h\\/b?***"),
        (
            "https:\\\\/\\\\/h\\\\/b?sig=x1 end",
            "https:\\\\/\\\\/h\\\\/b?*** end",
        ),
        (
            "https%3A%2F%2Fh%2Fb%3Fsig%3Dx1, x",
            "https%3A%2F%2Fh%2Fb%3F*** x",
        ),
        (
            "https%3A%2F%2Fbob%3Apw%40h%2Fb",
            "https%3A%2F%2F***%40h%2Fb",
        ),
        ("(https://h/x;sig=x1)", "(https://h/x;***"),
        ("https://h/x&sig=x1", "https://h/x&***"),
        (
            "https://h/x?a=1\\u0026sig=x1\" end",
            "https://h/x?***\" end",
        ),
        ("https://h/x?a=1&amp;sig=x1 end", "https://h/x?*** end"),
        (
            "\"http://bob:a/x1@h:1/a\": invalid",
            "\"http://***@h:1/a\": invalid",
        ),
        ("https://bob:x1@sha256:x@h/x", "https://***@h/x"),
        (
            "\"not%20a%20url?scope=x1\": EOF",
            "\"not%20a%20url?***\": EOF",
        ),
        ("GET /blob?X-Amz-Signature=x1", "GET /blob?***"),
        ("http:h:1/a?sig=x1", "http:h:1/a?***"),
    ] {
        assert_eq!(redact(&[], text), clean);
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
    for word in [
        "Ab ",
        "://",
        "\\\\\\\\",
        "%2525",
        "&amp;amp;",
        "&a;b",
        "\"a://",
        "\\\"/",
        "&#49",
        "aaaa",
    ] {
        let text = word.repeat(40_000);
        let begin = std::time::Instant::now();
        assert_eq!(redact(&["secret"], &text), text);
        let elapsed = begin.elapsed();
        assert!(elapsed.as_secs() < 10, "{word:?}: {elapsed:?}");
    }
}
