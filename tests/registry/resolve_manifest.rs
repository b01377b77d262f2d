//! `resolve --manifest`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use test_support::loopback::{Registry, digest, samples};
use test_support::program::harness::{Cache, RunOutput, wrap};

/// A registry, and a manifest with two items of it. Only that of `app` is out of date.
struct Scene {
    registry: Registry,
    cache: Cache,
    old: String,
    new: String,
}

impl Scene {
    fn new() -> Self {
        let (registry, cache) = (Registry::start(), Cache::new());
        registry.put_as("latest", samples::distinct(1));
        registry.put_as("v2", samples::distinct(2));
        registry.put(samples::distinct(1));
        registry.put(samples::distinct(2));
        let scene = Self {
            registry,
            cache,
            old: digest(b"old"),
            new: digest(&samples::distinct(1)),
        };
        scene.write(&scene.manifest(&scene.old));
        scene
    }

    /// A manifest that pins `app` to a digest, not formatted as serde would.
    fn manifest(&self, app: &str) -> String {
        let (address, v2) = (self.registry.address(), digest(&samples::distinct(2)));
        format!(
            r#"{{"version": "2",
 "pipelines": [ {{"stages": [{{"inputs": {{
    "images": {{"type": "org.osbuild.containers", "origin": "org.osbuild.source",
        "references": {{"{old}": {{"name": "x"}} }} }},
    "manifest-lists": {{"type": "org.osbuild.files", "origin": "org.osbuild.source",
        "references": ["{app}",   "{v2}"]}} }} }}]}}],
 "sources": {{
    "org.osbuild.skopeo": {{"items": {{"{old}": {{"image": {{"name": "x"}} }} }} }},
    "org.osbuild.skopeo-index": {{"items": {{
        "{app}": {{"image": {{"name": "{address}/app", "tls-verify": false}} }},
        "{v2}": {{"image": {{"name": "{address}/other:v2", "tls-verify": false}} }}
 }} }} }} }}
"#,
            old = self.old,
        )
    }

    fn file(&self) -> PathBuf {
        self.cache.beside("manifest.json")
    }

    fn write(&self, manifest: &str) {
        fs::write(self.file(), manifest).expect("a file");
    }

    fn read(&self) -> String {
        fs::read_to_string(self.file()).expect("a file")
    }

    fn resolve(&self, args: &[&str]) -> RunOutput {
        let mut command = self
            .cache
            .command(["resolve", "--retry-times=0", "--manifest"]);
        command.arg(self.file()).args(args);
        command.output().expect("the binary").into()
    }

    fn diff(&self) -> String {
        let app = format!("{}/app:latest", self.registry.address());
        format!("-{app}@{}\n+{app}@{}\n", self.old, self.new)
    }

    /// The names beside the manifest.
    fn names(&self) -> Vec<String> {
        let dir = fs::read_dir(self.cache.beside("")).expect("a directory");
        let names = dir.flatten().map(|entry| entry.file_name());
        let mut names: Vec<_> = names.map(|it| it.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[test]
fn manifest_is_shown_checked_and_written() {
    let scene = Scene::new();
    let (before, after) = (scene.manifest(&scene.old), scene.manifest(&scene.new));
    for (args, status, manifest) in [
        (vec![], 0, &before),
        (vec!["--check"], 1, &before),
        (vec!["--write"], 0, &after),
    ] {
        let output = scene.resolve(&args);
        output
            .assert_status(status)
            .assert_says("1 of 2 digests changed")
            .assert_says("images of org.osbuild.skopeo stay as they are");
        assert_eq!(output.stdout, scene.diff(), "{args:?}");
        assert_eq!(&scene.read(), manifest, "{args:?}");
    }
    for args in [["--check"], ["--write"]] {
        let inode = || fs::metadata(scene.file()).expect("a file").ino();
        let before = inode();
        let output = scene.resolve(&args);
        output
            .assert_status(0)
            .assert_says("0 of 2 digests changed");
        assert_eq!((output.stdout.as_str(), inode()), ("", before));
    }
    let fetch = scene
        .cache
        .run(["fetch", "--manifest", scene.file().to_str().expect("UTF-8")]);
    fetch.assert_status(0);
}

#[test]
fn written_manifest_keeps_its_mode_and_links_to_it() {
    let scene = Scene::new();
    let target = scene.cache.beside("target.json");
    fs::rename(scene.file(), &target).expect("a file");
    symlink("target.json", scene.file()).expect("a link");
    let mode = fs::Permissions::from_mode(0o604);
    fs::set_permissions(&target, mode).expect("a file");
    let names = scene.names();
    scene.resolve(&["--write"]).assert_status(0);
    assert_eq!(scene.read(), scene.manifest(&scene.new));
    let metadata = fs::symlink_metadata(&target).expect("a file");
    assert!(metadata.is_file());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o604);
    assert!(scene.file().is_symlink());
    assert_eq!(scene.names(), names, "no file is left over");
}

/// Both have compared the file with what they read before one of them replaces it.
#[test]
fn concurrent_writes_of_one_manifest_replace_it_once() {
    let scene = Scene::new();
    let trace = scene.cache.beside("trace").display().to_string();
    let delay = "inject=/^rename:delay_enter=2000000";
    let write = scene.cache.command(["resolve", "--write", "--manifest"]);
    let mut command = wrap(&["strace", "-qqfo", &trace, "-e", delay], &write);
    command.arg(scene.file());
    let run = |mut command: std::process::Command| -> RunOutput {
        let output = command.output();
        output.expect("strace; `make setup` installs it").into()
    };
    let mut again = wrap(&["env"], &write);
    again.arg(scene.file());
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| run(command));
        // Until the first run has its new file.
        while scene.names().len() < 4 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        (run(again), first.join().expect("a run"))
    });
    let (written, refused) = match first.status {
        Some(0) => (first, second),
        _ => (second, first),
    };
    written.assert_status(0);
    refused
        .assert_status(1)
        .assert_says("changed while its tags were resolved; nothing was written");
    assert_eq!(scene.read(), scene.manifest(&scene.new));
}

#[test]
fn failure_of_one_item_writes_nothing() {
    let scene = Scene::new();
    let manifest = scene.manifest(&scene.old).replace("other:v2", "other:v3");
    scene.write(&manifest);
    for args in [vec![], vec!["--check"], vec!["--write"]] {
        let output = scene.resolve(&args);
        let error = format!("error: {}/other:v3: not found", scene.registry.address());
        output.assert_status(13).assert_says(&error);
        assert_eq!(
            (output.stdout, scene.read()),
            (String::new(), manifest.clone())
        );
    }
}

#[test]
fn check_has_status_1_for_outdated_digests_only() {
    let scene = Scene::new();
    for (skopeo, words) in [
        ("--skopeo=/no/skopeo", "command not found"),
        ("--skopeo=/bin/false", "skopeo failed"),
    ] {
        scene.resolve(&[skopeo]).assert_status(1).assert_says(words);
        let checked = scene.resolve(&["--check", skopeo]);
        checked.assert_status(2).assert_says(words);
    }
    scene.resolve(&["--check"]).assert_status(1);
}

#[test]
fn manifest_that_cannot_be_updated_is_refused_unchanged() {
    let scene = Scene::new();
    let manifest = scene.manifest(&scene.old);
    let curl = format!(
        "\"sources\": {{\"org.osbuild.curl\": {{\"items\": {{\"{}\": 1}} }},",
        scene.new
    );
    for (manifest, words) in [
        (
            manifest.replace("other:v2", "other"),
            "two items would have the digest",
        ),
        (
            manifest.replace("\"sources\": {", &curl),
            "is an item of another source as well",
        ),
        (
            manifest.replace("{\"name\": \"127", "{\"names\": \"127"),
            "unknown key \"names\"",
        ),
        (
            manifest.replace(
                &format!("\"name\": \"{}/app\", ", scene.registry.address()),
                "",
            ),
            "name is missing",
        ),
        (manifest.replace("\"version\"", "version"), "not JSON"),
    ] {
        scene.write(&manifest);
        for args in [vec!["--check"], vec!["--write"]] {
            let output = scene.resolve(&args);
            output.assert_status(2).assert_says(words);
            assert_eq!(
                (output.stdout, scene.read()),
                (String::new(), manifest.clone())
            );
        }
    }
}

#[test]
fn manifest_without_items_is_a_success_with_a_note() {
    let scene = Scene::new();
    scene.write("{}");
    for args in [vec![], vec!["--check"], vec!["--write"]] {
        let output = scene.resolve(&args);
        output
            .assert_status(0)
            .assert_says("no items of org.osbuild.skopeo-index, nothing to resolve");
        assert_eq!(
            (output.stdout, scene.read()),
            (String::new(), "{}".to_owned())
        );
    }
}

#[test]
fn manifest_options_are_checked() {
    let scene = Scene::new();
    for (args, words) in [
        (vec!["resolve", "--write", "x"], "need --manifest FILE"),
        (vec!["resolve", "--manifest=x", "y"], "cannot be used with"),
        (
            vec!["resolve", "--manifest=x", "--write", "--check"],
            "cannot be used with",
        ),
        (
            vec!["resolve", "--manifest=-", "--write"],
            "--write needs a file, not stdin or a pipe",
        ),
        (
            vec!["resolve", "--manifest=/dev/null", "--write"],
            "--write needs a file, not stdin or a pipe",
        ),
        (
            vec!["resolve", "--manifest=/no/file"],
            "cannot read /no/file: No such file",
        ),
    ] {
        scene.cache.run(args).assert_status(2).assert_says(words);
    }
}
