//! What to fetch: references and manifests, parsed before anything is done.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::output::CliError;
use super::source::SourceDefaults;
use skopeo_index_core::osbuild::SOURCE;
use skopeo_index_core::request::{Items, Reference, Request, TlsVerify};
use skopeo_index_core::escape;

/// The most bytes of a manifest of osbuild's; the largest known have a tenth.
const MANIFEST_FILE_MAX: u64 = 256 << 20;

/// What goes for what doesn't say otherwise.
#[derive(Debug)]
pub(super) struct ReferenceDefaults<'a> {
    pub(super) images: &'a SourceDefaults,
    pub(super) tls_verify: TlsVerify,
}

impl ReferenceDefaults<'_> {
    /// A reference as a request; it has to have a digest.
    fn request(&self, text: &str) -> Result<Request, String> {
        let reference: Reference = text.parse().map_err(|error| format!("{error}"))?;
        let digest = reference.digest().ok_or_else(|| {
            format!("it has no digest: `skopeo-index resolve {reference}` tells which it has now")
        })?;
        Ok(Request::new(
            reference.name().clone(),
            self.images.source(&reference, self.tls_verify),
            digest,
        ))
    }
}

/// The requests of a command line, in its order, those of the manifest last.
pub(super) fn requests(
    references: &[String],
    manifest: Option<&Path>,
    defaults: &ReferenceDefaults<'_>,
) -> Result<Vec<Request>, CliError> {
    let (mut requests, mut wrong) = (Vec::new(), Vec::new());
    for text in references {
        match defaults.request(text) {
            Ok(request) => requests.push(request),
            Err(why) => wrong.push(format!("{}: {why}", escape::quote(text))),
        }
    }
    if let Some(path) = manifest {
        let of = |error: String| CliError::usage(format!("{}: {error}", path.display()));
        let items = read(path).map_err(|error| of(error.to_string()))?;
        let items: Manifest = serde_json::from_slice(&items)
            .map_err(|error| of(escape::Escaped(&error.to_string()).to_string()))?;
        for (key, item) in items.0.0 {
            match Request::from_item(&key, &item) {
                Ok(request) => requests.push(request.with_default_tls_verify(defaults.tls_verify)),
                Err(why) => wrong.push(format!("item {}: {why}", escape::quote(&key))),
            }
        }
    }
    if wrong.is_empty() {
        Ok(requests)
    } else {
        Err(CliError::usage(wrong.join("\nerror: ")))
    }
}

/// Reads a file, or stdin for `-`.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let from: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path)?)
    };
    let mut bytes = Vec::new();
    from.take(MANIFEST_FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MANIFEST_FILE_MAX {
        return Err(io::Error::other(format!(
            "it has more than {MANIFEST_FILE_MAX} bytes"
        )));
    }
    Ok(bytes)
}

/// An osbuild manifest's items of our source, or just items.
///
/// ```text
/// {"version": "2", "sources": {"org.osbuild.skopeo-index": {"items": {…}}}, …}
/// {"sha256:…": {"image": {…}}, …}
/// ```
struct Manifest(Items);

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ReadManifest).map(Self)
    }
}

struct ReadManifest;

impl<'de> Visitor<'de> for ReadManifest {
    type Value = Items;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an osbuild manifest, or an object of its items")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Items, A::Error> {
        let (mut sources, mut items) = (None, Items::default());
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = from.next_key::<String>()? {
            match key.as_str() {
                "sources" => sources = Some(from.next_value::<Sources>()?),
                "version" | "pipelines" | "metadata" => {
                    from.next_value::<IgnoredAny>()?;
                }
                _ => items.0.push((key.clone(), from.next_value::<Value>()?)),
            }
            if !seen.insert(key.clone()) {
                return Err(de::Error::custom(format!(
                    "{} is there twice",
                    escape::quote(&key)
                )));
            }
        }
        Ok(sources.map_or(items, |sources| sources.ours.unwrap_or_default().items))
    }
}

#[derive(serde::Deserialize)]
struct Sources {
    #[serde(rename = "org.osbuild.skopeo-index")]
    ours: Option<SourceItems>,
}

#[derive(Default, serde::Deserialize)]
struct SourceItems {
    items: Items,
}

/// What to say where a manifest has none of our items.
pub(super) fn nothing_to_fetch(manifest: Option<&Path>) -> CliError {
    match manifest {
        Some(path) => CliError::usage(format!("{}: no items of {SOURCE} in it", path.display())),
        None => CliError::usage("nothing to fetch: give NAME@DIGEST, or --manifest FILE"),
    }
}
