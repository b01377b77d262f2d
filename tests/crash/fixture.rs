//! A cache, an audit log, a fake skopeo, and runs of the binary on them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::json;
use skopeo_index::os::best_effort;
use skopeo_index::store::Store;
use skopeo_index_core::audit::{Entry, Finding, FindingKind, Record, Severity};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{CacheEntry, ManifestBytes, State};
use tempfile::TempDir;
use test_support::audit_log;
use test_support::loopback::{Registry, samples};
use test_support::program::host::{self, Answer, Host, Version};
use wait_timeout::ChildExt;

/// Longer than any run takes that doesn't hang.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The initial state, and what is run on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    FetchByRaw,
    /// By the registry client.
    FetchByClient,
    FetchByCopy,
    /// `copy` of the osbuild service, from another store.
    OsbuildCopy,
    Hit,
    Quarantine,
    /// The log has a torn line, and the cache a stale staging directory.
    Recovery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunResult {
    Succeeded,
    Failed,
    Killed,
}

pub struct Fixture {
    dir: TempDir,
    scenario: Scenario,
    document: Vec<u8>,
    registry: Registry,
}

impl Fixture {
    pub fn new(scenario: Scenario) -> Self {
        let fixture = Self {
            dir: tempfile::tempdir().expect("a directory"),
            scenario,
            document: samples::oci_index(3),
            registry: Registry::start(),
        };
        fs::create_dir_all(fixture.cache()).expect("a directory");
        fixture.write_fake_skopeo();
        let object = fixture.cache().join(fixture.digest().to_string());
        match scenario {
            Scenario::FetchByRaw | Scenario::FetchByCopy => {}
            Scenario::FetchByClient => drop(fixture.registry.put(fixture.document.clone())),
            Scenario::OsbuildCopy => {
                let from = fixture.path("other/org.osbuild.files");
                fs::create_dir_all(&from).expect("a directory");
                let object = from.join(fixture.digest().to_string());
                fs::write(object, &fixture.document).expect("an object");
            }
            Scenario::Hit => fs::write(object, &fixture.document).expect("an object"),
            Scenario::Quarantine => fs::write(object, "corrupt").expect("an object"),
            Scenario::Recovery => {
                assert_eq!(fixture.run(&[]), RunResult::Succeeded);
                let mut log = fs::read(fixture.log()).expect("a log");
                log.extend(br#"{"log":"skop"#);
                fs::write(fixture.log(), log).expect("a log");
                let stale = fixture.cache().join(".skopeo-index/staging-dead00");
                fs::create_dir_all(stale.join("0.attempt-1")).expect("a directory");
                fs::write(stale.join("0.attempt-1/manifest.json"), "x").expect("a file");
                fs::write(stale.join("0.object"), "x").expect("a file");
                fs::write(stale.join("lock"), "").expect("a file");
                fs::remove_file(object).expect("it was fetched");
            }
        }
        fixture
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn cache(&self) -> PathBuf {
        self.path("store/org.osbuild.files")
    }

    fn log(&self) -> PathBuf {
        self.path("log")
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.document)
    }

    /// Answers every command correctly for the one document.
    fn write_fake_skopeo(&self) {
        let document = self.path("document");
        fs::write(&document, &self.document).expect("a file");
        let (document, digest) = (document.display(), self.digest());
        let script = format!(
            "#!/bin/sh\nfor last; do :; done\ncase \"$*\" in\n\
             *--version*) echo skopeo version 0 ;;\n\
             *' copy '*) cp {document} \"${{last#dir:}}/manifest.json\" ;;\n\
             *manifest-digest*) echo {digest} ;;\n\
             *) cat {document} ;;\nesac\n"
        );
        let skopeo = self.path("skopeo");
        fs::write(&skopeo, script).expect("a file");
        fs::set_permissions(&skopeo, fs::Permissions::from_mode(0o755)).expect("a file");
    }

    /// Where the index comes from: its reference, and options.
    fn source(&self) -> Vec<String> {
        let digest = self.digest();
        if self.scenario == Scenario::FetchByClient {
            let reference = format!("{}/app@{digest}", self.registry.address());
            let auth = self.path("auth.json");
            fs::write(&auth, "{}").expect("a file");
            let options = ["--engine=registry", "--tls-verify=false", "--authfile"];
            let options = options.map(str::to_owned).into_iter();
            return options
                .chain([auth.display().to_string(), reference])
                .collect();
        }
        let skopeo = self.path("skopeo").display().to_string();
        vec![
            "--skopeo".to_owned(),
            skopeo,
            format!("localhost/app@{digest}"),
        ]
    }

    /// Runs the binary as the last arguments of `wrapper`.
    #[track_caller]
    pub fn run(&self, wrapper: &[&str]) -> RunResult {
        if self.scenario == Scenario::OsbuildCopy {
            return self.run_service(wrapper);
        }
        let method = if self.scenario == Scenario::FetchByCopy {
            "copy"
        } else {
            "raw"
        };
        let binary = test_support::program::binary();
        let binary = [binary.to_str().expect("UTF-8"), "fetch"];
        let words: Vec<_> = wrapper.iter().chain(&binary).collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(["--quiet", "--jobs=1", "--retry-times=0", "--method", method])
            .arg("--cache")
            .arg(self.cache())
            .arg("--audit-log")
            .arg(self.log())
            .args(self.source())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command
            .spawn()
            .expect("strace, which `make setup` or `apt-get install strace` installs");
        let status = wait(&mut child);
        match status.code() {
            None => RunResult::Killed,
            Some(0) => RunResult::Succeeded,
            // 127: the dynamic loader failed.
            Some(1 | 2 | 14 | 15 | 127) => RunResult::Failed,
            Some(_) => panic!("{status}"),
        }
    }

    /// Calls `copy` of the osbuild service.
    fn run_service(&self, wrapper: &[&str]) -> RunResult {
        let mut host = Host::start_with(Version::V190, |service| {
            service.args(wrapper).env("SKOPEO_INDEX_JOBS", "1");
            service.env("SKOPEO_INDEX_AUDIT_LOG", self.log());
        });
        let digest = self.digest().to_string();
        let args = json!({
            "items": host::items("localhost", [digest.as_str()]),
            "cache": self.path("other"), "dst_cache": self.path("store"),
        });
        let call = json!({ "type": "method", "data": { "name": "copy", "args": args } });
        host.send(call.to_string().as_bytes(), &[]);
        let answer = host.receive();
        host.hang_up();
        let status = wait(&mut host.service);
        match answer {
            _ if status.code().is_none() => RunResult::Killed,
            Answer::Message(reply, _) if reply["data"]["reply"]["success"] == true => {
                RunResult::Succeeded
            }
            Answer::Message(..) | Answer::Closed => RunResult::Failed,
        }
    }

    /// Runs the binary under strace.
    #[track_caller]
    pub fn run_traced(&self, strace_options: &[&str]) -> RunResult {
        let trace = self.path("trace");
        let mut strace = vec!["strace", "-qq", "-o", trace.to_str().expect("UTF-8")];
        strace.extend(strace_options);
        self.run(&strace)
    }

    /// The output of strace.
    pub fn trace(&self) -> String {
        fs::read_to_string(self.path("trace")).expect("the output of strace")
    }

    /// How often the last traced run made a call.
    pub fn traced_count(&self, call: &str) -> usize {
        let is_call = |line: &&str| line.split_once('(').is_some_and(|(name, _)| name == call);
        self.trace().lines().filter(is_call).count()
    }

    /// Asserts what holds however a run ended.
    #[track_caller]
    pub fn assert_invariants(&self, result: RunResult, context: &str) {
        let store = Store::at(self.cache());
        let entry = store.read(self.digest()).expect("a readable cache");
        let is_complete = entry == self.expected_entry();
        let is_unchanged =
            self.scenario == Scenario::Quarantine && entry == file(b"corrupt".to_vec());
        assert!(
            is_complete || is_unchanged || entry == CacheEntry::Absent,
            "{context}: {entry:?}"
        );
        for object in store.objects().expect("a list") {
            let entry = store.read(object).expect("a readable cache");
            let CacheEntry::File { content } = entry else {
                panic!("{context}: {object}")
            };
            let bytes = content.as_slice();
            let is_valid = Digest::of(bytes) == object && Index::parse(bytes).is_ok();
            assert!(is_valid || is_unchanged, "{context}: {object}");
        }
        let findings = self.findings();
        let worst = findings.iter().map(|finding| finding.kind.severity()).max();
        assert!(
            worst <= Some(Severity::Truncated),
            "{context}: {findings:?}"
        );
        if result == RunResult::Succeeded {
            assert!(is_complete, "{context}: success without an object");
            let mut findings = findings;
            findings.retain(|finding| !matches!(finding.kind, FindingKind::RecoveredLine(_)));
            assert_eq!(findings, [], "{context}");
            self.assert_recorded(context);
        }
    }

    /// Asserts that the last run recorded the object, and that a torn line is recorded.
    #[track_caller]
    fn assert_recorded(&self, context: &str) {
        let log = fs::read_to_string(self.log()).expect("a log");
        let records: Vec<_> = log
            .lines()
            .filter_map(|line| Record::parse(line.as_bytes()).ok())
            .collect();
        let last_run = &records.last().expect("records").run;
        let mut of_last_run = records.iter().filter(|record| record.run == *last_run);
        let is_committed = of_last_run.any(|record| match &record.entry {
            Entry::Transition(made) => {
                made.event.to == State::Committed && made.request.digest() == self.digest()
            }
            _ => false,
        });
        assert!(is_committed, "{context}: success without a record");
        let is_recovered = records
            .iter()
            .any(|record| matches!(record.entry, Entry::Recovered { .. }));
        assert!(
            is_recovered || self.scenario != Scenario::Recovery,
            "{context}: no record of the torn line"
        );
    }

    /// Runs the binary once more and asserts that nothing is left of the run before.
    #[track_caller]
    pub fn assert_next_run_succeeds(&self, context: &str) {
        let context = &format!("{context}, next run");
        assert_eq!(self.run(&[]), RunResult::Succeeded, "{context}");
        let store = Store::at(self.cache());
        let entry = store.read(self.digest()).expect("a readable cache");
        assert_eq!(entry, self.expected_entry(), "{context}");
        let stale = store.stale_staging().expect("a readable cache").names;
        assert_eq!(stale, [""; 0], "{context}");
        let mut findings = self.findings();
        // The killed run may be unfinished.
        findings.retain(|finding| finding.kind.severity() > Severity::Note);
        assert_eq!(findings, [], "{context}");
        self.assert_recorded(context);
    }

    fn expected_entry(&self) -> CacheEntry<ManifestBytes> {
        file(self.document.clone())
    }

    fn findings(&self) -> Vec<Finding> {
        let log = fs::read(self.log()).unwrap_or_default();
        audit_log::all_findings(&log, None).1
    }
}

fn file(bytes: Vec<u8>) -> CacheEntry<ManifestBytes> {
    CacheEntry::File {
        content: bytes.into(),
    }
}

#[track_caller]
fn wait(child: &mut Child) -> ExitStatus {
    let status = child.wait_timeout(TIMEOUT).expect("a child");
    status.unwrap_or_else(|| {
        best_effort(child.kill());
        panic!("the process hangs")
    })
}
