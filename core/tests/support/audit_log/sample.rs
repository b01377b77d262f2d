//! Runs that write an audit log in memory: no program, no skopeo, no clock.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use skopeo_index_core::audit::{
    CommandRecord, Entry, FetchEngine, FetchOrigin, Invocation, Labels, LogId, NodeHash, Record,
    RunId, RunInfo, Schema, SkopeoIdentity, SourceInfo, TornLine, TransitionRecord, VerifierRecord,
    leaf_hash,
};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{
    CacheEntry, Effect, EffectError, Fetch, FetchPolicy, ManifestBytes, Method, Network, Outcome,
    Placement, Staging, State, Task,
};
use skopeo_index_core::redact::Redactor;
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::stderr::classify_exit;
use skopeo_index_core::skopeo::{
    CommandOutput, Exit, RegistryAnswer, SkopeoCommand, SkopeoOptions, method_commands,
};
use skopeo_index_core::verifier::{VerifierCommand, Verifiers};

use super::super::samples;

/// One attempt, method raw, with network.
pub const ONE_ATTEMPT: FetchPolicy = FetchPolicy {
    attempts: NonZeroU32::MIN,
    method: Method::Raw,
    network: Network::Allowed,
};

/// The cache of every run.
pub const CACHE: &str = "/cache";

/// The verifier that refuses everything.
pub const REFUSING: &str = "/bin/refuse";

/// What a registry does with a request.
pub enum Answer {
    Bytes(Vec<u8>),
    /// skopeo fails with this message.
    Error(&'static str),
    /// The process crashes.
    Crash,
}

/// A run to record.
pub struct Run<'r> {
    pub policy: FetchPolicy,
    pub verifiers: Verifiers,
    /// Each digest at most once.
    pub requests: &'r [Request],
    /// Number of concurrent fetches, whose records alternate.
    pub jobs: usize,
    pub registry: &'r mut dyn FnMut(Digest) -> Answer,
    /// Number of records after which the process crashes.
    pub crash_after: Option<usize>,
}

/// An audit log, and the cache that its runs fill.
pub struct LogSample {
    pub objects: HashMap<Digest, Vec<u8>>,
    bytes: Vec<u8>,
    log: LogId,
    prev: NodeHash,
    seq: u64,
    /// Becomes the name of the run.
    runs: u64,
}

pub fn request(digest: Digest) -> Request {
    let tls_verify = TlsVerify::Never;
    let name = "localhost/app".parse().expect("a name");
    Request::new(name, Location::Docker { tls_verify }, digest)
}

pub fn identity() -> SkopeoIdentity {
    SkopeoIdentity {
        path: "/s".to_owned(),
        sha256: None,
        version: "skopeo version 1".to_owned(),
    }
}

/// A fetch of a run with skopeo, or from a cache.
pub fn origin(run: RunInfo) -> FetchOrigin {
    let engine = match &run.source {
        SourceInfo::Skopeo(skopeo) => Some(FetchEngine::Skopeo {
            identity: skopeo.clone(),
            answer: None,
        }),
        _ => None,
    };
    let verifiers = Vec::new();
    FetchOrigin {
        engine,
        run,
        verifiers,
    }
}

/// A run by root, in a login session of user 1000.
pub fn invocation() -> Invocation {
    let labels = ["job=1234", "pipeline=https://ci.example/p/7"];
    let labels = labels.map(|label| label.parse().expect("a label"));
    Invocation {
        host: Some("builder7".to_owned()),
        labels: Labels::new(labels).expect("distinct keys"),
        login_uid: Some(1000),
        machine: Some(Digest::of(b"machine")),
        pid: 4242,
        uid: 0,
        user: Some("root".to_owned()),
    }
}

/// The answer of the requests' registry.
pub fn answer() -> RegistryAnswer {
    RegistryAnswer {
        endpoint: "http://localhost".to_owned(),
        repository: "app".to_owned(),
    }
}

pub fn run_info(policy: FetchPolicy) -> RunInfo {
    RunInfo {
        cache: CACHE.to_owned(),
        invocation: invocation(),
        policy,
        source: SourceInfo::Skopeo(identity()),
        verifiers: Verifiers::default(),
        version: "0.0.1".to_owned(),
    }
}

impl LogSample {
    /// A log with its genesis; logs of different seeds have different names.
    pub fn new(seed: u8) -> Self {
        let mut log = Self {
            objects: HashMap::new(),
            bytes: Vec::new(),
            log: LogId::from_random([seed; 16]),
            prev: [0; 32],
            seq: 0,
            runs: u64::from(seed) << 32,
        };
        let version = "0.0.1".to_owned();
        log.append(Entry::Genesis {
            previous: None,
            version,
        });
        log
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends torn lines, and the record that names them.
    pub fn recovered(&mut self, torn: &[Vec<u8>]) {
        for line in torn {
            self.bytes.extend_from_slice(line);
            self.bytes.push(b'\n');
            self.prev = leaf_hash(line);
            self.seq += 1;
        }
        let lines = torn.iter().map(|line| TornLine::of(line)).collect();
        self.append(Entry::Recovered { lines });
    }

    fn append(&mut self, entry: Entry) {
        // 2026-01-01, and a millisecond for each record.
        let time = Duration::from_millis(1_767_225_600_000 + self.seq);
        let record = Record {
            entry,
            log: self.log.clone(),
            prev: self.prev,
            run: RunId::from_random(self.runs.to_be_bytes()),
            schema: Schema,
            seq: self.seq,
            time: (SystemTime::UNIX_EPOCH + time).into(),
        };
        let line = record.to_line();
        self.prev = leaf_hash(line.as_bytes());
        self.seq += 1;
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.push(b'\n');
    }

    /// Records a run; false if it crashed.
    pub fn run(&mut self, run: &mut Run<'_>) -> bool {
        self.runs += 1;
        let verifiers = run.verifiers.clone();
        self.append(Entry::Run(RunInfo {
            verifiers: verifiers.clone(),
            ..run_info(run.policy)
        }));
        let tasks = run.requests.iter().map(|request| Task {
            request: request.clone(),
            policy: run.policy,
            verifiers: verifiers.count(),
        });
        let mut waiting = tasks.map(Fetch::new).zip(0..).collect::<Vec<_>>();
        waiting.reverse();
        let (mut running, mut ended) = (Vec::new(), Vec::new());
        let mut records = 0;
        loop {
            while running.len() < run.jobs {
                let Some(next) = waiting.pop() else { break };
                running.push(next);
            }
            if running.is_empty() {
                break;
            }
            let (fetch, number) = running.remove(0);
            if run.crash_after == Some(records) {
                return false;
            }
            let Some(fetch) = self.step(fetch, number, run) else {
                return false;
            };
            records += 1;
            if fetch.wants().is_none() {
                ended.push(fetch.state());
            } else {
                running.push((fetch, number));
            }
        }
        if run.crash_after.is_some() {
            return false;
        }
        let count = |state| ended.iter().filter(|ended| **ended == state).count() as u64;
        self.append(Entry::End {
            committed: count(State::Committed),
            failed: count(State::Failed),
            unrecorded: 0,
        });
        true
    }

    /// Performs one effect and records the transition; `None` if the process crashed.
    fn step(&mut self, fetch: Fetch, number: u64, run: &mut Run<'_>) -> Option<Fetch> {
        let request = fetch.task().request.clone();
        let digest = request.digest();
        let (attempt, method) = (fetch.attempt(), fetch.task().policy.method);
        let staging = format!(".skopeo-index/staging-000001/{number}");
        let dir = format!("{CACHE}/{staging}.attempt-{attempt}");
        let file = format!("{dir}/manifest.json");
        let commands = method_commands(method, &request, Path::new(&dir), Path::new(&file));
        let copy = |fetch: &Fetch| match fetch {
            Fetch::Copied(copied) => copied.content().clone(),
            Fetch::Inspected(inspected) => inspected.copied().content().clone(),
            _ => ManifestBytes::from(Vec::new()),
        };
        let (mut command, mut verifier) = (None, None);
        let outcome = match fetch.wants()? {
            Effect::LookUp { .. } => Outcome::LookedUp {
                entry: match self.objects.get(&digest) {
                    Some(bytes) => CacheEntry::File {
                        content: bytes.clone().into(),
                    },
                    None => CacheEntry::Absent,
                },
            },
            Effect::Quarantine { .. } => {
                self.objects.remove(&digest);
                let name = format!(".skopeo-index/quarantine/{digest}.1");
                Outcome::Quarantined { name }
            }
            Effect::Stage => Outcome::Staged {
                staging: Staging::new(staging),
            },
            Effect::Fetch { .. } => match (run.registry)(digest) {
                Answer::Bytes(bytes) => {
                    command = Some(CommandRecord {
                        answer: Some(answer()),
                        ..command_record(&commands[0], 0)
                    });
                    let content = bytes.into();
                    Outcome::Fetched { content }
                }
                Answer::Error(message) => {
                    command = Some(command_record(&commands[0], 1));
                    let error = skopeo_error(message);
                    Outcome::Failed { error }
                }
                Answer::Crash => return None,
            },
            Effect::Backoff { .. } => Outcome::BackoffElapsed,
            Effect::ReadCopy { .. } => {
                command = Some(command_record(&commands[1], 0));
                let content = copy(&fetch);
                Outcome::CopyRead { content }
            }
            Effect::ManifestDigest { .. } => {
                command = Some(command_record(&commands[2], 0));
                let digest = Digest::of(copy(&fetch).as_slice()).to_string();
                Outcome::ManifestDigest { digest }
            }
            Effect::Authenticate { verifier: at, .. } => {
                let by = run.verifiers.get(at).expect("a verifier");
                let status = i32::from(by.program() == REFUSING);
                let file = format!("{CACHE}/{staging}.verifier/index.json");
                verifier = Some(verifier_record(by, &request, &file, status));
                let message = if status == 0 {
                    ""
                } else {
                    "refuse: bad signature"
                };
                let message = message.to_owned();
                Outcome::VerifierExited { message, status }
            }
            Effect::Continue => Outcome::Continued,
            Effect::Publish { content, .. } => {
                let content = content.clone();
                let object = content.as_slice().to_vec();
                let placement = match self.objects.insert(digest, object) {
                    Some(_) => Placement::AlreadyThere,
                    None => Placement::New,
                };
                Outcome::Published {
                    placement,
                    read_back: CacheEntry::File { content },
                }
            }
        };
        let (next, event) = fetch.step(outcome).expect("a valid outcome");
        self.append(Entry::Transition(TransitionRecord {
            command,
            event,
            fetch: number,
            registry: None,
            request,
            verifier: verifier.map(Box::new),
        }));
        Some(next)
    }
}

fn verifier_record(
    verifier: &VerifierCommand,
    request: &Request,
    file: &str,
    status: i32,
) -> VerifierRecord {
    let argv = verifier.arguments(request, file.as_ref());
    let exit = Some(Exit::Status(status));
    VerifierRecord {
        command: CommandRecord::new(&argv, exit, Duration::from_millis(2)),
        output: Some(Digest::of(b"output")),
        path: verifier.program().to_owned(),
        sha256: Some(Digest::of(b"program")),
    }
}

/// Verifiers by their words.
pub fn verifiers(commands: &[&[&str]]) -> Verifiers {
    let command = |words: &&[&str]| {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        VerifierCommand::try_from(words).expect("a command")
    };
    let commands: Vec<_> = commands.iter().map(command).collect();
    commands.try_into().expect("few commands")
}

/// A log of two runs with two verifiers: a fetch that both approve, then as a hit; and one
/// that the second refuses.
pub fn log_with_verifiers() -> Vec<u8> {
    let mut log = LogSample::new(3);
    let (good, bad) = (samples::distinct(0), samples::distinct(1));
    let ask: &[&str] = &[
        "/bin/ask",
        "--file={file}",
        "{reference}",
        "{name} {digest}",
    ];
    let mut run = |last: &str, document: &Vec<u8>| {
        let ended = log.run(&mut Run {
            policy: ONE_ATTEMPT,
            verifiers: verifiers(&[ask, &[last]]),
            requests: &[request(Digest::of(document))],
            jobs: 1,
            registry: &mut |_| Answer::Bytes(document.clone()),
            crash_after: None,
        });
        assert!(ended);
    };
    run("/bin/also", &good);
    run("/bin/also", &good);
    run(REFUSING, &bad);
    log.bytes
}

fn command_record(command: &SkopeoCommand<'_>, status: i32) -> CommandRecord {
    let argv = command.argv(&SkopeoOptions::default(), Duration::from_secs(120));
    CommandRecord::new(&argv, Some(Exit::Status(status)), Duration::from_millis(2))
}

fn skopeo_error(message: &str) -> EffectError {
    classify_exit(
        &CommandOutput {
            exit: Exit::Status(1),
            stdout: Vec::new(),
            stderr: format!("level=fatal msg=\"{message}\"").into_bytes(),
        },
        &Redactor::default(),
    )
}

/// A log with successes, hits, failures, retries, both methods and a crash; seeds give
/// different logs.
pub fn log(seed: u8) -> Vec<u8> {
    let mut log = LogSample::new(seed);
    let documents: Vec<_> = (0..3)
        .map(samples::distinct)
        .chain([samples::single_image()])
        .collect();
    let requests: Vec<_> = documents
        .iter()
        .map(|document| request(Digest::of(document)))
        .collect();
    let mut good = |digest| {
        let document = documents
            .iter()
            .find(|document| Digest::of(document) == digest);
        Answer::Bytes(document.expect("a document").clone())
    };
    let mut run = |log: &mut LogSample, policy, requests: &[Request], crash_after| {
        log.run(&mut Run {
            policy,
            verifiers: Verifiers::default(),
            requests,
            jobs: 3,
            registry: &mut good,
            crash_after,
        })
    };
    assert!(run(&mut log, ONE_ATTEMPT, &requests, None));
    assert!(!run(&mut log, ONE_ATTEMPT, &requests[..2], Some(2)));
    log.objects
        .insert(requests[0].digest(), b"corrupt".to_vec());
    let copy = FetchPolicy {
        method: Method::SkopeoCopy,
        ..ONE_ATTEMPT
    };
    assert!(run(&mut log, copy, &requests[..1], None));

    let mut answers = vec![
        Answer::Bytes(samples::empty()),
        Answer::Error("\u{e9}\u{1f600}\u{7f}: connection refused"),
    ];
    let twice = FetchPolicy {
        attempts: NonZeroU32::MIN.saturating_add(1),
        ..ONE_ATTEMPT
    };
    assert!(log.run(&mut Run {
        policy: twice,
        verifiers: Verifiers::default(),
        requests: &[request(Digest::of(&samples::empty()))],
        jobs: 1,
        registry: &mut |_| answers.pop().expect("two attempts"),
        crash_after: None,
    }));
    let offline = FetchPolicy {
        network: Network::Offline,
        ..ONE_ATTEMPT
    };
    let missing = [request(Digest::of(b"missing"))];
    assert!(run(&mut log, offline, &missing, None));
    log.bytes
}

/// Two logs of the same runs.
pub fn logs() -> &'static [Vec<u8>; 2] {
    static LOGS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    LOGS.get_or_init(|| [log(1), log(2)])
}
