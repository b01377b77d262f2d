//! The rules of an index a second time, plainly and slowly, over the second JSON parser.

use skopeo_index_core::index::MediaType;

use super::json::Json::{self, Array, Number, Object, Text};

/// A key as Go's `encoding/json` compares it.
fn folded(key: &str) -> String {
    let unfolded = key.replace('\u{17f}', "s").replace('\u{212a}', "k");
    unfolded.to_ascii_lowercase()
}

/// Why some reader may refuse a document, or take it for something other than an index.
/// Readers differ in case sensitivity, and in which of two equal keys counts.
pub fn reject_reason(document: &Json) -> Option<&'static str> {
    let Object(top) = document else {
        return Some("not an object");
    };
    if document.has_duplicate_key() {
        return Some("a duplicate key");
    }
    if document.depth() > 127 || document.has_number_beyond_double() {
        return Some("too deep, or a number out of range");
    }
    if let Some(reason) = ambiguous_key(top, &["mediaType", "schemaVersion", "manifests"]) {
        return Some(reason);
    }
    let read_as = |wanted: &str| {
        let same = |(key, _): &&(String, Json)| folded(key) == folded(wanted);
        top.iter()
            .filter(same)
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
    };
    for key in ["config", "layers", "fsLayers", "history", "signatures"] {
        if read_as(key).iter().any(|value| **value != Json::Null) {
            return Some("an image");
        }
    }
    match read_as("mediaType")[..] {
        [] | [Json::Null] => {}
        [Text(kind)] if MediaType::ALL.iter().any(|known| known.as_str() == kind) => {}
        _ => return Some("mediaType"),
    }
    if read_as("schemaVersion") != [&Number("2".to_owned())] {
        return Some("schemaVersion");
    }
    match read_as("manifests")[..] {
        [Array(manifests)] => manifests.iter().find_map(descriptor_error),
        _ => Some("manifests"),
    }
}

/// Why readers may differ in which member is which of the `known` keys.
fn ambiguous_key(members: &[(String, Json)], known: &[&str]) -> Option<&'static str> {
    let respelt = |key: &&str| {
        members
            .iter()
            .any(|(other, _)| other != key && folded(other) == folded(key))
    };
    known
        .iter()
        .any(respelt)
        .then_some("a key that only some readers know")
}

/// Why a descriptor is not valid.
fn descriptor_error(descriptor: &Json) -> Option<&'static str> {
    let Object(members) = descriptor else {
        return Some("not a descriptor");
    };
    let keys = ["mediaType", "digest", "size", "platform", "artifactType"];
    if let Some(reason) = ambiguous_key(members, &keys) {
        return Some(reason);
    }
    match descriptor.member("mediaType") {
        Some(Text(kind)) if !kind.is_empty() => {}
        _ => return Some("a descriptor's mediaType"),
    }
    match descriptor.member("digest") {
        Some(Text(digest)) if is_digest(digest) => {}
        _ => return Some("a descriptor's digest"),
    }
    match descriptor.member("size") {
        Some(Number(size)) if size.parse::<u64>().is_ok_and(|size| size < 1 << 63) => {}
        _ => return Some("a descriptor's size"),
    }
    let may_be_text =
        |json: &Json, key| matches!(json.member(key), None | Some(Json::Null | Text(_)));
    if !may_be_text(descriptor, "artifactType") {
        return Some("a descriptor's artifactType");
    }
    match descriptor.member("platform") {
        None | Some(Json::Null) => None,
        Some(platform @ Object(members)) => {
            let keys = ["os", "architecture", "variant", "os.version"];
            let valid = keys.iter().all(|key| may_be_text(platform, key));
            ambiguous_key(members, &keys).or((!valid).then_some("a platform"))
        }
        Some(_) => Some("a platform"),
    }
}

fn is_digest(text: &str) -> bool {
    let among = |text: &str, set: &str| !text.is_empty() && text.chars().all(|c| set.contains(c));
    let (lower, upper) = (
        "0123456789abcdefghijklmnopqrstuvwxyz",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    );
    let Some((algorithm, encoded)) = text.split_once(':') else {
        return false;
    };
    let hex = |digits| encoded.len() == digits && among(encoded, "0123456789abcdef");
    match algorithm {
        "sha256" => hex(64),
        "sha512" => hex(128),
        _ => {
            algorithm
                .split(['+', '.', '_', '-'])
                .all(|part| among(part, lower))
                && among(encoded, &format!("{lower}{upper}=_-"))
        }
    }
}
