//! What to fetch: references and manifests, parsed before anything is done.

use std::io;
use std::path::Path;

use skopeo_index::os::{CancelToken, open_nonblocking, read_all};
use skopeo_index_core::escape::{Escaped, quote};
use skopeo_index_core::osbuild::parse_manifest;
use skopeo_index_core::request::{Items, Request, TlsVerify};

use super::exit::ExitStatus;
use super::image_args::ImageArgs;
use super::output::CliError;
use super::typed::{command_with, resolve_command};

/// Limit of an osbuild manifest in bytes; the largest known have less than half of it.
const MAX_INPUT_SIZE: usize = 64 << 20;

/// Limit of the invalid items that an error names: the first ones show what is wrong.
const MAX_SHOWN_ERRORS: usize = 100;

/// Requests, and what is wrong with other references and items.
#[derive(Default)]
struct Inputs {
    requests: Vec<Request>,
    invalid: Vec<String>,
    not_shown: usize,
}

impl Inputs {
    fn add(&mut self, what: &str, text: &str, request: Result<Request, String>) {
        match request {
            Ok(request) => self.requests.push(request),
            Err(reason) if self.invalid.len() < MAX_SHOWN_ERRORS => {
                self.invalid
                    .push(format!("{what}{}: {reason}", quote(text)));
            }
            Err(_) => self.not_shown += 1,
        }
    }

    fn add_items(&mut self, items: &Items, tls_verify: TlsVerify) {
        for (key, item) in items.iter() {
            let request = Request::from_item(key, item)
                .map(|request| request.with_default_tls_verify(tls_verify));
            self.add("item ", key, request.map_err(|error| error.to_string()));
        }
    }

    fn finish(mut self) -> Result<Vec<Request>, CliError> {
        if self.not_shown > 0 {
            let more = format!("{} more are invalid", self.not_shown);
            self.invalid.push(more);
        }
        match self.invalid.is_empty() {
            true => Ok(self.requests),
            false => Err(CliError::usage(self.invalid.join("\nerror: "))),
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
    let (mut inputs, mut resolvable) = (Inputs::default(), Vec::new());
    for text in references {
        let request = images.parse(text).and_then(|reference| {
            let (name, location) = (reference.name(), images.location(&reference));
            let Some(digest) = reference.digest() else {
                resolvable.push((text.as_str(), resolve_command(&location, name)));
                return Err("missing digest".to_owned());
            };
            Ok(Request::new(name.clone(), location, digest))
        });
        inputs.add("", text, request);
    }
    if let Some(path) = manifest {
        let items = manifest_items(path, cancel)?;
        inputs.add_items(&items, images.skopeo.tls_verify());
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
    items: &Items,
    tls_verify: TlsVerify,
) -> Result<Vec<Request>, CliError> {
    let mut inputs = Inputs::default();
    inputs.add_items(items, tls_verify);
    inputs.finish()
}

/// Reads a manifest or a list.
pub(super) fn read_input(path: &Path, cancel: &CancelToken) -> Result<Vec<u8>, CliError> {
    read(path, MAX_INPUT_SIZE, Some(cancel)).map_err(|error| {
        let unreadable = || CliError::file(ExitStatus::Usage, path, error);
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
        CliError::file(ExitStatus::Usage, path, reason)
    })
}

/// The items of this source in an osbuild manifest.
pub(super) fn manifest_items(path: &Path, cancel: &CancelToken) -> Result<Items, CliError> {
    let bytes = read_input(path, cancel)?;
    parsed_manifest(path, parse_manifest(&bytes))
}

const NOT_JSON: &str = "not JSON: --manifest takes an osbuild manifest or its items";

/// Reads a file of at most `max` bytes, or stdin for `-`, until cancelled.
pub(super) fn read(path: &Path, max: usize, cancel: Option<&CancelToken>) -> io::Result<Vec<u8>> {
    if path == Path::new("-") {
        read_all(io::stdin(), max, cancel)
    } else {
        read_all(open_nonblocking(path)?, max, cancel)
    }
}
