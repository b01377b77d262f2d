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
    logged(registry.address(), &digests);
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

/// With an audit log beside without one.
fn logged(registry: &str, digests: &[String]) {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    let log = ["--audit-log", log.to_str().expect("UTF-8")];
    let mut with = fetches(registry, digests, &log);
    let mut without = fetches(registry, digests, &[]);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        times[0].push(with());
        times[1].push(without());
    }
    let [with, without] = times.map(|mut times| middle(&mut times));
    println!(
        "| 64 cold with an audit log beside without | {} | | {:.2} |",
        ms(with),
        ratio(with, without)
    );
}

/// Checks the log of so many hits.
fn audited(log: &Path) {
    let verify = |program: Command| {
        let mut command = program;
        command.args(["audit", "verify"]).arg(log);
        command
    };
    let took = median(&mut || time(verify(ours())));
    let records = fs::read_to_string(log).expect("the log").lines().count();
    println!(
        "| `audit verify` of {records} records | {}, {:.0} a second, {} | | |",
        ms(took),
        records as f64 / took.as_secs_f64(),
        memory(verify)
    );
}

/// The most memory that a command has, by GNU time.
fn memory(command: impl Fn(Command) -> Command) -> String {
    let gnu_time = Path::new("/usr/bin/time");
    if !gnu_time.exists() {
        return "memory not measured: no /usr/bin/time".to_owned();
    }
    let kib = tempfile::NamedTempFile::new().expect("a file");
    let mut program = Command::new(gnu_time);
    program
        .args(["-f", "%M", "-o"])
        .arg(kib.path())
        .arg(binary());
    time(command(program));
    let kib = fs::read_to_string(kib.path()).expect("GNU time's output");
    let kib = kib.trim().parse::<f64>().expect("a number");
    format!("{:.1} MiB", kib / 1024.0)
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
    let command = |mut program: Command| {
        program.args(["fetch", "--quiet", "--cache"]);
        program.arg(dir.path()).arg("--manifest").arg(&manifest);
        program
    };
    let took = median(&mut || time(command(ours())));
    println!("| {count} cached | {}, {} | | |", ms(took), memory(command));
    if count >= 1_000 {
        let log = dir.path().join("log");
        for _ in 0..6 {
            let mut command = command(ours());
            command.arg("--audit-log").arg(&log);
            time(command);
        }
        audited(&log);
    }
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
