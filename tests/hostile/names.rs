//! Names in a cache that are not what they should be.

use std::fs;
use std::os::unix::fs::symlink;

use crate::{Scene, assert_untouched, finish, make_fifo, victim};

#[test]
fn cache_lock_that_is_a_named_pipe_is_an_error() {
    let scene = Scene::new();
    scene.make_private("");
    make_fifo(&scene.private("lock"));
    // A corrupt object is quarantined under the lock.
    fs::write(scene.object(), "corrupt").expect("a file");
    let mut verify = scene.cache.command(["verify", "--quarantine"]);
    let reason = "lock: not a regular file";
    finish(&mut scene.fetch())
        .assert_status(1)
        .assert_says(reason);
    let output = finish(&mut verify);
    output.assert_status(15);
    assert!(output.stdout.contains(reason), "{output:#?}");
    assert_eq!(fs::read(scene.object()).expect("the object"), b"corrupt");
}

#[test]
fn stale_staging_lock_that_is_a_named_pipe_is_a_warning() {
    let scene = Scene::new();
    scene.make_private("staging-x");
    make_fifo(&scene.private("staging-x/lock"));
    finish(&mut scene.cache.command(["verify"]))
        .assert_status(1)
        .assert_says("staging-x/lock: not a regular file");
    finish(&mut scene.fetch())
        .assert_status(0)
        .assert_says("could not clean up after earlier runs: cannot lock");
    assert_eq!(
        fs::read(scene.object()).expect("the object"),
        scene.document
    );
}

#[test]
fn object_that_is_a_named_pipe_is_corrupt_and_replaced() {
    let scene = Scene::new();
    make_fifo(&scene.object());
    finish(&mut scene.cache.command(["verify"])).assert_status(15);
    finish(&mut scene.fetch()).assert_status(0);
    scene.assert_fetched();
}

#[test]
fn object_that_is_endless_fails_at_once() {
    let scene = Scene::new();
    let file = fs::File::create(scene.object()).expect("a file");
    file.set_len(8 << 40).expect("a sparse file");
    finish(&mut scene.fetch())
        .assert_status(11)
        .assert_says("8796093022208 bytes");
    let verified = finish(&mut scene.cache.command(["verify"]));
    verified.assert_status(11);
    assert!(
        verified.stdout.contains("8796093022208 bytes"),
        "{verified:?}"
    );
    assert!(scene.object().exists(), "it may be another source's");
}

#[test]
fn stale_staging_directory_that_is_a_link_is_not_followed() {
    let scene = Scene::new();
    let victim = victim(&scene.cache);
    scene.make_private("");
    symlink(&victim, scene.private("staging-x")).expect("a link");
    symlink(victim.join("staging-2026"), scene.private("staging-y")).expect("a link");
    // The first that the directory lists.
    finish(&mut scene.fetch())
        .assert_status(0)
        .assert_says(": not a directory");
    finish(&mut scene.cache.command(["verify"])).assert_status(1);
    assert_untouched(&victim);
}

#[test]
fn names_file_that_is_something_else_stops_no_fetch_and_is_replaced() {
    let scene = Scene::new();
    let victim = victim(&scene.cache);
    scene.make_private("");
    let names = scene.private("names");
    for kind in ["link", "pipe", "directory"] {
        match kind {
            "link" => symlink(victim.join("file"), &names).expect("a link"),
            "pipe" => make_fifo(&names),
            _ => fs::create_dir(&names).expect("a directory"),
        }
        for command in [&["list"][..], &["prune", "--older-than=0s"]] {
            finish(&mut scene.cache.command(command)).assert_status(0);
        }
        let fetched = finish(&mut scene.fetch());
        fetched.assert_status(0);
        assert!(!fetched.stderr.contains("names"), "{kind}: {fetched:?}");
        let listed = finish(&mut scene.cache.command(["list"]));
        assert!(
            listed.stdout.contains("  localhost/app  "),
            "{kind}: {listed:?}"
        );
        fs::remove_file(&names).expect("a file");
    }
    assert_untouched(&victim);
}

#[test]
fn names_that_cannot_be_recorded_are_a_warning() {
    let scene = Scene::new();
    scene.make_private("");
    make_fifo(&scene.private("lock"));
    finish(&mut scene.fetch())
        .assert_status(0)
        .assert_says("could not record names: cannot lock ");
    scene.assert_fetched();
}
