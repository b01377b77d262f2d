//! `skopeo-index resolve`.

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use skopeo_index::fetch::{self, RetryPolicy};
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::Skopeo;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::escape::quote;
use skopeo_index_core::index::Index;
use skopeo_index_core::request::{Location, Request, StorageLocation, TlsVerify, Transport};

use super::debug::DebugRunner;
use super::exclusive::Exclusive;
use super::exit::ExitStatus;
use super::hint::{AskedBy, HintContext};
use super::input::ReferenceDefaults;
use super::location::LocationDefaults;
use super::options::SkopeoArgs;
use super::output::{self, CliError};

/// Resolve a tag to its index digest, in the form `fetch` accepts
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Images to resolve
    #[arg(value_name = "NAME[:TAG]", required = true)]
    names: Vec<String>,
    /// Output format
    #[arg(long, value_enum, default_value = "reference")]
    format: ResolveFormat,
    #[command(flatten)]
    locations: Exclusive<LocationDefaults>,
    #[command(flatten)]
    skopeo: SkopeoArgs,
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
}

pub(super) fn run(args: Args) -> Result<ExitStatus, CliError> {
    let cancel = args.skopeo.cancel_on_signals()?;
    let (mut status, mut items) = (ExitStatus::Success, Map::new());
    for name in &args.names {
        match resolve(name, &args, &cancel) {
            Ok(resolved) => match args.format {
                ResolveFormat::Reference => output::line(&resolved.reference())?,
                ResolveFormat::Json => output::json_line(&resolved.json())?,
                ResolveFormat::Osbuild => {
                    let key = resolved.request.digest().to_string();
                    if let Some(replaced) = items.insert(key, resolved.item())
                        && replaced != resolved.item()
                    {
                        output::print_stderr(&duplicate_note(&replaced, &resolved));
                    }
                }
            },
            Err(error) => {
                error.print();
                status = status.and(error.status);
            }
        }
    }
    if let ResolveFormat::Osbuild = args.format {
        output::line(&format!("{:#}", Value::Object(items)))?;
    }
    Ok(status)
}

/// Says that two names have one digest: an item has one name.
fn duplicate_note(replaced: &Value, by: &Resolved) -> String {
    let (digest, name) = (by.request.digest(), by.request.name());
    let first = replaced["image"]["name"].as_str().unwrap_or_default();
    format!("{first} and {name} have the same digest, {digest}; the item names {name}")
}

fn resolve(text: &str, args: &Args, cancel: &CancelToken) -> Result<Resolved, CliError> {
    let usage = |reason: String| CliError::usage(format!("{}: {reason}", quote(text)));
    let defaults = ReferenceDefaults {
        locations: &args.locations.0,
        skopeo: &args.skopeo,
    };
    let reference = defaults.parse(text).map_err(usage)?;
    if reference.digest().is_some() {
        return Err(usage("the reference has a digest already".to_owned()));
    }
    let location = defaults.location(&reference);
    let (options, print) = (args.skopeo.options(), &output::print_stderr);
    let skopeo = Skopeo {
        runner: &DebugRunner {
            skopeo: &args.skopeo.binary(),
            print,
        },
        options: &options,
        command_timeout: args.skopeo.command_timeout(),
    };
    let retry = RetryPolicy {
        attempts: args.skopeo.attempts(),
        delay: args.skopeo.retry_delay(),
    };
    let name = reference.name();
    let bytes = fetch::resolve(
        &skopeo,
        &location,
        name,
        retry,
        cancel,
        &|attempt, error| {
            print(&format!(
                "{reference}: attempt {attempt}: {error}; retrying"
            ));
        },
    );
    let context = HintContext {
        options: &options,
        location: &location,
        name,
        by: AskedBy::Tag,
    };
    let bytes = bytes.map_err(|error| {
        let message = format!("{reference}: {error}");
        CliError::new(ExitStatus::of_error(&error), message).hint(context.of_error(&error))
    })?;
    let index = Index::parse(&bytes).map_err(|reason| {
        let message = format!("{reference}: not an image index: {reason}");
        CliError::new(ExitStatus::NotAnIndex, message).hint(context.of_not_an_index(&reason))
    })?;
    Ok(Resolved {
        request: Request::new(name.clone(), location, Digest::of(&bytes)),
        index,
        size: bytes.len(),
    })
}

impl Resolved {
    /// In the form that `fetch` accepts.
    fn reference(&self) -> String {
        let (name, digest) = (self.request.name(), self.request.digest());
        match self.request.location() {
            Location::Docker { .. } => format!("{}@{digest}", name.without_tag()),
            Location::ContainersStorage { .. } => self.request.skopeo_source(),
        }
    }

    fn item(&self) -> Value {
        let name = self.request.name();
        let image = match self.request.location() {
            Location::Docker { tls_verify } => match tls_verify {
                TlsVerify::Unset => json!({ "name": name.without_tag() }),
                TlsVerify::ItemTrue | TlsVerify::Always => {
                    json!({ "name": name.without_tag(), "tls-verify": true })
                }
                TlsVerify::Never => json!({ "name": name.without_tag(), "tls-verify": false }),
            },
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
