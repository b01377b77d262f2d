//! Where manifest bytes come from: the registry client, skopeo, or another cache.

use skopeo_index_core::machine::{
    Attempts, CacheEntry, Content, EffectError, FailureKind, ManifestBytes,
};
use skopeo_index_core::request::Request;

use super::engine::{Engine, EngineUse};
use super::performer::{Trace, command_error};
use crate::registry::ManifestClient;
use crate::skopeo::Skopeo;
use crate::store::Store;

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

impl ByteSource<'_> {
    /// Fetches the manifest bytes of a request, unverified; `by_skopeo` runs skopeo.
    pub(super) fn fetch(
        &self,
        request: &Request,
        attempt: u32,
        trace: &mut Trace,
        by_skopeo: impl FnOnce(Skopeo<'_>, &mut Trace) -> Result<ManifestBytes, EffectError>,
    ) -> Result<ManifestBytes, EffectError> {
        match *self {
            Self::Cache(cache) => read_from_cache(cache, request),
            Self::Registry(registry) => registry_alone(registry, request, trace),
            Self::Skopeo(skopeo) => {
                trace.engine = Some(EngineUse::chosen(Engine::Skopeo));
                by_skopeo(skopeo, trace)
            }
            Self::Auto {
                registry,
                skopeo,
                attempts,
            } => match by_registry(registry, request, attempt >= attempts.get(), trace)? {
                Fallback::NotNeeded(content) => Ok(content),
                Fallback::Needed(answer) => {
                    by_skopeo(skopeo, trace).or_else(|error| without_skopeo(answer, error, trace))
                }
            },
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

/// Returns the registry client's own result if skopeo is not installed; then no command was
/// run.
fn without_skopeo(
    answer: Option<Result<ManifestBytes, EffectError>>,
    skopeo: EffectError,
    trace: &mut Trace,
) -> Result<ManifestBytes, EffectError> {
    match (answer, &skopeo) {
        (
            Some(answer),
            EffectError::Command {
                kind: FailureKind::SkopeoNotFound,
                ..
            },
        ) => {
            trace.command = None;
            trace.engine = Some(EngineUse::chosen(Engine::Registry));
            answer
        }
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
