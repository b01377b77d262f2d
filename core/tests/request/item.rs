//! Items of the osbuild source.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::request::{ItemError, Items, Location, MAX_ITEMS, Request, TlsVerify};

use crate::DIGEST;

fn raw(item: &Value) -> Box<RawValue> {
    to_raw_value(item).expect("JSON")
}

fn read(image: Value) -> Result<Request, ItemError> {
    Request::from_item(DIGEST, &raw(&json!({ "image": image })))
}

/// Parses an item that is not a `Value`: with duplicate keys, or invalid Unicode.
fn read_text(item: &str) -> Result<Request, ItemError> {
    Request::from_item(DIGEST, serde_json::from_str(item).expect("JSON"))
}

#[test]
fn item_gives_the_location_of_its_image() {
    let docker = |tls_verify| Location::Docker { tls_verify };
    let storage = |location: Option<&str>| Location::ContainersStorage {
        location: location.map(|location| location.parse().expect("a location")),
    };
    let table = [
        (json!({ "name": "a/b:c" }), docker(TlsVerify::Unset)),
        (
            json!({ "name": "a/b:c", "tls-verify": true }),
            docker(TlsVerify::ItemTrue),
        ),
        (
            json!({ "name": "a/b:c", "tls-verify": false }),
            docker(TlsVerify::Never),
        ),
        (
            json!({ "name": "a/b:c", "containers-transport": "docker", "storage-location": "" }),
            docker(TlsVerify::Unset),
        ),
        (
            json!({ "name": "a/b:c", "containers-transport": "containers-storage" }),
            storage(None),
        ),
        (
            json!({ "name": "a/b:c", "containers-transport": "containers-storage", "storage-location": "/x y" }),
            storage(Some("/x y")),
        ),
        (
            json!({ "name": "a/b:c", "containers-transport": "containers-storage", "storage-location": "/x+/y" }),
            storage(Some("/x+/y")),
        ),
    ];
    for (image, location) in table {
        let request = read(image.clone()).expect("a request");
        assert_eq!(request.location(), &location, "{image}");
        assert_eq!(request.to_string(), format!("a/b:c@{DIGEST}"));
    }
}

#[test]
fn item_with_invalid_or_unknown_member_is_rejected() {
    let images = [
        json!({}),
        json!(null),
        json!("a"),
        json!({ "name": null }),
        json!({ "name": 1 }),
        json!({ "name": "A/b" }),
        json!({ "name": "a", "tls-verify": "false" }),
        json!({ "name": "a", "tls-verify": null }),
        json!({ "name": "a", "tls_verify": false }),
        json!({ "name": "a", "containers-transport": "dir" }),
        json!({ "name": "a", "containers-transport": "" }),
        json!({ "name": "a", "storage-location": "/x" }),
        json!({ "name": "a", "containers-transport": "containers-storage", "storage-location": "x" }),
        json!({ "name": "a", "containers-transport": "containers-storage", "storage-location": "/x]y" }),
    ];
    for image in images {
        assert!(read(image.clone()).is_err(), "{image}");
    }
    for item in [
        json!({}),
        json!([]),
        json!({ "image": { "name": "a" }, "more": 1 }),
    ] {
        assert!(Request::from_item(DIGEST, &raw(&item)).is_err(), "{item}");
    }
    let image = raw(&json!({ "image": { "name": "a" } }));
    for key in [
        "",
        "sha256:00",
        &DIGEST.to_uppercase(),
        &format!("{DIGEST}/../x"),
        &format!("{DIGEST}\n"),
    ] {
        assert!(Request::from_item(key, &image).is_err(), "{key:?}");
    }
}

#[test]
fn item_with_duplicate_key_is_rejected() {
    let image = r#""image": {"name": "a"}"#;
    for (item, key) in [
        (format!("{{{image}, {image}}}"), "image"),
        (
            r#"{"image": {"name": "a", "name": "b"}}"#.to_owned(),
            "name",
        ),
        (
            r#"{"image": {"name": "a", "n\u0061me": "a"}}"#.to_owned(),
            "name",
        ),
    ] {
        assert_eq!(
            read_text(&item),
            Err(ItemError::DuplicateKey(key)),
            "{item}"
        );
    }
}

#[test]
fn unknown_key_is_an_error_before_any_value() {
    let item = r#"{"image": {"name": 1, "x": [{"a":{}}], "y": 1, "name": 2}}"#;
    assert_eq!(read_text(item), Err(ItemError::UnknownKey("x".to_owned())));
    let deep = format!(r#"{{"x": {}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(read_text(&deep), Err(ItemError::UnknownKey("x".to_owned())));
    let long = format!(r#"{{"{}": 1}}"#, "x".repeat(10_000));
    let error = read_text(&long).expect_err("an error").to_string();
    assert!(
        error.len() < 200 && error.contains("10000 bytes"),
        "{error}"
    );
}

#[test]
fn items_keep_their_order_and_duplicate_item_is_rejected() {
    let items: Items = serde_json::from_str(r#"{"b": 1, "a": 2}"#).expect("items");
    let keys: Vec<_> = items.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["b", "a"]);
    assert!(serde_json::from_str::<Items>(r#"{"a": 1, "a": 2}"#).is_err());
    let error = serde_json::from_str::<Items>("[]").expect_err("an error");
    assert!(error.to_string().contains("an object of items"), "{error}");
}

#[test]
fn items_beyond_the_limit_are_rejected() {
    let items = |count: usize| {
        let items: Vec<_> = (0..count).map(|n| format!("\"{n}\":1")).collect();
        serde_json::from_str::<Items>(&format!("{{{}}}", items.join(",")))
    };
    assert_eq!(items(MAX_ITEMS).expect("items").iter().count(), MAX_ITEMS);
    let error = items(MAX_ITEMS + 1).expect_err("an error").to_string();
    assert!(error.starts_with("more than 100000 items"), "{error}");
}

#[test]
fn every_item_error_has_a_message() {
    let key = Digest::of(b"").to_string();
    let image = |image| json!({ "image": image });
    let items = [
        ("x", image(json!({ "name": "a" }))),
        (key.as_str(), json!(1)),
        (&key, json!({})),
        (&key, json!({ "image": {}, "\u{1b}[31m": 1 })),
        (&key, image(json!([]))),
        (&key, image(json!({ "name": 1 }))),
        (&key, image(json!({ "name": "A" }))),
        (&key, image(json!({ "name": "a", "tls-verify": 1 }))),
        (
            &key,
            image(json!({ "name": "a", "containers-transport": "oci" })),
        ),
        (
            &key,
            image(json!({ "name": "a", "storage-location": "/x" })),
        ),
        (&key, image(json!({ "name": "a", "storage-location": "x" }))),
    ];
    let mut texts: Vec<(&str, String)> = items.map(|(key, item)| (key, item.to_string())).into();
    for item in [
        r#"{"image": {"name": "a", "name": "a"}}"#,
        r#"{"image": {"name": "\ud83d"}}"#,
        r#"{"image": {"\ud83d": 1}}"#,
    ] {
        texts.push((&key, item.to_owned()));
    }
    let messages = texts.iter().map(|(key, item)| {
        let raw = serde_json::from_str(item).expect("JSON");
        let error = Request::from_item(key, raw).expect_err("an error");
        format!("{item}: {error}").escape_debug().to_string()
    });
    let messages: Vec<_> = messages.collect();
    insta::assert_snapshot!("error_messages", messages.join("\n"));
}
