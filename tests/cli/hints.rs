//! Errors of the command line, and hints that work when they are pasted.

use std::fs;

use test_support::loopback::{Registry, digest, samples};
use test_support::program::harness::Cache;

#[test]
fn command_in_hint_keeps_the_options_that_were_given() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let name = format!("{}/app", registry.address());
    registry.put_as("latest", samples::oci_index(1));
    fs::write(cache.beside("auth file"), "{}").expect("a file");
    let auth = cache.beside("auth file").display().to_string();
    let command = format!("resolve --authfile '{auth}' --tls-verify=false {name}:");
    cache
        .fetch(&["--authfile", &auth, &format!("{name}:latest")])
        .assert_status(2)
        .assert_says(&format!(
            "missing digest; run `skopeo-index {command}latest`"
        ));
    let image = registry.put(samples::single_image());
    cache
        .fetch(&["--authfile", &auth, &format!("{name}@{image}")])
        .assert_status(11)
        .assert_says(&format!("run: skopeo-index {command}TAG"));
}

#[test]
fn corrupt_object_hint_names_the_cache() {
    let cache = Cache::new();
    let (at, other) = (digest(b"x"), cache.beside("other"));
    fs::create_dir(&other).expect("a directory");
    fs::write(other.join(&at), "y").expect("a file");
    let other = other.to_str().expect("UTF-8");
    cache
        .run(["inspect", "--cache", other, &at])
        .assert_status(15)
        .assert_says(&format!(
            "`skopeo-index verify --quarantine --cache {other}`"
        ));
}

#[test]
fn inspect_and_verify_accept_a_reference_with_a_digest() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let at = registry.put(samples::oci_index(1));
    let reference = format!("{}/app@{at}", registry.address());
    cache.fetch(&[&reference]).assert_status(0);
    cache.run(["inspect", &reference]).assert_status(0);
    cache.run(["verify", &reference]).assert_status(0);
}

#[test]
fn usage_error_names_what_to_type() {
    let (cache, at) = (Cache::new(), digest(b""));
    let with_digest = |text: &str| format!("{text}@{at}");
    let file = cache.beside("file");
    fs::write(&file, "").expect("a file");
    let dir = cache.beside("").display().to_string();
    let transports = "expected docker:// or containers-storage:";
    for (args, status, words) in [
        (
            ["fetch", &at, ""],
            2,
            "a digest needs the name of its image: NAME@sha256:",
        ),
        (
            ["resolve", &at, ""],
            2,
            "a digest needs the name of its image",
        ),
        (["fetch", &with_digest("oci:/tmp/x"), ""], 2, transports),
        (
            ["fetch", &with_digest("docker-daemon:x"), ""],
            2,
            transports,
        ),
        (
            ["fetch", &with_digest("https://quay.io/x"), ""],
            2,
            transports,
        ),
        (
            ["fetch", &with_digest("[::1]:5000/x"), ""],
            2,
            "is an IPv6 address",
        ),
        (
            ["fetch", "--tls-verify", "false"],
            2,
            "write --tls-verify=false",
        ),
        (
            ["resolve", "--tls-verify", "false"],
            2,
            "write --tls-verify=false",
        ),
        (["fetch", "--creds", "a:b"], 2, "pass --authfile FILE"),
        (["fetch", "--insecure", ""], 2, "use --tls-verify=false"),
        (
            ["fetch", "--platform=linux/arm64", ""],
            2,
            "an index lists every platform",
        ),
        (
            ["inspect", "oci:/tmp/x", ""],
            13,
            "hint: as an image: unsupported transport \"oci:\"; expected docker://",
        ),
        (
            ["inspect", "docker://Quay.io/X", ""],
            2,
            "a repository must be lower case",
        ),
        (
            ["inspect", &at, ""],
            13,
            "hint: to read it from a registry, pass NAME@sha256:",
        ),
        (
            ["inspect", &at[7..], ""],
            13,
            "hint: a digest starts with sha256:",
        ),
        (["verify", &dir, ""], 2, "pass a cache with --cache"),
        (
            ["verify", "--cache", file.to_str().expect("UTF-8")],
            2,
            "is not a directory",
        ),
    ] {
        let args = args.into_iter().filter(|arg| !arg.is_empty());
        cache.run(args).assert_status(status).assert_says(words);
    }
}

#[test]
fn invalid_value_of_a_variable_names_the_variable() {
    let cache = Cache::new();
    let mut command = cache.command(["fetch", "x"]);
    let output = command.env("SKOPEO_INDEX_JOBS", "abc").output();
    let output = output.expect("the binary");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("\"abc\" in SKOPEO_INDEX_JOBS: "),
        "{stderr}"
    );
}

#[test]
fn version_is_printed_as_skopeo_prints_it() {
    let cache = Cache::new();
    let expected = format!("skopeo-index {}\n", env!("CARGO_PKG_VERSION"));
    for argument in ["-v", "-V", "--version", "version"] {
        let output = cache.run([argument]);
        output.assert_status(0);
        assert_eq!(output.stdout, expected, "{argument}");
    }
}
