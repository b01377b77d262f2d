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
            argv.push("--debug");
        }
        // Global options come before the subcommand (skopeo(1)).
        argv.flag(
            "--command-timeout",
            format!("{}s", (timeout + TIMEOUT_SLACK).as_secs()),
        );
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
                .push("--multi-arch=index-only")
                .access("src-", request.location(), options)
                .push(request.skopeo_source())
                .push(dir(to)),
            Self::InspectDir { from } => argv.push("inspect").push("--raw").push(dir(from)),
            // `./` keeps a relative path from being read as a flag.
            Self::ManifestDigest { file } => {
                argv.push("manifest-digest").push(Path::new(".").join(file))
            }
            Self::Version => return vec!["--version".into()],
        };
        argv.0
    }
}

impl SkopeoCommand<'_> {
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

/// skopeo's reference to a directory, `dir:PATH`.
fn dir(path: &Path) -> OsString {
    let mut text = OsString::from("dir:");
    text.push(path);
    text
}

struct Argv(Vec<OsString>);

impl Argv {
    fn push(&mut self, argument: impl Into<OsString>) -> &mut Self {
        self.0.push(argument.into());
        self
    }

    fn flag(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        let mut argument = name.into();
        argument.push("=");
        argument.push(value.into());
        self.push(argument)
    }

    /// Adds the options for accessing an image. In `copy`, those of the source have the
    /// `prefix` `src-`.
    fn access(&mut self, prefix: &str, location: &Location, options: &SkopeoOptions) -> &mut Self {
        if let Some(file) = &options.authfile {
            self.flag(format!("--{prefix}authfile"), file);
        }
        if let Some(dir) = &options.cert_dir {
            self.flag(format!("--{prefix}cert-dir"), dir);
        }
        let required = match location {
            Location::ContainersStorage { .. } => return self,
            Location::Docker { tls_verify } => match tls_verify {
                TlsVerify::Unset | TlsVerify::ItemTrue => return self,
                TlsVerify::Always => "true",
                TlsVerify::Never => "false",
            },
        };
        self.flag(format!("--{prefix}tls-verify"), required)
    }
}
