//! Fetches as in-toto statements, for others to sign.

use serde_json::{Value, json};

use super::merkle::NodeHash;
use super::record::{Entry, Record, RunInfo, SourceInfo};
use crate::digest::hex;
use crate::machine::{CacheEntry, Outcome, State};
use crate::request::{Location, Request};

/// The program's package URL.
const PURL: &str = "pkg:cargo/skopeo-index";

/// Makes an in-toto Statement v1 with a SLSA verification summary v1 from the last record
/// of a fetch; `None` for any other record. `leaf_hash` is the record's, `run` its run.
#[must_use]
pub fn statement(record: &Record, leaf_hash: NodeHash, run: &RunInfo) -> Option<Value> {
    let Entry::Transition { event, request, .. } = &record.entry else {
        return None;
    };
    let (result, level) = match event.to {
        State::Committed => ("PASSED", "SKOPEO_INDEX_DIGEST_VERIFIED"),
        State::Failed => ("FAILED", "FAILED"),
        _ => return None,
    };
    // Of the programs that fetched, not of the one that exports.
    let mut versions = json!({ "skopeo-index": run.version });
    if let SourceInfo::Skopeo(skopeo) = &run.source {
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
        percent_encode(version)
    )
}

/// Where the bytes came from, as a URI (RFC 3986).
fn resource_uri(request: &Request, run: &RunInfo) -> String {
    let (name, digest) = (request.name(), request.digest());
    match (&run.source, request.location()) {
        (SourceInfo::Cache(from), _) => format!("file://{}/{digest}", percent_encode(from)),
        (SourceInfo::Skopeo(_), Location::Docker { .. }) => {
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
        (SourceInfo::Skopeo(_), Location::ContainersStorage { .. }) => {
            percent_encode(&request.skopeo_source())
        }
    }
}

/// Encodes every byte that a URI's path can't contain (RFC 3986, section 3.3).
fn percent_encode(text: &str) -> String {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,;=".contains(&byte);
    let encoded = text.bytes().map(|byte| match byte {
        byte if is_legal(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_escapes_what_a_path_cannot_contain() {
        let (text, encoded) = ("/a b/[\u{e9}]?#%~", "/a%20b/%5B%C3%A9%5D%3F%23%25~");
        assert_eq!(percent_encode(text), encoded);
    }
}
