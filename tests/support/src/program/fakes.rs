//! Stand-ins for skopeo and for the disk.

use std::any::Any;
use std::ffi::OsString;
use std::io;
use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use skopeo_index::command::{CommandLimits, RunError};
use skopeo_index::fetch::{ByteSource, Executor, FetchReport, Observer, Performer};
use skopeo_index::os::{CancelToken, PathError};
use skopeo_index::skopeo::{CommandRunner, Skopeo};
use skopeo_index::store::{
    Dir, Disk, DiskError, FileSystemSync, LockGuard, LockWait, OpenFile, ReadFile, RealDisk,
    RenameOutcome, StagedFile, Store,
};
use skopeo_index::verifier::VerifierRunner;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{FetchPolicy, Method, Network};
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::{CommandOutput, Exit, SkopeoCommand, SkopeoOptions};

mockall::mock! {
    pub Skopeo {}
    impl CommandRunner for Skopeo {
        fn run<'a, 'b>(
            &self,
            command: &SkopeoCommand<'a>,
            options: &SkopeoOptions,
            limits: &CommandLimits<'b>,
            cancel: &CancelToken,
        ) -> Result<CommandOutput, RunError>;
    }
}

/// A command that exits with 0.
pub fn printed(stdout: impl Into<Vec<u8>>) -> Result<CommandOutput, RunError> {
    Ok(CommandOutput {
        exit: Exit::Status(0),
        stdout: stdout.into(),
        stderr: Vec::new(),
    })
}

/// skopeo's debug lines about a source that answered the request for a manifest.
pub fn answer_lines(source: &str, digest: Digest) -> Vec<u8> {
    let (host, path) = source.split_once('/').expect("HOST/PATH");
    let messages = [
        format!("Trying to access \\\"{source}@{digest}\\\""),
        format!("GET https://{host}/v2/"),
        format!("GET https://{host}/v2/{path}/manifests/{digest}"),
        "Content-Type from manifest GET is \\\"\\\"".to_owned(),
    ];
    let line = |text: &String| format!("time=\"x\" level=debug msg=\"{text}\"\n");
    messages.iter().map(line).collect::<String>().into_bytes()
}

/// A command that exits with 1 and skopeo's fatal message: an error of the network, or an
/// answer of a registry.
pub fn failed(message: &str) -> Result<CommandOutput, RunError> {
    let answered = match message.starts_with("dial ") {
        true => "",
        false => "reading manifest x in r/y: ",
    };
    let stderr = format!("level=fatal msg=\"{answered}{message}\"").into_bytes();
    Ok(CommandOutput {
        exit: Exit::Status(1),
        stdout: Vec::new(),
        stderr,
    })
}

/// A skopeo that fetches any of these documents by its digest, by both methods.
pub fn skopeo_with(documents: Vec<Vec<u8>>) -> MockSkopeo {
    let find = move |request: &Request| {
        let has_digest = |document: &&Vec<u8>| Digest::of(document) == request.digest();
        documents.iter().find(has_digest).cloned()
    };
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .returning(move |command, _, _, _| match command {
            SkopeoCommand::InspectRaw(request) => match find(request) {
                Some(document) => printed(document),
                None => failed("manifest unknown"),
            },
            SkopeoCommand::CopyIndex { request, to } => {
                let document = find(request).expect("a document");
                std::fs::write(to.join("manifest.json"), document).expect("a file");
                printed("")
            }
            other => run_on_copy(other),
        });
    skopeo
}

/// The commands that read a copy in staging.
pub fn run_on_copy(command: &SkopeoCommand<'_>) -> Result<CommandOutput, RunError> {
    let read = |file: &Path| std::fs::read(file).expect("the copy");
    match command {
        SkopeoCommand::InspectDir { from } => printed(read(&from.join("manifest.json"))),
        SkopeoCommand::ManifestDigest { file } => printed(format!("{}\n", Digest::of(&read(file)))),
        other => panic!("{other:?}"),
    }
}

/// A request for `localhost/app`.
pub fn request(digest: Digest) -> Request {
    let location = Location::Docker {
        tls_verify: TlsVerify::Never,
    };
    Request::new("localhost/app".parse().expect("a name"), location, digest)
}

/// A cache whose directory doesn't exist yet. It is removed with the first of the pair.
pub fn empty_cache() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("cache");
    (dir, Store::at(root))
}

/// A token that is never cancelled.
pub fn never_cancelled() -> CancelToken {
    CancelToken::new(None).expect("a pipe")
}

/// One attempt by method raw, with the network.
pub const POLICY: FetchPolicy = FetchPolicy {
    method: Method::Raw,
    attempts: NonZeroU32::MIN,
    network: Network::Allowed,
};

/// Fetches one request after the other, without cancellation and observers.
pub fn fetch(
    store: &Store,
    runner: &dyn CommandRunner,
    policy: FetchPolicy,
    requests: &[Request],
) -> Vec<FetchReport> {
    fetch_with(
        store,
        runner,
        policy,
        requests,
        (1, &never_cancelled(), &[]),
    )
}

/// Fetches with so many jobs, a token and observers.
pub fn fetch_with(
    store: &Store,
    runner: &dyn CommandRunner,
    policy: FetchPolicy,
    requests: &[Request],
    how: (usize, &CancelToken, &[&dyn Observer]),
) -> Vec<FetchReport> {
    fetch_verified(store, runner, policy, requests, how, None)
}

/// The same with verifiers.
pub fn fetch_verified(
    store: &Store,
    runner: &dyn CommandRunner,
    policy: FetchPolicy,
    requests: &[Request],
    (jobs, cancel, observers): (usize, &CancelToken, &[&dyn Observer]),
    verifiers: Option<&dyn VerifierRunner>,
) -> Vec<FetchReport> {
    let options = SkopeoOptions::default();
    let executor = Executor {
        performer: Performer {
            store,
            source: ByteSource::Skopeo(skopeo(runner, &options)),
            verifiers,
            retry_delay: Duration::ZERO,
            cancel,
        },
        policy,
        jobs: NonZeroUsize::new(jobs).expect("a job"),
        observers,
    };
    let mut reports = Vec::new();
    executor.run(requests, |report| reports.push(report.clone()));
    reports
}

/// skopeo with a timeout that no test reaches.
pub fn skopeo<'a>(runner: &'a dyn CommandRunner, options: &'a SkopeoOptions) -> Skopeo<'a> {
    Skopeo {
        runner,
        options,
        command_timeout: Duration::from_secs(60),
    }
}

/// Payload of the unwinding with which a test double ends the simulated process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedCrash;

/// Ends the simulated process: unwinds to [`catch_crash`] without a panic message.
pub fn crash() -> ! {
    resume_unwind(Box::new(SimulatedCrash))
}

/// Runs a simulated process until it returns or crashes. Another panic passes through. A
/// crash of an executor is caught only if it has one job: `std::thread::scope` replaces
/// the payload of a worker's panic.
///
/// # Errors
/// It crashed.
pub fn catch_crash<T>(process: impl FnOnce() -> T) -> Result<T, SimulatedCrash> {
    catch_unwind(AssertUnwindSafe(process)).map_err(|payload: Box<dyn Any + Send>| {
        *payload
            .downcast::<SimulatedCrash>()
            .unwrap_or_else(|panic| resume_unwind(panic))
    })
}

const ENODEV: i32 = 19;

/// What happens at the call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The system refuses it with this errno.
    Errno(i32),
    /// The process crashes before the call. Further calls crash as well.
    Crash,
    /// The system refuses this call and all further ones, so that nothing reaches the disk
    /// any more: a crash as the disk sees it, for runs with several jobs.
    DiskGone,
}

/// What another user's process does while an object is published: it gets the path of the
/// staged file, and that of the object.
pub type Tamper = fn(&Path, &Path);

/// The real disk, whose `n`th call fails.
pub struct FaultyDisk {
    calls: AtomicUsize,
    fails_at: usize,
    fault: Fault,
    before_publishing: Tamper,
    after_publishing: Tamper,
    file_system_sync: FileSystemSync,
}

impl FaultyDisk {
    /// Counts calls from 1.
    pub fn new(fails_at: usize, fault: Fault) -> Arc<Self> {
        Self::with_sync(fails_at, fault, FileSystemSync::Unavailable)
    }

    /// The same, with the answer to syncs of the file system: the real one depends on the
    /// machine and what it does.
    pub fn with_sync(fails_at: usize, fault: Fault, file_system_sync: FileSystemSync) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            fails_at,
            fault,
            before_publishing: |_, _| {},
            after_publishing: |_, _| {},
            file_system_sync,
        })
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// A disk without faults, with another process on it.
    pub fn with_tampering(before_publishing: Tamper, after_publishing: Tamper) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            fails_at: usize::MAX,
            fault: Fault::Crash,
            before_publishing,
            after_publishing,
            file_system_sync: FileSystemSync::Unavailable,
        })
    }

    /// Whether there were enough calls for one to fail.
    pub fn has_failed(&self) -> bool {
        self.calls() >= self.fails_at
    }

    fn call<T, E: From<PathError>>(
        &self,
        path: &Path,
        call: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let n = 1 + self.calls.fetch_add(1, Ordering::SeqCst);
        let refuse = |errno| {
            let error = io::Error::from_raw_os_error(errno);
            Err(PathError::new("use", path, error).into())
        };
        match self.fault {
            Fault::Crash if n >= self.fails_at => crash(),
            Fault::DiskGone if n >= self.fails_at => refuse(ENODEV),
            Fault::Errno(errno) if n == self.fails_at => refuse(errno),
            Fault::Crash | Fault::DiskGone | Fault::Errno(_) => call(),
        }
    }
}

impl Disk for FaultyDisk {
    fn open_dir(&self, path: &Path) -> Result<Dir, PathError> {
        self.call(path, || RealDisk.open_dir(path))
    }
    fn make_dir(&self, path: &Path) -> Result<(), PathError> {
        self.call(path, || RealDisk.make_dir(path))
    }
    fn ancestors(&self, path: &Path) -> Vec<PathBuf> {
        RealDisk.ancestors(path)
    }
    fn sync_path(&self, path: &Path) -> Result<(), PathError> {
        self.call(path, || RealDisk.sync_path(path))
    }
    fn open_private_dir(&self, parent: &Dir, name: &str) -> Result<Dir, PathError> {
        self.call(&parent.path().join(name), || {
            RealDisk.open_private_dir(parent, name)
        })
    }
    fn make_private_dir(&self, parent: &Dir, name: &str) -> Result<Dir, PathError> {
        self.call(&parent.path().join(name), || {
            RealDisk.make_private_dir(parent, name)
        })
    }
    fn make_unique_dir(&self, parent: &Dir, prefix: &str) -> Result<(String, Dir), PathError> {
        self.call(parent.path(), || RealDisk.make_unique_dir(parent, prefix))
    }
    fn lock(
        &self,
        dir: &Dir,
        name: &str,
        wait: LockWait<'_>,
    ) -> Result<Option<LockGuard>, DiskError> {
        self.call(&dir.path().join(name), || RealDisk.lock(dir, name, wait))
    }
    fn stage(&self, dir: &Dir, name: &str, bytes: &[u8]) -> Result<StagedFile, PathError> {
        self.call(&dir.path().join(name), || RealDisk.stage(dir, name, bytes))
    }
    fn publish(&self, file: &StagedFile, to: &Dir, name: &str) -> Result<RenameOutcome, PathError> {
        let object = to.path().join(name);
        (self.before_publishing)(file.path(), &object);
        let published = self.call(&object, || RealDisk.publish(file, to, name));
        (self.after_publishing)(file.path(), &object);
        published
    }
    fn read(&self, dir: &Dir, name: &str, max: usize) -> Result<ReadFile, PathError> {
        self.call(&dir.path().join(name), || RealDisk.read(dir, name, max))
    }
    fn sync_file(&self, file: &OpenFile) -> Result<(), PathError> {
        self.call(file.path(), || RealDisk.sync_file(file))
    }
    fn sync_file_system(&self, dir: &Dir, _: &[OpenFile]) -> Result<FileSystemSync, PathError> {
        self.call(dir.path(), || Ok(self.file_system_sync))
    }
    fn is_on_file_system_of(&self, dir: &Dir, path: &Path) -> bool {
        RealDisk.is_on_file_system_of(dir, path)
    }
    fn sync_dir(&self, dir: &Dir) -> Result<(), PathError> {
        self.call(dir.path(), || RealDisk.sync_dir(dir))
    }
    fn rename(&self, from: (&Dir, &str), to: (&Dir, &str)) -> Result<RenameOutcome, PathError> {
        self.call(&to.0.path().join(to.1), || RealDisk.rename(from, to))
    }
    fn replace(&self, dir: &Dir, name: &str, bytes: &[u8]) -> Result<(), PathError> {
        let path = dir.path().join(name);
        self.call(&path, || RealDisk.replace(dir, name, bytes))
    }
    fn list(&self, dir: &Dir) -> Result<Vec<OsString>, PathError> {
        self.call(dir.path(), || RealDisk.list(dir))
    }
    fn remove(&self, dir: &Dir, name: &str) -> Result<(), PathError> {
        self.call(&dir.path().join(name), || RealDisk.remove(dir, name))
    }
}
