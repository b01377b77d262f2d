//! `skopeo-index inspect`.

use std::io::ErrorKind;
use std::path::Path;

use indicatif::DecimalBytes;
use serde_json::json;

use super::cache::Cache;
use super::exit::ExitStatus;
use super::input;
use super::options::Format;
use super::output::{self, CliError};
use super::precedence::Exclusive;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::{MediaTypeOrigin, Descriptor, Index, MAX_MANIFEST_SIZE, Platform};
use skopeo_index::store::Seen;
use skopeo_index_core::escape;

/// Show what an index holds: platforms, digests, sizes
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A digest of the cache, or a file; - is stdin
    #[arg(value_name = "DIGEST|FILE")]
    what: String,
    #[command(flatten)]
    cache: Exclusive<Cache>,
    /// How it is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    let bytes = match args.what.parse::<Digest>() {
        Ok(digest) => cached(digest, &args.cache.0)?,
        Err(why) if args.what.starts_with("sha256:") => {
            let what = escape::quote(&args.what);
            return Err(CliError::usage(format!("{what} is no digest: {why}")));
        }
        Err(_) => file(Path::new(&args.what))?,
    };
    let index = Index::parse(&bytes)
        .map_err(|why| CliError::new(ExitStatus::NotAnIndex, format!("not an image index: {why}")))?;
    let (digest, size) = (Digest::of(&bytes), bytes.len());
    match args.format {
        Format::Json => json(&index, digest, size)?,
        Format::Text => table(&index, digest, size)?,
    }
    Ok(ExitStatus::Done)
}

fn file(path: &Path) -> Result<Vec<u8>, CliError> {
    input::read(path).map_err(|error| {
        let status = match error.kind() {
            ErrorKind::NotFound => ExitStatus::NotFound,
            _ => ExitStatus::Other,
        };
        CliError::new(status, format!("{}: {error}", path.display()))
    })
}

/// A cached object, rehashed.
fn cached(digest: Digest, cache: &Cache) -> Result<Vec<u8>, CliError> {
    let store = cache.open()?;
    let object = store.object(digest);
    match store
        .read(digest)
        .map_err(|fault| CliError::other(fault.to_string()))?
    {
        Seen::Absent => Err(CliError::new(
            ExitStatus::NotFound,
            format!("{} is not there", object.display()),
        )),
        Seen::Bytes(bytes) if Digest::of(&bytes) == digest => Ok(bytes),
        seen if seen.hashes_to(digest) => {
            let why = format!("not an image index: more than {MANIFEST_MAX} bytes");
            Err(CliError::new(ExitStatus::NotAnIndex, why))
        }
        _ => Err(
            CliError::new(ExitStatus::Corrupt, format!("{} is corrupt", object.display())).hint(Some(
                "`skopeo-index verify --quarantine` moves it aside".to_owned(),
            )),
        ),
    }
}

fn json(index: &Index, digest: Digest, size: usize) -> Result<(), CliError> {
    let shown = |manifest: &Descriptor| {
        json!({
            "digest": manifest.digest(),
            "size": manifest.size(),
            "mediaType": manifest.media_type(),
            "platform": manifest.platform().map(Platform::to_string),
            "osVersion": manifest.platform().and_then(Platform::os_version),
            "artifactType": manifest.artifact_type(),
        })
    };
    let manifests: Vec<_> = index.manifests().iter().map(shown).collect();
    output::json_line(&json!({
        "digest": digest, "size": size, "mediaType": index.media_type(), "manifests": manifests,
    }))
}

fn table(index: &Index, digest: Digest, size: usize) -> Result<(), CliError> {
    let declared = match index.media_type_origin() {
        MediaTypeOrigin::Explicit => "",
        MediaTypeOrigin::Implied => " (implied)",
    };
    output::line(&format!(
        "{digest}\n{}{declared}, {} manifests, {size} bytes\n",
        index.media_type(),
        index.manifests().len(),
    ))?;
    let rows: Vec<[String; 4]> = index
        .manifests()
        .iter()
        .map(|manifest| {
            [
                manifest.platform().map_or_else(|| "-".to_owned(), platform),
                DecimalBytes(manifest.size()).to_string(),
                output::cell(manifest.digest()),
                output::cell(manifest.media_type()),
            ]
        })
        .collect();
    for line in output::columns(["PLATFORM", "SIZE", "DIGEST", "MEDIA TYPE"], &rows) {
        output::line(&line)?;
    }
    Ok(())
}

/// Lists for Windows have a platform more than once, each of another version.
fn platform(platform: &Platform) -> String {
    match platform.os_version() {
        Some(version) if !version.is_empty() => format!("{platform} {}", output::cell(version)),
        _ => platform.to_string(),
    }
}
