//! Disk, command runner and observer of one process: each call takes the next of the given
//! answers, and a call without an answer ends the process by unwinding.

mod disk;

use std::io::ErrorKind;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skopeo_index::audit_log::requires_sync;
use skopeo_index::command::{CommandLimits, RunError};
use skopeo_index::fetch::{FetchId, Observer, Transition, Veto};
use skopeo_index::os::{CancelToken, PathError, best_effort};
use skopeo_index::registry::{Fetched, GateRefusal, ManifestClient, NextRequest};
use skopeo_index::skopeo::CommandRunner;
use skopeo_index::verifier::VerifierRunner;
use skopeo_index_core::audit::{ExchangeRecord, VerifierRecord};
use skopeo_index_core::machine::{EffectError, FailureKind, ManifestBytes, Outcome, State};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::stderr::classify;
use skopeo_index_core::skopeo::{CommandOutput, Exit, SkopeoCommand, SkopeoOptions};
use skopeo_index_core::verifier::{VerifierCommand, Verifiers};

use crate::call::{Answer, Call};
use crate::file_system::{FileId, Text, intern};
use crate::process::ROOT;
use crate::seeded_bug::SeededBug;
use crate::world::TIMEOUT;

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
    /// Withheld by [`SeededBug::ReportedBeforeSynced`].
    delayed_sync: Option<Call>,
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
            delayed_sync: None,
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

    /// Reports the object as committed.
    pub fn report(&self) {
        let delayed = self.script().delayed_sync.take();
        self.call(Call::Report).expect("never refused");
        // Too late, whether it succeeds or not.
        best_effort(delayed.map_or(Ok(Answer::Done), |sync| self.call(sync)));
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, bug: SeededBug) -> bool {
        self.script().bug == Some(bug)
    }

    fn call(&self, call: Call) -> Result<Answer, PathError> {
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
}

fn error_of(call: &Call, kind: ErrorKind) -> PathError {
    PathError::new("simulate", Path::new(&format!("{call:?}")), kind)
}

fn text(path: &Path) -> Text {
    intern(path.to_str().expect("a path in UTF-8"))
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
            Answer::RemoteFailed(message) => {
                output(1, "", format!("level=fatal msg=\"{message}\""))
            }
            _ => output(0, "", String::new()),
        })
    }
}

impl ManifestClient for Simulation {
    fn fetch(&self, request: &Request) -> Result<Fetched, GateRefusal> {
        let call = Call::Request(request.digest());
        let (status, bytes) = match self.call(call).expect("an answer of the client") {
            Answer::Unavailable => return Err(GateRefusal::Fips),
            Answer::Content(bytes) => (Some(200), Ok(bytes.into())),
            Answer::RemoteFailed(message) => {
                let kind = match message {
                    TIMEOUT => FailureKind::Timeout,
                    message => classify(message),
                };
                let message = message.to_owned();
                (None, Err(EffectError::Command { kind, message }))
            }
            other => panic!("{other:?} is not an answer of the client"),
        };
        let exchange = ExchangeRecord {
            endpoint: "https://localhost".to_owned(),
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

/// Verifiers that answer as the checker chooses.
pub struct SimulatedVerifiers {
    verifiers: Verifiers,
    simulation: Simulation,
}

impl SimulatedVerifiers {
    pub fn new(count: u8, simulation: Simulation) -> Self {
        let command = VerifierCommand::try_from(vec!["verifier".to_owned()]);
        let commands = vec![command.expect("a command"); usize::from(count)];
        Self {
            verifiers: commands.try_into().expect("few verifiers"),
            simulation,
        }
    }
}

impl VerifierRunner for SimulatedVerifiers {
    fn verifiers(&self) -> &Verifiers {
        &self.verifiers
    }

    fn run(
        &self,
        verifier: u8,
        _: &Request,
        _: &ManifestBytes,
        _: &Path,
        _: &CancelToken,
        _: &mut Option<VerifierRecord>,
    ) -> Result<Outcome<ManifestBytes>, EffectError> {
        let call = Call::Verify(verifier);
        let exited = |status, message: &str| {
            let message = message.to_owned();
            Ok(Outcome::VerifierExited { message, status })
        };
        match self.simulation.call(call).expect("an answer of a verifier") {
            Answer::Done => exited(0, ""),
            Answer::RemoteFailed(message) => exited(1, message),
            _ => Err(EffectError::Verifier {
                message: "killed by signal 9".to_owned(),
            }),
        }
    }
}

impl Observer for Simulation {
    fn transition(&self, _: FetchId, _: &Request, transition: &Transition) -> Result<(), Veto> {
        let state = transition.event.to;
        self.script().reached.push(state);
        if !requires_sync(&transition.event) || self.has(SeededBug::NeverRecorded) {
            return Ok(());
        }
        let delayed = self.script().delayed_record.take();
        let is_delayed = self.has(SeededBug::RecordedAfterPublishing)
            && matches!(state, State::Verified | State::Authenticated);
        if is_delayed {
            self.script().delayed_record = Some(state);
        }
        let now = (!is_delayed).then_some(state);
        for state in delayed.into_iter().chain(now) {
            self.call(Call::Record(state))
                .map_err(|error| Veto(error.into()))?;
        }
        Ok(())
    }
}
