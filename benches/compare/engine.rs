//! Rows beside ourselves: skopeo as the engine, its methods, numbers of jobs, the audit log.

use test_support::loopback::{Registry, samples};

use crate::commands::{Images, PROCESSES, Tls, row_by_jobs};
use crate::measure::{SLOW_TURNS, Times, Workspace};
use crate::table::{Target, compare};

/// `--engine skopeo`, with a process an index.
const BY_SKOPEO: [&str; 2] = ["--engine", "skopeo"];

pub fn rows(workspace: &Workspace) {
    let registry = Registry::start();
    let put = |n| registry.put(samples::distinct(n));
    let digests: Vec<String> = (0..64).map(put).collect();
    let images = Images {
        workspace,
        registry: registry.address(),
        digests: &digests,
        tls: Tls::Off,
    };
    by_skopeo(&images);
    by_copy(&images);
    with_audit_log(&images);
}

fn by_skopeo(images: &Images<'_>) {
    let mut contenders = vec![images.ours("skopeo-index", &BY_SKOPEO).turns(SLOW_TURNS)];
    contenders.extend(images.ours_by_jobs("skopeo"));
    for processes in PROCESSES {
        contenders.push(images.skopeo(processes));
        contenders.push(images.skopeo_with_gogc(processes));
    }
    let times = Times::measure(contenders);
    let ours = times.first();
    let task = "64 cold, `--engine skopeo`, loopback";
    compare(task, ours, times.best("skopeo, "), Target::None);
    compare("…", ours, times.best("skopeo with"), Target::None);
    row_by_jobs(&times);
}

fn by_copy(images: &Images<'_>) {
    let times = Times::measure(vec![
        images
            .ours("`copy`", &["--method", "copy"])
            .turns(SLOW_TURNS),
        images.ours("`--method raw`", &BY_SKOPEO).turns(SLOW_TURNS),
    ]);
    let raw = times.best("`--method raw`");
    compare("64 cold, `--method copy`", times.first(), raw, Target::None);
}

fn with_audit_log(images: &Images<'_>) {
    let log = images.workspace.path().display().to_string();
    let arguments = ["--audit-log", log.as_str()];
    let times = Times::measure(vec![
        images.ours("with", &arguments),
        images.ours("without", &[]),
    ]);
    let without = times.best("without");
    let task = "64 cold, with an audit log";
    compare(task, times.first(), without, Target::AtMost(1.3));
}
