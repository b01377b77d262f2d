//! Fetches as in-toto statements, for others to sign.

use serde_json::{Value, json};

use super::exchange::{FetchEngine, FetchOrigin};
use super::merkle::NodeHash;
use super::record::{Entry, Record, RunInfo, SourceInfo};
use crate::digest::hex;
use crate::escape::percent_encode;
use crate::machine::{CacheEntry, Outcome, State};
use crate::request::{Location, Request};

/// The program's package URL.
const PURL: &str = "pkg:cargo/skopeo-index";

/// Characters that a URI's path can contain beside letters and digits (RFC 3986, section
/// 3.3).
const PATH: &[u8] = b"-._~/:@!$&'()*+,;=";

/// Makes an in-toto Statement v1 with a SLSA verification summary v1 from the last record
/// of a fetch; `None` for any other record. `leaf_hash` is the record's, `origin` where the
/// fetch's bytes came from.
#[must_use]
pub fn statement(record: &Record, leaf_hash: NodeHash, origin: &FetchOrigin) -> Option<Value> {
    let Entry::Transition { event, request, .. } = &record.entry else {
        return None;
    };
    let (result, level) = match event.to {
        State::Committed => ("PASSED", "SKOPEO_INDEX_DIGEST_VERIFIED"),
        State::Failed => ("FAILED", "FAILED"),
        _ => return None,
    };
    let run = &origin.run;
    // Of the programs that fetched, not of the one that exports.
    let mut versions = json!({ "skopeo-index": run.version });
    if let Some(FetchEngine::Skopeo(skopeo)) = &origin.engine {
        versions["skopeo"] = skopeo.version.clone().into();
    }
    let mut subject = json!({
        "name": request.name().without_tag(),
        "digest": { "sha256": request.digest().hex() },
    });
    if event.to == State::Committed
        && let Outcome::LookedUp { entry }
        | Outcome::Published {
            read_back: entry, ..
        } = &event.outcome
        && let CacheEntry::File { content } = entry
    {
        subject["annotations"] = json!({ "size": content.size });
    }
    // "Extension fields SHOULD use names that are unlikely to collide".
    let mut extension = json!({
        "leafHash": hex(&leaf_hash), "log": record.log.as_str(), "seq": record.seq,
    });
    if let Some(cause) = &event.cause {
        extension["cause"] = cause.to_string().into();
    }
    Some(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [subject],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": { "id": PURL, "version": versions },
            "timeVerified": record.time,
            "resourceUri": resource_uri(request, run),
            "policy": { "uri": policy_uri(&run.version) },
            "verificationResult": result,
            "verifiedLevels": [level],
            format!("{PURL}#record"): extension,
        },
    }))
}

/// The validation rules, by version: a file in the package that fetched.
fn policy_uri(version: &str) -> String {
    format!(
        "{PURL}@{}#docs/index-validation.md",
        percent_encode(version, PATH)
    )
}

/// Where the bytes came from, as a URI (RFC 3986).
fn resource_uri(request: &Request, run: &RunInfo) -> String {
    let (name, digest) = (request.name(), request.digest());
    match (&run.source, request.location()) {
        (SourceInfo::Cache(from), _) => format!("file://{}/{digest}", percent_encode(from, PATH)),
        (_, Location::Docker { .. }) => {
            // Spelled out, because a URI's first part is read as its host.
            let name = name.without_tag();
            let (first, rest) = name.split_once('/').unwrap_or((name, ""));
            let is_registry = first.contains(['.', ':']) || first == "localhost";
            let prefix = match rest {
                "" => "docker.io/library/",
                _ if is_registry => "",
                _ => "docker.io/",
            };
            format!("docker://{prefix}{name}@{digest}")
        }
        (_, Location::ContainersStorage { .. }) => percent_encode(&request.skopeo_source(), PATH),
    }
}
