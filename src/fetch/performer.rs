//! Performs effects.

use std::path::Path;
use std::time::Duration;

use skopeo_index_core::audit::{CommandRecord, ExchangeRecord};
use skopeo_index_core::machine::{
    Attempts, CacheEntry, Content, Effect, EffectError, FailureKind, ManifestBytes, Method,
    Outcome, Staging,
};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::SkopeoCommand;

use super::backoff;
use super::engine::{Engine, EngineUse};
use crate::os::CancelToken;
use crate::registry::ManifestClient;
use crate::skopeo::{Skopeo, check_storage_exists};
use crate::store::{QuarantineOutcome, Store};

/// Performs the effects of fetches into a cache.
#[derive(Clone, Copy)]
pub struct Performer<'a> {
    /// The cache.
    pub store: &'a Store,
    /// Where manifest bytes come from.
    pub source: ByteSource<'a>,
    /// Delay before the first retry.
    pub retry_delay: Duration,
    /// Cancels every wait.
    pub cancel: &'a CancelToken,
}

/// Where manifest bytes come from.
#[derive(Clone, Copy)]
pub enum ByteSource<'a> {
    /// skopeo.
    Skopeo(Skopeo<'a>),
    /// The registry client alone.
    Registry(&'a dyn ManifestClient),
    /// The registry client where it does what skopeo would, else skopeo.
    Auto {
        /// The registry client.
        registry: &'a dyn ManifestClient,
        /// skopeo.
        skopeo: Skopeo<'a>,
        /// Attempts of a fetch: the last one asks skopeo for the failure.
        attempts: Attempts,
    },
    /// Another cache of this machine (method raw only).
    Cache(&'a Store),
}

/// The result of an effect.
#[derive(Debug)]
pub struct Performed {
    /// The outcome.
    pub outcome: Outcome<ManifestBytes>,
    /// How it was performed.
    pub trace: Trace,
}

/// How an effect was performed, for the audit log and `--debug`.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The command that was run.
    pub command: Option<CommandRecord>,
    /// The exchange with a registry.
    pub exchange: Option<ExchangeRecord>,
    /// The engine that fetched.
    pub engine: Option<EngineUse>,
}

/// How much is kept of what skopeo prints as a digest.
const MAX_PRINTED_DIGEST: usize = 256;

impl Performer<'_> {
    /// Performs an effect. A failure is an outcome.
    #[must_use]
    pub fn perform(&self, effect: &Effect<'_, ManifestBytes>) -> Performed {
        let mut trace = Trace::default();
        let outcome = self
            .try_perform(effect, &mut trace)
            .unwrap_or_else(|error| Outcome::Failed { error });
        Performed { outcome, trace }
    }

    fn try_perform(
        &self,
        effect: &Effect<'_, ManifestBytes>,
        trace: &mut Trace,
    ) -> Result<Outcome<ManifestBytes>, EffectError> {
        if is_cancellable(effect)
            && let Some(reason) = self.cancel.cancelled()
        {
            return Err(EffectError::Cancelled { reason });
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
                content: match self.source {
                    ByteSource::Cache(cache) => read_from_cache(cache, request)?,
                    ByteSource::Skopeo(_) => {
                        trace.engine = Some(EngineUse::chosen(Engine::Skopeo));
                        self.run_method(*method, request, staging, *attempt, trace)?
                    }
                    ByteSource::Registry(registry) => registry_alone(registry, request, trace)?,
                    ByteSource::Auto {
                        registry, attempts, ..
                    } => {
                        let is_last = *attempt >= attempts.get();
                        match by_registry(registry, request, is_last, trace)? {
                            Fallback::NotNeeded(content) => content,
                            Fallback::Needed(answer) => self
                                .run_method(*method, request, staging, *attempt, trace)
                                .or_else(|error| without_skopeo(answer, error))?,
                        }
                    }
                },
            },
            Effect::ReadCopy { staging, attempt } => {
                let from = &self.store.attempt_dir(staging, *attempt);
                Outcome::CopyRead {
                    content: self.run(&SkopeoCommand::InspectDir { from }, None, trace)?,
                }
            }
            Effect::ManifestDigest { staging, attempt } => {
                let file = &self.store.copied_manifest(staging, *attempt);
                let printed = self.run(&SkopeoCommand::ManifestDigest { file }, None, trace)?;
                let printed = printed.as_slice();
                let kept = &printed[..printed.len().min(MAX_PRINTED_DIGEST)];
                Outcome::ManifestDigest {
                    digest: String::from_utf8_lossy(kept).trim_end().to_owned(),
                }
            }
            Effect::Backoff { attempt } => {
                match self.cancel.sleep(backoff(self.retry_delay, *attempt)) {
                    None => Outcome::BackoffElapsed,
                    Some(reason) => return Err(EffectError::Cancelled { reason }),
                }
            }
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

    /// Runs the first command of a method.
    fn run_method(
        &self,
        method: Method,
        request: &Request,
        staging: &Staging,
        attempt: u32,
        trace: &mut Trace,
    ) -> Result<ManifestBytes, EffectError> {
        check_storage_exists(request.location())?;
        match method {
            Method::Raw => self.run(&SkopeoCommand::InspectRaw(request), None, trace),
            Method::SkopeoCopy => self.copy_index(request, staging, attempt, trace),
        }
    }

    /// `skopeo copy` writes an index, and `version`, into a directory of the attempt.
    fn copy_index(
        &self,
        request: &Request,
        staging: &Staging,
        attempt: u32,
        trace: &mut Trace,
    ) -> Result<ManifestBytes, EffectError> {
        let to = &self.store.new_attempt_dir(staging, attempt)?;
        self.run(&SkopeoCommand::CopyIndex { request, to }, Some(to), trace)?;
        match self.store.read_copy(staging, attempt)? {
            CacheEntry::File { content } => Ok(content),
            CacheEntry::Oversized { size } => Err(command_error(
                FailureKind::TooLarge,
                format!("skopeo copied a manifest of {size} bytes"),
            )),
            CacheEntry::Absent | CacheEntry::NotAFile => Err(command_error(
                FailureKind::Other,
                "skopeo exited with 0 and left no manifest.json".to_owned(),
            )),
        }
    }

    fn run(
        &self,
        command: &SkopeoCommand<'_>,
        output_dir: Option<&Path>,
        trace: &mut Trace,
    ) -> Result<ManifestBytes, EffectError> {
        match self.source {
            ByteSource::Skopeo(skopeo) | ByteSource::Auto { skopeo, .. } => skopeo
                .run(command, output_dir, self.cancel, &mut trace.command)
                .map(ManifestBytes::from),
            ByteSource::Cache(_) | ByteSource::Registry(_) => Err(command_error(
                FailureKind::Other,
                "this source runs no skopeo command".to_owned(),
            )),
        }
    }
}

/// What the registry client leaves to do.
enum Fallback {
    /// The bytes have the requested digest.
    NotNeeded(ManifestBytes),
    /// skopeo is asked; with what the client itself has, if it was let.
    Needed(Option<Result<ManifestBytes, EffectError>>),
}

/// Asks the registry client. Only bytes with the requested digest count as its success. A
/// failure that a retry may cure is returned, unless the attempt is the last: skopeo has
/// the last word on every failure, so that it reads the same with each engine.
fn by_registry(
    registry: &dyn ManifestClient,
    request: &Request,
    is_last: bool,
    trace: &mut Trace,
) -> Result<Fallback, EffectError> {
    let fetched = match registry.fetch(request) {
        Ok(fetched) => fetched,
        Err(refusal) => {
            trace.engine = Some(EngineUse::skopeo(refusal.to_string()));
            return Ok(Fallback::Needed(None));
        }
    };
    trace.engine = Some(EngineUse::chosen(Engine::Registry));
    trace.exchange = Some(fetched.exchange);
    let error = match fetched.bytes.map(ManifestBytes::from) {
        Ok(content) if content.info().digest == request.digest() => {
            return Ok(Fallback::NotNeeded(content));
        }
        Ok(content) => {
            let reason = format!("the registry sent bytes of {}", content.info().digest);
            trace.engine = Some(EngineUse::skopeo(reason));
            return Ok(Fallback::Needed(Some(Ok(content))));
        }
        Err(error) => error,
    };
    match &error {
        // skopeo would take as long once more.
        EffectError::Command {
            kind: FailureKind::Timeout,
            ..
        }
        | EffectError::Cancelled { .. } => Err(error),
        _ if error.is_transient() && !is_last => Err(error),
        _ => {
            trace.engine = Some(EngineUse::skopeo(error.to_string()));
            Ok(Fallback::Needed(Some(Err(error))))
        }
    }
}

/// What the registry client has, where there is no skopeo to ask.
fn without_skopeo(
    answer: Option<Result<ManifestBytes, EffectError>>,
    skopeo: EffectError,
) -> Result<ManifestBytes, EffectError> {
    match (answer, &skopeo) {
        (
            Some(answer),
            EffectError::Command {
                kind: FailureKind::SkopeoNotFound,
                ..
            },
        ) => answer,
        _ => Err(skopeo),
    }
}

/// Asks the registry client, and nothing else.
fn registry_alone(
    registry: &dyn ManifestClient,
    request: &Request,
    trace: &mut Trace,
) -> Result<ManifestBytes, EffectError> {
    trace.engine = Some(EngineUse::chosen(Engine::Registry));
    let fetched = registry.fetch(request);
    let fetched = fetched
        .map_err(|refusal| command_error(FailureKind::RegistryClient, refusal.to_string()))?;
    trace.exchange = Some(fetched.exchange);
    fetched.bytes.map(ManifestBytes::from)
}

/// Publishing ignores cancellation: the bytes are verified and one rename away from being
/// committed.
const fn is_cancellable(effect: &Effect<'_, ManifestBytes>) -> bool {
    !matches!(effect, Effect::Publish { .. } | Effect::Continue)
}

/// The bytes of another cache's object, unverified.
fn read_from_cache(cache: &Store, request: &Request) -> Result<ManifestBytes, EffectError> {
    match cache.read(request.digest())? {
        CacheEntry::File { content } => Ok(content),
        CacheEntry::Absent => {
            let message = format!("no such object in {}", cache.root().display());
            Err(command_error(FailureKind::NotFound, message))
        }
        CacheEntry::Oversized { size } => Err(command_error(
            FailureKind::TooLarge,
            format!("{size} bytes"),
        )),
        CacheEntry::NotAFile => Err(command_error(
            FailureKind::Other,
            "the object is not a file".to_owned(),
        )),
    }
}

fn command_error(kind: FailureKind, message: String) -> EffectError {
    EffectError::Command { kind, message }
}
