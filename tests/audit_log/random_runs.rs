//! Random runs, which crash anywhere: their log verifies, and every change to it is found.

mod answers;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use proptest::prelude::*;
use skopeo_index::audit_log::{Identify, LogWriter, Recorder};
use skopeo_index::fetch::{ByteSource, Executor, Observer, Performer};
use skopeo_index::store::Store;
use skopeo_index::verifier::{VerifierPrograms, VerifierRunner};
use skopeo_index_core::audit::SourceInfo;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{FetchPolicy, Method, Network};
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::{SkopeoDebug, SkopeoOptions};
use test_support::audit_log::{sample, verify};
use test_support::loopback::samples;
use test_support::program::fakes::{
    Fault, FaultyDisk, POLICY, catch_crash, never_cancelled, request, skopeo as skopeo_by,
};
use test_support::property::{assert_change_is_found, config, log_change};

use self::answers::{Answer, Answers, Client, VetoAfter};
use crate::{logs, source_info};

/// None, two that approve, one that refuses, one that is killed.
const VERIFIERS: [&[&[&str]]; 4] = [
    &[],
    &[&["true", "{file}"], &["true", "--x={digest}{file}"]],
    &[&["true"], &["false", "{reference}"]],
    &[&["sh", "-c", "kill -9 $$"]],
];

/// A timeout that no verifier reaches.
const LONG: Duration = Duration::from_secs(60);

/// Where the bytes of a run come from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Registry,
    Storage,
    /// A container storage that doesn't exist.
    MissingStorage,
    /// Another cache, which has some of the documents.
    Cache,
    /// The registry client, and skopeo.
    Auto,
    /// The registry client alone.
    Client,
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
    source: Source,
    options: SkopeoOptions,
    /// Words of each verifier.
    verifiers: &'static [&'static [&'static str]],
    /// Number of transitions after which every further one is vetoed.
    veto: Option<usize>,
    jobs: usize,
    crash: CrashPoint,
    /// Length of the torn line that a crash leaves.
    torn: usize,
    /// Whether the first object is corrupt before the run.
    corrupt: bool,
}

fn run() -> impl Strategy<Value = Run> {
    use Answer::{AnotherIndex, Cancelled, Crash, Killed, Missing, NotAnIndex, NotFound};
    use Answer::{MissingAndAnotherIndex, Nothing, TimedOut};
    let others = [
        AnotherIndex,
        NotAnIndex,
        NotFound,
        Killed,
        TimedOut,
        Missing,
        MissingAndAnotherIndex,
    ];
    let others = [&others[..], &[Cancelled, Nothing, Crash]].concat();
    let answer = prop_oneof![
        1 => (0..3_u32).prop_map(Answer::Index),
        1 => prop::sample::select(others),
    ];
    let crash = prop_oneof![
        2 => Just(CrashPoint::Never),
        2 => (1..40_usize).prop_map(CrashPoint::AtCall),
        1 => Just(CrashPoint::BeforeEnd),
    ];
    let method = prop_oneof![Just(Method::Raw), Just(Method::SkopeoCopy)];
    let network = prop_oneof![4 => Just(Network::Allowed), 1 => Just(Network::Offline)];
    let source = prop_oneof![
        3 => Just(Source::Registry),
        1 => Just(Source::Storage),
        1 => Just(Source::MissingStorage),
        1 => Just(Source::Cache),
        2 => Just(Source::Auto),
        1 => Just(Source::Client),
    ];
    let policy =
        (1..4_u32, method, network, source).prop_map(|(attempts, method, network, source)| {
            let attempts = attempts.try_into().unwrap_or(POLICY.attempts);
            // Method copy is skopeo's.
            let method = if matches!(source, Source::Cache | Source::Client) {
                Method::Raw
            } else {
                method
            };
            (
                FetchPolicy {
                    attempts,
                    method,
                    network,
                },
                source,
            )
        });
    let path = || prop::option::of(Just(PathBuf::from("/a b/=\u{e9}")));
    let options = (path(), path(), any::<bool>()).prop_map(|(authfile, cert_dir, debug)| {
        let debug = if debug {
            SkopeoDebug::On
        } else {
            SkopeoDebug::Off
        };
        SkopeoOptions {
            authfile,
            cert_dir,
            debug,
            authorization: None,
        }
    });
    let verifiers = prop_oneof![
        3 => Just(VERIFIERS[0]),
        2 => prop::sample::select(&VERIFIERS[1..]),
    ];
    let veto = prop_oneof![4 => Just(None), 1 => (0..12_usize).prop_map(Some)];
    let fetches = prop::collection::vec((0..4_usize, answer), 1..4);
    (
        fetches,
        policy,
        (options, verifiers, veto, 1..3_usize),
        crash,
        0..300_usize,
        any::<bool>(),
    )
        .prop_map(
            |(
                fetches,
                (policy, source),
                (options, verifiers, veto, jobs),
                crash,
                torn,
                corrupt,
            )| Run {
                fetches,
                policy,
                source,
                options,
                verifiers,
                veto,
                jobs,
                crash,
                torn,
                corrupt,
            },
        )
}

/// Performs a run, up to its end or its crash.
fn perform(run: &Run, log_path: &Path, cache: &Path) {
    let location = match run.source {
        Source::Registry | Source::Cache | Source::Auto | Source::Client => Location::Docker {
            tls_verify: TlsVerify::Never,
        },
        Source::Storage => Location::ContainersStorage { location: None },
        Source::MissingStorage => Location::ContainersStorage {
            location: Some("/missing/storage".parse().expect("a location")),
        },
    };
    let requests: Vec<_> = run
        .fetches
        .iter()
        .map(|(n, _)| {
            let digest = Digest::of(&samples::distinct(*n));
            Request::new(request(digest).name().clone(), location.clone(), digest)
        })
        .collect();
    if run.corrupt {
        let object = cache.join(requests[0].digest().to_string());
        fs::create_dir_all(cache).expect("a directory");
        fs::write(object, "corrupt").expect("an object");
    }
    // The other cache has the documents that are to be found.
    let other = cache.with_file_name("other");
    fs::create_dir_all(&other).expect("a directory");
    for (n, answer) in &run.fetches {
        let document = samples::distinct(*n);
        let object = other.join(Digest::of(&document).to_string());
        match answer {
            Answer::Index(_) => fs::write(object, document).expect("an object"),
            Answer::NotAnIndex => fs::write(object, "corrupt").expect("an object"),
            _ => {}
        }
    }
    let cancel = never_cancelled();
    let log = LogWriter::open(log_path, &cancel).expect("a log");
    let source = match run.source {
        Source::Cache => SourceInfo::Cache(other.display().to_string()),
        Source::Auto => SourceInfo::Auto,
        Source::Client => SourceInfo::Registry,
        _ => source_info(),
    };
    let identify = || match source_info() {
        SourceInfo::Skopeo(skopeo) => skopeo,
        other => panic!("{other:?}"),
    };
    let identify: Option<Identify<'_>> = (run.source == Source::Auto).then_some(Box::new(identify));
    let labels = sample::invocation().labels;
    let verifiers = sample::verifiers(run.verifiers);
    let programs = VerifierPrograms::find(verifiers.clone(), LONG, run.options.clone());
    let programs = programs.expect("programs");
    let recorder = Recorder::begin(
        &log, cache, run.policy, source, &labels, identify, verifiers,
    );
    let recorder = recorder.expect("a record");
    let veto = VetoAfter(run.veto.unwrap_or(usize::MAX), AtomicUsize::new(0));
    let observers: [&dyn Observer; 2] = [&recorder, &veto];
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
    let other = Store::at(other);
    let client = Client {
        answers: &skopeo,
        method: run.policy.method,
        cancel: &cancel,
    };
    let executor = Executor {
        performer: Performer {
            store: &store,
            source: match run.source {
                Source::Cache => ByteSource::Cache(&other),
                Source::Client => ByteSource::Registry(&client),
                Source::Auto => ByteSource::Auto {
                    registry: &client,
                    skopeo: skopeo_by(&skopeo, &run.options),
                    attempts: run.policy.attempts,
                },
                _ => ByteSource::Skopeo(skopeo_by(&skopeo, &run.options)),
            },
            verifiers: (!run.verifiers.is_empty()).then_some(&programs as &dyn VerifierRunner),
            retry_delay: Duration::ZERO,
            cancel: &cancel,
        },
        policy: run.policy,
        jobs: NonZeroUsize::new(jobs).expect("a job"),
        observers: &observers,
    };
    let fetched = catch_crash(|| executor.run(&requests, |_| {}));
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
            source: Source::Registry,
            options: SkopeoOptions::default(),
            verifiers: &[],
            veto: None,
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
