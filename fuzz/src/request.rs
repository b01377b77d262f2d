//! References, names, locations and items, as skopeo's arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use skopeo_index_core::digest::Digest;
use skopeo_index_core::request::{
    ImageName, Location, Reference, Request, StorageLocation, TlsVerify,
};
use skopeo_index_core::skopeo::{SkopeoCommand, SkopeoOptions};

/// An accepted input is one argument of skopeo at its position, never a flag; a reference
/// is written back unchanged.
pub fn target(data: &[u8]) {
    paths(data);
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let digest = Digest::of(b"");
    match text.parse::<Reference>() {
        Ok(reference) => assert_eq!(reference.to_string(), text),
        Err(error) => crate::assert_harmless(&error.to_string()),
    }
    match text.parse::<ImageName>() {
        Ok(name) => {
            assert_eq!(name.to_string(), text);
            let tls_verify = TlsVerify::Unset;
            check(&Request::new(name, Location::Docker { tls_verify }, digest));
        }
        Err(error) => crate::assert_harmless(&error.to_string()),
    }
    match text.parse::<StorageLocation>() {
        Ok(location) => {
            assert!(location.graph_root().is_absolute());
            assert!(text.matches('+').count() <= 1);
            let name = "a".parse().expect("a name");
            let location = Some(location);
            check(&Request::new(
                name,
                Location::ContainersStorage { location },
                digest,
            ));
        }
        Err(error) => crate::assert_harmless(&error.to_string()),
    }
    let (key, item) = text.split_once('\n').unwrap_or(("", text));
    if let Ok(item) = serde_json::from_str(item) {
        match Request::from_item(key, item) {
            Ok(request) => {
                assert_eq!(request.digest().to_string(), key);
                check(&request);
            }
            Err(error) => crate::assert_harmless(&error.to_string()),
        }
    }
}

/// The arguments of every command have the same number and order as for a plain request.
fn check(request: &Request) {
    let plain = Request::new(
        "a".parse().expect("a name"),
        request.location().clone(),
        request.digest(),
    );
    let source = request.skopeo_source();
    let tag = request.location().skopeo_source(request.name());
    let location = request.location();
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
    let inspect = |name| SkopeoCommand::InspectTag { location, name };
    agree(inspect(a.name()), inspect(b.name()), &tag);
    for source in [&source, &tag] {
        let transports = ["docker://", "containers-storage:"];
        let known = transports.iter().any(|known| source.starts_with(known));
        assert!(known, "{source}");
        crate::assert_harmless(source);
    }
}

/// The same for any path.
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

/// Two commands have the same arguments except one, which is `source` and not a flag.
fn agree(left: SkopeoCommand<'_>, right: SkopeoCommand<'_>, source: impl AsRef<OsStr>) {
    let (options, time) = (SkopeoOptions::default(), Duration::from_secs(1));
    let (left, right) = (left.argv(&options, time), right.argv(&options, time));
    assert_eq!(left.len(), right.len(), "{left:?}");
    let mut differ = left.iter().zip(&right).filter(|(a, b)| a != b);
    assert!(differ.all(|(a, _)| a == source.as_ref()), "{left:?}");
    let flag = source.as_ref().as_encoded_bytes().starts_with(b"-");
    assert!(!flag, "{left:?}");
}
