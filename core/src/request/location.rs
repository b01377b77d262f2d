//! Directories of local container storages.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::escape;

/// Directories of a container storage: `GRAPHROOT`, or `GRAPHROOT+RUNROOT`. Each is an
/// absolute path without characters that are special to skopeo.
///
/// skopeo takes them in brackets, `[DRIVER@GRAPHROOT+RUNROOT:OPTIONS]`, without quoting: `]`
/// would end them, `+` and `:` would start the next part, and `,` would start an option of
/// the overlay mount that skopeo tries there. skopeo creates missing directories, so `..`
/// is rejected as well.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct StorageLocation(String);

/// Limit of each directory in bytes: Linux's `PATH_MAX` without the final NUL.
pub const MAX_STORAGE_LOCATION_LEN: usize = 4095;

/// Why a text is not a storage location.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageLocationError {
    /// A path is relative.
    #[error(
        "storage location is not an absolute path, or two joined by \"+\": start each with \"/\""
    )]
    NotAbsolute,
    /// A path is the root directory.
    #[error("storage location is the root directory")]
    Root,
    /// A path has a component `.` or `..`.
    #[error("storage location has a component \".\" or \"..\": use the path without it")]
    Dots,
    /// A path has a character that is special to skopeo, or that must be escaped.
    #[error(
        "storage location has the character \"{}\", which is special to skopeo or a terminal",
        escape::Escaped(.0.encode_utf8(&mut [0; 4]))
    )]
    Character(char),
    /// A path has this many bytes, more than [`MAX_STORAGE_LOCATION_LEN`].
    #[error("storage location has {0} bytes, the limit is {MAX_STORAGE_LOCATION_LEN}")]
    TooLong(usize),
}

impl StorageLocation {
    /// The directory of images and layers. The run root, if any, has only locks and mounts.
    #[must_use]
    pub fn graph_root(&self) -> &Path {
        let graph_and_run = self.0.split_once('+');
        Path::new(graph_and_run.map_or(self.as_str(), |(graph, _)| graph))
    }

    /// The directories, as in the input.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_directory(path: &str) -> Result<(), StorageLocationError> {
    if !path.starts_with('/') {
        return Err(StorageLocationError::NotAbsolute);
    }
    if path.len() > MAX_STORAGE_LOCATION_LEN {
        return Err(StorageLocationError::TooLong(path.len()));
    }
    let escaped =
        |c: &char| escape::Escaped(c.encode_utf8(&mut [0; 4])).to_string() != c.to_string();
    let special = |c: &char| matches!(c, '[' | ']' | '+' | ':' | ',') || escaped(c);
    if let Some(c) = path.chars().find(special) {
        return Err(StorageLocationError::Character(c));
    }
    if path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(StorageLocationError::Dots);
    }
    if path.bytes().all(|b| b == b'/') {
        return Err(StorageLocationError::Root);
    }
    Ok(())
}

impl TryFrom<String> for StorageLocation {
    type Error = StorageLocationError;

    fn try_from(text: String) -> Result<Self, StorageLocationError> {
        text.splitn(2, '+').try_for_each(check_directory)?;
        Ok(Self(text))
    }
}

impl FromStr for StorageLocation {
    type Err = StorageLocationError;

    fn from_str(text: &str) -> Result<Self, StorageLocationError> {
        Self::try_from(text.to_owned())
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
