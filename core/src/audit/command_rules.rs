//! Which command a transition needs, and which one its record has.
//!
//! ```text
//!  state ──wants──▶ effect ─▶ SkopeoCommand ──argv──▶ arguments ──?── those of the record
//!                                  options and timeout of the record ──┘
//! ```

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use super::contradiction::Contradiction;
use super::failure_rules::can_fail_in_cache;
use super::program::CommandRecord;
use super::record::{RunInfo, SourceInfo, TransitionRecord};
use crate::layout::{COPIED_MANIFEST, attempt_dir};
use crate::machine::{ContentInfo, Effect, EffectError, FailureKind, Method, Outcome, Staging};
use crate::request::Location;
use crate::skopeo::{Exit, ParsedArgv, method_commands};

/// Signals of Linux: 1 to `_NSIG`.
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=64;

/// Exit statuses that wait(2) reports.
const STATUSES: std::ops::RangeInclusive<i32> = 0..=255;

/// A transition that is to be checked.
pub(super) struct Evidence<'a> {
    pub(super) run: &'a RunInfo,
    /// Whether the run's skopeo is identified.
    pub(super) is_identified: bool,
    pub(super) transition: &'a TransitionRecord,
    /// What the state before asked for.
    pub(super) effect: &'a Effect<'a, ContentInfo>,
}

/// The command that an effect needs.
struct Expected<'a> {
    /// Its position in the commands of the method.
    step: usize,
    staging: &'a Staging,
    attempt: u32,
}

impl Evidence<'_> {
    /// Checks that the record has the evidence that its outcome needs, and no other.
    pub(super) fn check(&self) -> Result<(), Contradiction> {
        self.check_exchange()?;
        self.check_verifier()?;
        self.check_message()?;
        let command = &self.transition.command;
        match (self.expected_command(), command, &self.run.source) {
            (_, Some(_), SourceInfo::Cache(_)) => Err(Contradiction::CommandInCopyRun),
            (None, Some(_), _) | (_, Some(_), SourceInfo::Registry) => {
                Err(Contradiction::UnexpectedCommand)
            }
            (None, None, _) if self.failure().is_some() => Err(Contradiction::MissingCommand),
            (None, None, _) => Ok(()),
            (Some(expected), None, _) if self.can_lack_command(&expected) => Ok(()),
            (Some(_), None, _) => Err(Contradiction::MissingCommand),
            (Some(expected), Some(command), SourceInfo::Skopeo(_) | SourceInfo::Auto) => {
                self.check_argv(&expected, command)?;
                self.check_exit(command)?;
                self.check_answer(&expected, command)
            }
        }
    }

    /// Whether the outcome can come about without skopeo: bytes of another cache or of the
    /// registry client, and failures before skopeo is started.
    fn can_lack_command(&self, expected: &Expected<'_>) -> bool {
        let is_from_cache = matches!(self.run.source, SourceInfo::Cache(_));
        let is_from_other = is_from_cache
            || self.run.source == SourceInfo::Registry
            || self.transition.registry.is_some();
        match &self.transition.event.outcome {
            Outcome::Failed {
                error: EffectError::Command { kind, .. },
            } if is_from_cache => can_fail_in_cache(*kind),
            Outcome::Failed {
                error: EffectError::Command { kind, .. },
            } => {
                // A missing container storage, which skopeo would create.
                let location = self.transition.request.location();
                let is_storage = matches!(location, Location::ContainersStorage { .. });
                is_from_other || is_storage && *kind == FailureKind::NotFound
            }
            Outcome::Failed { .. } => true,
            _ => is_from_other && expected.step == 0,
        }
    }

    fn expected_command(&self) -> Option<Expected<'_>> {
        let (step, staging, attempt) = match *self.effect {
            Effect::Fetch {
                staging, attempt, ..
            } => (0, staging, attempt),
            Effect::ReadCopy { staging, attempt } => (1, staging, attempt),
            Effect::ManifestDigest { staging, attempt } => (2, staging, attempt),
            Effect::LookUp { .. }
            | Effect::Quarantine { .. }
            | Effect::Stage
            | Effect::Backoff { .. }
            | Effect::Authenticate { .. }
            | Effect::Continue
            | Effect::Publish { .. } => return None,
        };
        Some(Expected {
            step,
            staging,
            attempt,
        })
    }

    /// Compares the arguments with those of the typed command that has the record's options
    /// and timeout.
    fn check_argv(
        &self,
        expected: &Expected<'_>,
        command: &CommandRecord,
    ) -> Result<(), Contradiction> {
        let parsed = ParsedArgv::parse(&command.argv).ok_or(Contradiction::UnknownCommand)?;
        let name = attempt_dir(expected.staging, expected.attempt);
        let dir = self.path_in_cache(&parsed, Path::new(&name));
        let file = self.path_in_cache(&parsed, &Path::new(&name).join(COPIED_MANIFEST));
        let commands = method_commands(
            self.run.policy.method,
            &self.transition.request,
            &dir,
            &file,
        );
        let typed = commands
            .get(expected.step)
            .ok_or(Contradiction::OtherCommand)?;
        if parsed.form != typed.form() {
            return Err(Contradiction::OtherCommand);
        }
        let argv = typed.argv(&parsed.options, parsed.timeout);
        let recorded = command.argv.iter().map(OsStr::new);
        if recorded.eq(argv.iter().map(OsString::as_os_str)) {
            Ok(())
        } else {
            Err(Contradiction::OtherArguments)
        }
    }

    /// A path in the cache, as the record spells it: relative, if the cache was given so.
    fn path_in_cache(&self, parsed: &ParsedArgv<'_>, name: &Path) -> PathBuf {
        let absolute = Path::new(&self.run.cache).join(name);
        let is_same = |path: &Path| {
            let plain = without_dots(path);
            plain.is_relative() && plain.ends_with(name) && absolute.ends_with(&plain)
        };
        match parsed.path.map(Path::new) {
            Some(path) if is_same(path) => path.to_owned(),
            _ => absolute,
        }
    }

    /// Only the first command of a method is answered by a registry, and only one that ended
    /// shows its debug lines.
    fn check_answer(
        &self,
        expected: &Expected<'_>,
        command: &CommandRecord,
    ) -> Result<(), Contradiction> {
        let has_ended = command.exit.is_some() || command.signal.is_some();
        let is_possible = command.answer.as_ref().is_none_or(|answer| {
            let repository = answer.parse(self.transition.request.location());
            expected.step == 0 && has_ended && repository.is_some()
        });
        is_possible
            .then_some(())
            .ok_or(Contradiction::InvalidAnswer)
    }

    /// Compares the exit with the outcome.
    fn check_exit(&self, command: &CommandRecord) -> Result<(), Contradiction> {
        let exit = exit(command)?;
        let is_possible = match (&self.transition.event.outcome, exit) {
            (Outcome::Failed { error }, Some(Exit::Status(0))) => {
                // What `skopeo copy` left could not be read.
                let copied = matches!(self.run.policy.method, Method::SkopeoCopy)
                    && matches!(self.effect, Effect::Fetch { .. });
                copied
                    && matches!(
                        error,
                        EffectError::Command { .. } | EffectError::Disk { .. }
                    )
            }
            (Outcome::Failed { error }, Some(_)) => matches!(error, EffectError::Command { .. }),
            (Outcome::Failed { error }, None) => {
                matches!(
                    error,
                    EffectError::Command { .. } | EffectError::Cancelled { .. }
                )
            }
            (_, exit) => exit == Some(Exit::Status(0)),
        };
        if !is_possible {
            return Err(Contradiction::ExitOutcome);
        }
        self.check_kind(exit)
    }
}

/// The recorded exit; `None` if the command was not started or did not end.
pub(super) fn exit(command: &CommandRecord) -> Result<Option<Exit>, Contradiction> {
    match (command.exit, command.signal) {
        (Some(status), None) if STATUSES.contains(&status) => Ok(Some(Exit::Status(status))),
        (None, Some(signal)) if SIGNALS.contains(&signal) => Ok(Some(Exit::Signal(signal))),
        (None, None) => Ok(None),
        _ => Err(Contradiction::InvalidExit),
    }
}

/// A path without its components `.`.
pub(super) fn without_dots(path: &Path) -> PathBuf {
    let is_plain = |component: &Component<'_>| *component != Component::CurDir;
    path.components().filter(is_plain).collect()
}
