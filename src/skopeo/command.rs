//! skopeo's commands, typed, and their arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::request::{Request, Source, TlsVerify};

/// A command of skopeo's. The arguments come from here and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `skopeo inspect --raw SOURCE`: print the manifest's bytes.
    InspectRaw(&'a Request),
    /// `skopeo inspect --raw docker://NAME:TAG`, to learn a tag's digest.
    InspectTag {
        /// `docker://NAME[:TAG]` or `containers-storage:…`, from parsed parts.
        source: &'a str,
        /// Whether the registry's certificate is checked.
        tls_verify: TlsVerify,
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
pub struct Options {
    /// `--authfile`.
    pub authfile: Option<PathBuf>,
    /// `--cert-dir`.
    pub cert_dir: Option<PathBuf>,
    /// Whether skopeo writes its own debugging lines.
    pub debug: Debug,
}

/// Whether skopeo writes its own debugging lines to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Debug {
    /// It doesn't.
    #[default]
    Off,
    /// It does (`--debug`).
    On,
}

/// How much later than ours skopeo's own timeout fires: it is there for the
/// case that we are gone and skopeo isn't.
const TIMEOUT_SLACK: Duration = Duration::from_secs(5);

impl Command<'_> {
    /// The arguments, without the program's name. `timeout` is ours; skopeo is
    /// given a little more.
    #[must_use]
    pub fn argv(&self, options: &Options, timeout: Duration) -> Vec<OsString> {
        let mut argv = Argv(Vec::with_capacity(10));
        if options.debug == Debug::On {
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
                argv.access("", tls_verify(request.source()), options);
                argv.push(request.skopeo_source());
            }
            Self::InspectTag { source, tls_verify } => {
                argv.push("inspect")
                    .push("--raw")
                    .access("", *tls_verify, options)
                    .push(*source);
            }
            Self::CopyIndex { request, to } => {
                argv.push("copy").push("--multi-arch=index-only");
                argv.access("src-", tls_verify(request.source()), options);
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
fn tls_verify(source: &Source) -> TlsVerify {
    match source {
        Source::Docker { tls_verify } => *tls_verify,
        Source::ContainersStorage { .. } => TlsVerify::AsConfigured,
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
    fn access(&mut self, prefix: &str, tls_verify: TlsVerify, options: &Options) -> &mut Self {
        if let Some(file) = &options.authfile {
            self.flag(format!("--{prefix}authfile"), file);
        }
        if let Some(dir) = &options.cert_dir {
            self.flag(format!("--{prefix}cert-dir"), dir);
        }
        match tls_verify {
            TlsVerify::AsConfigured | TlsVerify::Expected => self,
            TlsVerify::Require => self.flag(format!("--{prefix}tls-verify"), "true"),
            TlsVerify::Skip => self.flag(format!("--{prefix}tls-verify"), "false"),
        }
    }
}
