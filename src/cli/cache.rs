//! Where the cache is.

use std::path::PathBuf;

use super::output::CliError;
use super::precedence::Exclusive_;
use skopeo_index_core::osbuild::FILES;
use skopeo_index::store::{RealDisk, Store};

/// Where the cache is, and whom else it belongs to.
#[derive(Clone, Debug)]
pub(super) enum Cache {
    /// In the user's cache directory, ours alone.
    Default,
    /// Here, ours alone.
    At(PathBuf),
    /// In an osbuild store, with other sources' objects.
    InStore(PathBuf),
}

#[derive(Debug, clap::Args)]
pub(super) struct CacheOptions {
    /// The cache; by default skopeo-index in $XDG_CACHE_HOME or ~/.cache
    #[arg(long, value_name = "DIR", env = "SKOPEO_INDEX_CACHE")]
    cache: Option<PathBuf>,
    /// An osbuild store: the cache is its sources/org.osbuild.files
    #[arg(long, value_name = "DIR", env = "SKOPEO_INDEX_STORE")]
    store: Option<PathBuf>,
}

impl Exclusive_ for Cache {
    type Options = CacheOptions;

    fn of(
        CacheOptions { cache, store }: CacheOptions,
        typed: &dyn Fn(&str) -> bool,
    ) -> Result<Self, &'static str> {
        match (cache, store) {
            (None, None) => Ok(Self::Default),
            (Some(cache), None) => Ok(Self::At(cache)),
            (None, Some(store)) => Ok(Self::InStore(store)),
            (Some(cache), Some(store)) => match (typed("cache"), typed("store")) {
                (true, false) => Ok(Self::At(cache)),
                (false, true) => Ok(Self::InStore(store)),
                _ => Err("--cache and --store, or their variables: only one can be meant"),
            },
        }
    }
}

impl Cache {
    pub(super) fn open(&self) -> Result<Store<RealDisk>, CliError> {
        let root = match self {
            Self::Default => default()?,
            Self::At(cache) => cache.clone(),
            Self::InStore(store) => store.join("sources").join(FILES),
        };
        Ok(Store::new(root, RealDisk))
    }
}

fn default() -> Result<PathBuf, CliError> {
    let set = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|dir| dir.join("skopeo-index"))
        .ok_or_else(|| CliError::usage("HOME is not set: say where the cache is by --cache DIR"))
}
