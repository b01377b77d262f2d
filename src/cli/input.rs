//! What to fetch: references and manifests, parsed before anything is done.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use skopeo_index_core::escape::{Escaped, quote};
use skopeo_index_core::keys::reject_duplicates;
use skopeo_index_core::osbuild::SOURCE;
use skopeo_index_core::request::{Items, Location, Reference, Request, TlsVerify};

use super::exit::ExitStatus;
use super::location::LocationDefaults;
use super::output::CliError;

/// Maximum size of an osbuild manifest; the largest known have a tenth of it.
const MAX_INPUT_SIZE: u64 = 256 << 20;

/// Defaults for references that do not set a transport or TLS mode.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReferenceDefaults<'a> {
    pub(super) locations: &'a LocationDefaults,
    pub(super) tls_verify: TlsVerify,
}

impl ReferenceDefaults<'_> {
    pub(super) fn location(&self, reference: &Reference) -> Location {
        self.locations.location(reference, self.tls_verify)
    }

    /// A reference with a digest as a request.
    fn request(&self, text: &str) -> Result<Request, String> {
        let reference: Reference = text.parse().map_err(|error| format!("{error}"))?;
        let digest = reference.digest().ok_or_else(|| {
            format!("missing digest; run `skopeo-index resolve {reference}` to get the current one")
        })?;
        let location = self.location(&reference);
        Ok(Request::new(reference.name().clone(), location, digest))
    }
}

/// The requests of a command line: its references in their order, then the manifest's
/// items.
pub(super) fn requests(
    references: &[String],
    manifest: Option<&Path>,
    defaults: &ReferenceDefaults<'_>,
) -> Result<Vec<Request>, CliError> {
    let (mut requests, mut invalid) = (Vec::new(), Vec::new());
    for text in references {
        match defaults.request(text) {
            Ok(request) => requests.push(request),
            Err(reason) => invalid.push(format!("{}: {reason}", quote(text))),
        }
    }
    if let Some(path) = manifest {
        let usage = |error: String| CliError::file(ExitStatus::Usage, path, error);
        let bytes = read(path).map_err(|error| usage(error.to_string()))?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| usage(Escaped(&error.to_string()).to_string()))?;
        for (key, item) in manifest.0.0 {
            match Request::from_item(&key, &item) {
                Ok(request) => requests.push(request.with_default_tls_verify(defaults.tls_verify)),
                Err(error) => invalid.push(format!("item {}: {error}", quote(&key))),
            }
        }
    }
    if invalid.is_empty() {
        Ok(requests)
    } else {
        Err(CliError::usage(invalid.join("\nerror: ")))
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
    from.take(MAX_INPUT_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_INPUT_SIZE {
        let message = format!("larger than {MAX_INPUT_SIZE} bytes");
        return Err(io::Error::other(message));
    }
    Ok(bytes)
}

/// The items of our source in an osbuild manifest, or in an object of items.
///
/// ```text
/// {"version": "2", "sources": {"org.osbuild.skopeo-index": {"items": {…}}}, …}
/// {"sha256:…": {"image": {…}}, …}
/// ```
struct Manifest(Items);

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ManifestVisitor).map(Self)
    }
}

struct ManifestVisitor;

impl<'de> Visitor<'de> for ManifestVisitor {
    type Value = Items;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an osbuild manifest, or an object of its items")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Items, A::Error> {
        let (mut sources, mut items) = (None, Items::default());
        let mut keys = Vec::new();
        while let Some(key) = from.next_key::<String>()? {
            match key.as_str() {
                "sources" => sources = Some(from.next_value::<Sources>()?),
                "version" | "pipelines" | "metadata" => {
                    from.next_value::<IgnoredAny>()?;
                }
                _ => items.0.push((key.clone(), from.next_value::<Value>()?)),
            }
            keys.push(key);
        }
        reject_duplicates(&keys)?;
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

/// The error of an empty request.
pub(super) fn nothing_to_fetch(manifest: Option<&Path>) -> CliError {
    match manifest {
        Some(path) => CliError::file(ExitStatus::Usage, path, format!("no items of {SOURCE}")),
        None => CliError::usage("nothing to fetch; pass NAME@DIGEST or --manifest FILE"),
    }
}
