//! Errors of the command line, and hints that work when they are pasted.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use test_support::loopback::{Behaviour, Registry, digest, samples};
use test_support::program::binary;
use test_support::program::harness::{Cache, RunOutput, wrap};

use crate::skopeo_path;

/// The command in the last hint.
fn command_of(output: &RunOutput) -> String {
    let line = output.stderr.lines().find(|line| line.contains("run: "));
    let (_, command) = line
        .and_then(|line| line.split_once("run: "))
        .expect("a command");
    command.to_owned()
}

#[test]
fn command_in_hint_keeps_the_options_that_were_given() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let name = format!("{}/app", registry.address());
    fs::write(cache.beside("auth file"), "{}").expect("a file");
    let auth = cache.beside("auth file").display().to_string();
    let image = registry.put(samples::single_image());
    let output = cache.fetch(&["--authfile", &auth, &format!("{name}@{image}")]);
    output.assert_status(11);
    assert_eq!(
        command_of(&output),
        format!(
            "{} resolve '--authfile={auth}' --tls-verify=false {name}:TAG",
            binary().display()
        )
    );
}

#[test]
fn option_value_that_equals_a_reference_stays_in_the_command() {
    let cache = Cache::new();
    let output = cache.run(["fetch", "--cache", "localhost/app", "localhost/app"]);
    output.assert_status(2);
    let command = command_of(&output);
    assert!(
        command.contains(" fetch --cache localhost/app \"$("),
        "{command}"
    );
}

#[test]
fn command_for_a_tag_fetches_when_it_is_pasted() {
    let (registry, cache) = (Registry::start(), Cache::new());
    registry.put_as("latest", samples::oci_index(1));
    registry.put_as("v2", samples::oci_index(2));
    let digests = [1, 2].map(|n| registry.put(samples::oci_index(n)));
    // "a b:c", in base64.
    registry.require("Basic YSBiOmM=", Behaviour::unauthorized());
    let auths = format!(
        "{{\"auths\": {{\"{}\": {{\"auth\": \"YSBiOmM=\"}}}}}}",
        registry.address()
    );
    fs::write(cache.beside("it's auth"), auths).expect("a file");
    let auth = cache.beside("it's auth").display().to_string();
    let other = cache.beside("$(other) cache");
    let log = cache.beside("log").display().to_string();
    let (first, second) = (
        format!("{}/app", registry.address()),
        format!("docker://{}/app:v2", registry.address()),
    );
    let args = [
        "fetch",
        "--tls-verify=false",
        "--authfile",
        &auth,
        &first,
        "--format=json",
        "--retry-times=0",
        "--checkpoint",
        &format!("{log}.checkpoint"),
        "--cache",
        other.to_str().expect("UTF-8"),
        &second,
    ];
    let mut command = cache.command(args);
    command.env("SKOPEO_INDEX_AUDIT_LOG", &log);
    let output = RunOutput::from(command.output().expect("the binary"));
    output.assert_status(2).assert_says("missing digest");
    assert_eq!(output.stdout, "");
    // $'…' is of POSIX 2024, which dash doesn't know.
    let mut pasted = wrap(&["bash", "-c", &command_of(&output)], &command);
    let pasted = RunOutput::from(pasted.output().expect("a shell"));
    pasted.assert_status(0);
    for digest in digests {
        assert!(other.join(&digest).is_file(), "{digest}: {pasted:?}");
    }
    assert!(cache.beside("log.checkpoint").is_file(), "{pasted:?}");
    assert!(!cache.path().exists(), "the default cache");
}

#[test]
fn command_for_a_tag_asks_for_the_password() {
    let cache = Cache::new();
    for (args, creds) in [
        (vec!["--creds", "it's me:secret"], r"--creds 'it'\''s me'"),
        (vec!["--creds=me:secret:more"], "--creds=me"),
        (vec!["--creds=me", "--password-stdin"], "--creds=me"),
    ] {
        let args = [&["fetch", "localhost:1/x:v1"], args.as_slice()].concat();
        let output = cache.run(args);
        output.assert_status(2);
        let resolve = creds.replace(" '", "='").replace("--creds='", "'--creds=");
        let program = binary().display().to_string();
        assert_eq!(
            command_of(&output),
            format!("{program} fetch \"$({program} resolve {resolve} localhost:1/x:v1)\" {creds}")
        );
    }
}

#[test]
fn other_errors_beside_a_tag_leave_the_command_out() {
    let output = Cache::new().run(["fetch", "localhost:1/x:v1", "localhost:1/X"]);
    output.assert_status(2).assert_says("missing digest");
    assert!(!output.stderr.contains("run: "), "{output:?}");
}

#[test]
fn corrupt_object_hint_has_a_command_that_quarantines_it() {
    for (option, objects) in [("--cache", ""), ("--store", "sources/org.osbuild.files")] {
        let cache = Cache::new();
        let (at, other) = (digest(b"x"), cache.beside("other"));
        let object = other.join(objects).join(&at);
        fs::create_dir_all(other.join(objects)).expect("a directory");
        fs::write(&object, "y").expect("a file");
        let run = |args: &[&str]| {
            let mut command = cache.command(args);
            command.env_remove("SKOPEO_INDEX_CACHE");
            RunOutput::from(command.output().expect("the binary"))
        };
        let other = other.to_str().expect("UTF-8");
        let words = ["verify", "--quarantine", option, other, &at];
        run(&["inspect", option, other, &at])
            .assert_status(15)
            .assert_says(&format!("`skopeo-index {}`", words.join(" ")));
        run(&words).assert_status(15);
        assert!(!object.exists(), "{option}");
    }
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
    let below = format!("--cache={}/x", file.display());
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
        (["fetch", "--username", "a"], 2, "pass --creds USER"),
        (
            ["verify", "--creds=a:s3cret", ""],
            2,
            "unexpected argument '--creds' found",
        ),
        (["fetch", "--insecure", ""], 2, "use --tls-verify=false"),
        (
            ["fetch", "--platform=linux/arm64", ""],
            2,
            "an index lists every platform",
        ),
        (
            ["inspect", "oci:/tmp/x", ""],
            2,
            "\"oci:/tmp/x\": unsupported transport \"oci:\"; expected docker://",
        ),
        (
            ["inspect", "DOCKER://x", ""],
            2,
            "unsupported transport \"DOCKER://\"; expected docker://",
        ),
        (["inspect", "[::1]:5000/x", ""], 2, "is an IPv6 address"),
        (["inspect", "a b", ""], 2, "hint: no such file"),
        (
            ["inspect", "./a b", ""],
            13,
            "cannot read ./a b: No such file",
        ),
        (
            [
                "fetch",
                "containers-storage:[overlay@/x]localhost/app:v1",
                "",
            ],
            2,
            "missing digest; a tag in a container storage names the image of one platform",
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
            2,
            "hint: a digest starts with sha256:",
        ),
        (["verify", &dir, ""], 2, "pass a cache with --cache"),
        (
            ["verify", "--cache", file.to_str().expect("UTF-8")],
            2,
            "is not a directory",
        ),
        (
            ["fetch", &below, &with_digest("localhost/x")],
            2,
            "is below a file",
        ),
    ] {
        let args = args.into_iter().filter(|arg| !arg.is_empty());
        cache.run(args).assert_status(status).assert_says(words);
    }
}

#[test]
fn version_is_printed_as_skopeo_prints_it() {
    let cache = Cache::new();
    let expected = format!("skopeo-index {}\n", env!("CARGO_PKG_VERSION"));
    for argument in ["-v", "-V"] {
        let output = cache.run([argument]);
        output.assert_status(0);
        assert_eq!(output.stdout, expected, "{argument}");
    }
}

#[test]
fn long_version_names_commit_engines_and_skopeo() {
    let cache = Cache::new();
    let script = |name: &str, script: &str| {
        let path = cache.beside(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file");
        path.display().to_string()
    };
    let odd = script(
        "odd",
        "printf 'skopeo \\033[31mversion 9\\nmore'; head -c 99999 /dev/zero",
    );
    let bad = script("bad", "echo no >&2; exit 3");
    for (skopeo, expected) in [
        ("", format!("skopeo: {}, skopeo version ", skopeo_path())),
        (
            &odd,
            format!("skopeo: {odd}, skopeo \\u{{1b}}[31mversion 9\n"),
        ),
        (&bad, format!("skopeo: {bad}: ")),
        (
            "no-such-skopeo",
            "skopeo: no-such-skopeo not found\n".to_owned(),
        ),
    ] {
        for argument in ["--version", "version"] {
            let mut command = cache.command([argument]);
            command.env("SKOPEO_INDEX_SKOPEO", skopeo);
            let output = RunOutput::from(command.output().expect("the binary"));
            output.assert_status(0);
            let first = format!("skopeo-index {}\ncommit: ", env!("CARGO_PKG_VERSION"));
            assert!(output.stdout.starts_with(&first), "{output:?}");
            let engines = format!("\nengines: registry, skopeo\n{expected}");
            assert!(output.stdout.contains(&engines), "{expected}: {output:?}");
        }
    }
}
