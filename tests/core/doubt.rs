//! What an index is, said plainly and slowly, over a second reader of JSON.

use skopeo_index::index::MediaType;

use crate::json::Json::{self, Array, Number, Object, Text};

fn folded(key: &str) -> String {
    let unfolded = key.replace('\u{17f}', "s").replace('\u{212a}', "k");
    unfolded.to_ascii_lowercase()
}

/// Why some reader, exact or careless about case, first or last of two keys,
/// may take a document for something else than an index.
pub fn doubt(document: &Json) -> Option<&'static str> {
    let Object(top) = document else {
        return Some("no object");
    };
    if document.has_a_key_twice(&str::to_owned) {
        return Some("a key twice, somewhere");
    }
    let keys: Vec<_> = top.iter().map(|(key, _)| folded(key)).collect();
    if (0..keys.len()).any(|a| keys[..a].contains(&keys[a])) {
        return Some("two spellings of one key");
    }
    let read_as = |wanted: &str| {
        let same = |(key, _): &&(String, Json)| folded(key) == folded(wanted);
        top.iter()
            .filter(same)
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
    };
    for key in ["mediaType", "schemaVersion", "manifests"] {
        if top
            .iter()
            .any(|(other, _)| other != key && folded(other) == folded(key))
        {
            return Some("a spelling that only some readers know");
        }
    }
    for key in ["config", "layers", "fsLayers", "history", "signatures"] {
        if read_as(key).iter().any(|value| **value != Json::Null) {
            return Some("an image");
        }
    }
    match read_as("mediaType")[..] {
        [] => {}
        [Text(kind)] if MediaType::ALL.iter().any(|known| known.as_str() == kind) => {}
        _ => return Some("mediaType"),
    }
    if read_as("schemaVersion") != [&Number("2".to_owned())] {
        return Some("schemaVersion");
    }
    match read_as("manifests")[..] {
        [Array(_)] => None,
        _ => Some("manifests"),
    }
}
