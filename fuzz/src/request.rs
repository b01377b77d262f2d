//! References, names, locations and items, on their way to skopeo's arguments.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use skopeo_index::digest::Digest;
use skopeo_index::request::{ImageName, Reference, Request, Source, StorageLocation, TlsVerify};
use skopeo_index::skopeo::{Command, Options};

/// Whatever is accepted is one argument of skopeo, at its place, and none of its
/// flags; a reference is written back as it was.
pub fn target(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let digest = Digest::of(b"");
    match text.parse::<Reference>() {
        Ok(reference) => assert_eq!(reference.to_string(), text),
        Err(refusal) => crate::assert_harmless(&refusal.to_string()),
    }
    match text.parse::<ImageName>() {
        Ok(name) => {
            assert_eq!(name.to_string(), text);
            let tls_verify = TlsVerify::AsConfigured;
            holds(&Request::new(name, Source::Docker { tls_verify }, digest));
        }
        Err(refusal) => crate::assert_harmless(&refusal.to_string()),
    }
    match text.parse::<StorageLocation>() {
        Ok(location) => {
            assert!(location.as_path().is_absolute());
            let name = "a".parse().expect("a name");
            let location = Some(location);
            holds(&Request::new(
                name,
                Source::ContainersStorage { location },
                digest,
            ));
        }
        Err(refusal) => crate::assert_harmless(&refusal.to_string()),
    }
    let (key, item) = text.split_once('\n').unwrap_or(("", text));
    if let Ok(item) = serde_json::from_str(item) {
        match Request::from_item(key, &item) {
            Ok(request) => {
                assert_eq!(request.digest().to_string(), key);
                holds(&request);
            }
            Err(refusal) => crate::assert_harmless(&refusal.to_string()),
        }
    }
}

/// The arguments of every command for a request: the same number, in the same
/// places, as for any other of its sort.
fn holds(request: &Request) {
    let plain = Request::new(
        "a".parse().expect("a name"),
        request.source().clone(),
        request.digest(),
    );
    let (options, time) = (Options::default(), Duration::from_secs(1));
    let to = Path::new("/x");
    for (ours, theirs) in [
        (Command::InspectRaw(request), Command::InspectRaw(&plain)),
        (
            Command::CopyIndex { request, to },
            Command::CopyIndex {
                request: &plain,
                to,
            },
        ),
    ] {
        let (ours, theirs) = (ours.argv(&options, time), theirs.argv(&options, time));
        assert_eq!(ours.len(), theirs.len(), "{ours:?}");
        let source = OsString::from(request.skopeo_source());
        let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(a, b)| a != b).collect();
        assert!(differ.iter().all(|(a, _)| **a == source), "{ours:?}");
        let source = source.to_str().expect("UTF-8");
        let transports = ["docker://", "containers-storage:"];
        assert!(
            transports
                .iter()
                .any(|transport| source.starts_with(transport)),
            "{source}"
        );
        crate::assert_harmless(source);
    }
}
