//! Input that is not JSON, or that JSON parsers read differently.

use skopeo_index_core::index::{Index, NotAnIndex, NotInteroperable};

#[test]
fn invalid_json_is_rejected() {
    let good = br#"{"schemaVersion":2,"manifests":[],"x":1}"#;
    assert!(Index::parse(good).is_ok());
    let with = |x: &[u8]| [&good[..good.len() - 2], x, b"}"].concat();
    let bad = [
        [b"\xef\xbb\xbf", &good[..]].concat(),
        [&good[..], b"{}"].concat(),
        [&good[..], b"\0"].concat(),
        [&good[..], b","].concat(),
        with(b"NaN"),
        with(b"-Infinity"),
        with(b"01"),
        with(b"1."),
        with(b"'x'"),
        with(b"\"\\ud80\""),
        with(b"\"\xff\""),
        with(b"\"\xed\xa0\x80\""),
        with(b"\"\n\""),
        with(b"1,"),
        with(b"1/**/"),
        with("[".repeat(100_000).as_bytes()),
    ];
    for document in bad {
        let parsed = Index::parse(&document);
        let shown = String::from_utf8_lossy(&document[..document.len().min(80)]).into_owned();
        assert!(
            matches!(parsed, Err(NotAnIndex::NotJson { .. })),
            "{shown}: {parsed:?}"
        );
    }
}

#[test]
fn json_that_some_readers_reject_is_refused_for_that_reason() {
    let with = |members: &str| {
        let document = format!(r#"{{"schemaVersion":2,"manifests":[],{members}}}"#);
        Index::parse(document.as_bytes()).map(|_| ())
    };
    let nested = |depth| format!(r#""x":{}{}"#, "[".repeat(depth), "]".repeat(depth));
    let digits = |n| format!(r#""x":{}"#, "9".repeat(n));
    let refused = |reason| Err(NotAnIndex::NotInteroperable(reason));
    assert_eq!(with(&nested(126)), Ok(()));
    assert_eq!(with(&nested(127)), refused(NotInteroperable::Depth));
    assert_eq!(with(r#""x":1e308"#), Ok(()));
    assert_eq!(with(r#""x":-1e309"#), refused(NotInteroperable::Number));
    assert_eq!(with(&digits(308)), Ok(()));
    assert_eq!(with(&digits(309)), refused(NotInteroperable::Number));
    assert_eq!(
        with(r#""\ud83d":1"#),
        refused(NotInteroperable::LoneSurrogate)
    );
}

/// An index with one descriptor, which has these members as well.
fn with_descriptor(members: &str) -> String {
    format!(r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"a","digest":"a:b",{members}}}]}}"#)
}

#[test]
fn lone_surrogate_is_accepted_only_where_it_decides_nothing() {
    let accepted = [
        r#"{"schemaVersion":2,"manifests":[],"annotations":{"t":"cut \ud83d"}}"#.to_owned(),
        with_descriptor(r#""size":1,"annotations":{"t":"cut \ud83d"}"#),
        with_descriptor(r#""size":1,"platform":{"x":"cut \ud83d"}"#),
    ];
    for document in accepted {
        assert!(Index::parse(document.as_bytes()).is_ok(), "{document}");
    }
    let rejected = [
        r#"{"schemaVersion":2,"mediaType":"\ud83d","manifests":[]}"#.to_owned(),
        with_descriptor(r#""size":1,"artifactType":"\ud83d""#),
        with_descriptor(r#""size":1,"platform":{"os":"\ud83d"}"#),
        with_descriptor(r#""size":1"#).replace("a:b", r"\ud83d"),
        with_descriptor(r#""size":1"#).replace(r#""a""#, r#""\ud83d""#),
    ];
    for document in rejected {
        let reason = Index::parse(document.as_bytes())
            .expect_err("refused")
            .to_string();
        assert!(
            reason.ends_with("is not a Unicode string"),
            "{reason}: {document}"
        );
    }
}

#[test]
fn duplicate_key_is_rejected_in_every_object() {
    for members in [
        r#""x":1,"x":2"#,
        r#""x":1,"\u0078":2"#,
        r#""x":[[{"a":{"b":1,"b":1}}]]"#,
        r#""manifests":null"#,
    ] {
        let document = format!(r#"{{"schemaVersion":2,"manifests":[],{members}}}"#);
        let parsed = Index::parse(document.as_bytes());
        assert!(
            matches!(parsed, Err(NotAnIndex::DuplicateKey { .. })),
            "{document}: {parsed:?}"
        );
    }
    for members in [
        r#""size":1,"size":1"#,
        r#""size":1,"annotations":{"x":1,"x":1}"#,
        r#""size":1,"platform":{"os":"a","os":"a"}"#,
    ] {
        let document = with_descriptor(members);
        let reason = Index::parse(document.as_bytes())
            .expect_err("refused")
            .to_string();
        assert!(
            reason.starts_with("manifests[0]: duplicate key"),
            "{reason}"
        );
    }
}

#[test]
fn keys_that_differ_in_case_are_rejected_if_one_decides() {
    let top = [
        (r#""Foo":1,"foo":2"#, true),
        (r#""link":1,"lin\u212a":2"#, true),
        (r#""ä":1,"Ä":2"#, true),
        (r#""config":null,"Config":null"#, true),
        (r#""annotations":{"os":1,"OS":2}"#, true),
        (r#""x":[{"Manifests":1,"manifests":2}]"#, true),
        (r#""Manifests":[]"#, false),
        (r#""manifest\u017f":[]"#, false),
        (r#""MediaType":null"#, false),
        (r#""config":null,"Config":1"#, false),
    ];
    let descriptor = [
        (r#""size":1,"Foo":1,"foo":2"#, true),
        (r#""size":1,"platform":{"Foo":1,"foo":2}"#, true),
        (r#""size":1,"annotations":{"Size":1}"#, true),
        (r#""size":1,"Size":1"#, false),
        (r#""size":1,"platform":{"OS":"a"}"#, false),
        (r#""size":1,"platform":{"os":"a","o\u017f":"a"}"#, false),
    ];
    let top = top.map(|(members, good)| {
        (
            format!(r#"{{"schemaVersion":2,"manifests":[],{members}}}"#),
            good,
        )
    });
    let descriptor = descriptor.map(|(members, good)| (with_descriptor(members), good));
    for (document, good) in top.into_iter().chain(descriptor) {
        let parsed = Index::parse(document.as_bytes());
        assert_eq!(parsed.is_ok(), good, "{document}: {parsed:?}");
    }
}
