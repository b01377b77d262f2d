//! The world that the checker explores: processes, a file system, an audit log and a
//! registry.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;

use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{Network, State};

use crate::bounds::{Bounds, GARBAGE, IMAGE, INDEXES, InitialDisk, Registry};
use crate::call::{Answer, Call, LockMode};
use crate::file_system::{FileId, FileSystem, Node, Text, intern};
use crate::process::{Histories, HistoryId, Job, ROOT, Snapshot, Status};

/// A cache, explored within bounds.
pub struct CacheModel {
    pub bounds: Bounds,
    pub histories: Arc<Histories>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub initial: InitialDisk,
    pub fs: FileSystem,
    /// The durable records.
    pub log: BTreeSet<(Digest, State)>,
    pub processes: Vec<Process>,
    /// Digests that a process has reported as committed.
    pub reported: BTreeSet<Digest>,
    pub faults: u8,
    pub crashes: u8,
    pub power_failures: u8,
    pub restarts: u8,
    pub removals: u8,
    pub schedule: Option<Schedule>,
}

/// The running process and the context switches that are left, where these are bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Schedule {
    pub running: usize,
    pub switches: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Process {
    Running {
        history: HistoryId,
        disturbance: Disturbance,
    },
    Crashed,
    Ended {
        history: HistoryId,
        disturbance: Disturbance,
    },
}

/// The worst that happened to a process, which may excuse its failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disturbance {
    None,
    /// A call failed, skopeo's answer was wrong, or the request can't succeed.
    Failure,
    /// Another program removed an object during the fetch.
    ObjectRemoved,
}

/// The failure of a request without an answer.
pub const TIMEOUT: Text = "timeout";

pub fn object(digest: Digest) -> Text {
    intern(&format!("{ROOT}/{digest}"))
}

impl CacheModel {
    pub fn new(bounds: Bounds) -> Self {
        let histories = Arc::default();
        Self { bounds, histories }
    }

    pub fn first_digest(&self) -> Digest {
        Digest::of(self.bounds.requested[0].as_bytes())
    }

    pub fn start(&self, name: char, document: Text, network: Network) -> Process {
        let history = self.histories.start(&Job {
            name,
            digest: Digest::of(document.as_bytes()),
            engine: self.bounds.engine,
            method: self.bounds.method,
            network,
            attempts: self.bounds.attempts,
            verifiers: self.bounds.verifiers,
            bug: self.bounds.bug,
        });
        let disturbance = if INDEXES.contains(&document) && network == Network::Allowed {
            Disturbance::None
        } else {
            Disturbance::Failure
        };
        self.process(history, disturbance)
    }

    fn process(&self, history: HistoryId, disturbance: Disturbance) -> Process {
        match self.histories.snapshot(history).status {
            Status::Calling(_) => Process::Running {
                history,
                disturbance,
            },
            Status::Committed(_) | Status::Failed(..) => Process::Ended {
                history,
                disturbance,
            },
        }
    }

    pub fn snapshot(&self, process: &Process) -> Option<Arc<Snapshot>> {
        match process {
            Process::Running { history, .. } | Process::Ended { history, .. } => {
                Some(self.histories.snapshot(*history))
            }
            Process::Crashed => None,
        }
    }

    /// The next call of a running process.
    pub fn next_call(&self, process: &Process) -> Option<Call> {
        match &self.snapshot(process)?.status {
            Status::Calling(call) => Some(call.clone()),
            Status::Committed(_) | Status::Failed(..) => None,
        }
    }

    /// The answers that skopeo, the registry client or a verifier may give to a call, the correct one
    /// first; none for other calls.
    pub fn remote_answers(&self, fs: &FileSystem, call: &Call) -> Vec<Answer> {
        if let Call::Verify(_) = call {
            return match self.bounds.registry {
                Registry::Correct => vec![Answer::Done],
                Registry::Arbitrary => {
                    let refused = Answer::RemoteFailed("no signature");
                    vec![Answer::Done, refused, Answer::Unavailable]
                }
            };
        }
        let correct = match call {
            Call::Request(digest) | Call::InspectRaw(digest) | Call::CopyIndex(digest, _) => {
                Answer::Content(document(*digest))
            }
            Call::InspectDir(dir) => match read(fs, intern(&format!("{dir}/manifest.json"))) {
                Answer::File(_, bytes) => Answer::Content(bytes),
                other => other,
            },
            Call::ManifestDigest(file) => match read(fs, file) {
                Answer::File(_, bytes) => {
                    Answer::Content(intern(&Digest::of(bytes.as_bytes()).to_string()))
                }
                other => other,
            },
            _ => return Vec::new(),
        };
        let correct = match correct {
            Answer::Content(_) => correct,
            _ => Answer::RemoteFailed("no such file or directory"),
        };
        if self.bounds.registry == Registry::Correct {
            return vec![correct];
        }
        let wrong = match call {
            Call::ManifestDigest(_) => vec![GARBAGE, intern(&Digest::of(b"").to_string())],
            _ => vec![INDEXES[0], INDEXES[1], IMAGE, GARBAGE, ""],
        };
        let failures = [
            "reading manifest x in r/y: manifest unknown",
            "dial tcp 10.0.0.1:443: connect: connection refused",
        ];
        let mut answers = vec![correct.clone()];
        answers.extend(
            wrong
                .into_iter()
                .map(Answer::Content)
                .filter(|answer| *answer != correct),
        );
        answers.extend(failures.map(Answer::RemoteFailed));
        if let Call::Request(_) = call {
            let more = [Answer::Unavailable, Answer::RemoteFailed(TIMEOUT)];
            answers.extend(more);
        }
        answers
    }

    /// The holder of a lock, which may be the process that asks for it.
    fn holder(&self, world: &World, file: FileId) -> Option<usize> {
        world.processes.iter().position(|process| match process {
            Process::Running { history, .. } => {
                self.histories.snapshot(*history).locks.contains(&file)
            }
            Process::Crashed | Process::Ended { .. } => false,
        })
    }

    /// The process that this one waits for.
    pub fn waits_for(&self, world: &World, process: usize) -> Option<usize> {
        match self.next_call(&world.processes[process])? {
            Call::Lock(file, LockMode::Blocking) => self.holder(world, file),
            _ => None,
        }
    }

    /// Performs a call as the system does; `None` while it blocks.
    pub fn perform(&self, world: &mut World, process: usize, call: &Call) -> Option<Answer> {
        let fs = &mut world.fs;
        Some(match call {
            Call::OpenDir(dir) => done(fs.open_dir(dir)),
            Call::MakeDir(dir) => done(fs.make_dir(dir)),
            Call::AwaitPipe(_) => return None,
            Call::OpenLock(path) => match fs.file(path) {
                Ok(file) => Answer::Opened(file),
                Err(ErrorKind::NotFound) => match fs.create(path) {
                    Ok(file) => Answer::Opened(file),
                    Err(kind) => Answer::Error(kind),
                },
                Err(kind) => Answer::Error(kind),
            },
            Call::Lock(file, mode) => match (self.holder(world, *file), mode) {
                (Some(_), LockMode::Blocking) => return None,
                (Some(_), LockMode::Try) => Answer::Contended,
                (None, _) if world.fs.is_linked(*file) => Answer::Locked,
                (None, _) => Answer::Unlinked,
            },
            Call::Create(path) => done(fs.create(path).map(drop)),
            Call::Write(path, content) => done(fs.write(path, content)),
            Call::Read(path) => read(fs, path),
            Call::SyncFile(path) => done(fs.sync_file(path)),
            Call::SyncOpened(file) => {
                fs.sync_opened(*file);
                Answer::Done
            }
            Call::SyncDir(dir) => done(fs.sync_dir(dir)),
            Call::SyncFileSystem { skipped } => {
                fs.sync_all(*skipped);
                Answer::Done
            }
            Call::Rename(from, to) => done(fs.rename(from, to)),
            Call::List(dir) => Answer::Names(
                fs.list(dir)
                    .map(|(path, _)| path.rsplit('/').next().expect("a name"))
                    .collect(),
            ),
            Call::Unlink(path) => done(fs.unlink(path)),
            Call::RemoveDir(path) => done(fs.remove_dir(path)),
            Call::Record(state) => {
                let Process::Running { history, .. } = world.processes[process] else {
                    unreachable!("only a running process makes calls")
                };
                let digest = self.histories.job(history).digest;
                world.log.insert((digest, *state));
                Answer::Done
            }
            Call::Report => {
                let Process::Running {
                    history,
                    disturbance,
                } = world.processes[process]
                else {
                    unreachable!("only a running process makes calls")
                };
                if disturbance < Disturbance::ObjectRemoved {
                    world.reported.insert(self.histories.job(history).digest);
                }
                Answer::Done
            }
            Call::Request(_)
            | Call::InspectRaw(_)
            | Call::CopyIndex(..)
            | Call::InspectDir(_)
            | Call::ManifestDigest(_)
            | Call::Verify(_) => unreachable!("a program answers it"),
        })
    }

    /// Gives a process the answer to its call.
    pub fn deliver(&self, world: &mut World, process: usize, answer: Answer, new: Disturbance) {
        let Process::Running {
            history,
            disturbance,
        } = world.processes[process]
        else {
            unreachable!("only a running process makes calls")
        };
        let disturbance = disturbance.max(new);
        let history = self.histories.after(history, answer);
        world.processes[process] = self.process(history, disturbance);
    }
}

fn done(result: Result<(), ErrorKind>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(kind) => Answer::Error(kind),
    }
}

fn document(digest: Digest) -> Text {
    let documents = INDEXES.into_iter().chain([IMAGE]);
    let mut found = documents.filter(|document| Digest::of(document.as_bytes()) == digest);
    found.next().expect("a requested document")
}

fn read(fs: &FileSystem, path: Text) -> Answer {
    match fs.node(path) {
        None => Answer::Absent,
        Some(Node::File(file)) => Answer::File(file, fs.content(file)),
        Some(Node::Endless) => Answer::Endless,
        Some(_) => Answer::NotAFile,
    }
}

/// Writes what `skopeo copy` writes, and returns its answer.
pub fn run_skopeo(fs: &mut FileSystem, call: &Call, answer: Answer) -> Answer {
    let (Call::CopyIndex(_, dir), Answer::Content(bytes)) = (call, &answer) else {
        return answer;
    };
    let path = intern(&format!("{dir}/manifest.json"));
    match fs.create(path).and_then(|_| fs.write(path, bytes)) {
        Ok(()) => Answer::Done,
        Err(_) => Answer::RemoteFailed("no such file or directory"),
    }
}
