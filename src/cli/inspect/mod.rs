//! `skopeo-index inspect`.

mod document;
mod platform;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use skopeo_index::units::{Count, DecimalBytes};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::{
    Descriptor, Index, MediaType, MediaTypeOrigin, NotAnIndex, Platform,
};

use self::platform::PlatformSelector;
use super::cache::CacheLocation;
use super::exclusive::Exclusive;
use super::exit::ExitStatus;
use super::image_args::ImageArgs;
use super::input;
use super::options::{EngineArgs, Format, cancel_on_signals};
use super::output::{self, CliError};
use super::table::{Table, cell};

/// Show an index's platforms, digests and sizes
///
/// Reads stdin, a file, the cache or a registry, and stores nothing.
#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(
        value_name = "FILE|DIGEST|NAME[:TAG]",
        help = "A file, - for stdin; sha256:… in the cache; or NAME[:TAG] or NAME@DIGEST, from \
                the cache if it has the digest, else from the registry. A name with docker:// \
                or containers-storage: is never taken for a file"
    )]
    object: String,
    /// Print the bytes as they are
    #[arg(long, conflicts_with_all = ["platform", "format"])]
    raw: bool,
    /// Print the digest of the manifest for this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<PlatformSelector>,
    #[command(flatten)]
    cache: Exclusive<CacheLocation>,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    images: ImageArgs,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    args.images
        .credentials
        .0
        .reject_stdin(Some(args.object.as_ref()))?;
    let cancel = cancel_on_signals(args.images.skopeo.deadline)?;
    let document = document::read(args, &cancel)?;
    let (digest, size) = (Digest::of(&document.bytes), document.bytes.len());
    if args.raw {
        output::document(document.bytes)?;
    }
    let index = match document.index {
        Ok(index) => index,
        Err(reason) => {
            if args.format == Format::Json {
                print_refusal(&reason, digest, size)?;
            }
            let shown = input::name(args.object.as_ref());
            let message = format!("{shown}: not an image index: {reason}");
            return Err(CliError::new(ExitStatus::NotAnIndex, message).hint(document.hint));
        }
    };
    match (&args.platform, args.format) {
        _ if args.raw => Ok(()),
        (Some(platform), Format::Json) => {
            output::json_line(&manifest_json(platform.select(&index)?))
        }
        (Some(platform), Format::Text) => output::line(platform.select(&index)?.digest()),
        (None, Format::Json) => print_json(&index, digest, size),
        (None, Format::Text) => print_table(&index, digest, size),
    }
}

/// Why a document is not an index, as a JSON object. A document that is too large was not
/// hashed.
fn print_refusal(reason: &NotAnIndex, digest: Digest, size: usize) -> Result<(), CliError> {
    let (digest, size) = match reason {
        NotAnIndex::TooLarge { size } => (None, *size),
        _ => (Some(digest), size as u64),
    };
    output::json_line(&json!({
        "code": reason.code(), "digest": digest, "reason": reason.to_string(), "size": size,
    }))
}

fn manifest_json(manifest: &Descriptor) -> Value {
    json!({
        "digest": manifest.digest(),
        "size": manifest.size(),
        "mediaType": manifest.media_type(),
        "platform": manifest.platform().map(Platform::to_string),
        "osVersion": manifest.platform().and_then(Platform::os_version),
        "artifactType": manifest.artifact_type(),
    })
}

/// One value of a manifest at a time: an index may have 90,000 of them.
struct ManifestList<'i>(&'i Index);

impl Serialize for ManifestList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.manifests().iter().map(manifest_json))
    }
}

fn print_json(index: &Index, digest: Digest, size: usize) -> Result<(), CliError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Json<'i> {
        digest: Digest,
        manifests: ManifestList<'i>,
        media_type: MediaType,
        size: usize,
    }
    output::json_line(&Json {
        digest,
        manifests: ManifestList(index),
        media_type: index.media_type(),
        size,
    })
}

fn print_table(index: &Index, digest: Digest, size: usize) -> Result<(), CliError> {
    let origin = match index.media_type_origin() {
        MediaTypeOrigin::Explicit => "",
        MediaTypeOrigin::Implied => " (implied)",
    };
    output::line(&format!(
        "{digest}\n{}{origin}, {}, {size} bytes\n",
        index.media_type(),
        Count(index.manifests().len(), "manifest"),
    ))?;
    let mut table = Table::new(["PLATFORM", "SIZE", "DIGEST", "MEDIA TYPE"]);
    for manifest in index.manifests() {
        table.push([
            manifest.platform().map_or_else(|| "-".to_owned(), platform),
            DecimalBytes(manifest.size()).to_string(),
            cell(manifest.digest()),
            cell(manifest.media_type()),
        ])?;
    }
    table.print()
}

/// A platform with its version: lists for Windows have one platform in several versions.
fn platform(platform: &Platform) -> String {
    match platform.os_version() {
        Some(version) => format!("{platform} {}", cell(version)),
        _ => platform.to_string(),
    }
}
