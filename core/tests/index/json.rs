//! Input that is not JSON, or that JSON parsers read differently.

use skopeo_index_core::index::{Index, NotAnIndex};

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
        with(b"\"\\ud800\""),
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
fn case_folded_duplicate_keys_are_rejected() {
    for [one, two] in [
        ["link", "LINK"],
        ["link", "lin\u{212a}"],
        ["os", "o\u{17f}"],
        ["x", "x"],
    ] {
        let document = format!(r#"{{"schemaVersion":2,"manifests":[],"{one}":1,"{two}":2}}"#);
        let parsed = Index::parse(document.as_bytes());
        assert!(
            matches!(parsed, Err(NotAnIndex::DuplicateKey { .. })),
            "{document}: {parsed:?}"
        );
    }
    let document = r#"{"schemaVersion":2,"manifests":[],"ä":1,"Ä":2}"#;
    assert!(
        Index::parse(document.as_bytes()).is_ok(),
        "no reader folds these keys"
    );
}
