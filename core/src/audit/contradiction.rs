//! What the records of a run can't say together, however well they are chained.

use super::id::Timestamp;
use crate::digest::Digest;
use crate::escape::quote;
use crate::index::MAX_MANIFEST_SIZE;

/// A fetch that no run of this program records. Each rule of the writer has a variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// skopeo's result without skopeo.
    #[error("no command that led to the outcome")]
    MissingCommand,
    /// A command where the transition runs none.
    #[error("a command, where the transition runs none")]
    UnexpectedCommand,
    /// A command in a run that copies from a cache.
    #[error("a command, in a run that copies from a cache")]
    CommandInCopyRun,
    /// The arguments of no command of this program.
    #[error("arguments that this program does not pass to skopeo")]
    UnknownCommand,
    /// A command of the other method, or of another transition.
    #[error("the command of another method or transition")]
    OtherCommand,
    /// The right command with the arguments of another run, request or attempt.
    #[error("arguments that are not those of the run, request and attempt")]
    OtherArguments,
    /// The outcome of a command that exited otherwise.
    #[error("the command's exit contradicts the outcome")]
    ExitOutcome,
    /// A text of this length that the writer truncates.
    #[error("an error text of {0} bytes, which would have been truncated")]
    ErrorText(usize),
    /// An exit status and a signal at once, or one that Linux doesn't have.
    #[error("impossible exit of a command")]
    InvalidExit,
    /// The command or exchange would have ended after the years that records are of.
    #[error("a duration of {milliseconds} ms in a run that began {}", begun.as_str())]
    Duration {
        /// The recorded duration.
        milliseconds: u64,
        /// The time of the run's first record.
        begun: Timestamp,
    },
    /// The registry client's result without an exchange that led to it.
    #[error("no exchange with a registry that led to the outcome")]
    MissingExchange,
    /// An exchange where the registry client isn't used.
    #[error("an exchange with a registry, where the registry client is not used")]
    UnexpectedExchange,
    /// An exchange that can't have taken place.
    #[error("an exchange with a registry that is impossible")]
    InvalidExchange,
    /// An answer of a registry that the command can't have had.
    #[error("an answer of a registry that the command cannot have had")]
    InvalidAnswer,
    /// A command of a skopeo that no earlier record identifies.
    #[error("a command before the record that identifies skopeo")]
    UnidentifiedSkopeo,
    /// A verdict without a verifier.
    #[error("no verifier that led to the outcome")]
    MissingVerifier,
    /// A verifier where the transition runs none.
    #[error("a verifier, where the transition runs none")]
    UnexpectedVerifier,
    /// Arguments that are not those of the run's verifier for the request.
    #[error("arguments that are not those of the run's verifier")]
    VerifierArguments,
    /// A program that is not that of the run's verifier.
    #[error("a program that is not that of the run's verifier")]
    VerifierProgram,
    /// The outcome of a verifier that exited otherwise.
    #[error("the verifier's exit contradicts the outcome")]
    VerifierExit,
    /// A message that is not of the verifier, or of another output.
    #[error("a message that the verifier's output does not have")]
    VerifierMessage,
    /// Bytes were read of a content that is larger than what is read.
    #[error("content of {0} bytes: at most {MAX_MANIFEST_SIZE} are read")]
    ContentSize(u64),
    /// A file counts as oversized that is not, or is larger than files can be.
    #[error("an oversized file of {0} bytes")]
    OversizedFile(u64),
    /// A digest has another size or classification than in an earlier record.
    #[error("{0} has another size or classification than in an earlier record")]
    ContentConflict(Digest),
    /// No bytes are described like this: other bytes without a length, or more in them than they
    /// have room for.
    #[error("no bytes have the size and the classification of {0}")]
    ImpossibleContent(Digest),
    /// A staging name that the program doesn't make.
    #[error("invalid staging name {}", quote(.0))]
    StagingName(String),
    /// A quarantine name that the program doesn't make.
    #[error("invalid quarantine name {}", quote(.0))]
    QuarantineName(String),
    /// The fetch has ended.
    #[error("the fetch has already ended")]
    EndedFetch,
}

macro_rules! codes {
    ($($variant:ident $code:literal),* $(,)?) => {
        impl Contradiction {
            /// Every name in JSON.
            pub(super) const CODES: &[&str] = &[$($code),*];

            /// The name in JSON.
            pub(super) const fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code),*
                }
            }
        }
    };
}

codes! {
    MissingCommand "missing-command",
    UnexpectedCommand "unexpected-command",
    CommandInCopyRun "command-in-copy-run",
    UnknownCommand "unknown-command",
    OtherCommand "other-command",
    OtherArguments "other-arguments",
    ExitOutcome "exit-outcome",
    ErrorText "error-text",
    InvalidExit "invalid-exit",
    Duration "command-duration",
    MissingExchange "missing-exchange",
    UnexpectedExchange "unexpected-exchange",
    InvalidExchange "invalid-exchange",
    InvalidAnswer "invalid-answer",
    UnidentifiedSkopeo "unidentified-skopeo",
    MissingVerifier "missing-verifier",
    UnexpectedVerifier "unexpected-verifier",
    VerifierArguments "verifier-arguments",
    VerifierProgram "verifier-program",
    VerifierExit "verifier-exit",
    VerifierMessage "verifier-message",
    ContentSize "content-size",
    OversizedFile "oversized-file",
    ContentConflict "content-conflict",
    ImpossibleContent "impossible-content",
    StagingName "staging-name",
    QuarantineName "quarantine-name",
    EndedFetch "ended-fetch",
}
