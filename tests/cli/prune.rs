//! `prune`.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use test_support::loopback::{Registry, digest, samples};
use test_support::program::harness::{Cache, RunOutput, wrap};

use crate::list::{json_lines, set_times};

/// A cache with indexes that were used long ago.
struct Scene {
    registry: Registry,
    cache: Cache,
    /// In the order of the cache.
    digests: Vec<String>,
}

impl Scene {
    fn new() -> Self {
        let (registry, cache) = (Registry::start(), Cache::new());
        let mut digests: Vec<_> = (0..3).map(|n| registry.put(samples::distinct(n))).collect();
        digests.sort();
        let scene = Self {
            registry,
            cache,
            digests,
        };
        for digest in &scene.digests {
            scene.fetch(digest);
        }
        set_times(&scene.cache);
        scene
    }

    #[track_caller]
    fn fetch(&self, digest: &str) {
        let reference = format!("{}/app@{digest}", self.registry.address());
        self.cache.fetch(&[&reference]).assert_status(0);
    }

    /// A manifest with these items.
    fn manifest(&self, name: &str, digests: &[&String]) -> String {
        let items: serde_json::Map<_, _> = digests
            .iter()
            .map(|digest| ((*digest).clone(), json!({ "image": { "name": "a" } })))
            .collect();
        let file = self.cache.beside(name);
        let manifest = json!({ "sources": { "org.osbuild.skopeo-index": { "items": items } } });
        fs::write(&file, manifest.to_string()).expect("a file");
        file.display().to_string()
    }

    fn prune(&self, args: &[&str]) -> RunOutput {
        self.cache.run([&["prune"], args].concat())
    }

    fn names(&self) -> PathBuf {
        self.cache.path().join(".skopeo-index/names")
    }
}

#[test]
fn prune_without_yes_removes_nothing_and_says_what_would_go() {
    let scene = Scene::new();
    let output = scene.prune(&["--older-than=1day"]);
    output.assert_status(0);
    let lines: Vec<_> = output.stdout.lines().collect();
    let size = fs::metadata(scene.cache.object(&scene.digests[0])).expect("an object");
    assert!(
        lines[0].starts_with(&format!("would remove\t{}\t1.", scene.digests[0]))
            || lines[0].contains(&format!("{} B", size.len())),
        "{output:#?}"
    );
    assert!(lines[0].ends_with("/app"), "{output:#?}");
    assert!(
        lines[3].starts_with("3 would be removed, ") && lines[3].ends_with("with --yes"),
        "{output:#?}"
    );
    assert_eq!(scene.cache.objects(), scene.digests);
    // Nothing would go, so there is nothing to say yes to.
    let output = scene.prune(&["--older-than=100y"]);
    assert_eq!(output.stdout, "0 would be removed, 0 B; 3 kept\n");
}

#[test]
fn prune_keeps_items_of_every_manifest() {
    let scene = Scene::new();
    let [one, two, _] = &scene.digests[..] else {
        unreachable!("three indexes")
    };
    let first = scene.manifest("first.json", &[one]);
    let second = scene.manifest("second.json", &[two, &digest(b"not in the cache")]);
    let keep = ["--keep-manifest", &first, "--keep-manifest", &second];
    let output = scene.prune(&[&keep[..], &["--yes", "--format=json"]].concat());
    let lines = json_lines(&output);
    assert_eq!(lines[0]["digest"], scene.digests[2].as_str());
    assert_eq!(lines[0]["lastUsed"], "2023-11-14T22:13:20Z");
    let bytes = &lines[0]["size"];
    let summary = json!({
        "cache": scene.cache.path(), "removed": true, "unused": 1, "bytes": bytes, "kept": 2,
    });
    assert_eq!(lines[1..], [summary]);
    assert_eq!(scene.cache.objects(), scene.digests[..2]);
    // Its record is gone with it.
    let names = fs::read_to_string(scene.names()).expect("names");
    assert_eq!(names.lines().count(), 2, "{names}");
}

/// Sources of files share the cache, so that one object may be an item of several.
#[test]
fn prune_keeps_items_of_other_sources_of_a_manifest() {
    let scene = Scene::new();
    let [one, two, three] = &scene.digests[..] else {
        unreachable!("three indexes")
    };
    let file = scene.cache.beside("manifest.json");
    let write = |ours: &serde_json::Value| {
        let manifest = json!({ "sources": {
            "org.osbuild.curl": { "items": { two: "https://localhost/a" } },
            "org.osbuild.inline": { "items": { three: {} } },
            "org.osbuild.skopeo-index": { "items": ours },
        } });
        fs::write(&file, manifest.to_string()).expect("a file");
    };
    let keep = ["--keep-manifest", file.to_str().expect("UTF-8"), "--yes"];
    write(&json!({ one: { "image": { "name": "a" } } }));
    scene.prune(&keep).assert_status(0);
    assert_eq!(scene.cache.objects(), scene.digests);
    // Without items of this source, it may be another file than was meant.
    write(&json!({}));
    scene.prune(&keep).assert_status(2);
    assert_eq!(scene.cache.objects(), scene.digests);
}

#[test]
fn prune_older_than_keeps_what_was_used_within_that_time() {
    let scene = Scene::new();
    // A hit is a use.
    scene.fetch(&scene.digests[1]);
    let output = scene.prune(&["--older-than=1day", "--yes"]);
    output.assert_status(0);
    assert!(output.stdout.contains("\n2 removed, "), "{output:#?}");
    assert_eq!(scene.cache.objects(), [scene.digests[1].as_str()]);
    let keep = scene.manifest("keep.json", &[&scene.digests[1]]);
    let both = ["--older-than=0s", "--yes", "--keep-manifest", &keep];
    scene.prune(&both).assert_status(0);
    assert_eq!(scene.cache.objects(), [scene.digests[1].as_str()]);
    scene.prune(&["--older-than=0s", "--yes"]).assert_status(0);
    assert_eq!(scene.cache.objects(), [""; 0]);
    scene.fetch(&scene.digests[1]);
}

#[test]
fn prune_touches_nothing_but_intact_indexes_with_a_record() {
    let scene = Scene::new();
    let [corrupt, unrecorded, link] = &scene.digests[..] else {
        unreachable!("three indexes")
    };
    fs::write(scene.cache.object(corrupt), "corrupt").expect("the object");
    let names = fs::read_to_string(scene.names()).expect("names");
    let names: Vec<_> = names.lines().collect();
    let broken = [names[0], &names[1].replace('\t', " "), names[2]];
    fs::write(scene.names(), broken.join("\n") + "\n").expect("names");
    let moved = scene.cache.beside("moved");
    fs::rename(scene.cache.object(link), &moved).expect("the object");
    std::os::unix::fs::symlink(&moved, scene.cache.object(link)).expect("a link");
    // An index of which nothing is known, and objects of other sources.
    let unknown = samples::empty();
    fs::write(scene.cache.object(&digest(&unknown)), &unknown).expect("an object");
    fs::write(scene.cache.object(&digest(b"a package")), "a package").expect("an object");
    fs::write(scene.cache.object("md5:1"), "x").expect("a file");
    let before = scene.cache.objects();
    let output = scene.prune(&["--older-than=0s", "--yes"]);
    output.assert_status(0);
    let summary = "0 removed, 0 B; 5 kept\n";
    assert_eq!(output.stdout, summary, "{unrecorded} has no valid record");
    assert_eq!(scene.cache.objects(), before);
    assert!(moved.exists());
}

#[test]
fn prune_refuses_to_guess_what_to_keep() {
    let scene = Scene::new();
    scene
        .prune(&["--yes"])
        .assert_status(2)
        .assert_says("nothing says what to keep");
    let file = scene.cache.beside("keep.json");
    let keep = file.display().to_string();
    for (text, reason) in [
        (r#"{"sha256:1": {}}"#, "item \"sha256:1\": invalid digest"),
        ("not JSON", "not JSON"),
    ] {
        fs::write(&file, text).expect("a file");
        scene
            .prune(&["--yes", "--keep-manifest", &keep])
            .assert_status(2)
            .assert_says(reason);
    }
    let missing = ["--yes", "--keep-manifest", "/no/manifest"];
    scene.prune(&missing).assert_status(2);
    assert_eq!(scene.cache.objects(), scene.digests);
    fs::write(&file, "{}").expect("a file");
    scene
        .prune(&["--yes", "--keep-manifest", &keep])
        .assert_status(2)
        .assert_says("no manifest has items of org.osbuild.skopeo-index");
    assert_eq!(scene.cache.objects(), scene.digests);
    scene
        .prune(&["--older-than=0s", "--keep-manifest", &keep])
        .assert_status(0)
        .assert_says("nothing to keep");
}

#[test]
fn prune_of_missing_cache_is_not_found_and_of_empty_one_a_success() {
    let cache = Cache::new();
    let prune = ["prune", "--older-than=0s", "--yes"];
    cache
        .run(prune)
        .assert_status(13)
        .assert_says("no cache at ");
    fs::create_dir(cache.path()).expect("a directory");
    let output = cache.run(prune);
    assert_eq!(output.assert_status(0).stdout, "0 removed, 0 B; 0 kept\n");
    let made = fs::read_dir(cache.path()).expect("a directory");
    assert_eq!(made.count(), 0);
}

/// Kills `prune` at each call that changes something.
#[test]
fn prune_killed_at_any_call_leaves_intact_cache_that_can_be_pruned_again() {
    let strace = |scene: &Scene, inject: &str| {
        let trace = scene.cache.beside("trace").display().to_string();
        let prune = scene.cache.command(["prune", "--older-than=0s", "--yes"]);
        let strace = ["strace", "-qqfo", &trace, "-e", inject];
        let output = wrap(&strace, &prune).output();
        let output = output.expect("strace; `make setup` installs it");
        (output.status, fs::read_to_string(trace).expect("a trace"))
    };
    let calls = "unlinkat,fsync,fchmod,renameat,renameat2,flock";
    let (status, trace) = strace(&Scene::new(), &format!("trace={calls}"));
    assert!(status.success());
    let mut kills = 0;
    for call in calls.split(',') {
        let count = trace.matches(&format!(" {call}(")).count();
        for n in 1..=count {
            let scene = Scene::new();
            let (status, _) = strace(&scene, &format!("inject={call}:signal=KILL:when={n}"));
            assert!(!status.success(), "{call} {n}");
            scene.cache.run(["verify"]).assert_status(0);
            scene.cache.run(["list"]).assert_status(0);
            scene.prune(&["--older-than=0s", "--yes"]).assert_status(0);
            assert_eq!(scene.cache.objects(), [""; 0], "{call} {n}");
            scene.fetch(&scene.digests[0]);
            let names = fs::read_to_string(scene.names()).expect("names");
            assert_eq!(names.lines().count(), 1, "{call} {n}: {names}");
            kills += 1;
        }
    }
    assert!(kills > 6, "{kills}: {trace}");
}

#[test]
fn prune_that_cannot_write_names_says_what_it_has_removed() {
    let scene = Scene::new();
    let prune = scene.cache.command(["prune", "--older-than=0s", "--yes"]);
    let trace = scene.cache.beside("trace").display().to_string();
    let full = "inject=/^rename:error=ENOSPC";
    let output = wrap(&["strace", "-qqfo", &trace, "-e", full], &prune).output();
    let output = RunOutput::from(output.expect("strace; `make setup` installs it"));
    output
        .assert_status(1)
        .assert_says("names: No space left on device");
    assert_eq!(scene.cache.objects(), [""; 0]);
    assert!(output.stdout.contains("\n3 removed, "), "{output:#?}");
    for digest in &scene.digests {
        let line = format!("removed\t{digest}\t");
        assert!(output.stdout.contains(&line), "{output:#?}");
    }
    scene.prune(&["--older-than=0s", "--yes"]).assert_status(0);
    let names = fs::read_to_string(scene.names()).expect("names");
    assert_eq!(names, "");
}

#[test]
fn prune_that_cannot_remove_an_object_removes_the_others() {
    let scene = Scene::new();
    let prune = scene.cache.command(["prune", "--older-than=0s", "--yes"]);
    let trace = scene.cache.beside("trace").display().to_string();
    let refused = "inject=unlinkat:error=EPERM:when=1";
    let output = wrap(&["strace", "-qqfo", &trace, "-e", refused], &prune).output();
    let output = RunOutput::from(output.expect("strace; `make setup` installs it"));
    let object = scene.cache.object(&scene.digests[0]);
    let error = format!("error: cannot remove {}: Operation not", object.display());
    output.assert_status(1).assert_says(&error);
    assert!(output.stdout.contains("\n2 removed, "), "{output:#?}");
    assert_eq!(scene.cache.objects(), [scene.digests[0].as_str()]);
    let names = fs::read_to_string(scene.names()).expect("names");
    assert!(names.starts_with(&scene.digests[0]) && names.lines().count() == 1);
}

#[test]
fn prune_during_fetches_leaves_only_intact_objects() {
    let scene = Scene::new();
    let of = |digest: &String| format!("{}/app@{digest}", scene.registry.address());
    let references: Vec<_> = scene.digests.iter().map(of).collect();
    std::thread::scope(|scope| {
        let fetches = scope.spawn(|| {
            for _ in 0..12 {
                let options = ["fetch", "--tls-verify=false", "--retry-times=0"];
                let args = options
                    .into_iter()
                    .chain(references.iter().map(String::as_str));
                let output = scene.cache.run(args);
                // An object that is removed at the read-back is a failure of its fetch.
                assert!(matches!(output.status, Some(0 | 15)), "{output:#?}");
            }
        });
        while !fetches.is_finished() {
            let output = scene.prune(&["--older-than=0s", "--yes"]);
            assert!(output.status == Some(0), "{output:#?}");
        }
    });
    scene.cache.run(["verify"]).assert_status(0);
    scene.cache.assert_no_staging();
    for digest in &scene.digests {
        scene.fetch(digest);
    }
    assert_eq!(scene.cache.objects(), scene.digests);
}
