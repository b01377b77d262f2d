//! What to fetch: references and manifests, parsed before anything is done.

use std::fmt::Display;
use std::io;
use std::path::Path;

use skopeo_index::os::{CancelToken, open_nonblocking, read_all};
use skopeo_index_core::escape::{Escaped, EscapedPath, quote};
use skopeo_index_core::osbuild::parse_manifest;
use skopeo_index_core::request::{Items, Location, Reference, Request};

use super::hint::{AskedBy, HintContext, resolve_command};
use super::location::LocationDefaults;
use super::options::SkopeoArgs;
use super::output::CliError;

/// Limit of an osbuild manifest in bytes; the largest known have less than half of it.
const MAX_INPUT_SIZE: usize = 64 << 20;

/// Limit of the invalid items that an error names: the first ones show what is wrong.
const MAX_SHOWN_ERRORS: usize = 100;

/// Defaults for references that do not set a transport or TLS mode.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReferenceDefaults<'a> {
    pub(super) locations: &'a LocationDefaults,
    pub(super) skopeo: &'a SkopeoArgs,
}

impl ReferenceDefaults<'_> {
    pub(super) fn location(&self, reference: &Reference) -> Location {
        self.locations.location(reference, self.skopeo.tls_verify())
    }

    /// A reference, unless it is the value of the option before it.
    pub(super) fn parse(&self, text: &str) -> Result<Reference, String> {
        if matches!(text, "true" | "false") {
            return Err(format!(
                "not an image; write --tls-verify={text}, with \"=\""
            ));
        }
        text.parse().map_err(|error| format!("{error}"))
    }

    /// A reference with a digest as a request.
    fn request(&self, text: &str) -> Result<Request, String> {
        let reference = self.parse(text)?;
        let location = self.location(&reference);
        let digest = reference.digest().ok_or_else(|| {
            let options = self.skopeo.options();
            let context = HintContext::new(&options, &location, reference.name(), AskedBy::Tag);
            let command = resolve_command(&context, &reference.to_string());
            format!("missing digest; run `{command}` to get the current one")
        })?;
        Ok(Request::new(reference.name().clone(), location, digest))
    }
}

/// The requests of a command line: its references in their order, then the manifest's
/// items. They are empty only if the manifest has no items of this source.
pub(super) fn requests(
    references: &[String],
    manifest: Option<&Path>,
    defaults: &ReferenceDefaults<'_>,
    cancel: &CancelToken,
) -> Result<Vec<Request>, CliError> {
    if references.is_empty() && manifest.is_none() {
        let message = "nothing to fetch; pass NAME@DIGEST or --manifest FILE";
        return Err(CliError::usage(message));
    }
    let (mut requests, mut invalid, mut not_shown) = (Vec::new(), Vec::new(), 0);
    let mut add = |what: &str, text: &str, request: Result<Request, String>| match request {
        Ok(request) => requests.push(request),
        Err(reason) if invalid.len() < MAX_SHOWN_ERRORS => {
            invalid.push(format!("{what}{}: {reason}", quote(text)));
        }
        Err(_) => not_shown += 1,
    };
    for text in references {
        add("", text, defaults.request(text));
    }
    if let Some(path) = manifest {
        for (key, item) in manifest_items(path, cancel)?.iter() {
            let request = Request::from_item(key, item)
                .map(|request| request.with_default_tls_verify(defaults.skopeo.tls_verify()));
            add("item ", key, request.map_err(|error| error.to_string()));
        }
    }
    if not_shown > 0 {
        invalid.push(format!("{not_shown} more are invalid"));
    }
    if invalid.is_empty() {
        Ok(requests)
    } else {
        Err(CliError::usage(invalid.join("\nerror: ")))
    }
}

/// The items of this source in an osbuild manifest.
pub(super) fn manifest_items(path: &Path, cancel: &CancelToken) -> Result<Items, CliError> {
    let bytes = read(path, MAX_INPUT_SIZE, Some(cancel)).map_err(|error| {
        let unreadable = || CliError::usage(file_error(path, error));
        cancel.cancelled().map_or_else(unreadable, CliError::from)
    })?;
    parse_manifest(&bytes).map_err(|error| {
        let reason = Escaped(&error.to_string()).to_string();
        CliError::usage(match error.is_data() {
            true => file_error(path, reason),
            false => file_error(path, format_args!("{NOT_JSON} ({reason})")),
        })
    })
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

/// An error of a file that the command line names.
pub(super) fn file_error(path: &Path, error: impl Display) -> String {
    format!("{}: {error}", EscapedPath(path))
}
