//! Stand-ins of a random run: skopeo with an answer for each digest, and a veto.

use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use skopeo_index::command::{CommandLimits, RunError};
use skopeo_index::fetch::{FetchId, Observer, Transition, Veto};
use skopeo_index::os::CancelToken;
use skopeo_index::registry::{Fetched, GateRefusal, ManifestClient, NextRequest};
use skopeo_index::skopeo::CommandRunner;
use skopeo_index_core::audit::ExchangeRecord;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{CancelReason, EffectError, FailureKind, Method};
use skopeo_index_core::redact::Redactor;
use skopeo_index_core::request::{Location, Request};
use skopeo_index_core::skopeo::stderr::classify_exit;
use skopeo_index_core::skopeo::{CommandOutput, Exit, SkopeoCommand, SkopeoOptions};
use test_support::loopback::samples;
use test_support::program::fakes::{answer_lines, crash, failed, printed, run_on_copy};

/// What skopeo does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer {
    /// It prints the requested index, after so many failures.
    Index(u32),
    AnotherIndex,
    NotAnIndex,
    NotFound,
    /// skopeo is killed by a signal.
    Killed,
    /// Its timeout expires.
    TimedOut,
    /// skopeo is not installed.
    Missing,
    /// skopeo is not installed, and the registry client gets another index.
    MissingAndAnotherIndex,
    /// The run is cancelled while the command runs.
    Cancelled,
    /// It exits with 0, and a copy has no manifest.
    Nothing,
    /// The process crashes while the command runs.
    Crash,
}

/// Vetoes every transition after so many.
pub(super) struct VetoAfter(pub(super) usize, pub(super) AtomicUsize);

impl Observer for VetoAfter {
    fn transition(&self, _: FetchId, _: &Request, _: &Transition) -> Result<(), Veto> {
        let Self(allowed, seen) = self;
        match seen.fetch_add(1, Ordering::SeqCst) < *allowed {
            true => Ok(()),
            false => Err(Veto(EffectError::AuditLog {
                error: "vetoed".to_owned(),
            })),
        }
    }
}

/// A skopeo with an answer for each digest. Not a mock: a crash would poison its lock.
pub(super) struct Answers {
    answers: HashMap<Digest, (usize, Answer)>,
    asked: Mutex<HashMap<Digest, u32>>,
}

impl Answers {
    pub(super) fn new(fetches: &[(usize, Answer)]) -> Self {
        let answer = |&(n, answer): &(usize, Answer)| {
            let digest = Digest::of(&samples::distinct(n));
            (digest, (n, answer))
        };
        Self {
            answers: fetches.iter().map(answer).collect(),
            asked: Mutex::default(),
        }
    }

    fn answer(&self, digest: Digest, cancel: &CancelToken) -> Result<CommandOutput, RunError> {
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
            Answer::Killed => Ok(CommandOutput {
                exit: Exit::Signal(9),
                stdout: Vec::new(),
                stderr: Vec::new(),
            }),
            Answer::TimedOut => Err(RunError::TimedOut {
                after: Duration::from_secs(1),
                stderr: Vec::new(),
            }),
            Answer::Missing | Answer::MissingAndAnotherIndex => {
                Err(RunError::NotFound("/s".into()))
            }
            Answer::Cancelled => {
                cancel.cancel(CancelReason::Interrupted);
                Err(RunError::Cancelled(CancelReason::Interrupted))
            }
            Answer::Nothing => printed(""),
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
        cancel: &CancelToken,
    ) -> Result<CommandOutput, RunError> {
        match command {
            SkopeoCommand::InspectRaw(request) => {
                let output = self.answer(request.digest(), cancel)?;
                Ok(answered(output, request))
            }
            SkopeoCommand::CopyIndex { request, to } => {
                let output = self.answer(request.digest(), cancel)?;
                let mut output = answered(output, request);
                let bytes = std::mem::take(&mut output.stdout);
                if !bytes.is_empty() {
                    fs::write(to.join("manifest.json"), bytes).expect("a file");
                }
                Ok(output)
            }
            other => run_on_copy(other),
        }
    }
}

/// An output with skopeo's debug lines: the image is a mirror's.
fn answered(mut output: CommandOutput, request: &Request) -> CommandOutput {
    if matches!(request.location(), Location::Docker { .. }) {
        let mut lines = answer_lines("mirror.example:5000/x/app", request.digest());
        lines.extend(output.stderr);
        output.stderr = lines;
    }
    output
}

/// A registry client with the same answers, behind a gate.
pub(super) struct Client<'a> {
    pub(super) answers: &'a Answers,
    pub(super) method: Method,
    pub(super) cancel: &'a CancelToken,
}

impl ManifestClient for Client<'_> {
    fn fetch(&self, request: &Request) -> Result<Fetched, GateRefusal> {
        if matches!(request.location(), Location::ContainersStorage { .. }) {
            return Err(GateRefusal::ContainersStorage);
        }
        if self.method == Method::SkopeoCopy {
            return Err(GateRefusal::MethodCopy);
        }
        let output = match self.answers.answers[&request.digest()] {
            (n, Answer::MissingAndAnotherIndex) => printed(samples::distinct(n + 100)),
            _ => self.answers.answer(request.digest(), self.cancel),
        };
        let (status, bytes) = match output {
            Err(RunError::NotFound(_)) => return Err(GateRefusal::Fips),
            Ok(output) if output.exit == Exit::Status(0) => (Some(200), Ok(output.stdout)),
            Ok(output) => match classify_exit(&output, &Redactor::default()) {
                EffectError::Command { kind, message } => {
                    let (status, kind) = match kind {
                        FailureKind::NotFound => (Some(404), kind),
                        FailureKind::Other => (None, FailureKind::UnexpectedAnswer),
                        kind => (None, kind),
                    };
                    (status, Err(EffectError::Command { kind, message }))
                }
                error => (None, Err(error)),
            },
            Err(error) => (None, Err(error.into())),
        };
        let exchange = ExchangeRecord {
            endpoint: "http://localhost:5000".to_owned(),
            peer: status.map(|_| "127.0.0.1:5000".to_owned()),
            repository: Some("app".to_owned()),
            status,
            ..ExchangeRecord::default()
        };
        Ok(Fetched {
            bytes,
            exchange,
            authorization: None,
            next_request: NextRequest::Allowed,
        })
    }
}
