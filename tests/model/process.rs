//! One process: the crate's own sweep, fetch and close, over answers that the
//! checker chooses.
//!
//! A process is where it stands in the tree of all answers that it may get. To
//! go on, it is run again from its beginning over the answers so far, up to its
//! next call.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skopeo_index::audit_log::requires_sync;
use skopeo_index::fetch::{ByteSource, Performer};
use skopeo_index::fetch::{Executor, FetchId, Observer, Transition, Veto};
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::{CommandLimits, CommandRunner, RunError};
use skopeo_index::store::{
    DirStatus, Disk, DiskError, LockGuard, LockWait, RenameOutcome, Seen, Store, TryLock,
};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{Cause, FetchPolicy, Method, Network, State};
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::{CommandOutput, Exit, SkopeoCommand, SkopeoOptions};

use crate::disk::File;
use crate::disk::Refused;
use crate::disk::Text;
use crate::disk::kept;

/// Where the cache is.
pub const ROOT: Text = "/srv/cache";

/// What a process asks of the world: the smallest steps that others may come
/// between.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    MakeDir(Text),
    /// Opens a file to lock it, made where it is missing.
    OpenLock(Text),
    TryLock(File, Patience),
    Create(Text),
    Write(Text, Text),
    Read(Text),
    SyncFile(Text),
    SyncDir(Text),
    Rename(Text, Text),
    List(Text),
    Unlink(Text),
    RemoveDir(Text),
    /// Runs skopeo to bring the manifest of this digest to stdout.
    Inspect(Digest),
    /// The same, into this directory.
    Copy(Digest, Text),
    /// Reads such a directory.
    InspectDir(Text),
    /// What skopeo takes for the digest of a file.
    Opinion(Text),
    /// Appends a record, and makes the log durable.
    Record(State),
}

/// Whether a lock is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Patience {
    None,
    Some,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    Done,
    Refused(Refused),
    /// The file that was opened.
    Opened(File),
    TryLock,
    Theirs,
    Gone,
    Absent,
    Bytes(Text),
    NotAFile,
    Names(Vec<Text>),
    /// skopeo ended with this message.
    Failed(Text),
}

/// A change of the code that must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    Nothing,
    FileNeverSynced,
    DirectoryNeverSynced,
    RenamedBeforeSynced,
    WrittenInPlace,
    VerifiedAfterRenamed,
    SweptWithoutLock,
    LockedTwice,
    RecordedAfterPublished,
    NeverRecorded,
}

/// What a process is to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// Nobody else has this name.
    pub name: char,
    pub digest: Digest,
    pub method: Method,
    pub network: Network,
    pub attempts: u32,
    pub broken: Broken,
}

/// Where a process stands.
pub type At = usize;

/// What a process does there.
#[derive(Clone, Debug)]
pub struct Standing {
    pub next: Next,
    /// The locks that it has.
    pub holds: Vec<File>,
    /// The states that its fetch has been in.
    pub reached: Vec<State>,
}

#[derive(Clone, Debug)]
pub enum Next {
    Wants(Call),
    /// The object is there.
    Succeeded(Success),
    /// It isn't: the fetch failed in this state, for this reason.
    Failed(State, Refusal),
}

/// The names of the causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NotAnIndex,
    DigestMismatch,
    OpinionDiffers,
    RereadDiffers,
    ReadBackDiffers,
    Offline,
    Trouble,
    GaveUp,
}

impl From<&Cause> for Refusal {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::NotAnIndex { .. } => Self::NotAnIndex,
            Cause::DigestMismatch { .. } => Self::DigestMismatch,
            Cause::SkopeoDigestMismatch { .. } => Self::OpinionDiffers,
            Cause::CopyMismatch { .. } => Self::RereadDiffers,
            Cause::ReadBackMismatch { .. } => Self::ReadBackDiffers,
            Cause::Offline { .. } => Self::Offline,
            Cause::EffectFailed { .. } => Self::Trouble,
            Cause::RetriesExhausted { .. } => Self::GaveUp,
        }
    }
}

/// How an object came to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Success {
    Hit,
    Published,
    AlreadyThere,
    Replaced,
}

/// All processes that there may be.
#[derive(Default)]
pub struct Processes(Mutex<Tree>);

#[derive(Default)]
struct Tree {
    nodes: Vec<Past>,
    jobs: HashMap<Job, At>,
    after: HashMap<(At, Answer), At>,
}

impl Processes {
    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process at its beginning.
    pub fn start(&self, job: &Job) -> At {
        let mut tree = self.tree();
        if let Some(at) = tree.jobs.get(job) {
            return *at;
        }
        let standing = run(job, &[]);
        let at = tree.nodes.len();
        tree.nodes
            .push((Arc::new(job.clone()), None, Arc::new(standing)));
        tree.jobs.insert(job.clone(), at);
        at
    }

    /// The same process after an answer.
    pub fn after(&self, at: At, answer: Answer) -> At {
        let mut tree = self.tree();
        if let Some(next) = tree.after.get(&(at, answer.clone())) {
            return *next;
        }
        let mut answers = vec![answer.clone()];
        let mut from = at;
        while let Some((before, answer)) = &tree.nodes[from].1 {
            answers.push(answer.clone());
            from = *before;
        }
        answers.reverse();
        let job = Arc::clone(&tree.nodes[at].0);
        let standing = run(&job, &answers);
        let next = tree.nodes.len();
        tree.nodes
            .push((job, Some((at, answer.clone())), Arc::new(standing)));
        tree.after.insert((at, answer), next);
        next
    }

    pub fn standing(&self, at: At) -> Arc<Standing> {
        Arc::clone(&self.tree().nodes[at].2)
    }

    pub fn job(&self, at: At) -> Arc<Job> {
        Arc::clone(&self.tree().nodes[at].0)
    }

    /// How many different pasts a process has had.
    pub fn count(&self) -> usize {
        self.tree().nodes.len()
    }
}

/// A job, what it was told last and where it stood then, and where it stands.
type Past = (Arc<Job>, Option<(At, Answer)>, Arc<Standing>);

/// The answers so far, and the first call without one.
struct Tape {
    broken: Broken,
    name: char,
    answers: Vec<Answer>,
    at: usize,
    wants: Option<Call>,
    holds: Vec<File>,
    reached: Vec<State>,
    /// Of [`Broken::RecordedAfterPublished`].
    late: Option<State>,
}

/// Disk, runner and witness of a process.
#[derive(Clone)]
struct World(Arc<Mutex<Tape>>);

/// Runs a process up to its first call without an answer.
fn run(job: &Job, answers: &[Answer]) -> Standing {
    static CANCEL: LazyLock<CancelToken> =
        LazyLock::new(|| CancelToken::new(None).expect("a pipe"));
    let world = World(Arc::new(Mutex::new(Tape {
        broken: job.broken,
        name: job.name,
        answers: answers.to_vec(),
        at: 0,
        wants: None,
        holds: Vec::new(),
        reached: Vec::new(),
        late: None,
    })));
    let store = Store::new(PathBuf::from(ROOT), world.clone());
    let (options, command_timeout) = (&SkopeoOptions::default(), Duration::from_secs(1));
    let executor = Executor {
        performer: Performer {
            store: &store,
            engine: ByteSource::Skopeo {
                runner: &world,
                options,
                command_timeout,
            },
            retry_delay: Duration::ZERO,
            cancel: &CANCEL,
        },
        plan: FetchPolicy {
            method: job.method,
            attempts: NonZeroU32::new(job.attempts).expect("an attempt"),
            network: job.network,
        },
        jobs: NonZeroUsize::MIN,
        witnesses: &[&world],
    };
    let source = Location::Docker {
        tls_verify: TlsVerify::Unset,
    };
    let request = Request::new("localhost/a".parse().expect("a name"), source, job.digest);
    // As the command line does it.
    let _told = store.sweep();
    let report = executor.fetch(FetchId(0), &request);
    let _told = store.close();
    let tape = world.tape();
    let next = match (&tape.wants, report) {
        (Some(call), _) => Next::Wants(call.clone()),
        (None, Ok(report)) => match report.result {
            Ok(committed) => Next::Succeeded(success(committed.provenance())),
            Err(failure) => Next::Failed(failure.at, (&failure.cause).into()),
        },
        (None, Err(halt)) => panic!("{halt:?} without a call"),
    };
    Standing {
        next,
        holds: tape.holds.clone(),
        reached: tape.reached.clone(),
    }
}

fn success(provenance: &skopeo_index_core::machine::Provenance) -> Success {
    use skopeo_index_core::machine::{Placement, Provenance};
    match provenance {
        Provenance::Hit => Success::Hit,
        Provenance::Fetched { placed, .. } => match placed {
            Placement::New => Success::Published,
            Placement::AlreadyThere => Success::AlreadyThere,
            Placement::Replaced(_) => Success::Replaced,
        },
    }
}

fn text(path: &Path) -> Text {
    kept(path.to_str().expect("a path of ours"))
}

impl World {
    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broken(&self, how: Broken) -> bool {
        self.tape().broken == how
    }

    /// The answer to a call, or a halt where there is none yet.
    fn ask(&self, call: Call) -> Result<Answer, DiskError> {
        let mut tape = self.tape();
        if tape.wants.is_some() {
            return Err(DiskError::Halt);
        }
        let Some(answer) = tape.answers.get(tape.at).cloned() else {
            tape.wants = Some(call);
            return Err(DiskError::Halt);
        };
        tape.at += 1;
        match answer {
            Answer::Refused(kind) => Err(DiskError::Io {
                doing: "ask for",
                path: PathBuf::from(format!("{call:?}")),
                error: kind.into(),
            }),
            answer => Ok(answer),
        }
    }

    fn remove_all(&self, path: Text) -> Result<(), DiskError> {
        let gone = |removed| match removed {
            Err(DiskError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        };
        match self.ask(Call::Unlink(path)) {
            Err(fault) if fault.is(ErrorKind::IsADirectory) => {}
            other => return gone(other.map(drop)),
        }
        if let Answer::Names(names) = self.ask(Call::List(path))? {
            for name in names {
                self.remove_all(kept(&format!("{path}/{name}")))?;
            }
        }
        gone(self.ask(Call::RemoveDir(path)).map(drop))
    }
}

/// Frees a lock, unless the process stands still.
struct Held(World, File);

impl Drop for Held {
    fn drop(&mut self) {
        let mut tape = self.0.tape();
        if tape.wants.is_none() {
            let file = self.1;
            tape.holds.retain(|held| *held != file);
        }
    }
}

fn is_object(path: Text) -> bool {
    path.ends_with(".object")
}

impl Disk for World {
    fn make_dir(&self, dir: &Path) -> Result<DirStatus, DiskError> {
        match self.ask(Call::MakeDir(text(dir))) {
            Ok(_) => Ok(DirStatus::Created),
            Err(fault) if fault.is(ErrorKind::AlreadyExists) => Ok(DirStatus::Existing),
            Err(fault) => Err(fault),
        }
    }

    fn make_unique_dir(&self, parent: &Path, prefix: &str) -> Result<PathBuf, DiskError> {
        let name = self.tape().name;
        for n in 0.. {
            let dir = parent.join(format!("{prefix}{name}{n}"));
            match self.ask(Call::MakeDir(text(&dir))) {
                Ok(_) => return Ok(dir),
                Err(fault) if fault.is(ErrorKind::AlreadyExists) => {}
                Err(fault) => return Err(fault),
            }
        }
        unreachable!("there is a free name")
    }

    fn lock(&self, file: &Path, wait: LockWait<'_>) -> Result<TryLock, DiskError> {
        let Answer::Opened(opened) = self.ask(Call::OpenLock(text(file)))? else {
            unreachable!("it is opened or refused")
        };
        let patience = match wait {
            LockWait::Try => Patience::None,
            LockWait::Blocking(_) => Patience::Some,
        };
        if patience == Patience::None && self.broken(Broken::SweptWithoutLock) {
            return Ok(TryLock::Acquired(Box::new(())));
        }
        Ok(match self.ask(Call::TryLock(opened, patience))? {
            Answer::Theirs => TryLock::Contended,
            Answer::Gone => TryLock::Unlinked,
            _ => {
                self.tape().holds.push(opened);
                if patience == Patience::Some && self.broken(Broken::LockedTwice) {
                    self.ask(Call::TryLock(opened, patience))?;
                }
                let guard: LockGuard = Box::new(Held(self.clone(), opened));
                TryLock::Acquired(guard)
            }
        })
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let (file, bytes) = (text(file), str::from_utf8(bytes).expect("of ours"));
        self.ask(Call::Create(file))?;
        self.ask(Call::Write(file, kept(bytes))).map(drop)
    }

    fn read(&self, file: &Path, _: usize) -> Result<Seen, DiskError> {
        Ok(match self.ask(Call::Read(text(file)))? {
            Answer::Bytes(bytes) => Seen::Bytes(bytes.into()),
            Answer::NotAFile => Seen::NotAFile,
            _ => Seen::Absent,
        })
    }

    fn sync_file(&self, file: &Path) -> Result<(), DiskError> {
        let late = self.broken(Broken::RenamedBeforeSynced) && is_object(text(file));
        if late || self.broken(Broken::FileNeverSynced) {
            return Ok(());
        }
        self.ask(Call::SyncFile(text(file))).map(drop)
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        if self.broken(Broken::DirectoryNeverSynced) {
            return Ok(());
        }
        self.ask(Call::SyncDir(text(dir))).map(drop)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<RenameOutcome, DiskError> {
        let (from, to) = (text(from), text(to));
        if self.broken(Broken::WrittenInPlace)
            && is_object(from)
            && let Answer::Bytes(bytes) = self.ask(Call::Read(from))?
        {
            self.ask(Call::Create(to))?;
            self.ask(Call::Write(to, bytes))?;
            self.ask(Call::SyncFile(to))?;
            return Ok(RenameOutcome::Renamed);
        }
        let renamed = match self.ask(Call::Rename(from, to)) {
            Ok(_) => Ok(RenameOutcome::Renamed),
            Err(fault) if fault.is(ErrorKind::AlreadyExists) => Ok(RenameOutcome::TargetExists),
            Err(fault) => Err(fault),
        }?;
        if self.broken(Broken::RenamedBeforeSynced) && is_object(from) {
            self.ask(Call::SyncFile(to))?;
        }
        Ok(renamed)
    }

    fn list(&self, dir: &Path) -> Result<Vec<OsString>, DiskError> {
        match self.ask(Call::List(text(dir))) {
            Ok(Answer::Names(names)) => Ok(names.into_iter().map(OsString::from).collect()),
            Err(fault) if !fault.is(ErrorKind::NotFound) => Err(fault),
            _ => Ok(Vec::new()),
        }
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.remove_all(text(path))
    }
}

impl CommandRunner for World {
    fn run(
        &self,
        command: &SkopeoCommand<'_>,
        _: &SkopeoOptions,
        _: &CommandLimits<'_>,
        _: &CancelToken,
    ) -> Result<CommandOutput, RunError> {
        let call = match command {
            SkopeoCommand::InspectRaw(request) => Call::Inspect(request.digest()),
            SkopeoCommand::CopyIndex { request, to } => Call::Copy(request.digest(), text(to)),
            SkopeoCommand::InspectDir { from } => Call::InspectDir(text(from)),
            SkopeoCommand::ManifestDigest { file } => Call::Opinion(text(file)),
            other @ (SkopeoCommand::InspectTag { .. } | SkopeoCommand::Version) => {
                unreachable!("{other:?}")
            }
        };
        let ran = |status, stdout: Text, stderr: String| CommandOutput {
            exit: Exit::Status(status),
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        let answer = self.ask(call).map_err(|_| RunError::Halt)?;
        Ok(match answer {
            Answer::Bytes(bytes) => {
                if let SkopeoCommand::InspectRaw(request) = command
                    && self.broken(Broken::VerifiedAfterRenamed)
                {
                    let object = kept(&format!("{ROOT}/{}", request.digest()));
                    let published = self
                        .ask(Call::Create(object))
                        .and_then(|_| self.ask(Call::Write(object, bytes)));
                    published.map_err(|_| RunError::Halt)?;
                }
                ran(0, bytes, String::new())
            }
            Answer::Failed(why) => ran(1, "", format!("level=fatal msg=\"{why}\"")),
            _ => ran(0, "", String::new()),
        })
    }
}

impl Observer for World {
    fn transition(&self, _: FetchId, _: &Request, step: &Transition) -> Result<(), Veto> {
        let to = step.event.to;
        if self.tape().wants.is_none() {
            self.tape().reached.push(to);
        }
        if !requires_sync(&step.event) || self.broken(Broken::NeverRecorded) {
            return Ok(());
        }
        if self.broken(Broken::RecordedAfterPublished) && to == State::Verified {
            self.tape().late = Some(to);
            return Ok(());
        }
        let late = self.tape().late.take();
        for state in late.into_iter().chain([to]) {
            self.ask(Call::Record(state))
                .map_err(|fault| Veto(fault.to_string()))?;
        }
        Ok(())
    }
}
