//! Verdicts on indexes as in-toto statements, for others to verify.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use super::exchange::{FetchEngine, FetchOrigin};
use super::id::LogId;
use super::merkle::NodeHash;
use super::record::{Entry, Record, SourceInfo, TransitionRecord};
use crate::digest::hex;
use crate::escape::percent_encode;
use crate::machine::{CacheEntry, Cause, EffectError, FailureKind, State};
use crate::registry::Repository;
use crate::request::{Location, Request};

/// The program's package URL.
const PURL: &str = "pkg:cargo/skopeo-index";

/// SHA-256 of docs/index-validation.md of this version. Logs don't have that of other
/// versions.
const POLICY_SHA256: &str = "3a78ffeec372ad9915a30a37ce5c0d5e0a22a4f6d5b67d7d294d5a2364c1f95b";

/// The level of an index with the requested digest.
const DIGEST_VERIFIED: &str = "SKOPEO_INDEX_DIGEST_VERIFIED";

/// The level of an index that every verifier of its run has approved as well.
const AUTHENTICATED: &str = "SKOPEO_INDEX_AUTHENTICATED";

/// Characters that a URI's path can contain beside letters and digits (RFC 3986, section
/// 3.3).
const PATH: &[u8] = b"-._~/:@!$&'()*+,;=";

/// Those that the canonical form of a package URL (ECMA-427) has in a qualifier's value.
const QUALIFIER: &[u8] = b"-._~:";

/// Limit of a verifier id in bytes: longer than the URL of any log's origin.
pub const MAX_VERIFIER_ID_LEN: usize = 1024;

/// Identifies the party that makes statements, as a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierId(String);

/// A text that is not a verifier id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid verifier id: expected a URI of at most {MAX_VERIFIER_ID_LEN} bytes, such as \
     https://example.com/builds"
)]
pub struct InvalidVerifierId;

impl VerifierId {
    /// The URL of a log's origin, which a rotation does not change; `None` for a random log
    /// id.
    #[must_use]
    pub fn of_log(log: &LogId) -> Option<Self> {
        log.origin_url().map(Self)
    }
}

impl FromStr for VerifierId {
    type Err = InvalidVerifierId;

    /// Parses an absolute URI by its characters (RFC 3986, sections 2 and 3.1).
    fn from_str(text: &str) -> Result<Self, InvalidVerifierId> {
        let (scheme, rest) = text.split_once(':').ok_or(InvalidVerifierId)?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && (scheme.bytes()).all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let bytes = rest.as_bytes();
        let is_rest = (0..bytes.len()).all(|at| match bytes[at] {
            b'%' => (bytes.get(at + 1..at + 3))
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
            byte => byte.is_ascii_alphanumeric() || PATH.contains(&byte) || b"?#[]".contains(&byte),
        });
        if is_scheme && is_rest && !rest.is_empty() && text.len() <= MAX_VERIFIER_ID_LEN {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidVerifierId)
        }
    }
}

impl fmt::Display for VerifierId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes an in-toto Statement v1 with a SLSA verification summary v1 from the last record
/// of a fetch; `None` for any other record, and where the fetch ended without a verdict.
/// `leaf_hash` is the record's, `origin` where the fetch's bytes came from.
#[must_use]
pub fn statement(
    record: &Record,
    leaf_hash: NodeHash,
    origin: &FetchOrigin,
    verifier: &VerifierId,
) -> Option<Value> {
    let Entry::Transition(TransitionRecord { event, request, .. }) = &record.entry else {
        return None;
    };
    let (result, levels) = match (event.to, &event.cause) {
        (State::Committed, _) if origin.verifiers.is_empty() => {
            ("PASSED", json!([DIGEST_VERIFIED]))
        }
        (State::Committed, _) => ("PASSED", json!([DIGEST_VERIFIED, AUTHENTICATED])),
        (State::Failed, Some(cause)) if is_verdict(cause) => ("FAILED", json!(["FAILED"])),
        _ => return None,
    };
    // Of the programs that fetched, not of the one that exports.
    let version = &origin.run.version;
    let mut versions = json!({ "skopeo-index": version });
    if let Some(FetchEngine::Skopeo { identity, .. }) = &origin.engine {
        versions["skopeo"] = identity.version.clone().into();
    }
    let mut subject = json!({
        "name": request.name().without_tag(),
        "digest": { "sha256": request.digest().hex() },
    });
    if event.to == State::Committed
        && let Some(CacheEntry::File { content }) = event.outcome.cache_entry()
    {
        subject["annotations"] = json!({ "size": content.size });
    }
    // "Extension fields SHOULD use names that are unlikely to collide".
    let mut extension = json!({
        "leafHash": hex(&leaf_hash), "log": record.log.as_str(), "seq": record.seq,
    });
    if !origin.run.invocation.labels.is_empty() {
        extension["labels"] = json!(origin.run.invocation.labels);
    }
    if let Some(cause) = &event.cause {
        extension["cause"] = cause.to_string().into();
    }
    if !origin.verifiers.is_empty() {
        extension["verifiers"] = json!(origin.verifiers);
    }
    Some(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [subject],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": { "id": verifier.to_string(), "version": versions },
            "timeVerified": record.time,
            "resourceUri": resource_uri(request, origin),
            "policy": policy(version),
            "verificationResult": result,
            "verifiedLevels": levels,
            "slsaVersion": "1.0",
            format!("{PURL}#record"): extension,
        },
    }))
}

/// Whether a failure is one of the bytes. Otherwise the artifact was not there, not reachable,
/// or the machine failed.
const fn is_verdict(cause: &Cause) -> bool {
    match cause {
        Cause::NotAnIndex { .. }
        | Cause::DigestMismatch { .. }
        | Cause::SkopeoDigestMismatch { .. }
        | Cause::RefusedByVerifier { .. } => true,
        // Of an oversized document, the digest is not known.
        Cause::EffectFailed { error } | Cause::RetriesExhausted { error, .. } => matches!(
            error,
            EffectError::Command {
                kind: FailureKind::DigestMismatch | FailureKind::NotAnIndex,
                ..
            }
        ),
        // skopeo's copy, or the cache, changed between two readings.
        Cause::CopyMismatch { .. } | Cause::ReadBackMismatch { .. } | Cause::Offline { .. } => {
            false
        }
    }
}

/// The validation rules, by version: a file in the package that fetched.
fn policy(version: &str) -> Value {
    let version_text = percent_encode(version, PATH);
    let mut policy = json!({ "uri": format!("{PURL}@{version_text}#docs/index-validation.md") });
    if version == env!("CARGO_PKG_VERSION") {
        policy["digest"] = json!({ "sha256": POLICY_SHA256 });
    }
    policy
}

/// Where the bytes came from, as a URI (RFC 3986): a package URL of type oci for a registry,
/// with the repository that answered. That qualifier is optional: it is left out where there
/// was no answer, or its endpoint is not known.
fn resource_uri(request: &Request, origin: &FetchOrigin) -> String {
    let digest = request.digest();
    match (&origin.run.source, request.location()) {
        (SourceInfo::Cache(from), _) => format!("file://{}/{digest}", percent_encode(from, PATH)),
        (_, Location::Docker { .. }) => {
            let requested = Repository::of(request.name());
            let answered = match &origin.engine {
                Some(FetchEngine::Registry(exchange)) => exchange.repository(),
                Some(FetchEngine::Skopeo { answer, .. }) => {
                    let answer = answer.as_ref();
                    answer.and_then(|answer| answer.parse(request.location()))
                }
                None => None,
            };
            // "name": the last part of the repository's path.
            let path = requested.path();
            let name = path.rsplit('/').next().unwrap_or(path);
            let qualifier = answered.map(|repository| {
                let repository = percent_encode(repository.full_name(), QUALIFIER);
                format!("?repository_url={repository}")
            });
            format!("pkg:oci/{name}@{digest}{}", qualifier.unwrap_or_default())
        }
        (_, Location::ContainersStorage { .. }) => percent_encode(&request.skopeo_source(), PATH),
    }
}
