//! Fetches as in-toto statements, for others to sign.

use serde_json::{Value, json};

use super::merkle::leaf;
use super::record::{Op, Record, SkopeoIdentity};
use crate::machine::{Outcome, State};

/// The rules by which a fetch is judged.
const POLICY: &str = "https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md";

/// A fetch that has ended as an in-toto Statement v1 with a SLSA verification
/// summary v1; `None` for any other record. `line` is the record's own, and
/// `skopeo` that of its run.
#[must_use]
pub fn statement(record: &Record, line: &[u8], skopeo: Option<&SkopeoIdentity>) -> Option<Value> {
    let Op::Transition { event, request, .. } = &record.op else {
        return None;
    };
    let (result, level) = match event.to {
        State::Committed => ("PASSED", "SKOPEO_INDEX_DIGEST_VERIFIED"),
        State::Failed => ("FAILED", "FAILED"),
        _ => return None,
    };
    let name = request.name().without_tag();
    let hex = request.digest().hex();
    let hash: String = leaf(line)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut versions = json!({ "skopeo-index": env!("CARGO_PKG_VERSION") });
    if let Some(skopeo) = skopeo {
        versions["skopeo"] = skopeo.version.clone().into();
    }
    let size = match &event.outcome {
        Outcome::Found { content } | Outcome::Published { content, .. } => Some(content.size),
        _ => None,
    };
    let mut subject = json!({ "name": name, "digest": { "sha256": hex } });
    if let Some(size) = size {
        subject["annotations"] = json!({ "size": size });
    }
    let mut predicate = json!({
        "verifier": { "id": "pkg:cargo/skopeo-index", "version": versions },
        "timeVerified": record.time,
        "resourceUri": request.skopeo_source(),
        "policy": { "uri": POLICY },
        "inputAttestations": [{
            "uri": format!("{}#{}", record.log.as_str(), record.seq),
            "digest": { "sha256": hash },
        }],
        "verificationResult": result,
        "verifiedLevels": [level],
        "slsaVersion": "1.0",
    });
    if let Some(cause) = &event.cause {
        predicate["skopeo-index_cause"] = cause.to_string().into();
    }
    Some(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [subject],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": predicate,
    }))
}
