//! The real binary, killed at every system call that changes the file system,
//! and refused each of them: strace does both.
//!
//! One job needs no thread, so every call counts in the one process that strace
//! follows; skopeo's stand-in is not touched. `SKOPEO_INDEX_PROOF=long` tries
//! every error at every call, and not a part of them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on says why and fails"
)]

#[path = "../osbuild/host.rs"]
#[allow(dead_code, reason = "the tests of the protocol use all of it")]
mod host;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use host::{Answer, Host, Version};
use test_support::loopback::samples;
use serde_json::json;
use skopeo_index::store::{RealDisk, Seen, Store};
use skopeo_index_core::audit::{
    Entry, Finding, FindingKind, KeepObjects, ParsedLine, Record, Severity, Verifier,
};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::State;
use tempfile::TempDir;
use wait_timeout::ChildExt;

/// Calls that can't change a file system, of all that the binary makes.
const HARMLESS: &str = "access arch_prctl brk capget clock_nanosleep clone clone3 close dup execve exit \
    exit_group faccessat2 fcntl fstat futex getcwd getdents64 geteuid getpid getpgid \
    getrandom getrusage gettid getuid getegid getgid ioctl kill lseek lstat madvise mmap \
    mprotect mremap munmap newfstatat nanosleep pidfd_open pidfd_send_signal pipe2 poll \
    ppoll prctl pread64 prlimit64 read readlink readlinkat rseq rt_sigaction rt_sigprocmask \
    rt_sigreturn sched_getaffinity sched_yield sendto recvfrom recvmsg sendmsg \
    set_robust_list set_tid_address setpgid sigaltstack socketpair stat statx sysinfo umask \
    uname vfork wait4 waitid waitpid epoll_create1 epoll_ctl epoll_wait";

/// What the system may say instead of doing it.
const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EINTR", "EMFILE"];

/// Longer than any run takes that isn't stuck.
const STUCK: Duration = Duration::from_secs(60);

/// Every how manyth pair of call and error is tried in the short form.
const PART: usize = 5;

fn is_long() -> bool {
    std::env::var_os("SKOPEO_INDEX_PROOF").is_some_and(|proof| proof == "long")
}

/// What a run finds, and what it is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    Fetch,
    ByCopy,
    /// From another store, for an osbuild host.
    FromStore,
    Hit,
    Quarantine,
    /// The log ends in half a line, and a dead process left its directory.
    AfterCrash,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Well,
    Failed,
    Killed,
}

/// The end of a child that isn't stuck.
fn waited(child: &mut Child) -> ExitStatus {
    let ended = child.wait_timeout(STUCK).expect("a child");
    ended.unwrap_or_else(|| {
        let _gone = child.kill();
        panic!("it is stuck")
    })
}

struct Stage {
    dir: TempDir,
    scene: Scene,
    document: Vec<u8>,
}

impl Stage {
    fn new(scene: Scene) -> Self {
        let (dir, document) = (
            tempfile::tempdir().expect("a directory"),
            samples::oci_index(3),
        );
        let stage = Self {
            dir,
            scene,
            document,
        };
        fs::create_dir_all(stage.cache()).expect("a directory");
        stage.stand_in();
        let object = stage.cache().join(stage.digest().to_string());
        match scene {
            Scene::Fetch | Scene::ByCopy => {}
            Scene::FromStore => {
                let from = stage.path("other/org.osbuild.files");
                fs::create_dir_all(&from).expect("a directory");
                fs::write(from.join(stage.digest().to_string()), &stage.document)
                    .expect("an object");
            }
            Scene::Hit => fs::write(object, &stage.document).expect("an object"),
            Scene::Quarantine => fs::write(object, "corrupt").expect("an object"),
            Scene::AfterCrash => {
                assert_eq!(stage.run(&[]), Ended::Well);
                let mut log = fs::read(stage.log()).expect("a log");
                log.extend(br#"{"log":"skop"#);
                fs::write(stage.log(), log).expect("a log");
                let left = stage.cache().join(".skopeo-index/staging-dead00");
                fs::create_dir_all(left.join("0.attempt-1")).expect("a directory");
                fs::write(left.join("0.attempt-1/manifest.json"), "x").expect("a file");
                fs::write(left.join("0.object"), "x").expect("a file");
                fs::write(left.join("lock"), "").expect("a file");
                fs::remove_file(object).expect("it was fetched");
            }
        }
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn cache(&self) -> PathBuf {
        self.path("store/org.osbuild.files")
    }

    fn log(&self) -> PathBuf {
        self.path("log")
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.document)
    }

    /// A skopeo that always brings the document.
    fn stand_in(&self) {
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

    /// The binary, by way of `wrapper`.
    fn run(&self, wrapper: &[&str]) -> Ended {
        if self.scene == Scene::FromStore {
            return self.copy(wrapper);
        }
        let method = if self.scene == Scene::ByCopy {
            "copy"
        } else {
            "raw"
        };
        let binary = [env!("CARGO_BIN_EXE_skopeo-index"), "fetch"];
        let words: Vec<_> = wrapper.iter().chain(&binary).collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(["--quiet", "--jobs=1", "--retry-times=0", "--method", method])
            .arg("--cache")
            .arg(self.cache())
            .arg("--audit-log")
            .arg(self.log())
            .arg("--skopeo")
            .arg(self.path("skopeo"))
            .arg(format!("localhost/app@{}", self.digest()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command
            .spawn()
            .expect("strace is not there; `make setup` or `apt-get install strace` installs it");
        let status = waited(&mut child);
        match status.code() {
            None => Ended::Killed,
            Some(0) => Ended::Well,
            // 127: the loader was refused something.
            Some(1 | 2 | 14 | 15 | 127) => Ended::Failed,
            Some(_) => panic!("{status}"),
        }
    }

    /// The osbuild service, which copies from another store.
    fn copy(&self, wrapper: &[&str]) -> Ended {
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
        let status = waited(&mut host.service);
        match answer {
            _ if status.code().is_none() => Ended::Killed,
            Answer::Message(reply, _) if reply["data"]["reply"]["success"] == true => Ended::Well,
            Answer::Message(..) | Answer::Closed => Ended::Failed,
        }
    }

    fn traced(&self, more: &[&str]) -> Ended {
        let trace = self.path("trace");
        let mut strace = vec!["strace", "-qq", "-o", trace.to_str().expect("UTF-8")];
        strace.extend(more);
        self.run(&strace)
    }

    /// How often the last traced run made a call.
    fn traced_times(&self, call: &str) -> usize {
        let trace = fs::read_to_string(self.path("trace")).expect("strace's output");
        let is_it = |line: &&str| line.split_once('(').is_some_and(|(name, _)| name == call);
        trace.lines().filter(is_it).count()
    }

    /// What must hold however a run ended.
    fn assert_sound(&self, ended: Ended, how: &str) {
        let store = Store::new(self.cache(), RealDisk);
        let seen = store.read(self.digest()).expect("a sound disk");
        let whole = seen == Seen::Bytes(self.document.clone());
        let before = self.scene == Scene::Quarantine && seen == Seen::Bytes(b"corrupt".to_vec());
        assert!(whole || before || seen == Seen::Absent, "{how}: {seen:?}");
        for object in store.objects().expect("a list") {
            let Seen::Bytes(bytes) = store.read(object).expect("a sound disk") else {
                panic!("{how}: {object}")
            };
            let sound = Digest::of(&bytes) == object && Index::parse(&bytes).is_ok();
            assert!(sound || before, "{how}: {object}");
        }
        let worst = self
            .findings()
            .into_iter()
            .map(|found| found.what.severity())
            .max();
        assert!(
            worst <= Some(Severity::Truncated),
            "{how}: {:?}",
            self.findings()
        );
        if ended == Ended::Well {
            assert!(whole, "{how}: success without an object");
            let mut findings = self.findings();
            findings.retain(|found| !matches!(found.what, FindingKind::Recovered { .. }));
            assert_eq!(findings, [], "{how}");
            self.assert_told(how);
        }
    }

    /// What a run that ended well tells in the log: that it has the object, and
    /// what was found cut short.
    fn assert_told(&self, how: &str) {
        let log = fs::read_to_string(self.log()).expect("a log");
        let records: Vec<_> = log
            .lines()
            .map(|line| Record::parse(line.as_bytes()).expect("a record"))
            .collect();
        let last = &records.last().expect("records").run;
        let of_last = || records.iter().filter(|record| record.run == *last);
        let committed = of_last().any(|record| match &record.op {
            Entry::Transition { event, request, .. } => {
                event.to == State::Committed && request.digest() == self.digest()
            }
            _ => false,
        });
        assert!(committed, "{how}: success without a record");
        let recovered = records
            .iter()
            .any(|record| matches!(record.op, Entry::Recovered { .. }));
        assert!(recovered || self.scene != Scene::AfterCrash, "{how}");
    }

    /// And what must hold after the next run.
    fn assert_well_again(&self, how: &str) {
        assert_eq!(self.run(&[]), Ended::Well, "{how}, then");
        let store = Store::new(self.cache(), RealDisk);
        let seen = store.read(self.digest()).expect("a sound disk");
        assert_eq!(seen, Seen::Bytes(self.document.clone()), "{how}");
        assert_eq!(store.left_over().expect("a sound disk"), [""; 0], "{how}");
        let mut findings = self.findings();
        // The run before may have no end.
        findings.retain(|found| found.what.severity() > Severity::Note);
        assert_eq!(findings, [], "{how}");
        self.assert_told(&format!("{how}, then"));
    }

    fn findings(&self) -> Vec<Finding> {
        let log = fs::read(self.log()).unwrap_or_default();
        let end = log
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let mut verifier = Verifier::new(None, KeepObjects::Nothing);
        let lines = log[..end].split_inclusive(|byte| *byte == b'\n');
        let mut findings: Vec<_> = lines
            .flat_map(|line| verifier.line(&ParsedLine::read(&line[..line.len() - 1])))
            .collect();
        findings.extend(verifier.finish(&log[end..]).1);
        findings
    }
}

/// The calls that may change a file system: of each name, which ones. Opening a
/// file to read it counts in the long form.
fn calls(scene: Scene) -> BTreeMap<String, Vec<usize>> {
    let stage = Stage::new(scene);
    assert_eq!(stage.traced(&[]), Ended::Well, "{scene:?}");
    let trace = fs::read_to_string(stage.path("trace")).expect("strace's output");
    let (mut seen, mut calls) = (BTreeMap::new(), BTreeMap::<_, Vec<_>>::new());
    for line in trace.lines() {
        let Some((name, arguments)) = line.split_once('(') else {
            continue;
        };
        let n: &mut usize = seen.entry(name).or_default();
        *n += 1;
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let reads = name == "openat" && arguments.contains("O_RDONLY") && !is_long();
        if is_name && !reads && !HARMLESS.split(' ').any(|harmless| harmless == name) {
            calls.entry(name.to_owned()).or_default().push(*n);
        }
    }
    calls
}

/// Does one thing at one call.
fn inject(scene: Scene, call: &str, n: usize, what: &str) {
    let stage = Stage::new(scene);
    let how = format!("{scene:?}, {call} {n}: {what}");
    let ended = stage.traced(&["-e", &format!("inject={call}:{what}:when={n}")]);
    stage.assert_sound(ended, &how);
    if what.starts_with("signal") {
        // What skopeo copies to is looked at from time to time: as often as that, a
        // run makes a call more or less than the one that was counted.
        assert!(
            ended == Ended::Killed || stage.traced_times(call) < n,
            "{how}: {ended:?}"
        );
    } else {
        assert_ne!(ended, Ended::Killed, "{how}");
    }
    stage.assert_well_again(&how);
}

fn everywhere(scene: Scene) {
    let calls = calls(scene);
    let (mut killed, mut refused, mut place) = (0, 0, 0);
    for (call, which) in &calls {
        for &n in which {
            inject(scene, call, n, "signal=KILL");
            killed += 1;
            for error in ERRORS {
                place += 1;
                if is_long() || place % PART == 0 {
                    inject(scene, call, n, &format!("error={error}"));
                    refused += 1;
                }
            }
        }
    }
    let names: Vec<_> = calls.keys().collect();
    println!("{scene:?}: killed at {killed} calls, refused {refused} of {names:?}");
    for expected in ["openat", "write", "pwrite64", "fsync", "fdatasync", "flock"] {
        assert!(
            calls.contains_key(expected),
            "{scene:?} makes no {expected}"
        );
    }
}

#[test]
fn a_fetch_leaves_nothing_wrong_wherever_it_ends() {
    everywhere(Scene::Fetch);
}

#[test]
fn a_fetch_by_copy_leaves_nothing_wrong_wherever_it_ends() {
    everywhere(Scene::ByCopy);
}

#[test]
fn a_copy_for_osbuild_leaves_nothing_wrong_wherever_it_ends() {
    everywhere(Scene::FromStore);
}

#[test]
fn a_hit_leaves_nothing_wrong_wherever_it_ends() {
    everywhere(Scene::Hit);
}

#[test]
fn a_quarantine_leaves_nothing_wrong_wherever_it_ends() {
    everywhere(Scene::Quarantine);
}

#[test]
fn a_run_after_a_crash_leaves_nothing_wrong_wherever_it_ends() {
    everywhere(Scene::AfterCrash);
}

/// The calls on files that a run makes, each with its arguments, in their order.
fn traced_calls(scene: Scene, more: &[&str]) -> Vec<String> {
    let stage = Stage::new(scene);
    // -y names what a descriptor is of.
    let strace = [
        &[
            "-y",
            "-e",
            "trace=fsync,fdatasync,renameat2,linkat,unlink,unlinkat",
        ],
        more,
    ];
    assert_eq!(stage.traced(&strace.concat()), Ended::Well, "{scene:?}");
    let trace = fs::read_to_string(stage.path("trace")).expect("strace's output");
    let dir = stage.dir.path().to_str().expect("UTF-8");
    trace.lines().map(|line| line.replace(dir, "")).collect()
}

/// The place of the first of some calls that has these words in it.
fn place(calls: &[String], words: &[&str]) -> usize {
    let has = |call: &String| words.iter().all(|word| call.contains(word));
    let found = calls.iter().position(has);
    found.unwrap_or_else(|| panic!("no {words:?} in {calls:#?}"))
}

/// What is made durable, and when it gets its name: each call, and the last part
/// of its file's name.
fn order(calls: &[String]) -> Vec<String> {
    let lasting = calls.iter().filter_map(|call| {
        let (name, rest) = call.split_once('(')?;
        let file = rest.split_once('<')?.1.split_once('>')?.0;
        let last = file.rsplit('/').next()?;
        match name {
            "fsync" | "fdatasync" => Some(format!("{name} {last}")),
            "renameat2" => Some(name.to_owned()),
            _ => None,
        }
    });
    lasting.collect()
}

#[test]
fn records_and_objects_are_made_durable_in_this_order() {
    let stage = Stage::new(Scene::Hit);
    // The directory that the log is in, of which the trace shows no name.
    let log_dir = || vec!["fsync ".to_owned()];
    let name = |dir: &Path| match dir.file_name() {
        Some(name) if dir != stage.dir.path() => format!("fsync {}", name.display()),
        _ => "fsync ".to_owned(),
    };
    // All that leads to the cache, and the cache.
    let cache = stage.cache();
    let way: Vec<_> = cache.ancestors().skip(1).map(name).collect();
    let in_order = |parts: [Vec<String>; 4]| parts.concat();
    let calls = |calls: &[&str]| calls.iter().map(|call| (*call).to_owned()).collect();

    let before = [
        "fsync org.osbuild.files",
        "fdatasync log", // verified
        "fsync 0.object",
        "renameat2",
    ];
    let after = [
        "fsync org.osbuild.files",
        "fdatasync log", // committed
        "fdatasync log", // the run's end
    ];
    let fetched = in_order([log_dir(), calls(&before), way.clone(), calls(&after)]);
    assert_eq!(order(&traced_calls(Scene::Fetch, &[])), fetched);
    let object = vec![format!("fsync {}", stage.digest())];
    let hit = in_order([log_dir(), object, way, calls(&after)]);
    assert_eq!(order(&traced_calls(Scene::Hit, &[])), hit);
}

#[test]
fn a_file_system_without_such_renames_is_given_links() {
    for error in ["EINVAL", "ENOSYS"] {
        let refuse = format!("inject=renameat2:error={error}");
        let calls = traced_calls(Scene::Fetch, &["-e", &refuse]);
        let linked = place(&calls, &["linkat(", ".object"]);
        let gone = place(&calls, &["unlink", ".object"]);
        assert!(linked < gone, "{calls:#?}");
    }
    let stage = Stage::new(Scene::Quarantine);
    let quarantine = stage.cache().join(".skopeo-index/quarantine");
    let aside = |n| quarantine.join(format!("{}.{n}", stage.digest()));
    fs::create_dir_all(&quarantine).expect("a directory");
    fs::write(aside(1), "older").expect("a file");
    let refuse = "inject=renameat2:error=EINVAL";
    assert_eq!(stage.traced(&["-e", refuse]), Ended::Well);
    stage.assert_sound(Ended::Well, "by links");
    let there = [1, 2].map(|n| fs::read_to_string(aside(n)).expect("a file"));
    assert_eq!(there, ["older", "corrupt"]);
    stage.assert_well_again("by links");
}
