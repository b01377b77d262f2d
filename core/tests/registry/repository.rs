//! Repositories: domain, host and path of image names.

use crate::support::property::config;
use proptest::prelude::*;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::registry::{ACCEPT, Repository, Url};

use super::{name, repository};

#[test]
fn repository_is_completed_as_by_skopeo() {
    let rows = [
        (
            "busybox",
            "docker.io",
            "registry-1.docker.io",
            "library/busybox",
        ),
        ("a/b", "docker.io", "registry-1.docker.io", "a/b"),
        (
            "docker.io/x:1",
            "docker.io",
            "registry-1.docker.io",
            "library/x",
        ),
        (
            "index.docker.io/x",
            "docker.io",
            "registry-1.docker.io",
            "library/x",
        ),
        (
            "registry-1.docker.io/x",
            "registry-1.docker.io",
            "registry-1.docker.io",
            "x",
        ),
        ("quay.io/a/b:tag", "quay.io", "quay.io", "a/b"),
        ("localhost/x", "localhost", "localhost", "x"),
        ("localhost:5000/x", "localhost:5000", "localhost:5000", "x"),
        ("docker.io:443/x", "docker.io:443", "docker.io:443", "x"),
    ];
    for (name, domain, host, path) in rows {
        let repository = repository(name);
        assert_eq!(repository.domain(), domain, "{name}");
        assert_eq!(repository.host(), host, "{name}");
        assert_eq!(repository.path(), path, "{name}");
        assert_eq!(repository.full_name(), format!("{domain}/{path}"), "{name}");
    }
}

#[test]
fn repository_of_a_manifest_is_that_of_its_url() {
    let digest = Digest::of(b"");
    let of = |url: &str| {
        let url: Url = url.parse().expect("a URL");
        let found = Repository::of_manifest(&url, digest);
        found.map(|repository| repository.full_name().to_owned())
    };
    for (host, path) in [("a.b:5000", "x/y_z"), ("registry-1.docker.io", "library/x")] {
        let url = format!("https://{host}/v2/{path}/manifests/{digest}");
        assert_eq!(of(&url), Some(format!("{host}/{path}")));
    }
    let other = Digest::of(b"other");
    for target in [
        "".to_owned(),
        format!("/v2/manifests/{digest}"),
        format!("/v2//manifests/{digest}"),
        format!("/v2/../manifests/{digest}"),
        format!("/v2/x:tag/manifests/{digest}"),
        format!("/v2/x/manifests/{other}"),
        format!("/v2/x/manifests/{digest}?token=secret"),
        format!("/v2/x/blobs/{digest}"),
        format!("/x/manifests/{digest}"),
        format!("/v2/{}/manifests/{digest}", "x".repeat(300)),
    ] {
        assert_eq!(of(&format!("https://a.b{target}")), None, "{target}");
    }
    // An image name would have it as a part of its path.
    assert_eq!(of(&format!("https://host/v2/x/manifests/{digest}")), None);
}

#[test]
fn manifest_path_has_the_digest() {
    let digest = Digest::of(b"");
    assert_eq!(
        repository("x:tag").manifest_path(digest),
        format!("/v2/library/x/manifests/{digest}")
    );
}

#[test]
fn accept_has_both_types_of_index() {
    let is_index = |kind: &&str| kind.contains("index") || kind.contains("list");
    assert_eq!(ACCEPT.into_iter().filter(is_index).count(), 2);
}

proptest! {
    #![proptest_config(config(500, "registry.txt"))]

    #[test]
    fn repository_of_a_full_name_is_the_same(name in name()) {
        let first = repository(&name);
        prop_assert_eq!(&repository(first.full_name()), &first);
    }
}
