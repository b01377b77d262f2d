//! What to fetch: references and manifests, parsed before anything is done.

use std::fmt::Display;
use std::io;
use std::path::Path;

use skopeo_index::os::{CancelToken, open_nonblocking, read_all};
use skopeo_index_core::escape::{Escaped, EscapedPath, quote};
use skopeo_index_core::osbuild::parse_manifest;
use skopeo_index_core::request::{Items, Location, Request, TlsVerify};

use super::hint::TAG_IN_STORAGE;
use super::image_args::ImageArgs;
use super::output::CliError;
use super::typed::{command_with, resolve_command};

/// Limit of an osbuild manifest in bytes; the largest known have less than half of it.
const MAX_INPUT_SIZE: usize = 64 << 20;

/// Limit of the invalid items that an error names: the first ones show what is wrong.
const MAX_SHOWN_ERRORS: usize = 100;

/// What references and items were parsed to, and what is wrong with others.
pub(super) struct Inputs<T> {
    parsed: Vec<T>,
    invalid: Vec<String>,
    not_shown: usize,
}

impl<T> Inputs<T> {
    pub(super) const fn new() -> Self {
        Self {
            parsed: Vec::new(),
            invalid: Vec::new(),
            not_shown: 0,
        }
    }

    /// Adds what a text was parsed to; `what` precedes the text in an error.
    pub(super) fn add(&mut self, what: &str, text: &str, parsed: Result<T, String>) {
        match parsed {
            Ok(parsed) => self.parsed.push(parsed),
            Err(reason) if self.invalid.len() < MAX_SHOWN_ERRORS => {
                self.invalid
                    .push(format!("{what}{}: {reason}", quote(text)));
            }
            Err(_) => self.not_shown += 1,
        }
    }

    /// # Errors
    /// Where a text was not valid: each of them.
    pub(super) fn finish(mut self) -> Result<Vec<T>, CliError> {
        if self.not_shown > 0 {
            let more = format!("{} more are invalid", self.not_shown);
            self.invalid.push(more);
        }
        match self.invalid.is_empty() {
            true => Ok(self.parsed),
            false => Err(CliError::usage(self.invalid.join("\nerror: "))),
        }
    }
}

impl Inputs<Request> {
    fn add_items(&mut self, manifest: &Path, items: &Items, tls_verify: TlsVerify) {
        let what = about(manifest, "item ");
        for (key, item) in items.iter() {
            let request = Request::from_item(key, item)
                .map(|request| request.with_default_tls_verify(tls_verify));
            self.add(&what, key, request.map_err(|error| error.to_string()));
        }
    }
}

/// The requests of a command line: its references in their order, then the manifest's
/// items. They are empty only if the manifest has no items of this source.
pub(super) fn requests(
    references: &[String],
    manifest: Option<&Path>,
    images: &ImageArgs,
    cancel: &CancelToken,
) -> Result<Vec<Request>, CliError> {
    if references.is_empty() && manifest.is_none() {
        let message = "nothing to fetch; pass NAME@DIGEST or --manifest FILE";
        return Err(CliError::usage(message));
    }
    let (mut inputs, mut resolvable) = (Inputs::new(), Vec::new());
    for text in references {
        let request = images.parse(text).and_then(|reference| {
            let (name, location) = (reference.name(), images.location(&reference));
            match (reference.digest(), &location) {
                (Some(digest), _) => Ok(Request::new(name.clone(), location, digest)),
                (None, Location::Docker { .. }) => {
                    resolvable.push((text.as_str(), resolve_command(&location, name)));
                    Err("missing digest".to_owned())
                }
                (None, Location::ContainersStorage { .. }) => {
                    Err(format!("missing digest; {TAG_IN_STORAGE}"))
                }
            }
        });
        inputs.add("", text, request);
    }
    if let Some(path) = manifest {
        let items = manifest_items(path, cancel)?;
        inputs.add_items(path, &items, images.skopeo.tls_verify());
    }
    // Other errors would remain.
    let is_solution = !resolvable.is_empty() && resolvable.len() == inputs.invalid.len();
    let hint = is_solution.then(|| {
        let command = command_with(&resolvable);
        format!("to fetch what a tag points to now, run: {command}")
    });
    inputs.finish().map_err(|error| error.hint(hint))
}

/// The requests of a manifest's items.
pub(super) fn item_requests(
    manifest: &Path,
    items: &Items,
    tls_verify: TlsVerify,
) -> Result<Vec<Request>, CliError> {
    let mut inputs = Inputs::new();
    inputs.add_items(manifest, items, tls_verify);
    inputs.finish()
}

/// What messages call an input.
pub(super) fn name(path: &Path) -> String {
    match path == Path::new("-") {
        true => "stdin".to_owned(),
        false => EscapedPath(path).to_string(),
    }
}

/// Text about an input.
pub(super) fn about(path: &Path, text: impl Display) -> String {
    format!("{}: {text}", name(path))
}

/// An error about what an input has.
pub(super) fn error(path: &Path, reason: impl Display) -> CliError {
    CliError::usage(about(path, reason))
}

/// Reads a manifest or a list.
pub(super) fn read_input(path: &Path, cancel: &CancelToken) -> Result<Vec<u8>, CliError> {
    read(path, MAX_INPUT_SIZE, Some(cancel)).map_err(|error| {
        let unreadable = || CliError::usage(format!("cannot read {}: {error}", name(path)));
        cancel.cancelled().map_or_else(unreadable, CliError::from)
    })
}

/// What was parsed of a manifest.
pub(super) fn parsed_manifest<T>(
    path: &Path,
    parsed: serde_json::Result<T>,
) -> Result<T, CliError> {
    parsed.map_err(|error| {
        let reason = Escaped(&error.to_string()).to_string();
        let reason = match error.is_data() {
            true => reason,
            false => format!("{NOT_JSON} ({reason})"),
        };
        self::error(path, reason)
    })
}

/// The items of this source in an osbuild manifest.
pub(super) fn manifest_items(path: &Path, cancel: &CancelToken) -> Result<Items, CliError> {
    let bytes = read_input(path, cancel)?;
    parsed_manifest(path, parse_manifest(&bytes))
}

const NOT_JSON: &str = "not JSON, but must be an osbuild manifest or its items";

/// Reads a file of at most `max` bytes, or stdin for `-`, until cancelled.
pub(super) fn read(path: &Path, max: usize, cancel: Option<&CancelToken>) -> io::Result<Vec<u8>> {
    if path == Path::new("-") {
        read_all(io::stdin(), max, cancel)
    } else {
        read_all(open_nonblocking(path)?, max, cancel)
    }
}
