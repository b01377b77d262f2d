//! Ours beside bare skopeo, in one run: `make bench`.
//!
//! Each pair is run in turns, so that a slow moment of the machine slows both,
//! and the medians are compared. Bare skopeo verifies nothing and keeps nothing.
#![allow(
    clippy::expect_used,
    reason = "a measurement that can't go on says why"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use loopback::{Registry, Relay, samples};

/// Runs of each command of a pair.
const RUNS: usize = 9;

/// Latency of the relay each way.
const LATENCY: Duration = Duration::from_millis(25);

fn main() {
    // `cargo test --benches` asks for nothing.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("| what | ours | bare skopeo | ratio |\n|---|---|---|---|");
    let registry = Registry::start();
    let digests: Vec<String> = (0..64)
        .map(|n| registry.put(samples::distinct(n)))
        .collect();
    cold(
        "64 cold, loopback",
        registry.address(),
        &digests,
        &["2", "4", "8", "16"],
    );
    let relay = Relay::to(registry.address(), LATENCY);
    cold(
        "32 cold, 25 ms each way",
        relay.address(),
        &digests[..32],
        &["8", "16", "32"],
    );
    let copy = |method: &str| {
        median(&mut fetches(
            registry.address(),
            &digests,
            &["--method", method],
        ))
    };
    let (raw, copied) = (copy("raw"), copy("copy"));
    println!(
        "| 64 cold by `copy` beside `raw` | {} | | {:.2} |",
        ms(copied),
        ratio(copied, raw)
    );
    for cached in [64, 1_000, 10_000] {
        hits(cached);
    }
    let version = median(&mut || {
        let mut command = ours();
        command.arg("--version");
        time(command)
    });
    println!("| `--version` | {} | | |", ms(version));
}

/// Ours, and bare skopeo at its best.
fn cold(what: &str, registry: &str, digests: &[String], processes: &[&str]) {
    let mut ours = fetches(registry, digests, &[]);
    let sources: String = digests.iter().fold(String::new(), |mut sources, digest| {
        let _ = writeln!(sources, "docker://{registry}/app@{digest}");
        sources
    });
    let list = tempfile::NamedTempFile::new().expect("a file");
    fs::write(list.path(), sources).expect("a file");
    let bare = |processes: &str| {
        let mut command = Command::new("xargs");
        command.args([
            "-P",
            processes,
            "-n1",
            "skopeo",
            "inspect",
            "--raw",
            "--tls-verify=false",
        ]);
        command.stdin(fs::File::open(list.path()).expect("the file"));
        time(command)
    };
    let mut times = vec![Vec::new(); processes.len() + 1];
    for _ in 0..RUNS {
        times[0].push(ours());
        for (at, processes) in processes.iter().enumerate() {
            times[at + 1].push(bare(processes));
        }
    }
    let medians: Vec<Duration> = times.iter_mut().map(|times| middle(times)).collect();
    let best = medians[1..]
        .iter()
        .zip(processes)
        .min()
        .expect("a number of processes");
    println!(
        "| {what} | {} | {} (`xargs -P{}`) | {:.2} |",
        ms(medians[0]),
        ms(*best.0),
        best.1,
        ratio(medians[0], *best.0)
    );
}

/// Fetches into a new cache each time.
fn fetches<'a>(
    registry: &'a str,
    digests: &'a [String],
    more: &'a [&str],
) -> impl FnMut() -> Duration + 'a {
    move || {
        let cache = tempfile::tempdir().expect("a directory");
        let mut command = ours();
        command
            .args(["fetch", "--quiet", "--tls-verify=false", "--cache"])
            .arg(cache.path());
        command.args(more);
        command.args(
            digests
                .iter()
                .map(|digest| format!("{registry}/app@{digest}")),
        );
        time(command)
    }
}

fn hits(count: usize) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut items = serde_json::Map::new();
    for n in 0..count {
        let document = samples::distinct(n);
        let digest = loopback::digest(&document);
        fs::write(dir.path().join(&digest), document).expect("an object");
        items.insert(
            digest,
            serde_json::json!({ "image": { "name": "localhost/app" } }),
        );
    }
    let manifest = dir.path().join("items.json");
    fs::write(&manifest, serde_json::Value::Object(items).to_string()).expect("a file");
    let command = |program: Option<&Path>| {
        let mut command = program.map_or_else(ours, |time| {
            let mut command = Command::new(time);
            command
                .args(["-f", "%M", "-o"])
                .arg(dir.path().join("memory"))
                .arg(binary());
            command
        });
        command
            .args(["fetch", "--quiet", "--cache"])
            .arg(dir.path())
            .arg("--manifest")
            .arg(&manifest);
        command
    };
    let took = median(&mut || time(command(None)));
    let gnu_time = Path::new("/usr/bin/time");
    let memory = if gnu_time.exists() {
        time(command(Some(gnu_time)));
        let kib = fs::read_to_string(dir.path().join("memory")).expect("GNU time's output");
        format!(
            "{:.1} MiB",
            kib.trim().parse::<f64>().expect("a number") / 1024.0
        )
    } else {
        "memory not measured: no /usr/bin/time".to_owned()
    };
    println!("| {count} cached | {}, {memory} | | |", ms(took));
}

fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_skopeo-index").into()
}

fn ours() -> Command {
    Command::new(binary())
}

fn time(mut command: Command) -> Duration {
    command.stdout(Stdio::null());
    let started = Instant::now();
    let status = command.status().expect("the command");
    let took = started.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    took
}

fn median(run: &mut dyn FnMut() -> Duration) -> Duration {
    middle(&mut (0..RUNS).map(|_| run()).collect::<Vec<_>>())
}

fn middle(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}
