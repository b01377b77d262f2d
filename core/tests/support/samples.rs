//! Indexes, and documents that resemble one.

use serde_json::{Map, Value, json};

/// The media type of an OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of a Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The media type of an OCI image's manifest.
pub const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of a Docker image's manifest.
pub const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";

const PLATFORMS: [(&str, Option<&str>); 5] = [
    ("amd64", None),
    ("arm64", Some("v8")),
    ("s390x", None),
    ("ppc64le", None),
    ("riscv64", None),
];

/// The digest of some bytes, as `sha256:…`.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    let hash: [u8; 32] = sha2::Sha256::digest(bytes).into();
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A descriptor of a manifest that exists nowhere.
#[must_use]
pub fn descriptor(media_type: &str, n: usize) -> Value {
    let (architecture, variant) = PLATFORMS[n % PLATFORMS.len()];
    let mut platform = json!({ "architecture": architecture, "os": "linux" });
    if let Some(variant) = variant {
        platform["variant"] = variant.into();
    }
    json!({
        "mediaType": media_type,
        "digest": digest(n.to_string().as_bytes()),
        "size": 500 + n,
        "platform": platform,
    })
}

fn index(media_type: Option<&str>, manifests: Vec<Value>) -> Value {
    let mut index = json!({ "schemaVersion": 2, "manifests": manifests });
    if let Some(media_type) = media_type {
        index["mediaType"] = media_type.into();
    }
    index
}

fn bytes(document: &Value) -> Vec<u8> {
    document.to_string().into_bytes()
}

/// An OCI image index of `n` images.
#[must_use]
pub fn oci_index(n: usize) -> Vec<u8> {
    bytes(&index(
        Some(OCI_INDEX),
        (0..n).map(|n| descriptor(OCI_IMAGE, n)).collect(),
    ))
}

/// An index without `mediaType`, which is legal.
#[must_use]
pub fn oci_index_without_media_type() -> Vec<u8> {
    bytes(&index(
        None,
        vec![descriptor(OCI_IMAGE, 0), descriptor(OCI_IMAGE, 1)],
    ))
}

/// A Docker manifest list of `n` images.
#[must_use]
pub fn docker_list(n: usize) -> Vec<u8> {
    bytes(&index(
        Some(DOCKER_LIST),
        (0..n).map(|n| descriptor(DOCKER_IMAGE, n)).collect(),
    ))
}

/// The `n`th of many different indexes.
#[must_use]
pub fn distinct(n: usize) -> Vec<u8> {
    let manifests = (0..4).map(|at| descriptor(OCI_IMAGE, 4 * n + at)).collect();
    bytes(&index(Some(OCI_INDEX), manifests))
}

/// The `n`th of many different indexes without manifests, which every registry accepts.
#[must_use]
pub fn distinct_empty(n: usize) -> Vec<u8> {
    let mut document = index(Some(OCI_INDEX), Vec::new());
    document["annotations"] = json!({ "n": n.to_string() });
    bytes(&document)
}

/// An index that lists an index.
#[must_use]
pub fn nested() -> Vec<u8> {
    bytes(&index(Some(OCI_INDEX), vec![descriptor(OCI_INDEX, 0)]))
}

/// An index of an artifact.
#[must_use]
pub fn with_artifact_type() -> Vec<u8> {
    let mut document = index(Some(OCI_INDEX), vec![descriptor(OCI_IMAGE, 0)]);
    document["artifactType"] = "application/vnd.example.sbom".into();
    document["manifests"][0]["artifactType"] = "application/vnd.example.sbom".into();
    bytes(&document)
}

/// An index with a `subject`.
#[must_use]
pub fn with_subject() -> Vec<u8> {
    let mut document = index(Some(OCI_INDEX), vec![descriptor(OCI_IMAGE, 0)]);
    document["subject"] = descriptor(OCI_IMAGE, 7);
    bytes(&document)
}

/// An index with a manifest's bytes in its descriptor (`data`).
#[must_use]
pub fn with_data() -> Vec<u8> {
    let mut document = index(Some(OCI_INDEX), vec![descriptor(OCI_IMAGE, 0)]);
    document["manifests"][0]["data"] = "e30=".into();
    document["manifests"][0]["size"] = 2.into();
    document["manifests"][0]["digest"] = digest(b"{}").into();
    bytes(&document)
}

/// An index without manifests, which is legal.
#[must_use]
pub fn empty() -> Vec<u8> {
    bytes(&index(Some(OCI_INDEX), Vec::new()))
}

/// An index of exactly this size.
///
/// # Panics
/// Where an index can't be that small.
#[must_use]
pub fn of_size(size: usize) -> Vec<u8> {
    let padded = |padding: usize| {
        let mut document = index(Some(OCI_INDEX), vec![descriptor(OCI_IMAGE, 0)]);
        document["annotations"] = json!({ "padding": "x".repeat(padding) });
        bytes(&document)
    };
    let least = padded(0).len();
    padded(size.checked_sub(least).expect("room for an index"))
}

/// The manifest of one image.
#[must_use]
pub fn single_image() -> Vec<u8> {
    bytes(&Value::Object(image()))
}

/// An index to some readers and an image to others (CVE-2021-41190).
#[must_use]
pub fn both_at_once() -> Vec<u8> {
    let mut both = image();
    both.insert("mediaType".to_owned(), OCI_INDEX.into());
    both.insert("manifests".to_owned(), json!([descriptor(OCI_IMAGE, 0)]));
    bytes(&Value::Object(both))
}

fn image() -> Map<String, Value> {
    let blob =
        |media_type: &str| json!({ "mediaType": media_type, "digest": digest(b"{}"), "size": 2 });
    let mut image = Map::new();
    image.insert("schemaVersion".to_owned(), 2.into());
    image.insert("mediaType".to_owned(), OCI_IMAGE.into());
    image.insert(
        "config".to_owned(),
        blob("application/vnd.oci.image.config.v1+json"),
    );
    image.insert(
        "layers".to_owned(),
        json!([blob("application/vnd.oci.image.layer.v1.tar+gzip")]),
    );
    image
}

/// A document that skopeo takes for a signed one of schema version 1, so that
/// `skopeo manifest-digest` hashes `payload` instead of the document.
#[must_use]
pub fn forged(payload: &str) -> Vec<u8> {
    let protected = json!({ "formatLength": 0, "formatTail": base64url(payload.as_bytes()) });
    let document = json!({
        "schemaVersion": 1,
        "manifests": [],
        "signatures": [{
            // Any key will do; this is the curve's own point.
            "header": { "alg": "ES256", "jwk": {
                "kty": "EC", "crv": "P-256",
                "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
                "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
            } },
            "signature": "x",
            "protected": base64url(protected.to_string().as_bytes()),
        }],
    });
    bytes(&document)
}

/// Base64 with the URL's alphabet, without padding (RFC 4648, section 5).
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| {
            bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0))
        });
        for at in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}
