//! Where a local container storage lies.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::escape;

/// The directory of a container storage: an absolute path that skopeo reads as
/// nothing but a path.
///
/// skopeo takes it in brackets, `[DRIVER@LOCATION+RUNROOT:OPTIONS]`, without a
/// way to quote: `]` would end it, `+` and `:` would extend it, and a `,` would
/// extend the options of the overlay mount that it tries there. And it creates
/// a location that doesn't exist, so that `..` must not lead astray.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorageLocation(String);

/// The most bytes of a location: Linux's `PATH_MAX`, which counts a final NUL.
pub const MAX_STORAGE_LOCATION_LEN: usize = 4095;

/// Why a text is not the location of a storage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageLocationError {
    /// Not a path from the root.
    #[error("the storage location is not an absolute path: begin it with \"/\"")]
    NotAbsolute,
    /// The root directory itself.
    #[error("the storage location is the root directory")]
    Root,
    /// `.` or `..` in it.
    #[error("the storage location has a \".\" or \"..\" in it: give the path that is meant")]
    Dots,
    /// A character that means something to skopeo, or that can't be shown as it is.
    #[error(
        "the storage location has the character \"{}\" in it, which skopeo or a terminal \
         takes for more than a part of a path",
        escape::Escaped(.0.encode_utf8(&mut [0; 4]))
    )]
    Character(char),
    /// Longer than a path may be.
    #[error("the storage location has {0} bytes, more than a path may have ({MAX_STORAGE_LOCATION_LEN})")]
    TooLong(usize),
}

impl StorageLocation {
    /// The directory.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The directory, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(text: String) -> Result<Self, StorageLocationError> {
        if !text.starts_with('/') {
            return Err(StorageLocationError::NotAbsolute);
        }
        if text.len() > MAX_STORAGE_LOCATION_LEN {
            return Err(StorageLocationError::TooLong(text.len()));
        }
        let escaped =
            |c: &char| escape::Escaped(c.encode_utf8(&mut [0; 4])).to_string() != c.to_string();
        let special = |c: &char| matches!(c, '[' | ']' | '+' | ':' | ',') || escaped(c);
        if let Some(c) = text.chars().find(special) {
            return Err(StorageLocationError::Character(c));
        }
        if text.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(StorageLocationError::Dots);
        }
        if text.bytes().all(|b| b == b'/') {
            return Err(StorageLocationError::Root);
        }
        Ok(Self(text))
    }
}

impl FromStr for StorageLocation {
    type Err = StorageLocationError;

    fn from_str(text: &str) -> Result<Self, StorageLocationError> {
        Self::read(text.to_owned())
    }
}

impl TryFrom<String> for StorageLocation {
    type Error = StorageLocationError;

    fn try_from(text: String) -> Result<Self, StorageLocationError> {
        Self::read(text)
    }
}

impl From<StorageLocation> for String {
    fn from(location: StorageLocation) -> Self {
        location.0
    }
}

impl fmt::Display for StorageLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StorageLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
