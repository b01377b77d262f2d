//! Errors of the system, with the path that it refused something to.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use skopeo_index_core::escape::{EscapedPath, json_text, truncate_message};
use skopeo_index_core::machine::EffectError;

/// The system refused an operation.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {error}", EscapedPath(.path))]
pub struct PathError {
    /// The operation, as an infinitive.
    pub operation: &'static str,
    /// The path that it was applied to.
    pub path: PathBuf,
    /// The system's error.
    pub error: io::Error,
}

impl PathError {
    /// Adds operation and path to an error.
    pub fn new(operation: &'static str, path: &Path, error: impl Into<io::Error>) -> Self {
        let (path, error) = (path.to_owned(), error.into());
        Self {
            operation,
            path,
            error,
        }
    }

    /// Whether the system refused it for this reason.
    #[must_use]
    pub fn is(&self, kind: ErrorKind) -> bool {
        self.error.kind() == kind
    }

    /// Gave up after too many conflicts with other processes.
    pub(crate) fn contended(operation: &'static str, path: &Path) -> Self {
        let error = io::Error::new(ErrorKind::ResourceBusy, "too many concurrent changes");
        Self::new(operation, path, error)
    }
}

/// Adds operation and path to the error of a result.
pub trait PathContext<T> {
    /// Names the operation, as an infinitive, and the path.
    ///
    /// # Errors
    /// That of the result.
    fn context(self, operation: &'static str, path: &Path) -> Result<T, PathError>;
}

impl<T, E: Into<io::Error>> PathContext<T> for Result<T, E> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, PathError> {
        self.map_err(|error| PathError::new(operation, path, error))
    }
}

impl From<PathError> for EffectError {
    fn from(error: PathError) -> Self {
        Self::Disk {
            error: error.error.to_string(),
            operation: error.operation.to_owned(),
            path: truncate_message(&json_text(&error.path)),
        }
    }
}
