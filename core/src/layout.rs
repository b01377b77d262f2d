//! Names below the directory of a cache, as the audit log's records have them.
//!
//! ```text
//! DIR/                                  a cache, or STORE/sources/org.osbuild.files
//! ├── sha256:<64 hex>                   an object, of this source or another
//! └── .skopeo-index/                    private
//!     ├── lock                          held while objects are quarantined or pruned, and names written
//!     ├── names                         what indexes were fetched by, and when they were used
//!     ├── quarantine/sha256:<64 hex>.N  corrupt objects
//!     └── staging-XXXXXX/               of one process
//!         ├── lock                      held while that process lives
//!         ├── N.object                  of one fetch, where a file needs a name to get its digest's
//!         ├── N.attempt-N/manifest.json where `skopeo copy` writes to
//!         └── N.verifier/index.json     the copy that a verifier is given
//! ```

use crate::digest::Digest;
use crate::machine::Staging;

/// The program's directory in a cache.
pub const PRIVATE_DIR: &str = ".skopeo-index";

/// The directory of corrupt objects, in [`PRIVATE_DIR`].
pub const QUARANTINE_DIR: &str = "quarantine";

/// What the name of a staging directory begins with. [`STAGING_RANDOM`] bytes in hexadecimal
/// follow.
pub const STAGING_PREFIX: &str = "staging-";

/// The number of random bytes in the name of a staging directory.
pub const STAGING_RANDOM: usize = 3;

/// The file of a `dir:` that holds the manifest.
pub const COPIED_MANIFEST: &str = "manifest.json";

/// What the name of a verifier's directory ends with.
pub(crate) const VERIFIER_SUFFIX: &str = ".verifier";

/// The name of a verifier's copy.
pub const VERIFIER_COPY: &str = "index.json";

/// A name that a process in the staging directory `dir` reserves for its fetch `number`.
#[must_use]
pub fn staging(dir: &str, number: u64) -> Staging {
    Staging::new(format!("{PRIVATE_DIR}/{dir}/{number}"))
}

/// The staged object of a fetch.
#[must_use]
pub fn staged_object(staging: &Staging) -> String {
    format!("{}.object", staging.as_str())
}

/// The directory that `skopeo copy` writes to in an attempt.
#[must_use]
pub fn attempt_dir(staging: &Staging, attempt: u32) -> String {
    format!("{}.attempt-{attempt}", staging.as_str())
}

/// The directory of a verifier's copy.
#[must_use]
pub fn verifier_dir(staging: &Staging) -> String {
    format!("{}{VERIFIER_SUFFIX}", staging.as_str())
}

/// The `number`th corrupt object of a digest, from 1.
#[must_use]
pub fn quarantined(digest: Digest, number: u32) -> String {
    format!("{PRIVATE_DIR}/{QUARANTINE_DIR}/{digest}.{number}")
}

/// A name in its directory.
#[must_use]
pub fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
