//! References, names, locations and items, on their way to skopeo's arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use skopeo_index_core::digest::Digest;
use skopeo_index_core::request::{
    ImageName, Location, Reference, Request, StorageLocation, TlsVerify,
};
use skopeo_index_core::skopeo::{SkopeoCommand, SkopeoOptions};

/// Whatever is accepted is one argument of skopeo, at its place, and none of its
/// flags; a reference is written back as it was.
pub fn target(data: &[u8]) {
    paths(data);
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
            let tls_verify = TlsVerify::Unset;
            holds(&Request::new(name, Location::Docker { tls_verify }, digest));
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
                Location::ContainersStorage { location },
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
        request.location().clone(),
        request.digest(),
    );
    let source = request.skopeo_source();
    let tag = request.location().skopeo_source(request.name());
    let same_tag = request.location().skopeo_source(plain.name());
    let tls_verify = TlsVerify::Always;
    let to = Path::new("/x");
    let (a, b) = (request, &plain);
    agree(
        SkopeoCommand::InspectRaw(a),
        SkopeoCommand::InspectRaw(b),
        &source,
    );
    agree(
        SkopeoCommand::CopyIndex { request: a, to },
        SkopeoCommand::CopyIndex { request: b, to },
        &source,
    );
    let inspect = |source| SkopeoCommand::InspectTag { source, tls_verify };
    agree(inspect(&tag), inspect(&same_tag), &tag);
    for source in [&source, &tag] {
        let transports = ["docker://", "containers-storage:"];
        let known = transports.iter().any(|known| source.starts_with(known));
        assert!(known, "{source}");
        crate::assert_harmless(source);
    }
}

/// The same for paths, which may be any.
fn paths(data: &[u8]) {
    let (path, same) = (Path::new(OsStr::from_bytes(data)), Path::new("a"));
    let mut dir = OsString::from("dir:");
    dir.push(path);
    let from = |from| SkopeoCommand::InspectDir { from };
    agree(from(path), from(same), &dir);
    let request = Request::new(
        "a".parse().expect("a name"),
        Location::Docker {
            tls_verify: TlsVerify::Never,
        },
        Digest::of(b""),
    );
    let request = &request;
    let copy = |to| SkopeoCommand::CopyIndex { request, to };
    agree(copy(path), copy(same), &dir);
    let digest = |file| SkopeoCommand::ManifestDigest { file };
    agree(digest(path), digest(same), Path::new(".").join(path));
}

/// Two commands have the same arguments, but for one, which is `source` and no
/// flag.
fn agree(ours: SkopeoCommand<'_>, theirs: SkopeoCommand<'_>, source: impl AsRef<OsStr>) {
    let (options, time) = (SkopeoOptions::default(), Duration::from_secs(1));
    let (ours, theirs) = (ours.argv(&options, time), theirs.argv(&options, time));
    assert_eq!(ours.len(), theirs.len(), "{ours:?}");
    let mut differ = ours.iter().zip(&theirs).filter(|(a, b)| a != b);
    assert!(differ.all(|(a, _)| a == source.as_ref()), "{ours:?}");
    let flag = source.as_ref().as_encoded_bytes().starts_with(b"-");
    assert!(!flag, "{ours:?}");
}
