//! A log on a disk that is full or fails, and a run that dies while it mends one.

use std::fs;
use std::path::PathBuf;

use test_support::loopback::{Registry, samples};
use serde_json::Value;
use skopeo_index_core::digest::Digest;

use crate::harness::Cache;
use crate::harness::Ended;
use crate::harness::ended;
use crate::harness::through;

#[test]
fn on_a_full_disk_nothing_is_committed_without_its_record_and_the_log_verifies() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let small = cache.beside("small");
    fs::create_dir(&small).expect("a directory");
    let small = small.display().to_string();
    test_support::loopback::run("mount", &["-t", "tmpfs", "-o", "size=16k", "tmpfs", &small]);
    let log = format!("{small}/log");
    let references: Vec<String> = (0..30)
        .map(|n| {
            format!(
                "{}/app@{}",
                registry.address(),
                registry.put(samples::distinct(n))
            )
        })
        .collect();
    let mut args: Vec<&str> = references.iter().map(String::as_str).collect();
    args.extend(["--audit-log", &log, "--jobs=2", "--format=json"]);
    let ran = cache.fetch(&args);
    let verified = cache.run(["audit", "verify", &log]);
    let shown = cache.run(["audit", "show", &log, "--format=json"]);
    // With room again, the log goes on.
    test_support::loopback::run("mount", &["-o", "remount,size=1m", &small]);
    let more = cache.fetch(&[&references[0], "--audit-log", &log]);
    let again = cache.run(["audit", "verify", &log]);
    test_support::loopback::run("umount", &[&small]);

    ran.assert_status(1).assert_says("No space left on device");
    assert!(
        [Some(0), Some(17)].contains(&verified.status),
        "{verified:?}"
    );
    more.assert_status(0);
    again.assert_status(0);
    let digests = |text: &str, wanted: fn(&Value) -> bool| -> Vec<String> {
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let mut digests: Vec<_> = lines
            .filter(wanted)
            .map(|line| line["digest"].as_str().expect("it").to_owned())
            .collect();
        digests.sort();
        digests
    };
    let succeeded = digests(&ran.stdout, |line| line["success"] == true);
    let recorded = digests(&shown.stdout, |line| line["outcome"] == "committed");
    assert!(!succeeded.is_empty() && succeeded.len() < references.len());
    assert_eq!(succeeded, recorded, "a success without its record");
}

#[test]
fn after_a_sync_that_failed_nothing_succeeds() {
    let (registry, cache) = (Registry::start(), Cache::new());
    let log = cache.beside("log").display().to_string();
    let references = [1, 2, 3].map(|n| {
        format!(
            "{}/app@{}",
            registry.address(),
            registry.put(samples::distinct(n))
        )
    });
    let mut fetch = cache.command([
        "fetch",
        "--tls-verify=false",
        "--jobs=1",
        "--audit-log",
        &log,
    ]);
    fetch.args(&references);
    // The next would end well: Linux has told its error.
    let inject = "inject=fdatasync:error=EIO:when=1";
    let trace = cache.beside("trace").display().to_string();
    let strace = ["strace", "-qq", "-o", &trace, "-e", inject];
    let ran = through(&strace, &fetch)
        .output()
        .expect("strace is not there");
    let ran = ended(ran);
    ran.assert_status(1)
        .assert_says("could not be synced before");
    assert_eq!(cache.objects(), [""; 0]);
    cache.run(["audit", "verify", &log]).assert_status(0);
    assert_eq!(cache.run(["audit", "show", &log]).stdout.lines().count(), 1);
}

/// A log that ends in half a line.
struct Torn {
    cache: Cache,
    whole: Vec<u8>,
}

const HALF: &[u8] = b"{\"log\":\"skopeo-index/0123";

impl Torn {
    fn new() -> Self {
        let cache = Cache::new();
        let whole = Vec::new();
        let torn = Self { cache, whole };
        torn.ran(&[]).assert_status(13);
        let whole = fs::read(torn.log()).expect("a log");
        fs::write(torn.log(), [&whole, HALF].concat()).expect("a log");
        Self { whole, ..torn }
    }

    fn log(&self) -> PathBuf {
        self.cache.beside("logs/log")
    }

    /// A run that fetches nothing, by way of something.
    fn ran(&self, wrapper: &[&str]) -> Ended {
        fs::create_dir_all(self.log().with_file_name("")).expect("a directory");
        let mut run = self.cache.command([
            "fetch",
            "--offline",
            "--quiet",
            "--skopeo=true",
            "--audit-log",
        ]);
        let missing = test_support::loopback::digest(b"missing");
        run.arg(self.log()).arg(format!("localhost/app@{missing}"));
        let mut run = match wrapper {
            [] => run,
            _ => through(wrapper, &run),
        };
        ended(run.output().expect("strace or prlimit is not there"))
    }

    /// What was whole still is, and the next run tells of every other byte that
    /// was in the log, and of every file.
    fn assert_told_by_the_next(&self, how: &str) {
        let log = fs::read(self.log()).expect("a log");
        assert!(log.starts_with(&self.whole), "{how}");
        self.ran(&[]).assert_status(13);
        let log = fs::read_to_string(self.log()).expect("a log");
        let verified = self
            .cache
            .run(["audit", "verify", self.log().to_str().expect("UTF-8")]);
        assert_eq!(verified.status, Some(0), "{how}: {verified:?}");
        let recovered = |line: &str| {
            let record: Value = serde_json::from_str(line).expect("JSON");
            let recovered = record["op"].get("recovered")?;
            let text = |key: &str| recovered[key].as_str().expect("text").to_owned();
            Some((text("keptAs"), text("sha256")))
        };
        let mut told: Vec<_> = log.lines().filter_map(recovered).collect();
        let mut kept = Vec::new();
        for entry in fs::read_dir(self.log().with_file_name("")).expect("a directory") {
            let name = entry
                .expect("a file")
                .file_name()
                .into_string()
                .expect("UTF-8");
            if name != "log" {
                let bytes = fs::read(self.log().with_file_name(&name)).expect("a file");
                kept.push((name, Digest::of(&bytes).to_string()));
            }
        }
        told.sort();
        kept.sort();
        assert_eq!(told, kept, "{how}");
        let half = Digest::of(HALF).to_string();
        assert!(told.iter().any(|(_, sha256)| *sha256 == half), "{how}");
        assert!(told.len() <= 2, "{how}: {told:?}");
    }
}

#[test]
fn nothing_is_cut_silently_wherever_a_recovery_ends() {
    for call in ["openat", "pwrite64", "fsync", "ftruncate", "flock"] {
        for what in ["signal=KILL", "error=EIO"] {
            let mut hit = 0;
            for n in 1.. {
                let torn = Torn::new();
                let trace = torn.cache.beside("trace");
                let inject = format!("inject={call}:{what}:when={n}");
                // -P: of calls on these files alone.
                let dir = torn.log().with_file_name("");
                let log = torn.log();
                let kept = torn.log().with_file_name("log.torn-1");
                let path = |path: &PathBuf| path.display().to_string();
                let (trace_at, dir, log, kept) =
                    (path(&trace), path(&dir), path(&log), path(&kept));
                let dir = dir.trim_end_matches('/');
                torn.ran(&[
                    "strace",
                    "-qq",
                    "-o",
                    &trace_at,
                    "-P",
                    &log,
                    "-P",
                    dir,
                    "-P",
                    &kept,
                    "-e",
                    &format!("trace={call}"),
                    "-e",
                    &inject,
                ]);
                let how = format!("{call} {n}: {what}");
                torn.assert_told_by_the_next(&how);
                let trace = fs::read_to_string(trace).expect("strace's output");
                if !trace.contains("INJECTED") && !trace.contains("killed by") {
                    break;
                }
                hit += 1;
            }
            assert!(hit > 0, "no {call}");
        }
    }
}

#[test]
fn what_was_kept_and_cannot_be_read_is_not_forgotten() {
    let torn = Torn::new();
    fs::write(torn.log().with_file_name("log.torn-1"), "other").expect("a file");
    let [kept, trace] =
        ["logs/log.torn-1", "trace"].map(|name| torn.cache.beside(name).display().to_string());
    let inject = "inject=openat:error=EIO:when=1";
    torn.ran(&["strace", "-qq", "-o", &trace, "-P", &kept, "-e", inject])
        .assert_status(1)
        .assert_says("cannot keep aside a torn line");
    torn.assert_told_by_the_next("EIO");
}

#[test]
fn nothing_is_cut_silently_where_the_record_of_it_finds_no_room() {
    // Killed there, as by a crash with a part written, or refused.
    for ignored in ["", "trap '' XFSZ; "] {
        for room in [0, 1, 100, 300, 1000] {
            let torn = Torn::new();
            let most = torn.whole.len() + HALF.len() + room;
            let script = format!("{ignored}exec prlimit --fsize={most} \"$@\"");
            let ran = torn.ran(&["sh", "-c", &script, "sh"]);
            assert_ne!(ran.status, Some(13), "{ran:?}");
            torn.assert_told_by_the_next(&format!("{ignored}{room}"));
        }
    }
}
