//! `skopeo-index resolve --manifest`: brings the digests of an osbuild manifest up to date.

use std::path::{Path, PathBuf};

use skopeo_index::os::{CancelToken, lock_dir, replace_file};
use skopeo_index_core::escape::EscapedPath;
use skopeo_index_core::osbuild::{PinError, Pins, SOURCE};
use skopeo_index_core::request::Request;

use super::super::exit::ExitStatus;
use super::super::input;
use super::super::options::cancel_on_signals;
use super::super::output::{self, CliError};
use super::{Args, Resolver, Unresolved, map_in_order, with_tag};

/// Options of an osbuild manifest.
#[derive(Debug, clap::Args)]
pub(super) struct ManifestArgs {
    /// Resolve the items of an osbuild manifest, and print which digests would change;
    /// - is stdin
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["names", "file", "format", "keep_tag"]
    )]
    manifest: Option<PathBuf>,
    /// Replace the digests in the file of --manifest
    #[arg(long)]
    write: bool,
    /// Exit with 1 if a digest would change, and never for another reason: errors that have no
    /// status of their own exit with 2
    #[arg(long, conflicts_with = "write")]
    check: bool,
}

impl ManifestArgs {
    /// The manifest. clap doesn't require it where an image, which conflicts, is given.
    pub(super) fn path(&self) -> Result<Option<&Path>, CliError> {
        match &self.manifest {
            None if self.write || self.check => {
                Err(CliError::usage("--write and --check need --manifest FILE"))
            }
            manifest => Ok(manifest.as_deref()),
        }
    }
}

/// Whether the digests of the manifest are those that its tags have now.
enum Pinned {
    UpToDate,
    OutOfDate,
}

/// Brings a manifest up to date. With --check, status 1 is only that of outdated digests, as
/// in diff(1).
pub(super) fn run(args: &Args, path: &Path) -> Result<ExitStatus, CliError> {
    match (update(args, path), args.manifest.check) {
        (Ok(Pinned::OutOfDate), true) => Ok(ExitStatus::Other),
        (Ok(Pinned::OutOfDate | Pinned::UpToDate), _) => Ok(ExitStatus::Success),
        (Err(error), true) if error.status == ExitStatus::Other => Err(CliError {
            status: ExitStatus::Usage,
            ..error
        }),
        (Err(error), _) => Err(error),
    }
}

/// Prints the changes, and writes them only if every item is resolved.
fn update(args: &Args, path: &Path) -> Result<Pinned, CliError> {
    let cancel = &*cancel_on_signals(args.images.skopeo.deadline)?;
    let is_pipe = path.metadata().is_ok_and(|metadata| !metadata.is_file());
    if args.manifest.write && (path == Path::new("-") || is_pipe) {
        return Err(CliError::usage("--write needs a file, not stdin or a pipe"));
    }
    let json = input::read_input(path, cancel)?;
    let pins = input::parsed_manifest(path, Pins::parse(&json))?;
    let requests = input::item_requests(path, pins.items(), args.images.skopeo.tls_verify())?;
    let images = requests.iter().map(|r| (r.location(), r.name()));
    let login = args.images.log_in(images, cancel)?;
    let display = args.progress.display(requests.len());
    let resolver = Resolver {
        args,
        options: &login.options,
        display: &display,
        cancel,
    };
    if requests.is_empty() {
        let text = format!("no items of {SOURCE}, nothing to resolve");
        display.note(&input::about(path, text));
        return Ok(Pinned::UpToDate);
    }
    let work = |at, request: &Request| {
        let shown = request.location().reference(request.name());
        resolver.resolve(at, &shown, request.location(), request.name())
    };
    let (mut status, mut new) = (ExitStatus::Success, Vec::new());
    map_in_order(args.jobs.jobs, &requests, work, |_, result| match result {
        Ok(resolved) => new.push(resolved.request),
        Err(Unresolved { error, .. }) => {
            display.failed(&error);
            status = status.and(error.status);
        }
    });
    if new.len() < requests.len() {
        return Err(CliError::silent(status));
    }
    let pairs = || requests.iter().zip(&new);
    let digests = pairs().map(|(old, new)| (old.digest(), new.digest()));
    let replaced = pins.replace(&digests.collect()).map_err(|error| {
        let (PinError::Duplicate(digest) | PinError::Shared(digest)) = error else {
            return input::error(path, error);
        };
        let items = pairs().filter(|(old, new)| [old.digest(), new.digest()].contains(&digest));
        let items: Vec<String> = items.map(|(old, _)| old.to_string()).collect();
        let reason = format!("{error} ({}); nothing was written", items.join(", "));
        input::error(path, reason)
    })?;
    let changed: Vec<_> = pairs().filter(|(old, new)| old != new).collect();
    for (old, new) in &changed {
        output::line(&format!("-{}\n+{}", with_tag(old), with_tag(new)))?;
    }
    let (count, total) = (changed.len(), requests.len());
    display.note(&format!("{count} of {total} digests changed"));
    if changed.is_empty() {
        return Ok(Pinned::UpToDate);
    }
    if pins.has_images() {
        display.note("images of org.osbuild.skopeo stay as they are: update them as well");
    }
    if args.manifest.write {
        write(path, &json, &replaced, cancel)?;
    }
    Ok(Pinned::OutOfDate)
}

/// Replaces a manifest's file, atomically, unless another process has changed it. A link to
/// it stays.
fn write(path: &Path, old: &[u8], new: &[u8], cancel: &CancelToken) -> Result<(), CliError> {
    let failed = |error| match cancel.cancelled() {
        Some(reason) => reason.into(),
        None => CliError::other(format!("cannot write {}: {error}", EscapedPath(path))),
    };
    let target = path.canonicalize().map_err(failed)?;
    let dir = target.parent().unwrap_or(&target);
    // No other run writes the file between the comparison and the rename.
    let _lock = lock_dir(dir, cancel).map_err(failed)?;
    if input::read_input(path, cancel)? != old {
        let reason = "changed while its tags were resolved; nothing was written";
        return Err(CliError::file(ExitStatus::Other, path, reason));
    }
    replace_file(&target, new).map_err(failed)
}
