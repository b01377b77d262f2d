//! Performs effects.

use std::time::Duration;

use skopeo_index_core::audit::{CommandRecord, ExchangeRecord, VerifierRecord};
use skopeo_index_core::machine::{
    CacheEntry, Effect, EffectError, FailureKind, ManifestBytes, Method, Outcome, Staging,
};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::SkopeoCommand;

use super::engine::EngineUse;
use super::{ByteSource, backoff};
use crate::os::CancelToken;
use crate::skopeo::{Skopeo, check_storage_exists};
use crate::store::{QuarantineOutcome, Store};
use crate::verifier::VerifierRunner;

/// Performs the effects of fetches into a cache.
#[derive(Clone, Copy)]
pub struct Performer<'a> {
    /// The cache.
    pub store: &'a Store,
    /// Where manifest bytes come from.
    pub source: ByteSource<'a>,
    /// The programs that must approve the bytes.
    pub verifiers: Option<&'a dyn VerifierRunner>,
    /// Delay before the first retry.
    pub retry_delay: Duration,
    /// Cancels every wait.
    pub cancel: &'a CancelToken,
}

/// How an effect was performed, for the audit log and `--debug`.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The command that was run.
    pub command: Option<CommandRecord>,
    /// The exchange with a registry.
    pub exchange: Option<ExchangeRecord>,
    /// The verifier that was run.
    pub verifier: Option<VerifierRecord>,
    /// The engine that fetched.
    pub engine: Option<EngineUse>,
}

/// How much is kept of what skopeo prints as a digest.
const MAX_PRINTED_DIGEST: usize = 256;

impl Performer<'_> {
    /// Performs an effect. A failure is an outcome.
    #[must_use]
    pub fn perform(
        &self,
        effect: &Effect<'_, ManifestBytes>,
        trace: &mut Trace,
    ) -> Outcome<ManifestBytes> {
        let outcome = self.try_perform(effect, trace);
        outcome.unwrap_or_else(|error| Outcome::Failed { error })
    }

    fn try_perform(
        &self,
        effect: &Effect<'_, ManifestBytes>,
        trace: &mut Trace,
    ) -> Result<Outcome<ManifestBytes>, EffectError> {
        if is_cancellable(effect) {
            self.cancel.check()?;
        }
        Ok(match effect {
            Effect::LookUp { digest } => Outcome::LookedUp {
                entry: self.store.look_up(*digest)?,
            },
            Effect::Quarantine { digest } => match self.store.quarantine(*digest, self.cancel)? {
                QuarantineOutcome::Quarantined(name) => Outcome::Quarantined { name },
                QuarantineOutcome::Kept(entry) => Outcome::LookedUp { entry },
            },
            Effect::Stage => Outcome::Staged {
                staging: self.store.new_staging()?,
            },
            Effect::Fetch {
                request,
                method,
                staging,
                attempt,
            } => Outcome::Fetched {
                content: self
                    .source
                    .fetch(request, *attempt, trace, |skopeo, trace| {
                        self.run_method(skopeo, *method, request, staging, *attempt, trace)
                    })?,
            },
            Effect::ReadCopy { staging, attempt } => {
                let from = &self.store.attempt_dir(staging, *attempt);
                Outcome::CopyRead {
                    content: self.run(&SkopeoCommand::InspectDir { from }, trace)?,
                }
            }
            Effect::ManifestDigest { staging, attempt } => {
                let file = &self.store.copied_manifest(staging, *attempt);
                let printed = self.run(&SkopeoCommand::ManifestDigest { file }, trace)?;
                let printed = printed.as_slice();
                let kept = &printed[..printed.len().min(MAX_PRINTED_DIGEST)];
                Outcome::ManifestDigest {
                    digest: String::from_utf8_lossy(kept).trim_end().to_owned(),
                }
            }
            Effect::Backoff { attempt } => {
                self.cancel.sleep(backoff(self.retry_delay, *attempt))?;
                Outcome::BackoffElapsed
            }
            Effect::Authenticate {
                request,
                content,
                verifier,
            } => self.authenticate(request, content, *verifier, trace)?,
            Effect::Continue => Outcome::Continued,
            Effect::Publish {
                digest,
                content,
                staging,
            } => {
                let published = self.store.publish(*digest, content, staging, self.cancel);
                let (placement, read_back) = published?;
                Outcome::Published {
                    placement,
                    read_back,
                }
            }
        })
    }

    /// Runs a verifier in a directory of its own.
    fn authenticate(
        &self,
        request: &Request,
        content: &ManifestBytes,
        verifier: u8,
        trace: &mut Trace,
    ) -> Result<Outcome<ManifestBytes>, EffectError> {
        let runner = self.verifiers.ok_or_else(|| EffectError::Verifier {
            message: "the run has none".to_owned(),
        })?;
        self.store.in_verifier_dir(|dir| {
            let record = &mut trace.verifier;
            runner.run(verifier, request, content, dir, self.cancel, record)
        })?
    }

    /// Runs the first command of a method.
    fn run_method(
        &self,
        skopeo: Skopeo<'_>,
        method: Method,
        request: &Request,
        staging: &Staging,
        attempt: u32,
        trace: &mut Trace,
    ) -> Result<ManifestBytes, EffectError> {
        check_storage_exists(request.location())?;
        let record = &mut trace.command;
        if method == Method::Raw {
            let command = SkopeoCommand::InspectRaw(request);
            let printed = skopeo.run(&command, None, self.cancel, record)?;
            return Ok(printed.into());
        }
        // `skopeo copy` writes an index, and `version`, into a directory of the attempt.
        let to = &self.store.new_attempt_dir(staging, attempt)?;
        let command = SkopeoCommand::CopyIndex { request, to };
        skopeo.run(&command, Some(to), self.cancel, record)?;
        let (kind, message) = match self.store.read_copy(staging, attempt)? {
            CacheEntry::File { content } => return Ok(content),
            CacheEntry::Oversized { size } => {
                let message = format!("skopeo copied a manifest of {size} bytes");
                (FailureKind::TooLarge, message)
            }
            CacheEntry::Absent | CacheEntry::NotAFile => {
                let message = "skopeo exited with 0 and left no manifest.json";
                (FailureKind::Other, message.to_owned())
            }
        };
        Err(command_error(kind, message))
    }

    /// Runs a later command of a method, which asks no registry.
    fn run(
        &self,
        command: &SkopeoCommand<'_>,
        trace: &mut Trace,
    ) -> Result<ManifestBytes, EffectError> {
        match self.source {
            ByteSource::Skopeo(skopeo) | ByteSource::Auto { skopeo, .. } => skopeo
                .run(command, None, self.cancel, &mut trace.command)
                .map(ManifestBytes::from),
            ByteSource::Cache(_) | ByteSource::Registry(_) => Err(command_error(
                FailureKind::Other,
                "this source runs no skopeo command".to_owned(),
            )),
        }
    }
}

/// Publishing ignores cancellation: the bytes are verified and one rename away from being
/// committed.
const fn is_cancellable(effect: &Effect<'_, ManifestBytes>) -> bool {
    !matches!(effect, Effect::Publish { .. } | Effect::Continue)
}

pub(super) fn command_error(kind: FailureKind, message: String) -> EffectError {
    EffectError::Command { kind, message }
}
