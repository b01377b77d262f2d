//! Compares skopeo-index with plain skopeo, in one run: `make bench`.
//!
//! The commands of a comparison take turns, so that a slow moment of the machine slows all
//! of them, and their medians are compared. Plain skopeo neither verifies nor stores.
#![allow(clippy::expect_used, reason = "a benchmark that can't continue fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use test_support::loopback::{Registry, Relay, samples};

/// Number of runs of each command.
const RUNS: usize = 9;

/// Latency of the relay in each direction.
const LATENCY: Duration = Duration::from_millis(25);

fn main() {
    // `cargo test --benches` only builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("| what | skopeo-index | plain skopeo | ratio |\n|---|---|---|---|");
    let registry = Registry::start();
    let digests: Vec<String> = (0..64)
        .map(|n| registry.put(samples::distinct(n)))
        .collect();
    cold(
        "64 cold, loopback",
        registry.address(),
        &digests,
        &["4", "8", "16", "32"],
    );
    let relay = Relay::to(registry.address(), LATENCY);
    cold(
        "32 cold, 25 ms each way",
        relay.address(),
        &digests[..32],
        &["8", "16", "32"],
    );
    let by = |method: &str| {
        let more = vec!["--method".to_owned(), method.to_owned()];
        Box::new(fetches(registry.address(), &digests, more)) as Box<dyn FnMut() -> Duration>
    };
    let [raw, copied] = pair(by("raw"), by("copy"));
    println!(
        "| 64 cold by `copy` beside `raw` | {} | | {:.2} |",
        ms(copied),
        ratio(copied, raw)
    );
    with_audit_log(registry.address(), &digests);
    for cached in [64, 1_000, 10_000] {
        hits(cached);
    }
    tiles(100_000);
    let version = median(&mut || {
        let mut command = skopeo_index();
        command.arg("--version");
        time(command)
    });
    println!("| `--version` | {} | | |", ms(version));
}

/// skopeo-index with its default and other numbers of jobs, beside plain skopeo with its best
/// number of processes, with Go's default `GOGC` and with that of skopeo-index.
fn cold(what: &str, registry: &str, digests: &[String], processes: &[&str]) {
    let sources = digests
        .iter()
        .map(|digest| format!("docker://{registry}/app@{digest}\n"));
    let sources: String = sources.collect();
    let list = tempfile::NamedTempFile::new().expect("a file");
    fs::write(list.path(), sources).expect("a file");
    let mut runs: Vec<Box<dyn FnMut() -> Duration>> =
        vec![Box::new(fetches(registry, digests, Vec::new()))];
    for jobs in JOBS {
        let more = vec!["--jobs".to_owned(), jobs.to_owned()];
        runs.push(Box::new(fetches(registry, digests, more)));
    }
    for gogc in [None, Some("400")] {
        for processes in processes {
            runs.push(Box::new(plain_skopeo(list.path(), processes, gogc)));
        }
    }
    let medians = medians(&mut runs);
    let (ours, skopeo) = medians.split_at(1 + JOBS.len());
    let (default_gogc, high_gogc) = skopeo.split_at(processes.len());
    let best = |times: &[Duration]| {
        let best = times.iter().copied().zip(processes).min();
        best.expect("a number of processes")
    };
    let ((plain, by), (high_gogc, high_gogc_by)) = (best(default_gogc), best(high_gogc));
    println!(
        "| {what} | {} | {} (`xargs -P{by}`) | {:.2} |",
        ms(ours[0]),
        ms(plain),
        ratio(ours[0], plain)
    );
    println!(
        "| … beside plain skopeo with `GOGC=400` | | {} (`xargs -P{high_gogc_by}`) | {:.2} |",
        ms(high_gogc),
        ratio(ours[0], high_gogc)
    );
    let by_jobs = JOBS.iter().zip(&ours[1..]);
    let by_jobs: Vec<String> = by_jobs
        .map(|(jobs, time)| format!("{jobs}: {}", ms(*time)))
        .collect();
    println!("| … by `--jobs` | {} | | |", by_jobs.join(", "));
}

/// Candidates for the default number of jobs.
const JOBS: [&str; 5] = ["4", "8", "16", "32", "64"];

/// Runs plain skopeo with `xargs -P`.
fn plain_skopeo(
    list: &Path,
    processes: &str,
    gogc: Option<&'static str>,
) -> impl FnMut() -> Duration + use<> {
    let (list, processes) = (list.to_owned(), processes.to_owned());
    move || {
        let mut command = Command::new("xargs");
        command.args(["-P", &processes, "-n1", "skopeo", "inspect", "--raw"]);
        command.arg("--tls-verify=false");
        command.stdin(fs::File::open(&list).expect("the file"));
        command.envs(gogc.map(|percent| ("GOGC", percent)));
        time(command)
    }
}

/// Fetches into a new cache in each run.
fn fetches(
    registry: &str,
    digests: &[String],
    more: Vec<String>,
) -> impl FnMut() -> Duration + use<> {
    let reference = |digest: &String| format!("{registry}/app@{digest}");
    let references: Vec<String> = digests.iter().map(reference).collect();
    move || {
        let cache = tempfile::tempdir().expect("a directory");
        let mut command = skopeo_index();
        command
            .args(["fetch", "--quiet", "--tls-verify=false", "--cache"])
            .arg(cache.path());
        command.args(&more).args(&references);
        time(command)
    }
}

/// Fetches with and without an audit log.
fn with_audit_log(registry: &str, digests: &[String]) {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    let log = vec!["--audit-log".to_owned(), log.display().to_string()];
    let with = Box::new(fetches(registry, digests, log));
    let without = Box::new(fetches(registry, digests, Vec::new()));
    let [with, without] = pair(with, without);
    println!(
        "| 64 cold with an audit log beside without | {} | | {:.2} |",
        ms(with),
        ratio(with, without)
    );
}

/// Verifies a log.
fn verify_log(log: &Path) {
    let verify = |program: Command| {
        let mut command = program;
        command.args(["audit", "verify"]).arg(log);
        command
    };
    let took = median(&mut || time(verify(skopeo_index())));
    let records = fs::read_to_string(log).expect("the log").lines().count();
    println!(
        "| `audit verify` of {records} records | {}, {:.0} a second, {} | | |",
        ms(took),
        records as f64 / took.as_secs_f64(),
        memory(verify)
    );
}

/// Writes the tiles of a log of many records, at once and after one more run.
fn tiles(records: usize) {
    /// Records of a log beside those of fetches: genesis, and a run's begin and end.
    const RUN_RECORDS: usize = 3;
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    let digest = test_support::loopback::digest(b"");
    let manifest = dir.path().join("items.json");
    // A fetch that finds nothing offline is one record.
    let items = |count| {
        let item = |n| {
            let digest = format!("{}{n:08x}", &digest[..digest.len() - 8]);
            (
                digest,
                serde_json::json!({ "image": { "name": "localhost/app" } }),
            )
        };
        let items: serde_json::Map<_, _> = (0..count).map(item).collect();
        fs::write(&manifest, serde_json::Value::Object(items).to_string()).expect("a file");
        let mut command = skopeo_index();
        command.args(["fetch", "--quiet", "--offline", "--manifest"]);
        command.arg(&manifest).arg("--audit-log").arg(&log);
        command.arg("--cache").arg(dir.path().join("cache"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("the command");
    };
    items(records - RUN_RECORDS);
    let written = fs::read_to_string(&log).expect("the log").lines().count();
    let write = |to: &Path| {
        let mut command = skopeo_index();
        command.args(["audit", "tiles"]).arg(&log).arg(to);
        time(command)
    };
    let mut n = 0;
    let at_once = median(&mut || {
        n += 1;
        write(&dir.path().join(n.to_string()))
    });
    let grown = median(&mut || {
        items(1);
        write(&dir.path().join("1"))
    });
    println!(
        "| `audit tiles` of {written} records | {} | | |",
        ms(at_once)
    );
    println!("| … after one more run | {} | | |", ms(grown));
}

/// Peak memory of a command, measured with GNU time.
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
        let digest = test_support::loopback::digest(&document);
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
    let took = median(&mut || time(command(skopeo_index())));
    println!("| {count} cached | {}, {} | | |", ms(took), memory(command));
    if count >= 1_000 {
        let log = dir.path().join("log");
        for _ in 0..6 {
            let mut command = command(skopeo_index());
            command.arg("--audit-log").arg(&log);
            time(command);
        }
        verify_log(&log);
    }
}

fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_skopeo-index").into()
}

fn skopeo_index() -> Command {
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

/// The median of each command; they take turns.
fn medians(runs: &mut [Box<dyn FnMut() -> Duration>]) -> Vec<Duration> {
    let mut times = vec![Vec::new(); runs.len()];
    for _ in 0..RUNS {
        for (run, times) in runs.iter_mut().zip(&mut times) {
            times.push(run());
        }
    }
    times.iter_mut().map(|times| median_of(times)).collect()
}

fn pair(one: Box<dyn FnMut() -> Duration>, other: Box<dyn FnMut() -> Duration>) -> [Duration; 2] {
    let medians = medians(&mut [one, other]);
    [medians[0], medians[1]]
}

fn median(run: &mut dyn FnMut() -> Duration) -> Duration {
    median_of(&mut (0..RUNS).map(|_| run()).collect::<Vec<_>>())
}

fn median_of(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn ratio(ours: Duration, other: Duration) -> f64 {
    ours.as_secs_f64() / other.as_secs_f64()
}
