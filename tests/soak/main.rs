//! Fetches from a hostile registry by the long-lived osbuild service and by runs of the
//! command line that are killed, with one cache and one audit log.
//!
//! `SKOPEO_INDEX_PROOF=long` makes 10,000 fetches; `SKOPEO_INDEX_SEED=N` repeats a run.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use skopeo_index::store::Store;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::CacheEntry;
use test_support::audit_log;
use test_support::loopback::{Behaviour, Registry, samples};
use test_support::program::host::{self, Host, Version};

/// Items of each call of the service and of each run.
const ITEMS: usize = 50;

/// Documents of the registry.
const DOCUMENTS: usize = 400;

/// Options of the service and of the runs.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("SKOPEO_INDEX_TLS_VERIFY", "false"),
    ("SKOPEO_INDEX_RETRY_DELAY", "1ms"),
    ("SKOPEO_INDEX_RETRY_TIMES", "1"),
    ("SKOPEO_INDEX_COMMAND_TIMEOUT", "3s"),
    ("SKOPEO_INDEX_JOBS", "8"),
    ("SKOPEO_INDEX_REPLY", "structured"),
];

/// Variable that the service, the runs and their children have in their environment.
const MARKER: &str = "SKOPEO_INDEX_SOAK";

/// A misbehaviour, or none; rarely one that lasts until the command's timeout.
fn misbehaviour(random: &mut fastrand::Rng) -> Option<Behaviour> {
    Some(match random.u8(..) {
        0 => Behaviour::Silence,
        1 => Behaviour::SlowDrip,
        2..8 => Behaviour::CutShort,
        8..12 => Behaviour::EndlessBody,
        12..20 => Behaviour::RedirectLoop,
        20..30 => Behaviour::not_found(),
        30..40 => Behaviour::unauthorized(),
        40..60 => Behaviour::status("503 Service Unavailable"),
        60..70 => Behaviour::error(
            "500 Internal Server Error",
            "UNKNOWN",
            "\u{1b}[31mno\u{202e}",
        ),
        _ => return None,
    })
}

struct Soak {
    random: fastrand::Rng,
    registry: Registry,
    digests: Vec<String>,
    host: Host,
    log: tempfile::NamedTempFile,
    /// Without credentials, but readable: else only skopeo fetches.
    auth: tempfile::NamedTempFile,
    /// By digest: the number of requests after which the registry behaves again.
    hostile_until: BTreeMap<String, usize>,
    fetches: usize,
    killed_runs: usize,
    committed_by_service: usize,
}

impl Soak {
    fn new(seed: u64) -> Self {
        let registry = Registry::start();
        let digests = (0..DOCUMENTS)
            .map(|n| registry.put(samples::distinct(n)))
            .collect();
        let log = tempfile::NamedTempFile::new().expect("a file");
        let auth = tempfile::NamedTempFile::new().expect("a file");
        fs::write(auth.path(), "{}").expect("a file");
        let host = Host::start_with(Version::V190, |service| {
            service
                .envs(ENVIRONMENT)
                .env("SKOPEO_INDEX_ENGINE", "auto")
                .env("REGISTRY_AUTH_FILE", auth.path())
                .env(MARKER, log.path())
                .env("SKOPEO_INDEX_AUDIT_LOG", log.path());
        });
        Self {
            random: fastrand::Rng::with_seed(seed),
            registry,
            digests,
            host,
            log,
            auth,
            hostile_until: BTreeMap::new(),
            fetches: 0,
            killed_runs: 0,
            committed_by_service: 0,
        }
    }

    fn cache(&self) -> std::path::PathBuf {
        self.host.cache().join("org.osbuild.files")
    }

    /// Picks documents, makes the registry misbehave for some, and removes or corrupts the
    /// objects of some.
    fn pick_items(&mut self) -> BTreeSet<String> {
        let mut items = BTreeSet::new();
        while items.len() < ITEMS {
            let digest = self.digests[self.random.usize(..DOCUMENTS)].clone();
            let behaviour = match self.fetches {
                // Every thread of the service allocates as much as it ever does.
                0 => Some(Behaviour::EndlessBody),
                _ => misbehaviour(&mut self.random),
            };
            if let Some(behaviour) = behaviour {
                let requests = self.registry.requests(&digest);
                let until = self.hostile_until.entry(digest.clone()).or_default();
                *until = requests.max(*until) + 1;
                self.registry.behave_once(&digest, [behaviour]);
            }
            let object = self.cache().join(&digest);
            match self.random.u8(..4) {
                0 => drop(fs::remove_file(&object)),
                1 if object.exists() => fs::write(&object, "corrupt").expect("an object"),
                _ => {}
            }
            items.insert(digest);
        }
        self.fetches += items.len();
        items
    }

    /// Whether the registry may still misbehave for a digest.
    fn is_hostile(&self, digest: &str) -> bool {
        let until = self.hostile_until.get(digest).copied().unwrap_or_default();
        until > self.registry.requests(digest)
    }

    /// Calls `download` of the service.
    fn call_service(&mut self) {
        let items = self.pick_items();
        let hostile: BTreeSet<_> = items
            .iter()
            .filter(|digest| self.is_hostile(digest))
            .cloned()
            .collect();
        let items = host::items(self.registry.address(), items.iter().map(String::as_str));
        let reply = self.host.download(&items);
        let results = host::reply(&reply)["results"].as_array();
        let results = results.unwrap_or_else(|| panic!("{reply}"));
        assert_eq!(results.len(), ITEMS, "{reply}");
        for result in results {
            let digest = result["metadata"]["checksum"].as_str().expect("a digest");
            if result["success"] == true {
                let object = fs::read(self.cache().join(digest)).expect("an object");
                assert_eq!(Digest::of(&object).to_string(), digest);
                self.committed_by_service += 1;
            } else {
                assert!(hostile.contains(digest), "failure without cause: {result}");
            }
        }
        assert_eq!(self.processes(), [self.host.service.id()], "processes");
    }

    /// The processes of this test, orphans included.
    fn processes(&self) -> Vec<u32> {
        let marker = format!("{MARKER}={}", self.log.path().display());
        let is_ours = |pid: &u32| {
            // It is empty or missing once the process has ended.
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == marker.as_bytes())
        };
        let processes = fs::read_dir("/proc").expect("proc").flatten();
        processes
            .filter_map(|process| process.file_name().to_str()?.parse().ok())
            .filter(is_ours)
            .collect()
    }

    /// Starts a run, and kills it after a random number of its progress lines.
    fn kill_run(&mut self) {
        let items = self.pick_items();
        let address = self.registry.address();
        // In turn: by the client, a run may end before it is killed.
        let engine = ["skopeo", "auto", "registry"][self.fetches / ITEMS % 3];
        let mut run = Command::new(test_support::program::binary())
            .args(["fetch", "--progress=json", "--cache"])
            .arg(self.cache())
            .arg("--audit-log")
            .arg(self.log.path())
            .args(items.iter().map(|digest| format!("{address}/app@{digest}")))
            .envs(ENVIRONMENT)
            .env("SKOPEO_INDEX_ENGINE", engine)
            .env("REGISTRY_AUTH_FILE", self.auth.path())
            .env(MARKER, self.log.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let lines = self.random.usize(1..200);
        let stderr = BufReader::new(run.stderr.take().expect("stderr"));
        for line in stderr.lines().take(lines) {
            line.expect("UTF-8");
        }
        run.kill().expect("a process");
        self.killed_runs += usize::from(run.wait().expect("its end").code().is_none());
    }

    /// Open descriptors and resident KiB of the service.
    fn usage(&self) -> [usize; 2] {
        let proc = Path::new("/proc").join(self.host.service.id().to_string());
        let descriptors = fs::read_dir(proc.join("fd")).expect("a process").count();
        let status = fs::read_to_string(proc.join("status")).expect("a process");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.expect("VmRSS").trim().trim_end_matches(" kB");
        [descriptors, resident.parse().expect("a number")]
    }

    /// Asserts that objects and log are intact.
    fn assert_intact(&self) {
        let store = Store::at(self.cache());
        for digest in store.objects().expect("a list") {
            let entry = store.read(digest).expect("a readable cache");
            let CacheEntry::File { content } = entry else {
                panic!("{digest}")
            };
            let bytes = content.as_slice();
            let is_intact = Digest::of(bytes) == digest && Index::parse(bytes).is_ok();
            // An object that this test corrupted may not have been requested again.
            assert!(is_intact || bytes == b"corrupt", "{digest}");
        }
        let log = fs::read(self.log.path()).expect("the log");
        assert_eq!(audit_log::verify(&log, None).1, []);
    }
}

/// How much the service's resident memory may grow after its first call, in KiB: glibc keeps
/// a freed body of up to 4 MiB for each of the 8 jobs' threads, in steps that take thousands
/// of fetches to come. Between these steps it stays level.
const MAX_GROWTH: usize = 16 << 10;

#[test]
fn service_and_killed_runs_keep_cache_and_log_intact_without_leaks() {
    let given = std::env::var("SKOPEO_INDEX_SEED").ok();
    let seed = given.map_or_else(|| fastrand::u64(..), |seed| seed.parse().expect("a number"));
    let is_long = std::env::var("SKOPEO_INDEX_PROOF").is_ok_and(|proof| proof == "long");
    let fetches = if is_long { 10_000 } else { 400 };
    println!("SKOPEO_INDEX_SEED={seed}");
    let mut soak = Soak::new(seed);
    // The first call allocates what the service keeps.
    soak.call_service();
    let before = soak.usage();
    while soak.fetches < fetches {
        soak.call_service();
        soak.kill_run();
    }
    soak.call_service();
    let after = soak.usage();
    println!(
        "{} fetches, {} committed by the service, {} runs killed; descriptors, KiB: {before:?}, then {after:?}",
        soak.fetches, soak.committed_by_service, soak.killed_runs
    );
    assert_eq!(after[0], before[0], "descriptors");
    assert!(
        after[1] < before[1] + MAX_GROWTH,
        "resident KiB: {before:?}, then {after:?}"
    );
    assert!(soak.killed_runs > 0 && soak.committed_by_service > soak.fetches / 4);
    soak.assert_intact();
    let store = Store::at(soak.cache());
    soak.host.hang_up();
    soak.host.service.wait().expect("its end");
    assert_eq!(soak.processes(), [0; 0], "processes");
    store.sweep().expect("a readable cache");
    let stale = store.stale_staging().expect("a readable cache").names;
    assert_eq!(stale, [""; 0]);
    let private_dir = fs::read_dir(soak.cache().join(".skopeo-index")).expect("a directory");
    let names: Vec<_> = private_dir
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    let mut staging = names
        .iter()
        .filter(|name| name.to_string_lossy().starts_with("staging"));
    assert_eq!(staging.next(), None);
}
