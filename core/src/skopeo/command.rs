//! skopeo commands as types, and their command lines.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::machine::Method;
use crate::request::{ImageName, Location, Request, TlsVerify};

/// A typed skopeo command line, the only source of arguments for skopeo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkopeoCommand<'a> {
    /// `skopeo inspect --raw SOURCE`: print the manifest's bytes.
    InspectRaw(&'a Request),
    /// `skopeo inspect --raw SOURCE` without a digest, to resolve a tag.
    InspectTag {
        /// The location of the image.
        location: &'a Location,
        /// The image name; skopeo reads a missing tag as `latest`.
        name: &'a ImageName,
    },
    /// `skopeo copy --multi-arch=index-only SOURCE dir:TO`: copy the index without images.
    CopyIndex {
        /// The index to copy.
        request: &'a Request,
        /// An existing directory.
        to: &'a Path,
    },
    /// `skopeo inspect --raw dir:FROM`: print the manifest's bytes in a copy.
    InspectDir {
        /// The directory of the copy.
        from: &'a Path,
    },
    /// `skopeo manifest-digest FILE`: print the digest that skopeo computes.
    ManifestDigest {
        /// The file with the manifest.
        file: &'a Path,
    },
    /// `skopeo --version`: print name and version.
    Version,
}

/// Options of every command that accesses an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkopeoOptions {
    /// `--authfile`: file with the registries' credentials.
    pub authfile: Option<PathBuf>,
    /// `--cert-dir`: directory with the registry's CA and client certificates.
    pub cert_dir: Option<PathBuf>,
    /// `--debug`: whether skopeo writes debug lines to stderr.
    pub debug: SkopeoDebug,
    /// Not an option of skopeo: value of the header `Authorization` that the registry client
    /// sent for the same image, which the registry may give skopeo, and repeat, as well.
    pub authorization: Option<String>,
}

/// Whether skopeo writes debug lines to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SkopeoDebug {
    /// skopeo writes only errors and warnings.
    #[default]
    Off,
    /// skopeo is run with `--debug`.
    On,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The process exited with this status.
    Status(i32),
    /// The process was killed by this signal.
    Signal(i32),
}

/// Exit, stdout and stderr of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutput {
    /// The exit of the process.
    pub exit: Exit,
    /// Everything that the process wrote to stdout.
    pub stdout: Vec<u8>,
    /// The end of stderr, where skopeo writes its fatal line.
    pub stderr: Vec<u8>,
}

/// The commands of a method, in the order in which they run. Method copy copies to `dir`, the
/// directory of an attempt, in which `file` is the manifest.
#[must_use]
pub fn method_commands<'a>(
    method: Method,
    request: &'a Request,
    dir: &'a Path,
    file: &'a Path,
) -> Vec<SkopeoCommand<'a>> {
    match method {
        Method::Raw => vec![SkopeoCommand::InspectRaw(request)],
        Method::SkopeoCopy => vec![
            SkopeoCommand::CopyIndex { request, to: dir },
            SkopeoCommand::InspectDir { from: dir },
            SkopeoCommand::ManifestDigest { file },
        ],
    }
}

/// The form of a command: its subcommand and what it is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandForm {
    /// `skopeo inspect --raw` of an image.
    Inspect,
    /// `skopeo copy`.
    Copy,
    /// `skopeo inspect --raw` of a directory.
    InspectDir,
    /// `skopeo manifest-digest`.
    ManifestDigest,
    /// `skopeo --version`.
    Version,
}

/// Arguments of skopeo that an audit log recorded, parsed back. The inverse of
/// [`SkopeoCommand::argv`] for all but the operands, which a reader of the log knows from
/// the fetch: with them, options and timeout, `argv` makes the same arguments again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedArgv<'a> {
    /// The form.
    pub form: CommandForm,
    /// The options.
    pub options: SkopeoOptions,
    /// The timeout, without the margin.
    pub timeout: Duration,
    /// The local directory or file, if that is the last operand.
    pub path: Option<&'a str>,
}

/// The longest timeout of a command: a longer one is a typing error.
pub const MAX_COMMAND_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// skopeo's transport for a directory.
const DIR: &str = "dir:";
const DEBUG: &str = "--debug";
const COMMAND_TIMEOUT: &str = "command-timeout";
const INDEX_ONLY: &str = "--multi-arch=index-only";
const VERSION: &str = "--version";

/// What comes before the names of the source's options in `skopeo copy`.
const COPY_PREFIX: &str = "src-";

/// Margin of skopeo's own timeout over ours: skopeo's only matters if this process has
/// died.
const TIMEOUT_SLACK: Duration = Duration::from_secs(5);

impl SkopeoCommand<'_> {
    /// The arguments, without the program's name. skopeo's own timeout is `timeout` and a
    /// margin.
    #[must_use]
    pub fn argv(&self, options: &SkopeoOptions, timeout: Duration) -> Vec<OsString> {
        let mut argv = Argv(Vec::with_capacity(10));
        if options.debug == SkopeoDebug::On || self.is_answered_by_registry() {
            argv.push(DEBUG);
        }
        // Global options come before the subcommand (skopeo(1)).
        let seconds = timeout.saturating_add(TIMEOUT_SLACK).as_secs();
        argv.flag("", COMMAND_TIMEOUT, format!("{seconds}s"));
        match self {
            Self::InspectRaw(request) => argv
                .push("inspect")
                .push("--raw")
                .access("", request.location(), options)
                .push(request.skopeo_source()),
            Self::InspectTag { location, name } => argv
                .push("inspect")
                .push("--raw")
                .access("", location, options)
                .push(location.skopeo_source(name)),
            Self::CopyIndex { request, to } => argv
                .push("copy")
                .push(INDEX_ONLY)
                .access(COPY_PREFIX, request.location(), options)
                .push(request.skopeo_source())
                .push(dir(to)),
            Self::InspectDir { from } => argv.push("inspect").push("--raw").push(dir(from)),
            // `./` keeps a relative path from being read as a flag.
            Self::ManifestDigest { file } => {
                argv.push("manifest-digest").push(Path::new(".").join(file))
            }
            Self::Version => return vec![VERSION.into()],
        };
        argv.0
    }

    /// The form of the command.
    #[must_use]
    pub const fn form(&self) -> CommandForm {
        match self {
            Self::InspectRaw(_) | Self::InspectTag { .. } => CommandForm::Inspect,
            Self::CopyIndex { .. } => CommandForm::Copy,
            Self::InspectDir { .. } => CommandForm::InspectDir,
            Self::ManifestDigest { .. } => CommandForm::ManifestDigest,
            Self::Version => CommandForm::Version,
        }
    }

    /// Whether a registry answers the command. Only debug lines tell that skopeo waits
    /// because a registry limits the rate of requests.
    const fn is_answered_by_registry(&self) -> bool {
        let location = match self {
            Self::InspectRaw(request) | Self::CopyIndex { request, .. } => request.location(),
            Self::InspectTag { location, .. } => location,
            Self::InspectDir { .. } | Self::ManifestDigest { .. } | Self::Version => return false,
        };
        matches!(location, Location::Docker { .. })
    }
}

impl<'a> ParsedArgv<'a> {
    /// Parses arguments, without the program's name. `None` if they have no form that
    /// [`SkopeoCommand::argv`] writes.
    #[must_use]
    pub fn parse(argv: &'a [String]) -> Option<Self> {
        let mut rest = argv;
        let mut options = SkopeoOptions::default();
        if rest == [VERSION] {
            return Some(Self {
                form: CommandForm::Version,
                options,
                timeout: Duration::ZERO,
                path: None,
            });
        }
        if rest.first()? == DEBUG {
            options.debug = SkopeoDebug::On;
            rest = &rest[1..];
        }
        let seconds = flag_value(&mut rest, "", COMMAND_TIMEOUT)?.strip_suffix('s')?;
        let seconds = seconds.parse::<u64>().ok()?;
        let timeout = Duration::from_secs(seconds.checked_sub(TIMEOUT_SLACK.as_secs())?);
        let (subcommand, rest) = rest.split_first()?;
        let (form, path) = match (subcommand.as_str(), rest) {
            ("inspect", [raw, rest @ ..]) if raw == "--raw" => {
                let [source] = options.parse_access(rest, "") else {
                    return None;
                };
                match source.strip_prefix(DIR) {
                    Some(dir) => (CommandForm::InspectDir, Some(dir)),
                    None => (CommandForm::Inspect, None),
                }
            }
            ("copy", [only, rest @ ..]) if only == INDEX_ONLY => {
                let [_, to] = options.parse_access(rest, COPY_PREFIX) else {
                    return None;
                };
                (CommandForm::Copy, Some(to.strip_prefix(DIR)?))
            }
            ("manifest-digest", [file]) => {
                let file = file.strip_prefix("./").unwrap_or(file);
                (CommandForm::ManifestDigest, Some(file))
            }
            _ => return None,
        };
        Some(Self {
            form,
            options,
            timeout,
            path,
        })
    }
}

impl SkopeoOptions {
    /// Parses what [`Argv::access`] writes, and returns the arguments behind it. TLS
    /// verification is skipped: it follows from the location.
    fn parse_access<'a>(&mut self, mut rest: &'a [String], prefix: &str) -> &'a [String] {
        self.authfile = flag_value(&mut rest, prefix, "authfile").map(PathBuf::from);
        self.cert_dir = flag_value(&mut rest, prefix, "cert-dir").map(PathBuf::from);
        flag_value(&mut rest, prefix, "tls-verify");
        rest
    }
}

/// Takes the value of the first argument, if that is this flag: `--PREFIXNAME=VALUE`.
fn flag_value<'a>(rest: &mut &'a [String], prefix: &str, name: &str) -> Option<&'a str> {
    let (first, others) = rest.split_first()?;
    let flag = first.strip_prefix("--")?.strip_prefix(prefix)?;
    let value = flag.strip_prefix(name)?.strip_prefix('=')?;
    *rest = others;
    Some(value)
}

/// skopeo's reference to a directory, `dir:PATH`.
fn dir(path: &Path) -> OsString {
    let mut text = OsString::from(DIR);
    text.push(path);
    text
}

struct Argv(Vec<OsString>);

impl Argv {
    fn push(&mut self, argument: impl Into<OsString>) -> &mut Self {
        self.0.push(argument.into());
        self
    }

    fn flag(&mut self, prefix: &str, name: &str, value: impl Into<OsString>) -> &mut Self {
        let mut argument = OsString::from(format!("--{prefix}{name}="));
        argument.push(value.into());
        self.push(argument)
    }

    /// Adds the options for accessing an image. In `copy`, those of the source have the
    /// `prefix` `src-`.
    fn access(&mut self, prefix: &str, location: &Location, options: &SkopeoOptions) -> &mut Self {
        if let Some(file) = &options.authfile {
            self.flag(prefix, "authfile", file);
        }
        if let Some(dir) = &options.cert_dir {
            self.flag(prefix, "cert-dir", dir);
        }
        let required = match location {
            Location::ContainersStorage { .. } => return self,
            Location::Docker { tls_verify } => match tls_verify {
                TlsVerify::Unset | TlsVerify::ItemTrue => return self,
                TlsVerify::Always => "true",
                TlsVerify::Never => "false",
            },
        };
        self.flag(prefix, "tls-verify", required)
    }
}
