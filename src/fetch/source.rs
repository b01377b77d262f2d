//! Where manifest bytes come from: the registry client, skopeo, or another cache.

use skopeo_index_core::machine::{
    Attempts, CacheEntry, Content, EffectError, FailureKind, ManifestBytes,
};
use skopeo_index_core::request::Request;

use super::engine::{Engine, EngineUse};
use super::performer::{Trace, command_error};
use crate::registry::{GateRefusal, ManifestClient};
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
            Self::Registry(registry) => {
                trace.engine = Some(EngineUse::chosen(Engine::Registry));
                ask(registry, request, trace, &mut None).unwrap_or_else(|refusal| {
                    let message = refusal.to_string();
                    Err(command_error(FailureKind::RegistryClient, message))
                })
            }
            Self::Skopeo(skopeo) => {
                trace.engine = Some(EngineUse::chosen(Engine::Skopeo));
                by_skopeo(skopeo, trace)
            }
            Self::Auto {
                registry,
                skopeo,
                attempts,
            } => {
                let mut options = skopeo.options.clone();
                let (reason, answer) =
                    match ask(registry, request, trace, &mut options.authorization) {
                        Err(refusal) => (refusal.to_string(), None),
                        Ok(answer) => match why_skopeo(&answer, request, attempt >= attempts.get())
                        {
                            None => return answer,
                            Some(reason) => (reason, Some(answer)),
                        },
                    };
                trace.engine = Some(EngineUse {
                    engine: Engine::Skopeo,
                    reason: Some(reason),
                });
                let skopeo = Skopeo {
                    options: &options,
                    ..skopeo
                };
                match (by_skopeo(skopeo, trace), answer) {
                    // Without skopeo, the registry client's own answer is the result.
                    (Err(error), Some(answer)) if is_not_installed(&error) => {
                        trace.command = None;
                        trace.engine = Some(EngineUse::chosen(Engine::Registry));
                        answer
                    }
                    (fetched, _) => fetched,
                }
            }
        }
    }
}

/// The registry client's answer; who gave it is in the trace. `authorization` is set to what
/// the client sent.
fn ask(
    registry: &dyn ManifestClient,
    request: &Request,
    trace: &mut Trace,
    authorization: &mut Option<String>,
) -> Result<Result<ManifestBytes, EffectError>, GateRefusal> {
    let fetched = registry.fetch(request)?;
    trace.engine = Some(EngineUse::chosen(Engine::Registry));
    trace.exchange = Some(fetched.exchange);
    *authorization = fetched.authorization;
    Ok(fetched.bytes.map(ManifestBytes::from))
}

/// Why skopeo is asked after the registry client; `None` where the client's answer stands.
/// Only bytes with the requested digest count as its success. A failure that a retry may cure
/// stands, unless the attempt is the last: skopeo has the last word on every failure, so that
/// it reads the same with each engine.
fn why_skopeo(
    answer: &Result<ManifestBytes, EffectError>,
    request: &Request,
    is_last: bool,
) -> Option<String> {
    match answer {
        Ok(content) => {
            let digest = content.info().digest;
            let is_other = digest != request.digest();
            is_other.then(|| format!("the registry sent bytes of {digest}"))
        }
        // skopeo would take as long once more.
        Err(EffectError::Command {
            kind: FailureKind::Timeout,
            ..
        }) => None,
        Err(EffectError::Cancelled { .. }) => None,
        Err(error) if error.is_transient() && !is_last => None,
        Err(error) => Some(error.to_string()),
    }
}

fn is_not_installed(error: &EffectError) -> bool {
    matches!(
        error,
        EffectError::Command {
            kind: FailureKind::SkopeoNotFound,
            ..
        }
    )
}

/// The bytes of another cache's object, unverified.
fn read_from_cache(cache: &Store, request: &Request) -> Result<ManifestBytes, EffectError> {
    let (kind, message) = match cache.read(request.digest())? {
        CacheEntry::File { content } => return Ok(content),
        CacheEntry::Absent => {
            let message = format!("no such object in {}", cache.root().display());
            (FailureKind::NotFound, message)
        }
        CacheEntry::Oversized { size } => (FailureKind::TooLarge, format!("{size} bytes")),
        CacheEntry::NotAFile => (FailureKind::Other, "the object is not a file".to_owned()),
    };
    Err(command_error(kind, message))
}
