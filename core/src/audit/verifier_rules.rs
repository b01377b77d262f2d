//! Which verifier a transition needs, and which one its record has.

use std::ffi::OsStr;

use super::command_rules::{Evidence, exit};
use super::contradiction::Contradiction;
use super::names::find_verifier_file;
use crate::machine::{Effect, EffectError, Outcome};
use crate::skopeo::Exit;

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
        is_possible.then_some(()).ok_or(Contradiction::VerifierExit)
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
