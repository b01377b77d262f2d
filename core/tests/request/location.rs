//! Locations and requests: skopeo's source argument, TLS defaults, JSON.

use serde_json::json;
use skopeo_index_core::request::{Location, Request, StorageLocation, TlsVerify, Transport};

use crate::{DIGEST, locations, tagged};

#[test]
fn source_argument_drops_the_tag_beside_a_digest_in_a_registry() {
    for (location, transport, prefix) in locations() {
        let request = tagged(location.clone());
        assert_eq!(
            location.skopeo_source(request.name()),
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
fn tls_verify_of_an_item_wins_unless_the_option_is_stricter() {
    use TlsVerify::{Always, ItemTrue, Never, Unset};
    let all = [Unset, ItemTrue, Always, Never];
    let expected = |item, option| match (item, option) {
        (Unset, option) => option,
        (ItemTrue, Always) => Always,
        (item, _) => item,
    };
    for (item, option) in all
        .into_iter()
        .flat_map(|item| all.map(|option| (item, option)))
    {
        let docker = |tls_verify| Location::Docker { tls_verify };
        let request = tagged(docker(item)).with_default_tls_verify(option);
        assert_eq!(
            request.location(),
            &docker(expected(item, option)),
            "{item:?} {option:?}"
        );
    }
    let storage = Location::ContainersStorage { location: None };
    let request = tagged(storage.clone()).with_default_tls_verify(Never);
    assert_eq!(request.location(), &storage);
}

#[test]
fn request_round_trips_through_json_and_is_parsed_strictly() {
    for (location, transport, _) in locations() {
        let request = tagged(location);
        let mut json = serde_json::to_value(&request).expect("JSON");
        assert!(
            json["location"][transport.to_string()].is_object(),
            "{json}"
        );
        assert_eq!(json["name"], json!("quay.io/a:tag"));
        let read: Request = serde_json::from_value(json.clone()).expect("a request");
        assert_eq!(read, request);
        json["name"] = json!("A");
        assert!(serde_json::from_value::<Request>(json).is_err());
    }
    assert!(serde_json::from_value::<StorageLocation>(json!("x")).is_err());
}

#[test]
fn name_and_location_display_unchanged_and_padded() {
    let name = tagged(locations()[0].0.clone()).name().clone();
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
