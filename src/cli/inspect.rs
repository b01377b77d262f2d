//! `skopeo-index inspect`.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use indicatif::DecimalBytes;
use serde_json::json;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::escape::quote;
use skopeo_index_core::index::{Descriptor, Index, MAX_MANIFEST_SIZE, MediaTypeOrigin, Platform};
use skopeo_index_core::machine::{CacheEntry, ObjectStatus};
use skopeo_index_core::request::Reference;

use super::cache::CacheLocation;
use super::exclusive::Exclusive;
use super::exit::ExitStatus;
use super::input;
use super::options::Format;
use super::output::{self, CliError, of_io};
use super::shell;
use super::table::{Table, cell};

/// Show an index's platforms, digests and sizes
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A digest in the cache, or a file; - is stdin
    #[arg(value_name = "DIGEST|FILE")]
    object: String,
    #[command(flatten)]
    cache: Exclusive<CacheLocation>,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    let bytes = match (
        args.object.parse::<Digest>(),
        args.object.parse::<Reference>(),
    ) {
        (Ok(digest), _) => read_object(digest, &args.cache.0)?,
        (Err(error), _) if args.object.starts_with("sha256:") => {
            return Err(CliError::usage(format!("{}: {error}", quote(&args.object))));
        }
        (Err(_), reference) => {
            let path = Path::new(&args.object);
            let digest = reference.ok().and_then(|reference| reference.digest());
            match (digest, read_file(path)) {
                (Some(digest), Err(_)) => read_object(digest, &args.cache.0)?,
                (_, file) => file?,
            }
        }
    };
    let index = Index::parse(&bytes).map_err(not_an_index)?;
    let (digest, size) = (Digest::of(&bytes), bytes.len());
    match args.format {
        Format::Json => print_json(&index, digest, size)?,
        Format::Text => print_table(&index, digest, size)?,
    }
    Ok(ExitStatus::Success)
}

fn not_an_index(reason: impl std::fmt::Display) -> CliError {
    CliError::new(
        ExitStatus::NotAnIndex,
        format!("not an image index: {reason}"),
    )
}

fn read_file(path: &Path) -> Result<Vec<u8>, CliError> {
    input::read(path, MAX_MANIFEST_SIZE, None).map_err(|error| {
        if error.kind() == ErrorKind::FileTooLarge {
            return not_an_index(error);
        }
        let text = path.to_string_lossy();
        let hint = match error.kind() {
            ErrorKind::NotFound if text.parse::<Reference>().is_ok() => Some(
                "inspect reads files and the cache: pass a file, or the digest of something that \
                 was fetched",
            ),
            ErrorKind::NotFound if format!("sha256:{text}").parse::<Digest>().is_ok() => {
                Some("a digest starts with sha256:")
            }
            _ => None,
        };
        CliError::new(of_io(&error), input::file_error(path, error)).hint(hint.map(str::to_owned))
    })
}

/// Reads an object of the cache, and rehashes it.
fn read_object(digest: Digest, cache: &CacheLocation) -> Result<Vec<u8>, CliError> {
    let store = cache.open()?;
    let object = store.object(digest);
    let entry = store.read(digest)?;
    match (entry.status(digest), entry) {
        (ObjectStatus::Missing, _) => Err(CliError::new(
            ExitStatus::NotFound,
            format!("{}: no such object", object.display()),
        )),
        (ObjectStatus::Intact { .. }, CacheEntry::File { content }) => {
            Ok(content.as_slice().to_vec())
        }
        (ObjectStatus::NotAnIndex(reason), _) => Err(not_an_index(reason)),
        (ObjectStatus::Corrupt | ObjectStatus::Intact { .. }, _) => {
            let message = format!("{}: corrupt object", object.display());
            let verify = ["verify".into(), "--quarantine".into()].into_iter();
            let argv: Vec<OsString> = verify.chain(cache.option()).collect();
            let command = shell::command_line(Path::new("skopeo-index"), &argv);
            let hint = format!("`{command}` moves it to quarantine");
            Err(CliError::new(ExitStatus::CacheCorrupt, message).hint(Some(hint)))
        }
    }
}

fn print_json(index: &Index, digest: Digest, size: usize) -> Result<(), CliError> {
    let manifest = |manifest: &Descriptor| {
        json!({
            "digest": manifest.digest(),
            "size": manifest.size(),
            "mediaType": manifest.media_type(),
            "platform": manifest.platform().map(Platform::to_string),
            "osVersion": manifest.platform().and_then(Platform::os_version),
            "artifactType": manifest.artifact_type(),
        })
    };
    let manifests: Vec<_> = index.manifests().iter().map(manifest).collect();
    output::json_line(&json!({
        "digest": digest, "size": size, "mediaType": index.media_type(), "manifests": manifests,
    }))
}

fn print_table(index: &Index, digest: Digest, size: usize) -> Result<(), CliError> {
    let origin = match index.media_type_origin() {
        MediaTypeOrigin::Explicit => "",
        MediaTypeOrigin::Implied => " (implied)",
    };
    output::line(&format!(
        "{digest}\n{}{origin}, {} manifests, {size} bytes\n",
        index.media_type(),
        index.manifests().len(),
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
