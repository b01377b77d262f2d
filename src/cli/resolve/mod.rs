//! `skopeo-index resolve`.

mod in_order;
mod manifest;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use skopeo_index::fetch::{self, FetchId};
use skopeo_index::os::{CancelToken, best_effort};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::Cause;
use skopeo_index_core::request::{
    ImageName, Location, MAX_ITEMS, Reference, Request, StorageLocation, TlsVerify, Transport,
};
use skopeo_index_core::skopeo::SkopeoOptions;

use self::in_order::map_in_order;
use super::debug::DebugRunner;
use super::exit::ExitStatus;
use super::hint::{AskedBy, HintContext};
use super::image_args::ImageArgs;
use super::input::{self, Inputs};
use super::options::{JobsArgs, cancel_on_signals};
use super::output::{self, CliError};
use super::progress::{Display, ProgressArgs, retry_note};

/// Resolve tags to the digests of their indexes, in the form `fetch` accepts
///
/// Results are in the order of the input.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Images to resolve
    #[arg(value_name = "NAME[:TAG]", required_unless_present_any = ["file", "manifest"])]
    names: Vec<String>,
    /// File with an image per line; empty lines and comments, which start with #, are ignored;
    /// - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value = "reference")]
    format: ResolveFormat,
    /// Print NAME:TAG@DIGEST instead of NAME@DIGEST
    #[arg(long)]
    keep_tag: bool,
    #[command(flatten)]
    manifest: manifest::ManifestArgs,
    #[command(flatten)]
    jobs: JobsArgs,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    images: ImageArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ResolveFormat {
    /// NAME@DIGEST, one per line
    Reference,
    /// Items of an osbuild manifest
    Osbuild,
    /// JSON Lines with media type, platforms and size
    Json,
}

/// The index of a tag.
struct Resolved {
    request: Request,
    index: Index,
    size: usize,
    keep_tag: bool,
}

/// Why a tag was not resolved, and the error to print.
struct Unresolved {
    cause: Box<Cause>,
    error: CliError,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    args.progress.report(resolve(args))
}

fn resolve(args: &Args) -> Result<ExitStatus, CliError> {
    if args.keep_tag && matches!(args.format, ResolveFormat::Osbuild) {
        return Err(CliError::usage(
            "--keep-tag: items of an osbuild manifest have names without tags",
        ));
    }
    let manifest = args.manifest.path()?;
    let input = manifest.or(args.file.as_deref());
    args.images.credentials.0.reject_stdin(input)?;
    if let Some(path) = manifest {
        return manifest::run(args, path);
    }
    let cancel = cancel_on_signals(args.images.skopeo.deadline)?;
    let images = images(args, &cancel)?;
    let known = images.iter().map(|it| (&it.location, it.reference.name()));
    let login = args.images.log_in(known, &cancel)?;
    let display = args.progress.display(images.len());
    if images.is_empty() {
        display.note("no images, nothing to resolve");
    }
    let resolver = Resolver {
        args,
        options: &login.options,
        display: &display,
        cancel: &cancel,
    };
    let (mut status, mut items) = (ExitStatus::Success, Map::new());
    let work = |at, image: &Image| {
        let (shown, name) = (image.reference.to_string(), image.reference.name());
        resolver.resolve(at, &shown, &image.location, name)
    };
    map_in_order(args.jobs.jobs, &images, work, |image, result| {
        match (args.format, &result) {
            // What can't be written is reported at the end.
            (ResolveFormat::Json, _) => best_effort(output::json_line(&json(image, &result))),
            (ResolveFormat::Reference, Ok(resolved)) => {
                best_effort(output::line(&resolved.reference()));
            }
            (ResolveFormat::Osbuild, Ok(resolved)) => {
                let key = resolved.request.digest().to_string();
                if let Some(replaced) = items.insert(key, resolved.item())
                    && replaced != resolved.item()
                {
                    output::print_stderr(&duplicate_note(&replaced, resolved));
                }
            }
            (_, Err(_)) => {}
        }
        if let Err(Unresolved { error, .. }) = result {
            display.failed(&error);
            status = status.and(error.status);
        }
    });
    if let ResolveFormat::Osbuild = args.format {
        output::line(&format!("{:#}", Value::Object(items)))?;
    }
    Ok(status)
}

/// The images to resolve, parsed before any registry is contacted.
fn images(args: &Args, cancel: &CancelToken) -> Result<Vec<Image>, CliError> {
    let mut inputs = Inputs::new();
    for text in &args.names {
        inputs.add("", text, parse(text, args));
    }
    if let Some(file) = &args.file {
        for (line, text) in read_list(file, cancel)? {
            let at = input::about(file, format_args!("line {line}: "));
            inputs.add(&at, &text, parse(&text, args));
        }
    }
    inputs.finish()
}

/// The lines of a list that have an image, as many as an osbuild manifest may have items.
fn read_list(file: &Path, cancel: &CancelToken) -> Result<Vec<(usize, String)>, CliError> {
    let bytes = input::read_input(file, cancel)?;
    let text = String::from_utf8(bytes).map_err(|_| input::error(file, "not UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let image = |line: &str| {
        let words = line.split_whitespace();
        let words = words.take_while(|word| !word.starts_with('#'));
        words.collect::<Vec<_>>().join(" ")
    };
    let lines = (1..).zip(text.lines().map(image));
    let images = lines.filter(|(_, image)| !image.is_empty());
    let images: Vec<_> = images.take(MAX_ITEMS + 1).collect();
    if images.len() > MAX_ITEMS {
        let reason = format!("more than {MAX_ITEMS} images");
        return Err(input::error(file, reason));
    }
    Ok(images)
}

/// An image without a digest, as it was given.
struct Image {
    text: String,
    reference: Reference,
    location: Location,
}

fn parse(text: &str, args: &Args) -> Result<Image, String> {
    let reference = args.images.parse(text)?;
    if reference.digest().is_some() {
        return Err("the reference has a digest already".to_owned());
    }
    Ok(Image {
        text: text.to_owned(),
        location: args.images.location(&reference),
        reference,
    })
}

/// Says that two names have one digest: an item has one name.
fn duplicate_note(replaced: &Value, by: &Resolved) -> String {
    let (digest, name) = (by.request.digest(), by.request.name());
    let first = replaced["image"]["name"].as_str().unwrap_or_default();
    format!("{first} and {name} have the same digest, {digest}; the item names {name}")
}

/// Asks for the digests of tags.
struct Resolver<'a> {
    args: &'a Args,
    options: &'a SkopeoOptions,
    display: &'a Display,
    cancel: &'a CancelToken,
}

impl Resolver<'_> {
    /// Resolves the image that is the `at`-th, and called `shown` in messages.
    fn resolve(
        &self,
        at: usize,
        shown: &str,
        location: &Location,
        name: &ImageName,
    ) -> Result<Resolved, Unresolved> {
        let id = FetchId(at);
        self.display.began(id, shown.to_owned(), "resolving");
        let result = self.fetch(shown, location, name);
        let status = result.as_ref().err().map(|it| it.error.status);
        let status = status.unwrap_or(ExitStatus::Success);
        self.display.ended(id, status);
        result
    }

    fn fetch(
        &self,
        shown: &str,
        location: &Location,
        name: &ImageName,
    ) -> Result<Resolved, Unresolved> {
        let (images, print) = (&self.args.images, &|text: &str| self.display.note(text));
        let runner = DebugRunner {
            skopeo: &images.skopeo.binary(),
            print,
        };
        let skopeo = images.skopeo.skopeo(&runner, self.options);
        let note = |attempt, error: &_| print(&retry_note(shown, attempt, error));
        let bytes = fetch::resolve(&skopeo, location, name, images.retry(), self.cancel, &note);
        let context = HintContext::new(self.options, location, name, AskedBy::Tag);
        let failed = |cause| Unresolved {
            error: context.error(shown, &cause),
            cause: Box::new(cause),
        };
        let bytes = bytes.map_err(failed)?;
        let index = Index::parse(&bytes);
        let index = index.map_err(|reason| failed(Cause::NotAnIndex { reason }))?;
        Ok(Resolved {
            request: Request::new(name.clone(), location.clone(), Digest::of(&bytes)),
            index,
            size: bytes.len(),
            keep_tag: self.args.keep_tag,
        })
    }
}

/// A line of --format json.
fn json(image: &Image, result: &Result<Resolved, Unresolved>) -> Value {
    let mut json = match result {
        Ok(resolved) => resolved.json(),
        Err(Unresolved { cause, .. }) => json!({ "error": cause.to_string(), "cause": cause }),
    };
    json["image"] = image.text.as_str().into();
    json["success"] = result.is_ok().into();
    json
}

/// `NAME:TAG@DIGEST`, with the tag that a name without one has.
fn with_tag(request: &Request) -> String {
    let (name, digest) = (request.name(), request.digest());
    let tag = name.tag().unwrap_or("latest");
    format!("{}:{tag}@{digest}", name.without_tag())
}

impl Resolved {
    /// In the form that `fetch` accepts.
    fn reference(&self) -> String {
        let (name, digest) = (self.request.name(), self.request.digest());
        match self.request.location() {
            Location::Docker { .. } if self.keep_tag => with_tag(&self.request),
            Location::Docker { .. } => format!("{}@{digest}", name.without_tag()),
            Location::ContainersStorage { .. } => self.request.skopeo_source(),
        }
    }

    fn item(&self) -> Value {
        let name = self.request.name();
        let image = match self.request.location() {
            Location::Docker { tls_verify } => {
                let mut image = json!({ "name": name.without_tag() });
                if *tls_verify != TlsVerify::Unset {
                    image["tls-verify"] = (*tls_verify != TlsVerify::Never).into();
                }
                image
            }
            Location::ContainersStorage { location } => json!({
                "name": name,
                "containers-transport": Transport::ContainersStorage,
                "storage-location": location.as_ref().map_or("", StorageLocation::as_str),
            }),
        };
        json!({ "image": image })
    }

    fn json(&self) -> Value {
        let summary = self.index.summary();
        json!({
            "reference": self.reference(),
            "source": self.request.skopeo_source(),
            "digest": self.request.digest(),
            "mediaType": summary.media_type,
            "manifests": summary.manifests,
            "platforms": summary.platforms,
            "size": self.size,
        })
    }
}
