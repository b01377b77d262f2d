//! One run: sweep, record its beginning, fetch, record its end.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use skopeo_index::audit_log::{LogError, LogWriter};
use skopeo_index::fetch::{
    ByteSource, FetchId, FetchReport, Observer, Performer, Transition, Veto,
};
use skopeo_index::os::CancelToken;
use skopeo_index::session::{Session, SessionConfig};
use skopeo_index::store::Store;
use skopeo_index_core::audit::{Entry, Labels, Record, SourceInfo};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{Cause, EffectError, State};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::{SkopeoCommand, SkopeoOptions};
use test_support::audit_log::verify;
use test_support::loopback::samples;
use test_support::program::fakes::{
    Fault, FaultyDisk, MockSkopeo, POLICY, empty_cache, failed, never_cancelled, printed, request,
    skopeo,
};
use test_support::program::staging_dirs;

/// The states that were displayed.
#[derive(Default)]
struct Display(Mutex<Vec<State>>);

impl Observer for Display {
    fn transition(&self, _: FetchId, _: &Request, transition: &Transition) -> Result<(), Veto> {
        self.0.lock().expect("no panic").push(transition.event.to);
        Ok(())
    }
}

/// A cache, a log beside it, and what a run shows.
struct Scene {
    _dir: tempfile::TempDir,
    store: Store,
    log: PathBuf,
    cancel: CancelToken,
    display: Display,
    warnings: Mutex<Vec<String>>,
}

impl Scene {
    fn new() -> Self {
        let (dir, store) = empty_cache();
        fs::create_dir(store.root()).expect("a directory");
        Self {
            log: dir.path().join("log"),
            _dir: dir,
            store,
            cancel: never_cancelled(),
            display: Display::default(),
            warnings: Mutex::default(),
        }
    }

    /// Runs a session from beginning to end; `during` is called before its fetches.
    fn run(
        &self,
        source: ByteSource<'_>,
        log: Option<&LogWriter<'_>>,
        requests: &[Request],
        during: impl FnOnce(),
    ) -> (Vec<FetchReport>, Result<(), LogError>) {
        let warn = |text: &str| {
            self.warnings
                .lock()
                .expect("no panic")
                .push(text.to_owned())
        };
        let config = SessionConfig {
            performer: Performer {
                store: &self.store,
                source,
                verifiers: None,
                retry_delay: Duration::ZERO,
                cancel: &self.cancel,
            },
            policy: POLICY,
            jobs: NonZeroUsize::MIN,
            log,
            labels: &Labels::default(),
            display: &self.display,
            warn: &warn,
        };
        let session = Session::begin(config).expect("a record");
        during();
        let mut reports = Vec::new();
        session.fetch(requests, |report| reports.push(report.clone()));
        (reports, session.end())
    }

    fn open_log(&self) -> LogWriter<'_> {
        LogWriter::open(&self.log, &self.cancel).expect("a log")
    }

    /// The entries of the log, which is intact.
    fn entries(&self) -> Vec<Entry> {
        let log = fs::read(&self.log).expect("a log");
        assert_eq!(verify(&log, None).1, []);
        let lines = log.split(|byte| *byte == b'\n');
        let records = lines.filter(|line| !line.is_empty());
        records
            .map(|line| Record::parse(line).expect("a record").entry)
            .collect()
    }
}

/// A skopeo with a version and one index.
fn skopeo_with_empty_index() -> MockSkopeo {
    let mut mock = MockSkopeo::new();
    mock.expect_run()
        .returning(|command, _, _, _| match command {
            SkopeoCommand::Version => printed("skopeo version 1\n"),
            SkopeoCommand::InspectRaw(request)
                if request.digest() == Digest::of(&samples::empty()) =>
            {
                printed(samples::empty())
            }
            _ => failed("manifest unknown"),
        });
    mock
}

/// A request that succeeds and one that fails.
fn requests() -> [Request; 2] {
    [Digest::of(&samples::empty()), Digest::of(b"missing")].map(request)
}

#[test]
fn session_with_log_records_run_transitions_and_end() {
    let (scene, mock) = (Scene::new(), skopeo_with_empty_index());
    let options = SkopeoOptions::default();
    let log = scene.open_log();
    let source = ByteSource::Skopeo(skopeo(&mock, &options));
    let (reports, ended) = scene.run(source, Some(&log), &requests(), || ());
    ended.expect("a record");
    let succeeded = [0, 1].map(|at: usize| reports[at].result.is_ok());
    assert_eq!(succeeded, [true, false]);

    let entries = scene.entries();
    let [
        Entry::Genesis { .. },
        Entry::Run(run),
        transitions @ ..,
        Entry::End {
            committed: 1,
            failed: 1,
            unrecorded: 0,
        },
    ] = &entries[..]
    else {
        panic!("{entries:?}")
    };
    let SourceInfo::Skopeo(identity) = &run.source else {
        panic!("{run:?}")
    };
    assert_eq!(identity.version, "skopeo version 1");
    assert_eq!(run.cache, scene.store.root().to_str().expect("UTF-8"));
    assert_eq!(run.policy, POLICY);
    let states: Vec<State> = transitions
        .iter()
        .map(|entry| match entry {
            Entry::Transition(made) => made.event.to,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(states.contains(&State::Committed) && states.contains(&State::Failed));
    assert_eq!(states, *scene.display.0.lock().expect("no panic"));
    assert_eq!(staging_dirs(scene.store.root()), [""; 0]);
    assert!(scene.warnings.lock().expect("no panic").is_empty());
}

#[test]
fn session_without_log_fetches_and_removes_stale_and_own_staging() {
    let (scene, mock) = (Scene::new(), skopeo_with_empty_index());
    let stale = scene.store.root().join(".skopeo-index/staging-stale");
    fs::create_dir_all(&stale).expect("a directory");
    let options = SkopeoOptions::default();
    let source = ByteSource::Skopeo(skopeo(&mock, &options));
    let (reports, ended) = scene.run(source, None, &requests(), || {
        assert!(!stale.exists(), "it is swept at the beginning");
    });
    ended.expect("nothing to record");
    assert!(reports[0].result.is_ok());
    assert!(!scene.log.exists());
    assert_eq!(staging_dirs(scene.store.root()), [""; 0]);
}

#[test]
fn session_from_another_cache_records_its_path_and_runs_no_command() {
    let (scene, (_other_dir, other)) = (Scene::new(), empty_cache());
    fs::create_dir(other.root()).expect("a directory");
    let digest = Digest::of(&samples::empty());
    fs::write(other.object(digest), samples::empty()).expect("an object");
    let log = scene.open_log();
    let source = ByteSource::Cache(&other);
    let (reports, ended) = scene.run(source, Some(&log), &[request(digest)], || ());
    ended.expect("a record");
    assert!(reports[0].result.is_ok(), "{reports:?}");
    let path = other.root().to_str().expect("UTF-8").to_owned();
    let entries = scene.entries();
    assert!(
        matches!(&entries[1], Entry::Run(run) if run.source == SourceInfo::Cache(path)),
        "{entries:?}"
    );
}

#[test]
fn session_log_truncated_during_the_run_vetoes_fetches_and_fails_the_end() {
    let (scene, mock) = (Scene::new(), skopeo_with_empty_index());
    let options = SkopeoOptions::default();
    let log = scene.open_log();
    let source = ByteSource::Skopeo(skopeo(&mock, &options));
    let truncate = || fs::write(&scene.log, "").expect("a log");
    let (reports, ended) = scene.run(source, Some(&log), &requests(), truncate);
    for report in &reports {
        let failed = report.result.as_ref().expect_err("a failure");
        assert!(
            matches!(
                failed.cause(),
                Cause::EffectFailed {
                    error: EffectError::AuditLog { .. }
                }
            ),
            "{failed}"
        );
    }
    assert!(matches!(ended, Err(LogError::Truncated(_))), "{ended:?}");
    assert!(scene.store.objects().expect("a list").is_empty());
    // Vetoed before they could be displayed.
    assert_eq!(*scene.display.0.lock().expect("no panic"), []);
    assert_eq!(staging_dirs(scene.store.root()), [""; 0]);
    assert_eq!(fs::read(&scene.log).expect("a log"), b"");
}

#[test]
fn cache_of_another_user_is_not_swept_and_needs_no_warning() {
    const EIO: i32 = 5;
    const EACCES: i32 = 13;
    const EROFS: i32 = 30;
    for (errno, warnings) in [(EACCES, 0), (EROFS, 0), (EIO, 1)] {
        let (mut scene, mock) = (Scene::new(), skopeo_with_empty_index());
        // The second call opens the private directory.
        let disk = FaultyDisk::new(2, Fault::Errno(errno));
        scene.store = Store::new(scene.store.root().to_owned(), disk);
        let options = SkopeoOptions::default();
        let source = ByteSource::Skopeo(skopeo(&mock, &options));
        let (_, ended) = scene.run(source, None, &[], || ());
        ended.expect("no log");
        let shown = scene.warnings.into_inner().expect("no panic");
        assert_eq!(shown.len(), warnings, "{shown:?}");
    }
}

#[test]
fn session_with_log_that_is_broken_does_not_begin() {
    let (scene, mock) = (Scene::new(), skopeo_with_empty_index());
    fs::write(&scene.log, "not a record\n").expect("a file");
    let options = SkopeoOptions::default();
    let log = scene.open_log();
    let config = SessionConfig {
        performer: Performer {
            store: &scene.store,
            source: ByteSource::Skopeo(skopeo(&mock, &options)),
            verifiers: None,
            retry_delay: Duration::ZERO,
            cancel: &scene.cancel,
        },
        policy: POLICY,
        jobs: NonZeroUsize::MIN,
        log: Some(&log),
        labels: &Labels::default(),
        display: &scene.display,
        warn: &|_| (),
    };
    let begun = Session::begin(config).map(drop);
    assert!(matches!(begun, Err(LogError::Broken { .. })), "{begun:?}");
}
