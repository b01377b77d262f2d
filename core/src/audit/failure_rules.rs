//! Which kinds of failure a transition's command and exchange can have led to, and how long
//! their messages are.
//!
//! Some kinds say something about the bytes, such as a digest mismatch, and are exported as
//! verdicts. So each kind must be one that the command or the exchange can report.

use super::command_rules::Evidence;
use super::contradiction::Contradiction;
use super::program::CommandRecord;
use crate::escape::is_truncated;
use crate::machine::{EffectError, FailureKind, Outcome};
use crate::skopeo::Exit;

impl Evidence<'_> {
    /// The kind and the message of a fetch that failed by its command or exchange.
    pub(super) const fn failure(&self) -> Option<(FailureKind, &String)> {
        match &self.transition.event.outcome {
            Outcome::Failed {
                error: EffectError::Command { kind, message },
            } => Some((*kind, message)),
            _ => None,
        }
    }

    /// Checks that the kind of a failure is one of its command, or of the exchange, whose
    /// status tells better than skopeo's message.
    pub(super) fn check_kind(&self, exit: Option<Exit>) -> Result<(), Contradiction> {
        let exchange = self.transition.registry.as_ref();
        let status = exchange.and_then(|exchange| exchange.status);
        let is_possible = |kind| {
            let is_of_status = |status: u16| {
                let is_client_error = (400..500).contains(&status);
                is_client_error && exit.is_some() && kind == FailureKind::of_answer(status)
            };
            can_exit_with(exit, kind) || status.is_some_and(is_of_status)
        };
        match self.failure() {
            Some((kind, _)) if !is_possible(kind) => Err(Contradiction::ExitOutcome),
            _ => Ok(()),
        }
    }

    /// Checks the length of a message of skopeo, or of the registry client. What is said of a
    /// program that could not be run has its path, in full.
    pub(super) fn check_message(&self) -> Result<(), Contradiction> {
        let has_ended = |command: &CommandRecord| command.exit.or(command.signal).is_some();
        let is_message = match &self.transition.command {
            Some(command) => has_ended(command),
            None => self.transition.registry.is_some(),
        };
        match self.failure() {
            Some((_, message)) if is_message && !is_truncated(message) => {
                Err(Contradiction::ErrorText(message.len()))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a command that ended like this, or did not end, fails in this way.
const fn can_exit_with(exit: Option<Exit>, kind: FailureKind) -> bool {
    match exit {
        // Limits of this program, and what keeps a command from starting.
        None => matches!(
            kind,
            FailureKind::RateLimited
                | FailureKind::SkopeoNotFound
                | FailureKind::SkopeoNotStarted
                | FailureKind::Timeout
                | FailureKind::TooLarge
        ),
        // What `skopeo copy` left could not be used.
        Some(Exit::Status(0)) => matches!(kind, FailureKind::Other | FailureKind::TooLarge),
        // By skopeo's message.
        Some(Exit::Status(_)) => !matches!(
            kind,
            FailureKind::RegistryClient
                | FailureKind::SkopeoNotFound
                | FailureKind::SkopeoNotStarted
                | FailureKind::Timeout
                | FailureKind::UnexpectedAnswer
        ),
        // It was not skopeo that ended it.
        Some(Exit::Signal(_)) => matches!(kind, FailureKind::Other),
    }
}

/// Whether the registry client can fail in this way, if its last request was answered with
/// this status, or not answered.
pub(super) fn can_fail(status: Option<u16>, kind: FailureKind) -> bool {
    match (status, kind) {
        // Only skopeo says so, or is missing.
        (
            _,
            FailureKind::CredentialHelper
            | FailureKind::CredentialsFile
            | FailureKind::DigestMismatch
            | FailureKind::NotAnIndex
            | FailureKind::Other
            | FailureKind::ProxyUnavailable
            | FailureKind::SkopeoNotFound
            | FailureKind::SkopeoNotStarted,
        )
        // An answer says so.
        | (
            None,
            FailureKind::Authentication
            | FailureKind::NoRegistry
            | FailureKind::NotFound
            | FailureKind::Proxy
            | FailureKind::Server,
        )
        | (Some(200), _) => false,
        // With 401, the failure may be that of the token server.
        (None | Some(401), _) => true,
        (Some(status), kind) => kind == FailureKind::of_answer(status),
    }
}

/// Whether reading an object of another cache can fail in this way.
pub(super) const fn can_fail_in_cache(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::NotFound | FailureKind::Other | FailureKind::TooLarge
    )
}
