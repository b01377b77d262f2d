//! Items of the osbuild source.

use serde_json::{Value, json};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::request::{ItemError, Items, Location, Request, TlsVerify};

use crate::DIGEST;

fn read(image: Value) -> Result<Request, ItemError> {
    Request::from_item(DIGEST, &json!({ "image": image }))
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
        assert!(Request::from_item(DIGEST, &item).is_err(), "{item}");
    }
    let image = json!({ "image": { "name": "a" } });
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
fn items_keep_their_order_and_duplicate_item_is_rejected() {
    let items: Items = serde_json::from_str(r#"{"b": 1, "a": 2}"#).expect("items");
    let keys: Vec<_> = items.0.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["b", "a"]);
    assert!(serde_json::from_str::<Items>(r#"{"a": 1, "a": 2}"#).is_err());
    let error = serde_json::from_str::<Items>("[]").expect_err("an error");
    assert!(error.to_string().contains("an object of items"), "{error}");
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
    let messages = items.map(|(key, item)| {
        let error = Request::from_item(key, &item).expect_err("an error");
        format!("{item}: {error}").escape_debug().to_string()
    });
    insta::assert_snapshot!("error_messages", messages.join("\n"));
}
