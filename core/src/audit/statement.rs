//! Fetches as statements, for others to sign.

use serde_json::{Value, json};

use super::merkle::NodeHash;
use super::record::{Entry, Hex, Record, RunInfo, SourceInfo};
use crate::machine::{CacheEntry, Outcome, State};
use crate::request::{Location, Request};

/// Us, as a package URL.
const OURS: &str = "pkg:cargo/skopeo-index";

/// A fetch that has ended as an in-toto Statement v1 with a SLSA verification
/// summary v1; `None` for any other record. `leaf` is the record's own, and `run`
/// the one that it belongs to.
#[must_use]
pub fn statement(record: &Record, leaf: NodeHash, run: &RunInfo) -> Option<Value> {
    let Entry::Transition { event, request, .. } = &record.entry else {
        return None;
    };
    let (result, level) = match event.to {
        State::Committed => ("PASSED", "SKOPEO_INDEX_DIGEST_VERIFIED"),
        State::Failed => ("FAILED", "FAILED"),
        _ => return None,
    };
    // What ran then, not what exports it now.
    let mut versions = json!({ "skopeo-index": run.version });
    if let SourceInfo::Skopeo(skopeo) = &run.source {
        versions["skopeo"] = skopeo.version.clone().into();
    }
    let mut subject = json!({
        "name": request.name().without_tag(),
        "digest": { "sha256": request.digest().hex() },
    });
    if let Outcome::LookedUp { entry }
    | Outcome::Published {
        read_back: entry, ..
    } = &event.outcome
        && let CacheEntry::File { content } = entry
    {
        subject["annotations"] = json!({ "size": content.size });
    }
    // "Extension fields SHOULD use names that are unlikely to collide".
    let mut ours = json!({
        "leaf": Hex(leaf).to_string(), "log": record.log.as_str(), "seq": record.seq,
    });
    if let Some(cause) = &event.cause {
        ours["cause"] = cause.to_string().into();
    }
    Some(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [subject],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": { "id": OURS, "version": versions },
            "timeVerified": record.time,
            "resourceUri": resource_uri(request, run),
            // The rules are that version's, as its README has them.
            "policy": { "uri": format!("{OURS}@{}#README.md", percent(&run.version)) },
            "verificationResult": result,
            "verifiedLevels": [level],
            format!("{OURS}#record"): ours,
        },
    }))
}

/// Where the bytes came from, as a URI (RFC 3986).
fn resource_uri(request: &Request, run: &RunInfo) -> String {
    let (name, digest) = (request.name(), request.digest());
    match (&run.source, request.location()) {
        (SourceInfo::Cache(from), _) => format!("file://{}/{digest}", percent(from)),
        (SourceInfo::Skopeo(_), Location::Docker { .. }) => {
            // What has no registry would be taken for one.
            let name = name.without_tag();
            let (first, rest) = name.split_once('/').unwrap_or((name, ""));
            let is_registry = first.contains(['.', ':']) || first == "localhost";
            let before = match rest {
                "" => "docker.io/library/",
                _ if is_registry => "",
                _ => "docker.io/",
            };
            format!("docker://{before}{name}@{digest}")
        }
        (SourceInfo::Skopeo(_), Location::ContainersStorage { .. }) => {
            percent(&request.skopeo_source())
        }
    }
}

/// Encodes what can't stand in a URI's path.
fn percent(text: &str) -> String {
    let stands = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,;=".contains(&byte);
    let encoded = text.bytes().map(|byte| match byte {
        byte if stands(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_stand_in_a_path_is_encoded() {
        let (text, encoded) = ("/a b/[\u{e9}]?#%~", "/a%20b/%5B%C3%A9%5D%3F%23%25~");
        assert_eq!(percent(text), encoded);
    }
}
