//! What stands in for skopeo and for the disk.

use std::ffi::OsString;
use std::io;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use skopeo_index::fetch::{ByteSource, Halt, Performer};
use skopeo_index::fetch::{Executor, FetchReport, Observer};
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::{CommandLimits, CommandRunner, RunError};
use skopeo_index::store::{
    DirStatus, Disk, DiskError, LockWait, RealDisk, RenameOutcome, Seen, Store, TryLock,
};
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

/// A command that ended well.
pub fn printed(stdout: impl Into<Vec<u8>>) -> Result<CommandOutput, RunError> {
    Ok(CommandOutput {
        exit: Exit::Status(0),
        stdout: stdout.into(),
        stderr: Vec::new(),
    })
}

/// A command that failed with skopeo's message.
pub fn failed(message: &str) -> Result<CommandOutput, RunError> {
    let stderr = format!("level=fatal msg=\"{message}\"").into_bytes();
    Ok(CommandOutput {
        exit: Exit::Status(1),
        stdout: Vec::new(),
        stderr,
    })
}

/// A skopeo that brings whatever was asked for, if it is one of the documents.
pub fn honest(documents: Vec<Vec<u8>>) -> MockSkopeo {
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .returning(move |command, _, _, _| match command {
            SkopeoCommand::InspectRaw(request) => {
                let found = documents
                    .iter()
                    .find(|document| Digest::of(document) == request.digest());
                found.map_or_else(
                    || failed("manifest unknown"),
                    |document| printed(document.clone()),
                )
            }
            SkopeoCommand::CopyIndex { request, to } => {
                let found = documents
                    .iter()
                    .find(|document| Digest::of(document) == request.digest());
                std::fs::write(to.join("manifest.json"), found.expect("a document"))
                    .expect("a file");
                printed("")
            }
            SkopeoCommand::InspectDir { from } => {
                printed(std::fs::read(from.join("manifest.json")).expect("it"))
            }
            SkopeoCommand::ManifestDigest { file } => printed(format!(
                "{}\n",
                Digest::of(&std::fs::read(file).expect("it"))
            )),
            other => panic!("{other:?}"),
        });
    skopeo
}

pub fn request(digest: Digest) -> Request {
    let source = Location::Docker {
        tls_verify: TlsVerify::Never,
    };
    Request::new("localhost/app".parse().expect("a name"), source, digest)
}

/// An empty cache; the directory is removed with the first of the pair.
pub fn cache() -> (tempfile::TempDir, Store<RealDisk>) {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("cache");
    (dir, Store::new(root, RealDisk))
}

pub const PLAN: FetchPolicy = FetchPolicy {
    method: Method::Raw,
    attempts: NonZeroU32::MIN,
    network: Network::Allowed,
};

/// Fetches with one stand-in or both.
pub fn fetch<R: CommandRunner, D: Disk>(
    store: &Store<D>,
    runner: &R,
    plan: FetchPolicy,
    requests: &[Request],
    (jobs, cancel, witnesses): (usize, &CancelToken, &[&dyn Observer]),
) -> Result<Vec<FetchReport>, Halt> {
    let engine = ByteSource::Skopeo {
        runner,
        options: &SkopeoOptions::default(),
        command_timeout: Duration::from_secs(60),
    };
    let performer = Performer {
        store,
        engine,
        retry_delay: Duration::ZERO,
        cancel,
    };
    let jobs = NonZeroUsize::new(jobs).expect("a job");
    let mut reports = Vec::new();
    Executor {
        performer,
        plan,
        jobs,
        witnesses,
    }
    .run(requests, |report| reports.push(report.clone()))?;
    Ok(reports)
}

/// The same, one at a time, with nobody to stop it and nobody who looks.
pub fn fetch_plainly<R: CommandRunner, D: Disk>(
    store: &Store<D>,
    runner: &R,
    plan: FetchPolicy,
    requests: &[Request],
) -> Result<Vec<FetchReport>, Halt> {
    let cancel = CancelToken::new(None).expect("a pipe");
    fetch(store, runner, plan, requests, (1, &cancel, &[]))
}

/// What happens at the call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    /// The system refuses it.
    Refusal(i32),
    /// The process is gone, before the call.
    Halt,
}

/// A disk whose `n`th call fails.
pub struct Faulty {
    calls: AtomicUsize,
    fails_at: usize,
    with: Injected,
}

impl Faulty {
    pub fn new(fails_at: usize, with: Injected) -> Self {
        Self {
            calls: AtomicUsize::new(0),
            fails_at,
            with,
        }
    }

    /// Whether so many calls were made that one failed.
    pub fn has_failed(&self) -> bool {
        self.calls.load(Ordering::SeqCst) >= self.fails_at
    }

    fn call<T>(
        &self,
        path: &Path,
        call: impl FnOnce() -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        let n = 1 + self.calls.fetch_add(1, Ordering::SeqCst);
        match self.with {
            // Nothing happens any more in a process that is gone.
            Injected::Halt if n >= self.fails_at => Err(DiskError::Halt),
            Injected::Refusal(errno) if n == self.fails_at => {
                let (path, error) = (path.to_owned(), io::Error::from_raw_os_error(errno));
                Err(DiskError::Io {
                    doing: "do something to",
                    path,
                    error,
                })
            }
            _ => call(),
        }
    }
}

impl Disk for Faulty {
    fn make_dir(&self, dir: &Path) -> Result<DirStatus, DiskError> {
        self.call(dir, || RealDisk.make_dir(dir))
    }
    fn make_unique_dir(&self, parent: &Path, prefix: &str) -> Result<PathBuf, DiskError> {
        self.call(parent, || RealDisk.make_unique_dir(parent, prefix))
    }
    fn lock(&self, file: &Path, wait: LockWait<'_>) -> Result<TryLock, DiskError> {
        self.call(file, || RealDisk.lock(file, wait))
    }
    fn write(&self, file: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        self.call(file, || RealDisk.write(file, bytes))
    }
    fn read(&self, file: &Path, max: usize) -> Result<Seen, DiskError> {
        self.call(file, || RealDisk.read(file, max))
    }
    fn sync_file(&self, file: &Path) -> Result<(), DiskError> {
        self.call(file, || RealDisk.sync_file(file))
    }
    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.call(dir, || RealDisk.sync_dir(dir))
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<RenameOutcome, DiskError> {
        self.call(from, || RealDisk.rename(from, to))
    }
    fn list(&self, dir: &Path) -> Result<Vec<OsString>, DiskError> {
        self.call(dir, || RealDisk.list(dir))
    }
    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.call(path, || RealDisk.remove(path))
    }
}
