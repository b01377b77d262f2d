//! Which verifier a transition needs, and which one its record has.

use std::ffi::OsStr;
use std::path::Path;

use super::command_rules::{Evidence, exit, without_dots};
use super::content_rules::EMPTY;
use super::contradiction::Contradiction;
use super::names::{find_verifier_file, longest_verifier_file};
use super::program::VerifierRecord;
use super::record::RunInfo;
use crate::escape::{is_truncated, json_text, quote, to_json};
use crate::machine::{Effect, EffectError, Outcome};
use crate::skopeo::Exit;
use crate::verifier::{NO_OUTPUT, verifier_message};

/// Limit of a verifier's arguments in a record, in bytes of JSON: they take a quarter of it.
pub const MAX_VERIFIER_ARGUMENTS_LEN: usize = 16 << 10;

/// A record may not have room for the arguments of a verifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the arguments of the verifier {} may take {length} bytes in a record, at most \
     {MAX_VERIFIER_ARGUMENTS_LEN} are possible: give it fewer placeholders, or the cache a shorter path",
    quote(program)
)]
pub struct LongArguments {
    /// The verifier's program.
    pub program: String,
    /// How long they may become.
    pub length: usize,
}

impl RunInfo {
    /// Checks that a record has room for the arguments of each verifier, whatever is fetched.
    ///
    /// # Errors
    /// The first verifier with longer ones.
    pub fn check_verifier_arguments(&self) -> Result<(), LongArguments> {
        let file = longest_verifier_file(&self.cache);
        for command in self.verifiers.as_slice() {
            let arguments = command.longest_arguments(OsStr::new(&file));
            let arguments: Vec<_> = arguments.iter().map(json_text).collect();
            let length = to_json(&arguments).len();
            if length > MAX_VERIFIER_ARGUMENTS_LEN {
                let program = command.program().to_owned();
                return Err(LongArguments { program, length });
            }
        }
        Ok(())
    }
}

impl Evidence<'_> {
    /// Checks the verifier of a transition, and whether it led to the outcome.
    pub(super) fn check_verifier(&self) -> Result<(), Contradiction> {
        let (position, record) = match (self.effect, &self.transition.verifier) {
            (Effect::Authenticate { verifier, .. }, Some(record)) => (*verifier, record),
            (Effect::Authenticate { .. }, None) if self.can_lack_verifier() => return Ok(()),
            (Effect::Authenticate { .. }, None) => return Err(Contradiction::MissingVerifier),
            (_, Some(_)) => return Err(Contradiction::UnexpectedVerifier),
            (_, None) => return Ok(()),
        };
        // It isn't skopeo.
        if record.command.answer.is_some() {
            return Err(Contradiction::InvalidAnswer);
        }
        let argv = &record.command.argv;
        let cache = &self.run.cache;
        let file = argv.iter().find_map(|text| find_verifier_file(text, cache));
        let command = self.run.verifiers.get(position);
        let file = OsStr::new(file.unwrap_or_default());
        let expected = command.map(|it| it.arguments(&self.transition.request, file));
        if !expected.is_some_and(|expected| expected.iter().eq(argv.iter().map(OsStr::new))) {
            return Err(Contradiction::VerifierArguments);
        }
        if !command.is_some_and(|command| is_program(&record.path, command.program())) {
            return Err(Contradiction::VerifierProgram);
        }
        let is_possible = match (
            &self.transition.event.outcome,
            exit(&record.command)?,
            record.output,
        ) {
            (Outcome::VerifierExited { status, .. }, exit, Some(_)) => {
                exit == Some(Exit::Status(*status))
            }
            // It was killed, or not started, or killed by another process.
            (Outcome::Failed { error }, None, None) => matches!(
                error,
                EffectError::Verifier { .. } | EffectError::Cancelled { .. }
            ),
            (Outcome::Failed { error }, Some(Exit::Signal(_)), Some(_)) => {
                matches!(error, EffectError::Verifier { .. })
            }
            _ => false,
        };
        if !is_possible {
            return Err(Contradiction::VerifierExit);
        }
        self.has_message_of(record)
            .then_some(())
            .ok_or(Contradiction::VerifierMessage)
    }

    /// Whether the message in the outcome can be one about the verifier. Its text is only the end
    /// of an output of which the hash is known, except for no output at all.
    fn has_message_of(&self, record: &VerifierRecord) -> bool {
        let of = |text| verifier_message(&record.path, text);
        match &self.transition.event.outcome {
            Outcome::VerifierExited { message, .. }
            | Outcome::Failed {
                error: EffectError::Verifier { message },
            } if !is_truncated(message) => false,
            Outcome::VerifierExited { message, status: 0 } => message.is_empty(),
            Outcome::VerifierExited { message, .. } if record.output == Some(*EMPTY) => {
                *message == of(NO_OUTPUT)
            }
            Outcome::VerifierExited { message, .. }
            | Outcome::Failed {
                error: EffectError::Verifier { message },
            } => message.starts_with(&of("")),
            _ => true,
        }
    }

    /// Whether the verifier was not run: its copy could not be written, or the fetch was
    /// cancelled before.
    const fn can_lack_verifier(&self) -> bool {
        matches!(
            self.transition.event.outcome,
            Outcome::Failed {
                error: EffectError::Disk { .. }
                    | EffectError::Cancelled { .. }
                    | EffectError::AuditLog { .. }
            }
        )
    }
}

/// Whether a path is that of a run's program: the path of the command made absolute, or a file of
/// that name in a directory of `PATH`. No link in it was followed.
fn is_program(path: &str, program: &str) -> bool {
    let path = Path::new(path);
    path.is_absolute() && path.ends_with(without_dots(Path::new(program)))
}
