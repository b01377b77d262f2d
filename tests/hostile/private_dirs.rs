//! Private directories that are links, or that others can write to.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use crate::{Scene, assert_untouched, finish, victim};

/// Asserts that fetch and sweep refuse the private directory, and create nothing.
#[track_caller]
fn assert_refused(scene: &Scene, why: &str) {
    finish(&mut scene.fetch()).assert_status(1).assert_says(why);
    for verify in [&["verify"][..], &["verify", "--quarantine"]] {
        finish(&mut scene.cache.command(verify))
            .assert_status(1)
            .assert_says(why);
    }
    let prune = ["prune", "--older-than=0s", "--yes"];
    finish(&mut scene.cache.command(prune))
        .assert_status(1)
        .assert_says(why);
    finish(&mut scene.cache.command(["list"]))
        .assert_status(0)
        .assert_says("could not read names: ");
    assert_eq!(scene.cache.objects(), [""; 0]);
}

#[test]
fn private_directory_that_is_a_link_is_refused_and_not_swept() {
    let scene = Scene::new();
    let victim = victim(&scene.cache);
    symlink(&victim, scene.cache.path().join(".skopeo-index")).expect("a link");
    assert_refused(&scene, ".skopeo-index: not a directory");
    assert_untouched(&victim);
}

#[test]
fn quarantine_that_is_a_link_is_refused_and_nothing_moves_behind_it() {
    let scene = Scene::new();
    let victim = victim(&scene.cache);
    scene.make_private("");
    symlink(&victim, scene.private("quarantine")).expect("a link");
    fs::write(scene.object(), "corrupt").expect("a file");
    let [verify, and_quarantine] = [&["verify"][..], &["verify", "--quarantine"]];
    for (status, mut command) in [
        (1, scene.fetch()),
        (15, scene.cache.command(verify)),
        (15, scene.cache.command(and_quarantine)),
    ] {
        finish(&mut command)
            .assert_status(status)
            .assert_says("quarantine: not a directory");
    }
    assert_eq!(fs::read(scene.object()).expect("the object"), b"corrupt");
    assert_untouched(&victim);
}

#[test]
fn private_directory_of_another_user_is_refused() {
    let scene = Scene::new();
    scene.make_private("staging-x");
    fs::write(scene.private("staging-x/data"), "data").expect("a file");
    // Only root can give a directory away.
    if chown(scene.private(""), Some(65534), None).is_ok() {
        assert_refused(&scene, ".skopeo-index: owned by another user (uid 65534)");
        assert!(scene.private("staging-x/data").exists());
    }
}

#[test]
fn private_directory_that_others_can_write_to_is_refused() {
    let scene = Scene::new();
    scene.make_private("staging-x");
    fs::write(scene.private("staging-x/data"), "data").expect("a file");
    for mode in [0o777, 0o1777, 0o720] {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(scene.private(""), permissions).expect("a mode");
        assert_refused(&scene, "writable by other users");
        assert!(scene.private("staging-x/data").exists());
    }
    let permissions = fs::Permissions::from_mode(0o755);
    fs::set_permissions(scene.private(""), permissions).expect("a mode");
    finish(&mut scene.fetch()).assert_status(0);
    scene.assert_fetched();
}
