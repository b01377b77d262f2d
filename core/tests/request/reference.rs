//! References as typed on a command line.

use proptest::prelude::*;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::request::{Reference, Transport};

use crate::DIGEST;
use crate::name::name;

proptest! {
    #![proptest_config(crate::support::property::config(256, "request-reference.txt"))]

    #[test]
    fn reference_round_trips_through_text(name in name(), prefix in prop_oneof![
        Just(""), Just("docker://"), Just("containers-storage:"), Just("containers-storage:[overlay@/var/lib/x]"),
    ], digest: [u8; 32], has_digest: bool) {
        let digest = Digest::from_bytes(digest);
        let text = if has_digest { format!("{prefix}{name}@{digest}") } else { format!("{prefix}{name}") };
        let reference: Reference = text.parse().expect("a reference");
        prop_assert_eq!(reference.to_string(), text);
        prop_assert_eq!(reference.digest(), has_digest.then_some(digest));
    }

    #[test]
    fn accepted_reference_is_written_back_unchanged(text in "(docker://|docker:|dir:|containers-storage:|containers-storage:\\[(overlay|vfs|)@?/x\\]?)?[a-z\\[\\]@:/.]{0,9}(@sha256:[0-9a-f]{62,65})?") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(reference.to_string(), text);
        }
    }
}

#[test]
fn reference_is_split_into_transport_location_name_and_digest() {
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
        (
            format!("containers-storage:[overlay@/x+/y]a@{DIGEST}"),
            (storage, Some("/x+/y"), "a", Some(DIGEST)),
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

#[test]
fn every_reference_error_has_a_message() {
    let texts = [
        "dir:/x",
        "docker-daemon:x:latest@sha256:00",
        "docker-archive:/x",
        "oci:x:y",
        "https://quay.io/x",
        "ftp://x/y@sha256:00",
        "svn+ssh://h/x",
        "DOCKER://x",
        "podman:/x",
        "DIR:x",
        "quay.io:/x",
        "sha256:00",
        "docker://[::1]:5000/x",
        "2001:db8::1/x",
        "docker://",
        "docker://[overlay@/x]a",
        "containers-storage:[overlay@/x",
        "containers-storage:[vfs@/x]a",
        "containers-storage:[overlay@x]a",
        "a@sha256:00",
        "a@sha256:00@sha256:00",
    ];
    insta::assert_snapshot!("error_messages", crate::errors::<Reference>(&texts));
}
