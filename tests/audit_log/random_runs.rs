//! Random runs that crash anywhere: their log verifies, and every change to it is found.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use proptest::prelude::*;
use skopeo_index::audit_log::{LogWriter, Recorder};
use skopeo_index::fetch::Observer;
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::{CommandLimits, CommandRunner, RunError};
use skopeo_index::store::Store;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{FetchPolicy, Method, Network};
use skopeo_index_core::skopeo::{CommandOutput, SkopeoCommand, SkopeoOptions};
use test_support::audit_log::verify;
use test_support::loopback::samples;
use test_support::program::fakes::{
    Fault, FaultyDisk, POLICY, catch_crash, crash, failed, fetch_with, never_cancelled, printed,
    request, run_on_copy,
};
use test_support::property::{assert_change_is_found, config, log_change};

use crate::{logs, source_info};

/// What skopeo does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    /// It prints the requested index, after so many failures.
    Index(u32),
    AnotherIndex,
    NotAnIndex,
    NotFound,
    /// The process crashes while the command runs.
    Crash,
}

/// Where a run crashes.
#[derive(Clone, Copy, Debug)]
enum CrashPoint {
    Never,
    /// Before this call of the disk.
    AtCall(usize),
    /// After its fetches, before its end is recorded.
    BeforeEnd,
}

#[derive(Clone, Debug)]
struct Run {
    fetches: Vec<(usize, Answer)>,
    policy: FetchPolicy,
    jobs: usize,
    crash: CrashPoint,
    /// Length of the torn line that a crash leaves.
    torn: usize,
    /// Whether the first object is corrupt before the run.
    corrupt: bool,
}

fn run() -> impl Strategy<Value = Run> {
    let answer = prop_oneof![
        4 => (0..3_u32).prop_map(Answer::Index),
        1 => Just(Answer::AnotherIndex),
        1 => Just(Answer::NotAnIndex),
        1 => Just(Answer::NotFound),
        1 => Just(Answer::Crash),
    ];
    let crash = prop_oneof![
        2 => Just(CrashPoint::Never),
        2 => (1..40_usize).prop_map(CrashPoint::AtCall),
        1 => Just(CrashPoint::BeforeEnd),
    ];
    let method = prop_oneof![Just(Method::Raw), Just(Method::SkopeoCopy)];
    let network = prop_oneof![4 => Just(Network::Allowed), 1 => Just(Network::Offline)];
    let policy = (1..4_u32, method, network).prop_map(|(attempts, method, network)| FetchPolicy {
        attempts: attempts.try_into().unwrap_or(POLICY.attempts),
        method,
        network,
    });
    let fetches = prop::collection::vec((0..4_usize, answer), 1..4);
    (
        fetches,
        policy,
        1..3_usize,
        crash,
        0..300_usize,
        any::<bool>(),
    )
        .prop_map(|(fetches, policy, jobs, crash, torn, corrupt)| Run {
            fetches,
            policy,
            jobs,
            crash,
            torn,
            corrupt,
        })
}

/// A skopeo with an answer for each digest. Not a mock: a crash would poison its lock.
struct Answers {
    answers: HashMap<Digest, (usize, Answer)>,
    asked: Mutex<HashMap<Digest, u32>>,
}

impl Answers {
    fn new(fetches: &[(usize, Answer)]) -> Self {
        let answer = |&(n, answer): &(usize, Answer)| {
            let digest = Digest::of(&samples::distinct(n));
            (digest, (n, answer))
        };
        Self {
            answers: fetches.iter().map(answer).collect(),
            asked: Mutex::default(),
        }
    }

    fn answer(&self, digest: Digest) -> Result<CommandOutput, RunError> {
        let (n, answer) = self.answers[&digest];
        let times = {
            let mut asked = self.asked.lock().expect("no panic");
            let times = asked.entry(digest).or_default();
            *times += 1;
            *times
        };
        match answer {
            Answer::Index(failures) if times <= failures => failed("connection refused"),
            Answer::Index(_) => printed(samples::distinct(n)),
            Answer::AnotherIndex => printed(samples::distinct(n + 100)),
            Answer::NotAnIndex => printed(samples::single_image()),
            Answer::NotFound => failed("manifest unknown"),
            Answer::Crash => crash(),
        }
    }
}

impl CommandRunner for Answers {
    fn run(
        &self,
        command: &SkopeoCommand<'_>,
        _: &SkopeoOptions,
        _: &CommandLimits<'_>,
        _: &CancelToken,
    ) -> Result<CommandOutput, RunError> {
        match command {
            SkopeoCommand::InspectRaw(request) => self.answer(request.digest()),
            SkopeoCommand::CopyIndex { request, to } => {
                let mut output = self.answer(request.digest())?;
                let bytes = std::mem::take(&mut output.stdout);
                fs::write(to.join("manifest.json"), bytes).expect("a file");
                Ok(output)
            }
            other => run_on_copy(other),
        }
    }
}

/// Performs a run, up to its end or its crash.
fn perform(run: &Run, log_path: &Path, cache: &Path) {
    let requests: Vec<_> = run
        .fetches
        .iter()
        .map(|(n, _)| request(Digest::of(&samples::distinct(*n))))
        .collect();
    if run.corrupt {
        let object = cache.join(requests[0].digest().to_string());
        fs::create_dir_all(cache).expect("a directory");
        fs::write(object, "corrupt").expect("an object");
    }
    let cancel = never_cancelled();
    let log = LogWriter::open(log_path, &cancel).expect("a log");
    let recorder = Recorder::begin(&log, cache, run.policy, source_info(), None).expect("a record");
    let observers: [&dyn Observer; 1] = [&recorder];
    let skopeo = Answers::new(&run.fetches);
    let crashes_in_a_command = run
        .fetches
        .iter()
        .any(|(_, answer)| *answer == Answer::Crash);
    // A crash unwinds, which needs one job; with several, the disk is gone.
    let jobs = if crashes_in_a_command { 1 } else { run.jobs };
    let (store, disk) = match run.crash {
        CrashPoint::AtCall(n) => {
            let fault = if jobs == 1 {
                Fault::Crash
            } else {
                Fault::DiskGone
            };
            let disk = FaultyDisk::new(n, fault);
            (Store::new(cache.to_owned(), disk.clone()), Some(disk))
        }
        CrashPoint::Never | CrashPoint::BeforeEnd => (Store::at(cache.to_owned()), None),
    };
    let how = (jobs, &cancel, &observers[..]);
    let fetched = catch_crash(|| fetch_with(&store, &skopeo, run.policy, &requests, how));
    let crashed = fetched.is_err()
        || matches!(run.crash, CrashPoint::BeforeEnd)
        || disk.is_some_and(|disk| disk.has_failed());
    if crashed {
        // A part of the next record.
        let mut bytes = fs::read(log_path).expect("a log");
        bytes.extend(vec![b'{'; run.torn]);
        fs::write(log_path, bytes).expect("a log");
    } else {
        recorder.end().expect("a record");
    }
}

proptest! {
    #![proptest_config(config(48, "audit-generated.txt"))]

    #[test]
    fn log_of_random_runs_and_crashes_verifies_and_any_change_is_found(
        runs in prop::collection::vec(run(), 1..5),
        changes in prop::collection::vec(log_change(), 8),
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let (log, cache) = (dir.path().join("log"), dir.path().join("cache"));
        for run in &runs {
            perform(run, &log, &cache);
        }
        // A last run that ends, and recovers the torn line of the one before.
        let last = Run {
            fetches: vec![(5, Answer::Index(0))],
            policy: POLICY,
            jobs: 1,
            crash: CrashPoint::Never,
            torn: 0,
            corrupt: false,
        };
        perform(&last, &log, &cache);
        let log = fs::read(log).expect("a log");
        prop_assert_eq!(verify(&log, None).1, []);
        for change in &changes {
            match assert_change_is_found(&log, &logs()[1], change) {
                // Rejected: it changes nothing.
                Ok(()) | Err(TestCaseError::Reject(_)) => {}
                Err(fail) => return Err(fail),
            }
        }
    }
}
