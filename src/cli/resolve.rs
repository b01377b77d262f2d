//! `skopeo-index resolve`.

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::exit::ExitStatus;
use super::hint;
use super::input::ReferenceDefaults;
use super::options::SkopeoArgs;
use super::output::{self, CliError};
use super::precedence::Exclusive;
use super::progress::DebugRunner;
use super::source::SourceDefaults;
use skopeo_index::os::CancelToken;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{CancelReason, EffectError, Retry};
use skopeo_index::fetch;
use skopeo_index_core::request::{Location, Reference, Request, StorageLocation, TlsVerify, Transport};
use skopeo_index_core::skopeo::{Exit, SkopeoCommand, stderr};
use skopeo_index::skopeo::{CommandLimits, CommandRunner, check_storage_exists};
use skopeo_index_core::escape;

/// Print the digest that a tag's index has now, in a form that `fetch` takes
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The images to look at
    #[arg(value_name = "NAME[:TAG]", required = true)]
    names: Vec<String>,
    /// How they are printed
    #[arg(long, value_enum, default_value = "reference")]
    format: ResolveFormat,
    #[command(flatten)]
    images: Exclusive<SourceDefaults>,
    #[command(flatten)]
    skopeo: SkopeoArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ResolveFormat {
    /// NAME@DIGEST, a line each.
    Reference,
    /// Items of an osbuild manifest.
    Osbuild,
    /// A JSON object a line, with media type, platforms and size.
    Json,
}

/// A tag's index.
struct Resolved {
    request: Request,
    index: Index,
    size: usize,
}

pub(super) fn run(args: Args) -> Result<ExitStatus, CliError> {
    let cancel = args.skopeo.cancel()?;
    cancel
        .on_signals()
        .map_err(|e| CliError::other(format!("cannot handle signals: {e}")))?;
    let defaults = ReferenceDefaults {
        images: &args.images.0,
        tls_verify: args.skopeo.tls_verify(),
    };
    let (mut status, mut items) = (ExitStatus::Done, Map::new());
    for name in &args.names {
        match resolve(name, &defaults, &args.skopeo, &cancel) {
            Ok(resolved) => match args.format {
                ResolveFormat::Reference => output::line(&resolved.reference())?,
                ResolveFormat::Json => output::json_line(&resolved.json())?,
                ResolveFormat::Osbuild => {
                    let key = resolved.request.digest().to_string();
                    if let Some(same) = items.insert(key, resolved.item())
                        && same != resolved.item()
                    {
                        output::print_stderr(&replaced(&same, &resolved));
                    }
                }
            },
            Err(problem) => {
                error.print();
                status = status.and(problem.status);
            }
        }
    }
    if let ResolveFormat::Osbuild = args.format {
        output::line(&format!("{:#}", Value::Object(items)))?;
    }
    Ok(status)
}

/// What is told where an item has the digest of an earlier one: items have one
/// name each.
fn replaced(same: &Value, by: &Resolved) -> String {
    let (digest, name) = (by.request.digest(), by.request.name());
    let before = same["image"]["name"].as_str().unwrap_or_default();
    format!("{name} and {before} have one digest, {digest}: the item says {name}")
}

fn resolve(
    text: &str,
    defaults: &ReferenceDefaults<'_>,
    skopeo: &SkopeoArgs,
    cancel: &CancelToken,
) -> Result<Resolved, CliError> {
    let usage = |why: String| CliError::usage(format!("{}: {why}", escape::quote(text)));
    let reference: Reference = text.parse().map_err(|error| usage(format!("{error}")))?;
    if reference.digest().is_some() {
        return Err(usage("it has a digest already".to_owned()));
    }
    let source = defaults.images.source(&reference, defaults.tls_verify);
    let bytes = ask(&source, &reference, skopeo, cancel).map_err(|trouble| {
        CliError::new(
            ExitStatus::of_trouble(&trouble),
            format!("{reference}: {trouble}"),
        )
        .hint(hint::of_trouble(&trouble, &skopeo.options()))
    })?;
    let index = Index::parse(&bytes).map_err(|why| {
        CliError::new(
            ExitStatus::NotAnIndex,
            format!("{reference}: not an image index: {why}"),
        )
    })?;
    let request = Request::new(reference.name().clone(), source, Digest::of(&bytes));
    Ok(Resolved {
        request,
        index,
        size: bytes.len(),
    })
}

/// Has skopeo print the manifest, more than once if that may help.
fn ask(
    source: &Location,
    reference: &Reference,
    skopeo: &SkopeoArgs,
    cancel: &CancelToken,
) -> Result<Vec<u8>, EffectError> {
    check_storage_exists(source)?;
    let command = SkopeoCommand::InspectTag {
        source: &source.skopeo_source(reference.name()),
        tls_verify: match source {
            Location::Docker { tls_verify } => *tls_verify,
            Location::ContainersStorage { .. } => TlsVerify::Unset,
        },
    };
    let limits = CommandLimits {
        time: skopeo.command_timeout(),
        writes_to: None,
    };
    let mut attempt = 1;
    loop {
        let runner = DebugRunner {
            skopeo: &skopeo.runner(),
            tell: &output::print_stderr,
        };
        let trouble = match runner.run(&command, &skopeo.options(), &limits, cancel) {
            Ok(ran) if ran.exit == Exit::ExitStatus(0) => return Ok(ran.stdout),
            Ok(ran) => skopeo::classify_exit(&ran),
            Err(error) => skopeo::classify_error(&error).unwrap_or(EffectError::Cancelled {
                why: CancelReason::Interrupted,
            }),
        };
        if trouble.retry() == Retry::Pointless || attempt == skopeo.attempts().get() {
            return Err(trouble);
        }
        output::print_stderr(&format!(
            "{reference}: attempt {attempt}: {trouble}; trying again"
        ));
        if let Some(why) = cancel.wait(fetch::backoff(skopeo.retry_delay(), attempt)) {
            return Err(EffectError::Cancelled { why });
        }
        attempt += 1;
    }
}

impl Resolved {
    /// In a form that `fetch` takes.
    fn reference(&self) -> String {
        match self.request.location() {
            Location::Docker { .. } => {
                format!(
                    "{}@{}",
                    self.request.name().without_tag(),
                    self.request.digest()
                )
            }
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
