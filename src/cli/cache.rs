//! `--cache` and `--store`.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;

use skopeo_index::store::Store;
use skopeo_index_core::escape::EscapedPath;
use skopeo_index_core::osbuild::FILES;

use super::exclusive::ExclusiveOptions;
use super::exit::ExitStatus;
use super::output::CliError;

/// Where the cache is, and whether other sources use it.
#[derive(Clone, Debug)]
pub(super) enum CacheLocation {
    /// In the user's cache directory.
    Default,
    /// In this directory.
    Dir(PathBuf),
    /// In an osbuild store, with objects of other sources.
    InStore(PathBuf),
}

#[derive(Debug, clap::Args)]
pub(super) struct CacheOptions {
    /// Cache directory [default: skopeo-index in $XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "DIR", env = "SKOPEO_INDEX_CACHE")]
    cache: Option<PathBuf>,
    /// osbuild store; the cache is its sources/org.osbuild.files
    #[arg(long, value_name = "DIR", env = "SKOPEO_INDEX_STORE")]
    store: Option<PathBuf>,
}

impl ExclusiveOptions for CacheLocation {
    type Options = CacheOptions;

    fn select(
        CacheOptions { cache, store }: CacheOptions,
        on_command_line: &dyn Fn(&str) -> bool,
    ) -> Result<Self, &'static str> {
        match (cache, store) {
            (None, None) => Ok(Self::Default),
            (Some(cache), None) => Ok(Self::Dir(cache)),
            (None, Some(store)) => Ok(Self::InStore(store)),
            (Some(cache), Some(store)) => {
                match (on_command_line("cache"), on_command_line("store")) {
                    (true, false) => Ok(Self::Dir(cache)),
                    (false, true) => Ok(Self::InStore(store)),
                    _ => Err(
                        "--cache and --store can't be combined (check SKOPEO_INDEX_CACHE \
                              and SKOPEO_INDEX_STORE)",
                    ),
                }
            }
        }
    }
}

impl CacheLocation {
    pub(super) fn open(&self) -> Result<Store, CliError> {
        let dir = match self {
            Self::Default => default_dir()?,
            Self::Dir(cache) => cache.clone(),
            Self::InStore(store) => store.join("sources").join(FILES),
        };
        let reason = match dir.metadata() {
            Ok(metadata) if !metadata.is_dir() => "is not a directory",
            Err(error) if error.kind() == ErrorKind::NotADirectory => "is below a file",
            _ => return Ok(Store::at(dir)),
        };
        let message = format!("the cache {} {reason}", EscapedPath(&dir));
        Err(CliError::usage(message))
    }

    /// Opens the cache, which must exist.
    pub(super) fn open_existing(&self) -> Result<Store, CliError> {
        let store = self.open()?;
        match std::fs::metadata(store.root()) {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(CliError::new(
                ExitStatus::NotFound,
                format!("no cache at {}", EscapedPath(store.root())),
            )),
            // Listing it reports any other error.
            _ => Ok(store),
        }
    }

    /// Whether other sources keep objects in it.
    pub(super) const fn is_shared(&self) -> bool {
        matches!(self, Self::InStore(_))
    }

    /// The option that selects this cache, for a command in a hint.
    pub(super) fn option(&self) -> Vec<OsString> {
        match self {
            Self::Default => Vec::new(),
            Self::Dir(cache) => vec!["--cache".into(), cache.into()],
            Self::InStore(store) => vec!["--store".into(), store.into()],
        }
    }
}

fn default_dir() -> Result<PathBuf, CliError> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|dir| dir.join("skopeo-index"))
        .ok_or_else(|| CliError::usage("HOME is not set; pass the cache with --cache DIR"))
}
