//! skopeo's commands, typed, and their arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::machine::Method;
use crate::request::{ImageName, Location, Request, TlsVerify};

/// A command of skopeo's. The arguments come from here and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkopeoCommand<'a> {
    /// `skopeo inspect --raw SOURCE`: print the manifest's bytes.
    InspectRaw(&'a Request),
    /// `skopeo inspect --raw docker://NAME:TAG`, to learn a tag's digest.
    InspectTag {
        /// Where the image is.
        location: &'a Location,
        /// The image, with its tag.
        name: &'a ImageName,
    },
    /// `skopeo copy --multi-arch=index-only SOURCE dir:TO`.
    CopyIndex {
        /// What to copy.
        request: &'a Request,
        /// A directory that exists.
        to: &'a Path,
    },
    /// `skopeo inspect --raw dir:FROM`.
    InspectDir {
        /// Where `CopyIndex` has copied to.
        from: &'a Path,
    },
    /// `skopeo manifest-digest FILE`.
    ManifestDigest {
        /// A manifest.
        file: &'a Path,
    },
    /// `skopeo --version`.
    Version,
}

/// What goes with every command that talks to a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkopeoOptions {
    /// `--authfile`.
    pub authfile: Option<PathBuf>,
    /// `--cert-dir`.
    pub cert_dir: Option<PathBuf>,
    /// Whether skopeo writes its own debugging lines.
    pub debug: SkopeoDebug,
}

/// Whether skopeo writes its own debugging lines to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SkopeoDebug {
    /// It doesn't.
    #[default]
    Off,
    /// It does (`--debug`).
    On,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Status(i32),
    /// It was killed by this signal.
    Signal(i32),
}

/// What a command that ended has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutput {
    /// How it ended.
    pub exit: Exit,
    /// All of stdout.
    pub stdout: Vec<u8>,
    /// The end of stderr.
    pub stderr: Vec<u8>,
}

/// The commands of a method, in their order. `dir` is the directory of an attempt, and
/// `file` the manifest in it (method copy).
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

/// How much later than ours skopeo's own timeout fires: it is there for the
/// case that we are gone and skopeo isn't.
const TIMEOUT_SLACK: Duration = Duration::from_secs(5);

impl SkopeoCommand<'_> {
    /// The arguments, without the program's name. `timeout` is ours; skopeo is
    /// given a little more.
    #[must_use]
    pub fn argv(&self, options: &SkopeoOptions, timeout: Duration) -> Vec<OsString> {
        let mut argv = Argv(Vec::with_capacity(10));
        if options.debug == SkopeoDebug::On {
            argv.push("--debug");
        }
        // Global options come before the subcommand (skopeo(1)).
        argv.flag(
            "--command-timeout",
            format!("{}s", (timeout + TIMEOUT_SLACK).as_secs()),
        );
        match self {
            Self::InspectRaw(request) => {
                argv.push("inspect").push("--raw");
                argv.access("", tls_verify(request.location()), options);
                argv.push(request.skopeo_source());
            }
            Self::InspectTag { location, name } => {
                argv.push("inspect").push("--raw");
                argv.access("", tls_verify(location), options);
                argv.push(location.skopeo_source(name));
            }
            Self::CopyIndex { request, to } => {
                argv.push("copy").push("--multi-arch=index-only");
                argv.access("src-", tls_verify(request.location()), options);
                argv.push(request.skopeo_source()).push(dir(to));
            }
            Self::InspectDir { from } => {
                argv.push("inspect").push("--raw").push(dir(from));
            }
            Self::ManifestDigest { file } => {
                // "./-x" is no flag; what is absolute stays as it is.
                argv.push("manifest-digest").push(Path::new(".").join(file));
            }
            Self::Version => return vec!["--version".into()],
        }
        argv.0
    }
}

/// Only a registry is asked over TLS.
fn tls_verify(source: &Location) -> TlsVerify {
    match source {
        Location::Docker { tls_verify } => *tls_verify,
        Location::ContainersStorage { .. } => TlsVerify::Unset,
    }
}

/// `dir:PATH`.
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

    /// `copy` names the options of its source `--src-…`.
    fn access(
        &mut self,
        prefix: &str,
        tls_verify: TlsVerify,
        options: &SkopeoOptions,
    ) -> &mut Self {
        if let Some(file) = &options.authfile {
            self.flag(format!("--{prefix}authfile"), file);
        }
        if let Some(dir) = &options.cert_dir {
            self.flag(format!("--{prefix}cert-dir"), dir);
        }
        match tls_verify {
            TlsVerify::Unset | TlsVerify::ItemTrue => self,
            TlsVerify::Always => self.flag(format!("--{prefix}tls-verify"), "true"),
            TlsVerify::Never => self.flag(format!("--{prefix}tls-verify"), "false"),
        }
    }
}
