//! Thousands of fetches through a hostile registry, by a service that lives long
//! and by runs that are killed, into one cache and one log.
//!
//! `SKOPEO_INDEX_PROOF=long` makes it 10,000; `SKOPEO_INDEX_SEED=N` does one again.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

#[path = "../osbuild/host.rs"]
#[allow(dead_code, reason = "not all of a host is wanted here")]
mod host;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use host::{Host, Version};
use test_support::loopback::{Behaviour, Registry, samples};
use skopeo_index::store::{RealDisk, Seen, Store};
use skopeo_index_core::audit::{KeepObjects, ParsedLine, Severity, Verifier};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;

/// Items of one call, and of one run.
const ITEMS: usize = 50;

/// Documents that there are.
const DOCUMENTS: usize = 400;

/// Options of service and runs alike.
const ENVIRONMENT: [(&str, &str); 7] = [
    ("SKOPEO_INDEX_TLS_VERIFY", "false"),
    ("SKOPEO_INDEX_RETRY_DELAY", "1ms"),
    ("SKOPEO_INDEX_RETRY_TIMES", "1"),
    ("SKOPEO_INDEX_COMMAND_TIMEOUT", "3s"),
    ("SKOPEO_INDEX_JOBS", "8"),
    ("REGISTRY_AUTH_FILE", "/nonexistent"),
    ("SKOPEO_INDEX_REPLY", "structured"),
];

/// What the service, the runs and all that they start have in their environment.
const MARKER: &str = "SKOPEO_INDEX_SOAK";

/// A misbehaviour; mostly those that don't take a command's whole time.
fn hostile(random: &mut fastrand::Rng) -> Option<Behaviour> {
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
    /// Of what was made to misbehave: after how many requests it no longer does.
    hostile_until: BTreeMap<String, usize>,
    fetches: usize,
    killed: usize,
    committed: usize,
}

impl Soak {
    fn new(seed: u64) -> Self {
        let registry = Registry::start();
        let digests = (0..DOCUMENTS)
            .map(|n| registry.put(samples::distinct(n)))
            .collect();
        let log = tempfile::NamedTempFile::new().expect("a file");
        let host = Host::start_with(Version::V190, |service| {
            service
                .envs(ENVIRONMENT)
                .env(MARKER, log.path())
                .env("SKOPEO_INDEX_AUDIT_LOG", log.path());
        });
        Self {
            random: fastrand::Rng::with_seed(seed),
            registry,
            digests,
            host,
            log,
            hostile_until: BTreeMap::new(),
            fetches: 0,
            killed: 0,
            committed: 0,
        }
    }

    fn cache(&self) -> std::path::PathBuf {
        self.host.cache().join("org.osbuild.files")
    }

    /// Some of the documents, each with a behaviour of its own, and what becomes of
    /// the cache meanwhile.
    fn items(&mut self) -> BTreeSet<String> {
        let mut items = BTreeSet::new();
        while items.len() < ITEMS {
            let digest = self.digests[self.random.usize(..DOCUMENTS)].clone();
            if let Some(behaviour) = hostile(&mut self.random) {
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

    /// Whether something may go wrong with a digest yet.
    fn is_hostile(&self, digest: &str) -> bool {
        let until = self.hostile_until.get(digest).copied().unwrap_or_default();
        until > self.registry.requests(digest)
    }

    /// One call of the service.
    fn called(&mut self) {
        let items = self.items();
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
                self.committed += 1;
            } else {
                assert!(hostile.contains(digest), "without a cause: {result}");
            }
        }
        assert_eq!(self.processes(), [self.host.service.id()], "left over");
    }

    /// All processes of this test, whosever children they are by now.
    fn processes(&self) -> Vec<u32> {
        let marker = format!("{MARKER}={}", self.log.path().display());
        let is_ours = |pid: &u32| {
            // Empty or gone: it has ended.
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

    /// A run that is killed once it has told of so many items.
    fn killed(&mut self) {
        let items = self.items();
        let address = self.registry.address();
        let mut run = Command::new(env!("CARGO_BIN_EXE_skopeo-index"))
            .args(["fetch", "--progress=json", "--cache"])
            .arg(self.cache())
            .arg("--audit-log")
            .arg(self.log.path())
            .args(items.iter().map(|digest| format!("{address}/app@{digest}")))
            .envs(ENVIRONMENT)
            .env(MARKER, self.log.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let lines = self.random.usize(1..200);
        let said = BufReader::new(run.stderr.take().expect("stderr"));
        for line in said.lines().take(lines) {
            line.expect("UTF-8");
        }
        run.kill().expect("a process");
        self.killed += usize::from(run.wait().expect("its end").code().is_none());
    }

    /// Descriptors and resident KiB of the service.
    fn uses(&self) -> [usize; 2] {
        let proc = Path::new("/proc").join(self.host.service.id().to_string());
        let descriptors = fs::read_dir(proc.join("fd")).expect("a process").count();
        let status = fs::read_to_string(proc.join("status")).expect("a process");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.expect("VmRSS").trim().trim_end_matches(" kB");
        [descriptors, resident.parse().expect("a number")]
    }

    fn assert_sound(&self) {
        let store = Store::new(self.cache(), RealDisk);
        for digest in store.objects().expect("a list") {
            let Seen::Bytes(bytes) = store.read(digest).expect("a sound disk") else {
                panic!("{digest}")
            };
            // What this test itself has put there may not have been asked for again.
            let ours = Digest::of(&bytes) == digest && Index::parse(&bytes).is_ok();
            assert!(ours || bytes == b"corrupt", "{digest}");
        }
        let log = fs::read(self.log.path()).expect("the log");
        let mut verifier = Verifier::new(None, KeepObjects::Nothing);
        let end = log
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let mut findings: Vec<_> = log[..end]
            .split_inclusive(|byte| *byte == b'\n')
            .flat_map(|line| verifier.line(&ParsedLine::read(&line[..line.len() - 1])))
            .collect();
        findings.extend(verifier.finish(&log[end..]).1);
        findings.retain(|found| found.what.severity() > Severity::Note);
        assert_eq!(findings, []);
    }
}

#[test]
fn nothing_goes_wrong_and_nothing_grows() {
    let given = std::env::var("SKOPEO_INDEX_SEED").ok();
    let seed = given.map_or_else(|| fastrand::u64(..), |seed| seed.parse().expect("a number"));
    let is_long = std::env::var("SKOPEO_INDEX_PROOF").is_ok_and(|proof| proof == "long");
    let fetches = if is_long { 10_000 } else { 400 };
    println!("SKOPEO_INDEX_SEED={seed}");
    let mut soak = Soak::new(seed);
    // Once warm, it has all that it needs.
    soak.called();
    let before = soak.uses();
    while soak.fetches < fetches {
        soak.called();
        soak.killed();
    }
    soak.called();
    let after = soak.uses();
    println!(
        "{} fetches, {} committed by the service, {} runs killed; descriptors, KiB: {before:?}, then {after:?}",
        soak.fetches, soak.committed, soak.killed
    );
    assert_eq!(after[0], before[0], "descriptors");
    assert!(
        after[1] < before[1] + 4096,
        "it grows: {before:?}, then {after:?}"
    );
    assert!(soak.killed > 0 && soak.committed > soak.fetches / 4);
    soak.assert_sound();
    let store = Store::new(soak.cache(), RealDisk);
    soak.host.hang_up();
    soak.host.service.wait().expect("its end");
    assert_eq!(soak.processes(), [0; 0], "left over");
    store.sweep().expect("a sound disk");
    assert_eq!(store.left_over().expect("a sound disk"), [""; 0]);
    let staging = fs::read_dir(soak.cache().join(".skopeo-index")).expect("ours");
    let names: Vec<_> = staging.map(|e| e.expect("an entry").file_name()).collect();
    let mut left = names
        .iter()
        .filter(|n| n.to_string_lossy().starts_with("staging"));
    assert_eq!(left.next(), None);
}
