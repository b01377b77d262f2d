//! Locations, references, items.

use proptest::prelude::*;
use serde_json::{Value, json};
use skopeo_index_core::request::{
    ItemError, Items, MAX_STORAGE_LOCATION_LEN, Location, Reference, Request, StorageLocation, TlsVerify,
    Transport,
};

use crate::names::name;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

proptest! {
    #![proptest_config(crate::regressions("proptest-regressions/request.txt"))]

    #[test]
    fn a_location_is_a_path_and_nothing_more(text in "/?[-a-z0-9 ä./@=\\[\\]+:,\u{202e}\n]{0,12}") {
        let means_more = |c: char| c.is_control() || "[]+:,\u{202e}".contains(c);
        let dots = text.split('/').any(|part| part == "." || part == "..");
        let plain = text.starts_with('/') && text.chars().any(|c| c != '/') && !text.contains(means_more) && !dots;
        prop_assert_eq!(text.parse::<StorageLocation>().is_ok(), plain, "{:?}", text);
    }

    #[test]
    fn a_reference_comes_back_as_it_was(name in name(), prefix in prop_oneof![
        Just(""), Just("docker://"), Just("containers-storage:"), Just("containers-storage:[overlay@/var/lib/x]"),
    ], digest: [u8; 32], has_digest: bool) {
        let digest = skopeo_index::digest::Digest::from_bytes(digest);
        let text = if has_digest { format!("{prefix}{name}@{digest}") } else { format!("{prefix}{name}") };
        let reference: Reference = text.parse().expect("a reference");
        prop_assert_eq!(reference.to_string(), text);
        prop_assert_eq!(reference.digest(), has_digest.then_some(digest));
    }

    #[test]
    fn what_is_no_reference_is_not_made_one(text in "(docker://|docker:|dir:|containers-storage:|containers-storage:\\[(overlay|vfs|)@?/x\\]?)?[a-z\\[\\]@:/.]{0,9}(@sha256:[0-9a-f]{62,65})?") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(reference.to_string(), text);
        }
    }
}

#[test]
fn a_location_is_at_most_as_long_as_a_path() {
    let longest = format!("/{}", "x".repeat(MAX_STORAGE_LOCATION_LEN - 1));
    assert!(longest.parse::<StorageLocation>().is_ok());
    assert!(format!("{longest}x").parse::<StorageLocation>().is_err());
}

fn read(image: Value) -> Result<Request, ItemError> {
    Request::from_item(DIGEST, &json!({ "image": image }))
}

#[test]
fn an_item_says_where_its_image_is() {
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
    for (image, source) in table {
        let request = read(image.clone()).expect("a request");
        assert_eq!(request.location(), &source, "{image}");
        assert_eq!(request.to_string(), format!("a/b:c@{DIGEST}"));
    }
}

#[test]
fn an_item_with_anything_else_in_it_is_refused() {
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
fn items_keep_their_order_and_come_once() {
    let items: Items = serde_json::from_str(r#"{"b": 1, "a": 2}"#).expect("items");
    let keys: Vec<_> = items.0.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["b", "a"]);
    assert!(serde_json::from_str::<Items>(r#"{"a": 1, "a": 2}"#).is_err());
    let refusal = serde_json::from_str::<Items>("[]").expect_err("no items");
    assert!(
        refusal.to_string().contains("an object of items"),
        "{refusal}"
    );
}

#[test]
fn a_reference_is_read_in_its_parts() {
    let docker = Some(Transport::Docker);
    let storage = Some(Transport::ContainersStorage);
    let table = [
        ("a:b".to_owned(), (None, None, "a:b", None)),
        (
            format!("docker://a:b@{DIGEST}"),
            (docker, None, "a:b", Some(DIGEST)),
        ),
        (
            "containers-storage:a".to_owned(),
            (storage, None, "a", None),
        ),
        (
            format!("containers-storage:[overlay@/x]a@{DIGEST}"),
            (storage, Some("/x"), "a", Some(DIGEST)),
        ),
    ];
    for (text, (transport, location, name, digest)) in table {
        let read: Reference = text.parse().expect("a reference");
        assert_eq!(
            (read.transport(), read.name().as_str()),
            (transport, name),
            "{text}"
        );
        assert_eq!(
            read.location().map(ToString::to_string).as_deref(),
            location,
            "{text}"
        );
        assert_eq!(
            read.digest().map(|digest| digest.to_string()).as_deref(),
            digest,
            "{text}"
        );
    }
}

/// Every sort of source, and how it begins.
fn sources() -> [(Location, Transport, &'static str); 6] {
    let docker = |tls_verify| Location::Docker { tls_verify };
    let location = "/x y".parse().expect("a location");
    let storage = |location| Location::ContainersStorage { location };
    [
        (docker(TlsVerify::Unset), Transport::Docker, "docker://"),
        (docker(TlsVerify::ItemTrue), Transport::Docker, "docker://"),
        (docker(TlsVerify::Always), Transport::Docker, "docker://"),
        (docker(TlsVerify::Never), Transport::Docker, "docker://"),
        (
            storage(None),
            Transport::ContainersStorage,
            "containers-storage:",
        ),
        (
            storage(Some(location)),
            Transport::ContainersStorage,
            "containers-storage:[overlay@/x y]",
        ),
    ]
}

fn tagged(source: Location) -> Request {
    let name = "quay.io/a:tag".parse().expect("a name");
    Request::new(name, source, DIGEST.parse().expect("a digest"))
}

#[test]
fn a_tag_is_looked_up_by_the_whole_name_and_a_digest_in_a_registry_without_it() {
    for (source, transport, prefix) in sources() {
        let request = tagged(source.clone());
        assert_eq!(source.transport(), transport);
        assert_eq!(
            source.skopeo_source(request.name()),
            format!("{prefix}quay.io/a:tag")
        );
        let dropped = (transport == Transport::Docker).then_some("tag");
        assert_eq!(request.dropped_tag(), dropped);
        let kept = if dropped.is_some() { "" } else { ":tag" };
        assert_eq!(
            request.skopeo_source(),
            format!("{prefix}quay.io/a{kept}@{DIGEST}")
        );
    }
}

#[test]
fn what_an_item_says_on_tls_outweighs_the_option_unless_that_is_stricter() {
    use TlsVerify::{AsConfigured, Expected, Require, Skip};
    let all = [AsConfigured, Expected, Require, Skip];
    let after = |said, option| match (said, option) {
        (AsConfigured, option) => option,
        (Expected, Require) => Require,
        (said, _) => said,
    };
    for (said, option) in all
        .into_iter()
        .flat_map(|said| all.map(|option| (said, option)))
    {
        let docker = |tls_verify| Location::Docker { tls_verify };
        let request = tagged(docker(said)).with_default_tls_verify(option);
        assert_eq!(
            request.location(),
            &docker(after(said, option)),
            "{said:?} {option:?}"
        );
    }
    let storage = Location::ContainersStorage { location: None };
    let request = tagged(storage.clone()).with_default_tls_verify(Skip);
    assert_eq!(request.location(), &storage);
}

#[test]
fn a_request_comes_back_from_json_and_only_what_parses() {
    for (source, transport, _) in sources() {
        let request = tagged(source);
        let mut json = serde_json::to_value(&request).expect("JSON");
        assert!(json["source"][transport.to_string()].is_object(), "{json}");
        assert_eq!(json["name"], json!("quay.io/a:tag"));
        let read: Request = serde_json::from_value(json.clone()).expect("a request");
        assert_eq!(read, request);
        json["name"] = json!("A");
        assert!(serde_json::from_value::<Request>(json).is_err());
    }
    assert!(serde_json::from_value::<StorageLocation>(json!("x")).is_err());
}

#[test]
fn names_and_locations_are_shown_as_they_are_and_padded_in_tables() {
    let name = tagged(sources()[0].0.clone()).name().clone();
    let location: StorageLocation = "/x y".parse().expect("a location");
    assert_eq!(
        (location.as_str(), name.as_str()),
        ("/x y", "quay.io/a:tag")
    );
    let row = format!("{name:14}|{location:6}|{:7}|", Transport::Docker);
    assert_eq!(row, "quay.io/a:tag |/x y  |docker |");
    assert_eq!(
        format!("{name:?} {location:?}"),
        r#""quay.io/a:tag" "/x y""#
    );
}
