//! Indexes that are in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use skopeo_index_core::digest::Digest;
use test_support::loopback::samples;

use crate::commands::skopeo_index;
use crate::measure::{Contender, Times, Workspace, flushes, memory, time};
use crate::table::{Target, compare, row};

/// Argument that makes this program the reader that hits are compared with.
pub const READER: &str = "read-all";

/// Opens, reads and hashes every object of a cache: the least that a hit takes.
pub fn read_all(cache: &Path) {
    let entries = fs::read_dir(cache).expect("the cache");
    for entry in entries {
        let path = entry.expect("an object").path();
        if path.ends_with(".skopeo-index") {
            continue;
        }
        let bytes = fs::read(&path).expect("an object");
        let digest = Digest::of(&bytes).to_string();
        assert_eq!(path.file_name(), Some(digest.as_ref()), "its digest");
    }
}

/// A cache, and the manifest that names all of its objects.
pub struct Cached {
    cache: PathBuf,
    manifest: PathBuf,
}

impl Cached {
    pub fn new(workspace: &Workspace, count: usize) -> Self {
        let cache = workspace.dir();
        let mut items = serde_json::Map::new();
        for n in 0..count {
            let document = samples::distinct(n);
            let digest = Digest::of(&document).to_string();
            fs::write(cache.join(&digest), document).expect("an object");
            let item = serde_json::json!({ "image": { "name": "localhost/app" } });
            items.insert(digest, item);
        }
        let manifest = workspace.file(&serde_json::Value::Object(items).to_string());
        // What isn't on the disk yet would be written by the first run.
        test_support::loopback::run("sync", &["-f", &manifest.display().to_string()]);
        Self { cache, manifest }
    }

    pub fn fetch(&self) -> Command {
        let mut command = skopeo_index();
        command.args(["fetch", "--quiet", "--cache"]);
        command.arg(&self.cache).arg("--manifest");
        command.arg(&self.manifest);
        command
    }

    fn read(&self) -> Command {
        let this = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(this);
        command.arg(READER).arg(&self.cache);
        command
    }
}

pub fn rows(workspace: &Workspace) {
    let few = Cached::new(workspace, 64);
    let times = Times::measure(vec![
        Contender::new("skopeo-index", || time(few.fetch())),
        Contender::new("`-V`", || {
            let mut command = skopeo_index();
            command.arg("-V");
            time(command)
        }),
    ]);
    let version = times.best("`-V`");
    compare("64 cached", times.first(), version, Target::AtMost(2.5));
    for count in [1_000, 10_000] {
        beside_reader(&Cached::new(workspace, count), count);
    }
}

fn beside_reader(cached: &Cached, count: usize) {
    let mut flushed = Vec::new();
    let times = Times::measure(vec![
        Contender::new("skopeo-index", || {
            let before = flushes(&cached.cache);
            let took = time(cached.fetch());
            flushed.push(flushes(&cached.cache).zip(before));
            took
        }),
        Contender::new("a reader that hashes", || time(cached.read())),
    ]);
    let reader = times.best("a reader");
    let task = format!("{count} cached");
    compare(&task, times.first(), reader, Target::AtMost(2.0));
    row("… peak memory", &memory(&cached.fetch()), "", "", "");
    // Other processes can only add to them.
    let flushed = flushed
        .iter()
        .flatten()
        .map(|(after, before)| after - before);
    let flushed = flushed.min().map_or_else(
        || "not measured: the kernel has no count for the device".to_owned(),
        |flushes| flushes.to_string(),
    );
    row(
        "… device flushes, least of the turns",
        &flushed,
        "",
        "",
        "at most 20",
    );
}
