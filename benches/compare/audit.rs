//! Reading audit logs.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::commands::skopeo_index;
use crate::hits::Cached;
use crate::measure::{Workspace, median, memory, time};
use crate::table::{ms, row};

/// Records of a log beside those of fetches: genesis, and a run's begin and end.
const RUN_RECORDS: usize = 3;

pub fn rows(workspace: &Workspace) {
    for count in [1_000, 10_000] {
        verify(workspace, count);
    }
    tiles(workspace, 100_000);
}

/// `audit verify` of six runs of hits.
fn verify(workspace: &Workspace, count: usize) {
    let cached = Cached::new(workspace, count);
    let log = workspace.path();
    for _ in 0..6 {
        let mut command = cached.fetch();
        command.arg("--audit-log").arg(&log);
        time(command);
    }
    let verify = || {
        let mut command = skopeo_index();
        command.args(["audit", "verify"]).arg(&log);
        command
    };
    let took = median("`audit verify`", || time(verify()));
    let records = lines(&log);
    let speed = records as f64 / took.as_secs_f64();
    let ours = format!("{}, {speed:.0} a second, {}", ms(took), memory(&verify()));
    row(
        &format!("`audit verify`, {records} records"),
        &ours,
        "",
        "",
        "",
    );
}

/// Writes the tiles of a log of many records, at once and after one more run.
fn tiles(workspace: &Workspace, records: usize) {
    let (log, cache) = (workspace.path(), workspace.path());
    // A fetch that finds nothing offline is one record.
    let append = |count: usize| {
        let item = |n| {
            let digest = format!("sha256:{n:064x}");
            let image = serde_json::json!({ "image": { "name": "localhost/app" } });
            (digest, image)
        };
        let items: serde_json::Map<_, _> = (0..count).map(item).collect();
        let manifest = workspace.file(&serde_json::Value::Object(items).to_string());
        let mut command = skopeo_index();
        command.args(["fetch", "--quiet", "--offline", "--manifest"]);
        command.arg(manifest).arg("--audit-log").arg(&log);
        command.arg("--cache").arg(&cache);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("the command");
    };
    append(records - RUN_RECORDS);
    let written = lines(&log);
    let write = |to: &Path| {
        let mut command = skopeo_index();
        command.args(["audit", "tiles"]).arg(&log).arg(to);
        time(command)
    };
    let at_once = median("at once", || write(&workspace.path()));
    row(
        &format!("`audit tiles`, {written} records"),
        &ms(at_once),
        "",
        "",
        "",
    );
    let to = workspace.path();
    write(&to);
    let grown = median("grown", || {
        append(1);
        write(&to)
    });
    row("… after one more run", &ms(grown), "", "", "");
}

fn lines(log: &Path) -> usize {
    fs::read_to_string(log).expect("the log").lines().count()
}
