//! Disk, command runner and observer of one process: each call takes the next of the given
//! answers, and a call without an answer ends the process by unwinding.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skopeo_index::audit_log::requires_sync;
use skopeo_index::fetch::{FetchId, Observer, Transition, Veto};
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::{CommandLimits, CommandRunner, RunError};
use skopeo_index::store::{
    DirStatus, Disk, DiskError, LockGuard, LockWait, RenameOutcome, TryLock,
};
use skopeo_index_core::machine::{CacheEntry, ManifestBytes, State};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::{CommandOutput, Exit, SkopeoCommand, SkopeoOptions};

use crate::call::{Answer, Call, LockMode};
use crate::file_system::{FileId, Text, intern};
use crate::process::ROOT;
use crate::seeded_bug::SeededBug;

/// Unwinds out of the program at a call that has no answer.
pub struct SimulatedCrash {
    pub call: Call,
}

#[derive(Clone)]
pub struct Simulation(Arc<Mutex<Script>>);

struct Script {
    bug: Option<SeededBug>,
    name: char,
    answers: std::vec::IntoIter<Answer>,
    /// Set before unwinding: destructors that run then change nothing.
    crashed: bool,
    locks: Vec<FileId>,
    reached: Vec<State>,
    /// Withheld by [`SeededBug::RecordedAfterPublishing`].
    delayed_record: Option<State>,
}

impl Simulation {
    pub fn new(bug: Option<SeededBug>, name: char, answers: Vec<Answer>) -> Self {
        Self(Arc::new(Mutex::new(Script {
            bug,
            name,
            answers: answers.into_iter(),
            crashed: false,
            locks: Vec::new(),
            reached: Vec::new(),
            delayed_record: None,
        })))
    }

    /// The locks that the process holds.
    pub fn locks(&self) -> Vec<FileId> {
        self.script().locks.clone()
    }

    /// The states that its fetch has been in.
    pub fn reached(&self) -> Vec<State> {
        self.script().reached.clone()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, bug: SeededBug) -> bool {
        self.script().bug == Some(bug)
    }

    fn call(&self, call: Call) -> Result<Answer, DiskError> {
        let mut script = self.script();
        if script.crashed {
            return Err(error_of(&call, ErrorKind::Interrupted));
        }
        let Some(answer) = script.answers.next() else {
            script.crashed = true;
            drop(script);
            resume_unwind(Box::new(SimulatedCrash { call }));
        };
        match answer {
            Answer::Error(kind) => Err(error_of(&call, kind)),
            answer => Ok(answer),
        }
    }

    fn remove_all(&self, path: Text) -> Result<(), DiskError> {
        let allow_missing = |removed| match removed {
            Err(error) if is_not_found(&error) => Ok(()),
            other => other,
        };
        match self.call(Call::Unlink(path)) {
            Err(error) if error.is(ErrorKind::IsADirectory) => {}
            other => return allow_missing(other.map(drop)),
        }
        if let Answer::Names(names) = self.call(Call::List(path))? {
            for name in names {
                self.remove_all(intern(&format!("{path}/{name}")))?;
            }
        }
        allow_missing(self.call(Call::RemoveDir(path)).map(drop))
    }
}

/// Releases a lock when dropped, unless the process has crashed with it.
struct SimulatedLock(Simulation, FileId);

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut script = self.0.script();
        if !script.crashed {
            let file = self.1;
            script.locks.retain(|held| *held != file);
        }
    }
}

fn error_of(call: &Call, kind: ErrorKind) -> DiskError {
    DiskError::Io {
        operation: "simulate",
        path: PathBuf::from(format!("{call:?}")),
        error: kind.into(),
    }
}

fn text(path: &Path) -> Text {
    intern(path.to_str().expect("a path in UTF-8"))
}

fn is_staged_object(path: Text) -> bool {
    path.ends_with(".object")
}

fn is_not_found(error: &DiskError) -> bool {
    error.is(ErrorKind::NotFound)
}

impl Disk for Simulation {
    fn make_dir(&self, dir: &Path) -> Result<DirStatus, DiskError> {
        match self.call(Call::MakeDir(text(dir))) {
            Ok(_) => Ok(DirStatus::Created),
            Err(error) if error.is(ErrorKind::AlreadyExists) => Ok(DirStatus::Existing),
            Err(error) => Err(error),
        }
    }

    fn make_unique_dir(&self, parent: &Path, prefix: &str) -> Result<PathBuf, DiskError> {
        let name = self.script().name;
        for n in 0.. {
            let dir = parent.join(format!("{prefix}{name}{n}"));
            match self.call(Call::MakeDir(text(&dir))) {
                Ok(_) => return Ok(dir),
                Err(error) if error.is(ErrorKind::AlreadyExists) => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the names are unlimited")
    }

    fn lock(&self, file: &Path, wait: LockWait<'_>) -> Result<TryLock, DiskError> {
        let Answer::Opened(file) = self.call(Call::OpenLock(text(file)))? else {
            unreachable!("the answer to OpenLock is Opened or Error")
        };
        let mode = match wait {
            LockWait::Try => LockMode::Try,
            LockWait::Blocking(_) => LockMode::Blocking,
        };
        if mode == LockMode::Try && self.has(SeededBug::SweptWithoutLock) {
            return Ok(TryLock::Acquired(Box::new(())));
        }
        Ok(match self.call(Call::Lock(file, mode))? {
            Answer::Contended => TryLock::Contended,
            Answer::Unlinked => TryLock::Unlinked,
            _ => {
                self.script().locks.push(file);
                if mode == LockMode::Blocking && self.has(SeededBug::LockedTwice) {
                    self.call(Call::Lock(file, mode))?;
                }
                let guard: LockGuard = Box::new(SimulatedLock(self.clone(), file));
                TryLock::Acquired(guard)
            }
        })
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let (file, bytes) = (text(file), str::from_utf8(bytes).expect("UTF-8"));
        self.call(Call::Create(file))?;
        self.call(Call::Write(file, intern(bytes))).map(drop)
    }

    fn read(&self, file: &Path, _: usize) -> Result<CacheEntry<ManifestBytes>, DiskError> {
        Ok(match self.call(Call::Read(text(file)))? {
            Answer::Content(bytes) => CacheEntry::File {
                content: Vec::from(bytes).into(),
            },
            Answer::NotAFile => CacheEntry::NotAFile,
            _ => CacheEntry::Absent,
        })
    }

    fn sync_file(&self, file: &Path) -> Result<(), DiskError> {
        let is_late = self.has(SeededBug::RenamedBeforeSynced) && is_staged_object(text(file));
        if is_late || self.has(SeededBug::FileNeverSynced) {
            return Ok(());
        }
        self.call(Call::SyncFile(text(file))).map(drop)
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        if self.has(SeededBug::DirectoryNeverSynced) {
            return Ok(());
        }
        self.call(Call::SyncDir(text(dir))).map(drop)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<RenameOutcome, DiskError> {
        let (from, to) = (text(from), text(to));
        if self.has(SeededBug::WrittenInPlace)
            && is_staged_object(from)
            && let Answer::Content(bytes) = self.call(Call::Read(from))?
        {
            self.call(Call::Create(to))?;
            self.call(Call::Write(to, bytes))?;
            self.call(Call::SyncFile(to))?;
            return Ok(RenameOutcome::Renamed);
        }
        let outcome = match self.call(Call::Rename(from, to)) {
            Ok(_) => Ok(RenameOutcome::Renamed),
            Err(error) if error.is(ErrorKind::AlreadyExists) => Ok(RenameOutcome::TargetExists),
            Err(error) => Err(error),
        }?;
        if self.has(SeededBug::RenamedBeforeSynced) && is_staged_object(from) {
            self.call(Call::SyncFile(to))?;
        }
        Ok(outcome)
    }

    fn list(&self, dir: &Path) -> Result<Vec<OsString>, DiskError> {
        match self.call(Call::List(text(dir))) {
            Ok(Answer::Names(names)) => Ok(names.into_iter().map(OsString::from).collect()),
            Err(error) if !is_not_found(&error) => Err(error),
            _ => Ok(Vec::new()),
        }
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.remove_all(text(path))
    }
}

impl CommandRunner for Simulation {
    fn run(
        &self,
        command: &SkopeoCommand<'_>,
        _: &SkopeoOptions,
        _: &CommandLimits<'_>,
        _: &CancelToken,
    ) -> Result<CommandOutput, RunError> {
        let call = match command {
            SkopeoCommand::InspectRaw(request) => Call::InspectRaw(request.digest()),
            SkopeoCommand::CopyIndex { request, to } => Call::CopyIndex(request.digest(), text(to)),
            SkopeoCommand::InspectDir { from } => Call::InspectDir(text(from)),
            SkopeoCommand::ManifestDigest { file } => Call::ManifestDigest(text(file)),
            other @ (SkopeoCommand::InspectTag { .. } | SkopeoCommand::Version) => {
                unreachable!("{other:?} is not part of a fetch")
            }
        };
        let output = |status, stdout: Text, stderr: String| CommandOutput {
            exit: Exit::Status(status),
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        Ok(match self.call(call).expect("an answer of skopeo") {
            Answer::Content(bytes) => {
                if let SkopeoCommand::InspectRaw(request) = command
                    && self.has(SeededBug::VerifiedAfterRename)
                {
                    let object = intern(&format!("{ROOT}/{}", request.digest()));
                    self.call(Call::Create(object)).expect("a free name");
                    self.call(Call::Write(object, bytes)).expect("a file");
                }
                output(0, bytes, String::new())
            }
            Answer::SkopeoFailed(message) => {
                output(1, "", format!("level=fatal msg=\"{message}\""))
            }
            _ => output(0, "", String::new()),
        })
    }
}

impl Observer for Simulation {
    fn transition(&self, _: FetchId, _: &Request, transition: &Transition) -> Result<(), Veto> {
        let state = transition.event.to;
        self.script().reached.push(state);
        if !requires_sync(&transition.event) || self.has(SeededBug::NeverRecorded) {
            return Ok(());
        }
        if self.has(SeededBug::RecordedAfterPublishing) && state == State::Verified {
            self.script().delayed_record = Some(state);
            return Ok(());
        }
        let delayed = self.script().delayed_record.take();
        for state in delayed.into_iter().chain([state]) {
            self.call(Call::Record(state))
                .map_err(|error| Veto(error.to_string()))?;
        }
        Ok(())
    }
}
