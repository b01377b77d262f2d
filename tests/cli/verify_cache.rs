//! `verify` and `inspect`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use test_support::loopback::{Registry, samples};
use test_support::program::harness::{Cache, RunOutput, wrap};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn verify_store_reports_intact_and_corrupt_and_ignores_foreign_objects() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let (intact, corrupt) = (
        registry.put(samples::empty()),
        registry.put(samples::nested()),
    );
    let of = |digest: &str| format!("{}/app@{digest}", registry.address());
    let fetch = ["fetch", "--tls-verify=false", &of(&intact), &of(&corrupt)];
    let store = cache.beside("store");
    let in_store = |args: &[&str]| {
        let mut command = cache.command(args);
        command.arg("--store").arg(&store);
        RunOutput::from(command.output().expect("the binary"))
    };
    in_store(&fetch).assert_status(0);
    let files = store.join("sources/org.osbuild.files");
    fs::write(files.join(&corrupt), "x").expect("the object");
    let other = test_support::loopback::digest(b"a package");
    fs::write(files.join(&other), "a package").expect("an object");
    fs::write(files.join("md5:1"), "x").expect("a file");

    let output = in_store(&["verify"]);
    output.assert_status(15);
    let summary = "1 intact, 1 corrupt, 0 missing, 0 unreadable, 1 not an index; 0 in quarantine";
    assert!(output.stdout.contains(summary), "{output:?}");
    assert!(!output.stdout.contains(&other), "{output:?}");
    let output = in_store(&["verify", &other]);
    output.assert_status(11);
    assert!(
        output.stdout.contains(&format!("NOT AN INDEX\t{other}\t")),
        "{output:?}"
    );
    in_store(&["verify", DIGEST]).assert_status(13);
    in_store(&["verify", "--quarantine", &corrupt]).assert_status(15);
    in_store(&["verify"]).assert_status(0);
    assert!(
        files.join("md5:1").exists(),
        "files of other sources are untouched"
    );
}

#[test]
fn verify_own_cache_reports_object_that_is_not_an_index() {
    let cache = Cache::new();
    fs::create_dir(cache.path()).expect("a directory");
    let other = test_support::loopback::digest(b"a package");
    fs::write(cache.object(&other), "a package").expect("an object");
    let output = cache.run(["verify"]);
    output.assert_status(11);
    assert!(
        output
            .stdout
            .starts_with(&format!("NOT AN INDEX\t{other}\t")),
        "{output:?}"
    );
}

#[test]
fn verify_missing_cache_is_not_found() {
    let cache = Cache::new();
    cache
        .run(["verify"])
        .assert_status(13)
        .assert_says("no cache at ");
}

/// Verifies a cache as a user who can't read some paths: an unprivileged one if the tests run
/// as root.
fn verify_as_reader(cache: &Cache, unreadable: &[PathBuf]) -> RunOutput {
    let binary = cache.beside("skopeo-index");
    fs::copy(env!("CARGO_BIN_EXE_skopeo-index"), &binary).expect("a copy");
    fs::set_permissions(cache.beside(""), Permissions::from_mode(0o755)).expect("a mode");
    for path in unreadable {
        fs::set_permissions(path, Permissions::from_mode(0o000)).expect("a mode");
    }
    let mut command = std::process::Command::new(binary);
    command.arg("verify").arg("--cache").arg(cache.path());
    if rustix::process::getuid().is_root() {
        command.uid(65534).gid(65534);
    }
    RunOutput::from(command.output().expect("the binary"))
}

#[test]
fn verify_continues_after_unreadable_object() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let mut digests = [samples::empty(), samples::nested()].map(|index| registry.put(index));
    digests.sort();
    let of = |digest: &String| format!("{}/app@{digest}", registry.address());
    let references = digests.each_ref().map(of);
    cache
        .fetch(&references.each_ref().map(String::as_str))
        .assert_status(0);
    let output = verify_as_reader(&cache, &[cache.object(&digests[0])]);
    output.assert_status(1);
    let lines: Vec<_> = output.stdout.lines().collect();
    assert!(
        lines[0].starts_with(&format!("UNREADABLE\t{}\tcannot ", digests[0])),
        "{output:?}"
    );
    assert_eq!(lines[1], format!("intact\t{}", digests[1]));
}

#[test]
fn verify_reports_every_object_where_one_cannot_be_quarantined() {
    let cache = Cache::new();
    fs::create_dir(cache.path()).expect("a directory");
    let mut digests = [&b"a"[..], b"b", b"c"].map(test_support::loopback::digest);
    digests.sort();
    for digest in &digests {
        fs::write(cache.object(digest), "x").expect("an object");
    }
    let verify = cache.command(["verify", "--quarantine"]);
    let trace = cache.beside("trace").display().to_string();
    let refused = "inject=renameat2:error=EPERM:when=1";
    let output = wrap(&["strace", "-qqfo", &trace, "-e", refused], &verify).output();
    let output = RunOutput::from(output.expect("strace; `make setup` installs it"));
    output.assert_status(15);
    let lines: Vec<_> = output.stdout.lines().collect();
    let not_moved = format!("CORRUPT\t{}\tnot moved: cannot rename to ", digests[0]);
    assert!(
        lines[0].starts_with(&not_moved) && lines[0].contains(": Operation not permitted"),
        "{output:#?}"
    );
    for (line, digest) in lines[1..3].iter().zip(&digests[1..]) {
        let moved = format!("moved to .skopeo-index/quarantine/{digest}.1");
        assert_eq!(*line, format!("CORRUPT\t{digest}\t{moved}"));
    }
    assert!(lines[3].starts_with("0 intact, 3 corrupt, "), "{output:#?}");
    assert_eq!(output.stderr, "");
}

#[test]
fn verify_names_staging_that_it_removed_beside_one_that_it_could_not() {
    let cache = Cache::new();
    let private = cache.path().join(".skopeo-index");
    fs::create_dir_all(private.join("staging-000001")).expect("a directory");
    symlink("/", private.join("staging-000002")).expect("a link");
    for dir in ["", "staging-000001"] {
        fs::set_permissions(private.join(dir), Permissions::from_mode(0o700)).expect("a mode");
    }
    let output = cache.run(["verify", "--quarantine"]);
    output
        .assert_status(1)
        .assert_says("staging-000002: not a directory");
    let removed = "removed\t.skopeo-index/staging-000001\n";
    assert!(output.stdout.contains(removed), "{output:#?}");
    let summary = "; 0 in quarantine, 1 removed staging directory\n";
    assert!(output.stdout.ends_with(summary), "{output:#?}");
}

#[test]
fn verify_another_users_cache_succeeds_without_its_private_directory() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::empty());
    let reference = format!("{}/app@{digest}", registry.address());
    cache.fetch(&[&reference]).assert_status(0);
    let output = verify_as_reader(&cache, &[cache.path().join(".skopeo-index")]);
    output.assert_status(0);
    let summary = "; quarantine unreadable, staging directories unreadable\n";
    assert!(output.stdout.ends_with(summary), "{output:#?}");
    assert_eq!(output.stderr, "");
}

#[test]
fn verify_quarantine_of_store_without_digests_is_a_usage_error() {
    let cache = Cache::new();
    let mut command = cache.command(["verify", "--quarantine"]);
    command
        .env_remove("SKOPEO_INDEX_CACHE")
        .arg("--store")
        .arg(cache.beside("store"));
    RunOutput::from(command.output().expect("the binary"))
        .assert_status(2)
        .assert_says("other sources");
}

#[test]
fn inspect_prints_cached_object_and_rejects_corrupt_one() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::docker_list(2));
    cache
        .fetch(&[&format!("{}/app@{digest}", registry.address())])
        .assert_status(0);
    let output = cache.run(["inspect", &digest]);
    output.assert_status(0);
    assert!(output.stdout.contains("linux/arm64/v8"), "{output:?}");
    fs::write(cache.object(&digest), "x").expect("the object");
    cache.run(["inspect", &digest]).assert_status(15);
    cache.run(["inspect", DIGEST]).assert_status(13);
}

#[test]
fn inspect_unreadable_input_has_exit_status_by_reason() {
    let cache = Cache::new();
    cache.run(["inspect", "./no-such-file"]).assert_status(13);
    let dir = cache.beside("");
    let dir = dir.to_str().expect("UTF-8");
    cache.run(["inspect", dir]).assert_status(1);
    for (digest, reason) in [
        (
            "sha256:abc",
            "expected 64 hex digits after \"sha256:\", got 3",
        ),
        ("sha256:ABC", "unexpected character at position 8"),
    ] {
        cache
            .run(["inspect", digest])
            .assert_status(2)
            .assert_says(reason);
    }
}
