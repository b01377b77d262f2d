//! `inspect` of files and stdin, and `--platform`.

use std::fs::{self, File};

use serde_json::{Value, json};
use test_support::loopback::{digest, samples};
use test_support::program::harness::{Cache, RunOutput};

/// Runs `inspect` with these bytes on stdin.
fn inspect(cache: &Cache, bytes: impl AsRef<[u8]>, args: &[&str]) -> RunOutput {
    let file = cache.beside("stdin");
    fs::write(&file, bytes).expect("a file");
    let mut command = cache.command(["inspect", "-"].iter().chain(args));
    command.stdin(File::open(file).expect("the file"));
    RunOutput::from(command.output().expect("the binary"))
}

#[test]
fn inspect_stdin_is_a_document_of_at_most_4_mib() {
    let cache = Cache::new();
    inspect(&cache, samples::oci_index(1), &[]).assert_status(0);
    let largest = samples::of_size(4 << 20);
    inspect(&cache, &largest, &[]).assert_status(0);
    let larger = [&largest[..], b" "].concat();
    let output = inspect(&cache, larger, &["--format=json"]);
    output.assert_status(11);
    let json: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(json["code"], "too-large");
    assert_eq!(
        (&json["digest"], &json["size"]),
        (&json!(null), &json!(4_194_305))
    );
    inspect(&cache, "", &[])
        .assert_status(11)
        .assert_says("not JSON");
}

#[test]
fn inspect_refusal_has_the_same_exit_status_and_message_in_each_format() {
    let cache = Cache::new();
    for format in ["text", "json"] {
        inspect(&cache, "[]", &["--format", format])
            .assert_status(11)
            .assert_says(
                "error: stdin: not an image index: the document is JSON, but not an object",
            );
    }
}

#[test]
fn inspect_raw_can_not_be_combined_with_another_output() {
    let cache = Cache::new();
    for other in ["--format=json", "--platform=linux/amd64"] {
        inspect(&cache, "[]", &["--raw", other]).assert_status(2);
    }
}

/// An index with a manifest of each platform, whose digests are those of their numbers.
fn index(platforms: &[Value]) -> String {
    let manifests = platforms.iter().enumerate().map(|(n, platform)| {
        json!({
            "mediaType": samples::OCI_IMAGE, "digest": digest(n.to_string().as_bytes()), "size": n,
            "platform": platform,
        })
    });
    let manifests: Vec<_> = manifests.collect();
    json!({ "schemaVersion": 2, "manifests": manifests }).to_string()
}

#[test]
fn inspect_platform_prints_the_digest_of_its_manifest() {
    let cache = Cache::new();
    let platform = |text: &str| {
        let mut parts = text.split('/');
        json!({ "os": parts.next(), "architecture": parts.next(), "variant": parts.next() })
    };
    let all = [
        "linux/amd64",
        "linux/amd64/v3",
        "linux/arm/v6",
        "linux/arm/v7",
        "linux/arm64/v8",
        "linux/riscv64/rva20u64",
        "unknown/unknown",
    ];
    let all = index(&all.map(platform));
    for (selector, manifest) in [
        ("linux/amd64", 0),
        ("linux/amd64/v1", 0),
        ("linux/amd64/v3", 1),
        ("linux/arm/v6", 2),
        ("linux/arm", 3),
        ("linux/arm64", 4),
        ("linux/arm64/v8", 4),
        ("linux/riscv64", 5),
    ] {
        let output = inspect(&cache, &all, &["--platform", selector]);
        output.assert_status(0);
        let expected = digest(manifest.to_string().as_bytes());
        assert_eq!(output.stdout.trim_end(), expected, "{selector}");
    }
    let output = inspect(
        &cache,
        &all,
        &["--format=json", "--platform", "linux/arm/v6"],
    );
    let json: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(
        (&json["platform"], &json["size"]),
        (&json!("linux/arm/v6"), &json!(2))
    );
    for selector in ["linux/arm64/v9", "linux/s390x", "Linux/amd64"] {
        let output = inspect(&cache, &all, &["--platform", selector]);
        output
            .assert_status(13)
            .assert_says("there are linux/amd64, linux/amd64/v3, linux/arm/v6, linux/arm/v7");
        assert_eq!(output.stdout, "");
    }
    for selector in ["linux", "linux/", "linux/amd64/v1/x", ""] {
        let output = inspect(&cache, &all, &["--platform", selector]);
        output
            .assert_status(2)
            .assert_says("expected OS/ARCH[/VARIANT]");
    }
}

#[test]
fn inspect_platform_of_several_manifests_lists_them() {
    let cache = Cache::new();
    let windows =
        |version: &str| json!({ "os": "windows", "architecture": "amd64", "os.version": version });
    let list = index(&[windows("10.0.17763.1"), windows("10.0.20348.1")]);
    let output = inspect(&cache, &list, &["--platform", "windows/amd64"]);
    output
        .assert_status(2)
        .assert_says("2 manifests for windows/amd64:\n  windows/amd64 10.0.17763.1  sha256:")
        .assert_says(&digest(b"1"));
    assert_eq!(output.stdout, "");
    // The same manifest twice is one.
    let (first, second) = (digest(b"0"), digest(b"1"));
    inspect(
        &cache,
        list.replace(&second, &first),
        &["--platform", "windows/amd64"],
    )
    .assert_status(0);
    inspect(
        &cache,
        index(&[json!(null)]),
        &["--platform", "linux/amd64"],
    )
    .assert_status(13)
    .assert_says("no manifest for linux/amd64; the index names no platform");
}
