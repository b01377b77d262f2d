//! `skopeo-index resolve`.

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::exit::Status;
use super::hint;
use super::input::Defaults;
use super::options::SkopeoArgs;
use super::output::{self, Problem};
use super::precedence::Meant;
use super::progress::Loud;
use super::source::Images;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::index::Index;
use crate::machine::{Retry, Stop, Trouble};
use crate::perform;
use crate::request::{Reference, Request, Source, StorageLocation, TlsVerify, Transport};
use crate::skopeo::{Command, CommandRunner, Exit, Limits, failure, storage_is_there};
use crate::text;

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
    images: Meant<Images>,
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

pub(super) fn run(args: Args) -> Result<Status, Problem> {
    let cancel = args.skopeo.cancel()?;
    cancel
        .on_signals()
        .map_err(|e| Problem::other(format!("cannot handle signals: {e}")))?;
    let defaults = Defaults {
        images: &args.images.0,
        tls_verify: args.skopeo.tls_verify(),
    };
    let (mut status, mut items) = (Status::Done, Map::new());
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
                        output::tell(&replaced(&same, &resolved));
                    }
                }
            },
            Err(problem) => {
                problem.tell();
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
    defaults: &Defaults<'_>,
    skopeo: &SkopeoArgs,
    cancel: &Cancel,
) -> Result<Resolved, Problem> {
    let usage = |why: String| Problem::usage(format!("{}: {why}", text::quoted(text)));
    let reference: Reference = text.parse().map_err(|error| usage(format!("{error}")))?;
    if reference.digest().is_some() {
        return Err(usage("it has a digest already".to_owned()));
    }
    let source = defaults.images.source(&reference, defaults.tls_verify);
    let bytes = ask(&source, &reference, skopeo, cancel).map_err(|trouble| {
        Problem::new(
            Status::of_trouble(&trouble),
            format!("{reference}: {trouble}"),
        )
        .hint(hint::of_trouble(&trouble, &skopeo.options()))
    })?;
    let index = Index::parse(&bytes).map_err(|why| {
        Problem::new(
            Status::NotAnIndex,
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
    source: &Source,
    reference: &Reference,
    skopeo: &SkopeoArgs,
    cancel: &Cancel,
) -> Result<Vec<u8>, Trouble> {
    storage_is_there(source)?;
    let command = Command::InspectTag {
        source: &source.skopeo_source(reference.name()),
        tls_verify: match source {
            Source::Docker { tls_verify } => *tls_verify,
            Source::ContainersStorage { .. } => TlsVerify::AsConfigured,
        },
    };
    let limits = Limits {
        time: skopeo.command_timeout(),
        writes_to: None,
    };
    let mut attempt = 1;
    loop {
        let runner = Loud {
            skopeo: &skopeo.runner(),
            tell: &output::tell,
        };
        let trouble = match runner.run(&command, &skopeo.options(), &limits, cancel) {
            Ok(ran) if ran.exit == Exit::Status(0) => return Ok(ran.stdout),
            Ok(ran) => failure::explain(&ran),
            Err(error) => failure::explain_run(&error).unwrap_or(Trouble::Stopped {
                why: Stop::Interrupted,
            }),
        };
        if trouble.retry() == Retry::Pointless || attempt == skopeo.attempts().get() {
            return Err(trouble);
        }
        output::tell(&format!(
            "{reference}: attempt {attempt}: {trouble}; trying again"
        ));
        if let Some(why) = cancel.wait(perform::pause(skopeo.retry_delay(), attempt)) {
            return Err(Trouble::Stopped { why });
        }
        attempt += 1;
    }
}

impl Resolved {
    /// In a form that `fetch` takes.
    fn reference(&self) -> String {
        match self.request.source() {
            Source::Docker { .. } => {
                format!(
                    "{}@{}",
                    self.request.name().without_tag(),
                    self.request.digest()
                )
            }
            Source::ContainersStorage { .. } => self.request.skopeo_source(),
        }
    }

    fn item(&self) -> Value {
        let name = self.request.name();
        let image = match self.request.source() {
            Source::Docker { tls_verify } => match tls_verify {
                TlsVerify::AsConfigured => json!({ "name": name.without_tag() }),
                TlsVerify::Expected | TlsVerify::Require => {
                    json!({ "name": name.without_tag(), "tls-verify": true })
                }
                TlsVerify::Skip => json!({ "name": name.without_tag(), "tls-verify": false }),
            },
            Source::ContainersStorage { location } => json!({
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
