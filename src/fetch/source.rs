//! Where manifest bytes come from: the registry client, skopeo, or another cache.

use skopeo_index_core::escape::json_text;
use skopeo_index_core::machine::{
    Attempts, CacheEntry, Content, EffectError, FailureKind, ManifestBytes,
};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::SkopeoOptions;

use super::engine::{Engine, EngineUse};
use super::performer::{Trace, command_error};
use crate::registry::{ManifestClient, NextRequest};
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
                ask(registry, request, trace).bytes
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
                let Answer {
                    bytes,
                    authorization,
                    next_request,
                } = ask(registry, request, trace);
                let is_last = attempt >= attempts.get();
                let Some(reason) = why_skopeo(&bytes, request, is_last, next_request) else {
                    return bytes;
                };
                trace.engine = Some(EngineUse {
                    engine: Engine::Skopeo,
                    reason: Some(reason),
                });
                // Its messages may repeat what the client has sent.
                let options = SkopeoOptions {
                    authorization,
                    ..skopeo.options.clone()
                };
                let skopeo = Skopeo {
                    options: &options,
                    ..skopeo
                };
                let fetched = by_skopeo(skopeo, trace);
                decide(bytes, fetched, trace)
            }
        }
    }
}

/// The registry client's answer.
struct Answer {
    bytes: Result<ManifestBytes, EffectError>,
    /// What the client sent.
    authorization: Option<String>,
    next_request: NextRequest,
}

/// The registry client's answer; who gave it is in the trace.
fn ask(registry: &dyn ManifestClient, request: &Request, trace: &mut Trace) -> Answer {
    match registry.fetch(request) {
        Ok(fetched) => {
            trace.engine = Some(EngineUse::chosen(Engine::Registry));
            trace.exchange = Some(fetched.exchange);
            Answer {
                bytes: fetched.bytes.map(ManifestBytes::from),
                authorization: fetched.authorization,
                next_request: fetched.next_request,
            }
        }
        Err(refusal) => {
            let error = command_error(FailureKind::RegistryClient, refusal.to_string());
            Answer {
                bytes: Err(error),
                authorization: None,
                next_request: NextRequest::Allowed,
            }
        }
    }
}

/// Why skopeo is asked after the registry client; `None` where the client's answer stands.
/// Only bytes with the requested digest count as its success. A failure that a retry may cure
/// stands, unless the attempt is the last and the registry may be asked again: skopeo is asked
/// about every other failure, so that it reads the same with each engine.
fn why_skopeo(
    answer: &Result<ManifestBytes, EffectError>,
    request: &Request,
    is_last: bool,
    next_request: NextRequest,
) -> Option<String> {
    match answer {
        Ok(content) => {
            let digest = content.info().digest;
            let is_other = digest != request.digest();
            is_other.then(|| format!("the registry sent bytes of {digest}"))
        }
        Err(EffectError::Command {
            kind: FailureKind::RegistryClient,
            message,
        }) => Some(message.clone()),
        // skopeo would take as long once more, or add to the requests that are too many.
        Err(
            EffectError::Cancelled { .. }
            | EffectError::Command {
                kind: FailureKind::Timeout | FailureKind::RateLimited,
                ..
            },
        ) => None,
        Err(error) if error.is_transient() && (!is_last || next_request == NextRequest::Later) => {
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

/// The result of a fetch by skopeo after an answer of the registry client: that of skopeo,
/// unless it is missing, or contradicts the status that the client saw.
fn decide(
    answer: Result<ManifestBytes, EffectError>,
    by_skopeo: Result<ManifestBytes, EffectError>,
    trace: &mut Trace,
) -> Result<ManifestBytes, EffectError> {
    let Err(EffectError::Command { kind, message }) = &by_skopeo else {
        return by_skopeo;
    };
    let status = trace.exchange.as_ref().and_then(|exchange| exchange.status);
    match (kind, &answer) {
        (
            FailureKind::SkopeoNotFound,
            Err(EffectError::Command {
                kind: refused @ FailureKind::RegistryClient,
                message: reason,
            }),
        ) => {
            let message = format!("{message}; {refused}: {reason}");
            Err(command_error(*kind, message))
        }
        (FailureKind::SkopeoNotFound, _) => {
            trace.command = None;
            trace.engine = Some(EngineUse::chosen(Engine::Registry));
            answer
        }
        // skopeo shows no status: these kinds may come from the registry's words.
        (
            FailureKind::NotFound | FailureKind::Authentication | FailureKind::Other,
            Err(EffectError::Command { kind: seen, .. }),
        ) if is_contradicted(*kind, *seen, status) => answer,
        _ => by_skopeo,
    }
}

/// Whether the status of the client's failure, a 4xx, tells another kind than `by_skopeo`.
fn is_contradicted(by_skopeo: FailureKind, client: FailureKind, status: Option<u16>) -> bool {
    let Some(status @ 400..500) = status else {
        return false;
    };
    let seen_by_skopeo = FailureKind::of_status(status).unwrap_or(FailureKind::Other);
    client == FailureKind::of_answer(status) && by_skopeo != seen_by_skopeo
}

/// The bytes of another cache's object, unverified.
fn read_from_cache(cache: &Store, request: &Request) -> Result<ManifestBytes, EffectError> {
    let (kind, message) = match cache.read(request.digest())? {
        CacheEntry::File { content } => return Ok(content),
        CacheEntry::Absent => {
            let message = format!("no such object in {}", json_text(cache.root()));
            (FailureKind::NotFound, message)
        }
        CacheEntry::Oversized { size } => (FailureKind::TooLarge, format!("{size} bytes")),
        CacheEntry::NotAFile => (FailureKind::Other, "the object is not a file".to_owned()),
    };
    Err(command_error(kind, message))
}
