//! What lies in a cache: `verify` and `inspect`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use test_support::loopback::{Registry, samples};

use crate::harness::Cache;
use crate::harness::ended;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn verify_tells_what_is_sound_corrupt_and_another_sources() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let (sound, corrupt) = (
        registry.put(samples::empty()),
        registry.put(samples::nested()),
    );
    let of = |digest: &str| format!("{}/app@{digest}", registry.address());
    let fetch = ["fetch", "--tls-verify=false", &of(&sound), &of(&corrupt)];
    let store = cache.beside("store");
    let in_store = |args: &[&str]| {
        let mut command = cache.command(args);
        command.arg("--store").arg(&store);
        ended(command.output().expect("the binary"))
    };
    in_store(&fetch).assert_status(0);
    let files = store.join("sources/org.osbuild.files");
    fs::write(files.join(&corrupt), "x").expect("the object");
    let other = test_support::loopback::digest(b"a package");
    fs::write(files.join(&other), "a package").expect("an object");
    fs::write(files.join("md5:1"), "x").expect("a file");

    let ran = in_store(&["verify"]);
    ran.assert_status(15);
    let sum = "1 sound, 1 corrupt, 0 missing, 0 unreadable, 1 not an index; 0 in quarantine";
    assert!(ran.stdout.contains(sum), "{ran:?}");
    assert!(!ran.stdout.contains(&other), "{ran:?}");
    let asked = in_store(&["verify", &other]);
    asked.assert_status(11);
    assert!(
        asked.stdout.contains(&format!("NOT AN INDEX\t{other}\t")),
        "{asked:?}"
    );
    in_store(&["verify", DIGEST]).assert_status(13);
    in_store(&["verify", "--quarantine", &corrupt]).assert_status(15);
    in_store(&["verify"]).assert_status(0);
    assert!(
        files.join("md5:1").exists(),
        "what isn't ours is left alone"
    );
}

#[test]
fn in_a_cache_of_our_own_everything_is_an_index() {
    let cache = Cache::new();
    fs::create_dir(cache.path()).expect("a directory");
    let other = test_support::loopback::digest(b"a package");
    fs::write(cache.object(&other), "a package").expect("an object");
    let ran = cache.run(["verify"]);
    ran.assert_status(11);
    assert!(
        ran.stdout.starts_with(&format!("NOT AN INDEX\t{other}\t")),
        "{ran:?}"
    );
}

#[test]
fn a_cache_that_is_not_there_is_not_sound() {
    let cache = Cache::new();
    cache
        .run(["verify"])
        .assert_status(13)
        .assert_says("there is no cache at ");
}

/// Nobody's files are unreadable to root, so that somebody else looks.
#[test]
fn verify_goes_on_after_what_it_cannot_read() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let mut digests = [samples::empty(), samples::nested()].map(|index| registry.put(index));
    digests.sort();
    let of = |digest: &String| format!("{}/app@{digest}", registry.address());
    let references = digests.each_ref().map(of);
    cache
        .fetch(&references.each_ref().map(String::as_str))
        .assert_status(0);
    let ours = cache.beside("skopeo-index");
    fs::copy(env!("CARGO_BIN_EXE_skopeo-index"), &ours).expect("a copy");
    for (path, mode) in [(cache.beside(""), 0o755), (cache.object(&digests[0]), 0)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
    }
    let mut command = std::process::Command::new(ours);
    command.arg("verify").arg("--cache").arg(cache.path());
    if rustix::process::getuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let ran = ended(command.output().expect("the binary"));
    ran.assert_status(1);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert!(
        lines[0].starts_with(&format!("UNREADABLE\t{}\tcannot ", digests[0])),
        "{ran:?}"
    );
    assert_eq!(lines[1], format!("sound\t{}", digests[1]));
}

#[test]
fn nothing_of_an_osbuild_store_is_quarantined_unasked() {
    let cache = Cache::new();
    let mut command = cache.command(["verify", "--quarantine"]);
    command
        .env_remove("SKOPEO_INDEX_CACHE")
        .arg("--store")
        .arg(cache.beside("store"));
    ended(command.output().expect("the binary"))
        .assert_status(2)
        .assert_says("other sources");
}

#[test]
fn inspect_reads_a_cached_object_and_refuses_a_corrupt_one() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let digest = registry.put(samples::docker_list(2));
    cache
        .fetch(&[&format!("{}/app@{digest}", registry.address())])
        .assert_status(0);
    let ran = cache.run(["inspect", &digest]);
    ran.assert_status(0);
    assert!(ran.stdout.contains("linux/arm64/v8"), "{ran:?}");
    fs::write(cache.object(&digest), "x").expect("the object");
    cache.run(["inspect", &digest]).assert_status(15);
    cache.run(["inspect", DIGEST]).assert_status(13);
}

#[test]
fn inspect_says_what_it_cannot_read_and_why() {
    let cache = Cache::new();
    cache.run(["inspect", "no-such-file"]).assert_status(13);
    let dir = cache.beside("");
    let dir = dir.to_str().expect("UTF-8");
    cache.run(["inspect", dir]).assert_status(1);
    cache
        .run(["inspect", "sha256:ABC"])
        .assert_status(2)
        .assert_says("a digest has 64 hexadecimal digits, not 3");
}
