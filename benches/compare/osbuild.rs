//! As osbuild's source, beside osbuild's own in Python, under the same host.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_support::loopback::{Registry, samples};
use test_support::program::host::{Host, Version, items, reply};

use crate::commands::binary;
use crate::measure::{Contender, SLOW_TURNS, Times, Workspace};
use crate::table::{Target, compare, row};

/// Variable with the directory of a checkout of osbuild, at tag v190.
const CHECKOUT: &str = "OSBUILD_DIR";

pub fn rows(workspace: &Workspace) {
    let Some(checkout) = std::env::var_os(CHECKOUT).map(PathBuf::from) else {
        let why = format!("left out: {CHECKOUT} is not set");
        return row("osbuild source, 64 cold and 64 cached", &why, "", "", "");
    };
    let python = checkout.join("sources/org.osbuild.skopeo-index");
    let registry = Registry::start();
    let put = |n| registry.put(samples::distinct(n));
    let digests: Vec<String> = (0..64).map(put).collect();
    let items = items(registry.address(), digests.iter().map(String::as_str));
    let download = |source, cache: &Path| download(source, &checkout, &items, cache);

    let times = Times::measure(vec![
        Contender::new("skopeo-index", || download(binary(), &workspace.path())),
        Contender::new("the Python source", || download(&python, &workspace.path()))
            .turns(SLOW_TURNS),
    ]);
    let beside = times.best("the Python");
    let task = "osbuild source, 64 cold, loopback";
    compare(task, times.first(), beside, Target::AtLeast(25.0));

    let cache = workspace.path();
    download(binary(), &cache);
    let times = Times::measure(vec![
        Contender::new("skopeo-index", || download(binary(), &cache)),
        Contender::new("the Python source", || download(&python, &cache)),
    ]);
    let beside = times.best("the Python");
    let task = "osbuild source, 64 cached";
    compare(task, times.first(), beside, Target::AtLeast(14.0));
}

/// Starts a source, lets it download, and waits for its end.
fn download(source: &Path, checkout: &Path, items: &Value, cache: &Path) -> Duration {
    let arguments = json!({
        "items": items, "options": {}, "cache": cache, "output": null, "checksums": [],
    });
    let started = Instant::now();
    let host = Host::start_source(source, Version::V190, |service| {
        service.env("PYTHONPATH", checkout);
        service.env("SKOPEO_INDEX_ENGINE", "auto");
    });
    let message = host.call("download", &arguments);
    assert_eq!(reply(&message)["success"], true, "{message}");
    host.finish();
    started.elapsed()
}
