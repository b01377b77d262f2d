//! The document that the argument of `inspect` names: of a file, the cache or a registry.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use skopeo_index::fetch::{self, Engine, EngineChoice};
use skopeo_index::os::CancelToken;
use skopeo_index::registry::{GateInputs, RegistryClient};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::escape::quote;
use skopeo_index_core::index::{Index, MAX_MANIFEST_SIZE, NotAnIndex};
use skopeo_index_core::machine::{CacheEntry, Cause, ManifestBytes, Method, ObjectStatus};
use skopeo_index_core::request::{Reference, Request};

use super::Args;
use crate::cli::cache::CacheLocation;
use crate::cli::debug::DebugRunner;
use crate::cli::exit::ExitStatus;
use crate::cli::hint::{AskedBy, HintContext};
use crate::cli::input;
use crate::cli::output::{self, CliError, of_io};
use crate::cli::progress::retry_note;
use crate::cli::{PROGRAM, shell};

/// Says how an argument was read that may have been meant as a file.
const NO_FILE: &str = "no such file, so it was taken for the name of an image";

/// A document, and what it is.
pub(super) struct Document {
    /// Its bytes; none of them if there are too many.
    pub(super) bytes: Vec<u8>,
    pub(super) index: Result<Index, NotAnIndex>,
    /// What to do about a document that is not an index.
    pub(super) hint: Option<String>,
}

impl From<Vec<u8>> for Document {
    fn from(bytes: Vec<u8>) -> Self {
        let (index, hint) = (Index::parse(&bytes), None);
        Self { bytes, index, hint }
    }
}

impl Document {
    const fn too_large(size: u64) -> Self {
        Self {
            bytes: Vec::new(),
            index: Err(NotAnIndex::TooLarge { size }),
            hint: None,
        }
    }
}

/// Reads the document that the argument names. The first that applies: `-` is stdin;
/// `sha256:…` an object of the cache; a name with a transport an image; a path that starts
/// with `.` or `/` a file; the name of a file that exists that file; anything else an image.
pub(super) fn read(args: &Args, cancel: &Arc<CancelToken>) -> Result<Document, CliError> {
    let text = args.object.as_str();
    let usage = |reason: String| CliError::usage(format!("{}: {reason}", quote(text)));
    let path = Path::new(text);
    if text == "-" {
        return read_file(path, cancel);
    }
    if text.starts_with("sha256:") {
        let digest = text.parse().map_err(|error| usage(format!("{error}")))?;
        return read_object(digest, &args.cache.0)?.ok_or_else(|| {
            let hint = format!("to read it from a registry, pass NAME@{digest}");
            CliError::new(ExitStatus::NotFound, format!("{digest}: not in the cache"))
                .hint(Some(hint))
        });
    }
    let has_transport = text.starts_with("docker://") || text.starts_with("containers-storage:");
    if text.starts_with(['.', '/']) || !has_transport && may_be_a_file(path) {
        return read_file(path, cancel);
    }
    let reference = args.images.parse(text).map_err(|reason| {
        let hint = match format!("sha256:{text}").parse::<Digest>() {
            Ok(_) => "a digest starts with sha256:",
            Err(_) => NO_FILE,
        };
        usage(reason).hint((!has_transport).then(|| hint.to_owned()))
    })?;
    let cached = match reference.digest() {
        Some(digest) => read_object(digest, &args.cache.0)?,
        None => None,
    };
    cached.map_or_else(|| fetch(&reference, args, cancel), Ok)
}

/// Whether a file, a pipe or something that can't be looked at has this name.
fn may_be_a_file(path: &Path) -> bool {
    match path.metadata() {
        Ok(metadata) => !metadata.is_dir(),
        Err(error) => !matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
        ),
    }
}

/// Reads a file or stdin.
fn read_file(path: &Path, cancel: &CancelToken) -> Result<Document, CliError> {
    let error = match input::read(path, MAX_MANIFEST_SIZE, Some(cancel)) {
        Ok(bytes) => return Ok(bytes.into()),
        Err(error) => error,
    };
    if let Some(reason) = cancel.cancelled() {
        return Err(reason.into());
    }
    if error.kind() == ErrorKind::FileTooLarge {
        let size = path.metadata().map_or(0, |metadata| metadata.len());
        return Ok(Document::too_large(size.max(MAX_MANIFEST_SIZE as u64 + 1)));
    }
    let message = format!("cannot read {}: {error}", input::name(path));
    Err(CliError::new(of_io(&error), message))
}

/// Reads an object of the cache, if it is there, and rehashes it.
fn read_object(digest: Digest, cache: &CacheLocation) -> Result<Option<Document>, CliError> {
    let store = cache.open()?;
    let entry = store.read(digest)?;
    match (entry.status(digest), entry) {
        (ObjectStatus::Missing, _) => Ok(None),
        (_, CacheEntry::Oversized { size }) => Ok(Some(Document::too_large(size))),
        (
            ObjectStatus::Intact { .. } | ObjectStatus::NotAnIndex(_),
            CacheEntry::File { content },
        ) => Ok(Some(content.as_slice().to_vec().into())),
        _ => {
            let object = store.object(digest);
            let verify = [PROGRAM, "verify", "--quarantine"].map(OsString::from);
            let argv = verify.into_iter().chain(cache.option());
            let command = shell::command_line(argv.chain([digest.to_string().into()]));
            let hint = format!("`{command}` moves it to quarantine");
            let error = CliError::file(ExitStatus::CacheCorrupt, &object, "corrupt object");
            Err(error.hint(Some(hint)))
        }
    }
}

/// Fetches the manifest of a reference. Nothing is stored.
fn fetch(
    reference: &Reference,
    args: &Args,
    cancel: &Arc<CancelToken>,
) -> Result<Document, CliError> {
    let skopeo_args = &args.images.skopeo;
    let (location, name) = (args.images.location(reference), reference.name());
    let login = args.images.log_in([(&location, name)], cancel)?;
    let options = &login.options;
    let print = &|text: &str| output::print_stderr(text);
    let runner = DebugRunner {
        skopeo: &skopeo_args.binary(),
        print,
    };
    let skopeo = skopeo_args.skopeo(&runner, options);
    let retry = args.images.retry();
    let note = |attempt, error: &_| print(&retry_note(&reference.to_string(), attempt, error));
    let (by, fetched) = if let Some(digest) = reference.digest() {
        let inputs = GateInputs::from_process(options, Method::Raw, skopeo_args.program());
        let registry = RegistryClient::new(&inputs, cancel, skopeo.command_timeout);
        let source = args.engine.engine.source(&registry, skopeo, retry.attempts);
        let request = Request::new(name.clone(), location.clone(), digest);
        let fetched = fetch::fetch_manifest(&source, &request, retry, cancel, &note);
        (AskedBy::Digest, fetched)
    } else if args.engine.engine == EngineChoice::Only(Engine::Registry) {
        let message = format!("{reference}: --engine registry fetches by digest only");
        return Err(CliError::usage(message));
    } else {
        let fetched = fetch::resolve(&skopeo, &location, name, retry, cancel, &note);
        (AskedBy::Tag, fetched.map(ManifestBytes::from))
    };
    let context = HintContext::new(options, &location, name, by);
    let bytes = fetched.map_err(|cause| {
        let mut failed = context.error(reference, &cause);
        if cancel.cancelled().is_none() && reference.to_string() == name.without_tag() {
            let hint = failed.hint.map(|hint| format!("{NO_FILE}; {hint}"));
            failed.hint = hint.or(Some(NO_FILE.to_owned()));
        }
        failed
    })?;
    let bytes = bytes.as_slice().to_vec();
    let actual = Digest::of(&bytes);
    if let Some(expected) = reference.digest().filter(|digest| *digest != actual) {
        let not_an_index = Index::parse(&bytes).err().map(Box::new);
        let cause = Cause::DigestMismatch {
            actual,
            expected,
            not_an_index,
        };
        return Err(context.error(reference, &cause));
    }
    let document = Document::from(bytes);
    let reason = document.index.as_ref().err();
    let hint = reason.and_then(|reason| context.of_not_an_index(reason));
    Ok(Document { hint, ..document })
}
