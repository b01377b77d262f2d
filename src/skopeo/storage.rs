//! Container storages of this machine.

use std::io::ErrorKind;

use skopeo_index_core::escape::truncate_message;
use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::request::Location;

/// Checks that a container storage exists before skopeo is run: skopeo creates a missing
/// one.
///
/// # Errors
/// Where it doesn't exist, or can't be looked at.
pub fn check_storage_exists(location: &Location) -> Result<(), EffectError> {
    let Location::ContainersStorage {
        location: Some(storage),
    } = location
    else {
        return Ok(());
    };
    // skopeo may create the run root: it is empty after a boot.
    let graph_root = storage.graph_root();
    let not_found = |reason: &str| EffectError::Command {
        kind: FailureKind::NotFound,
        message: format!("no container storage at {}{reason}", graph_root.display()),
    };
    match std::fs::metadata(graph_root) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(not_found(": not a directory")),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(not_found("")),
        Err(error) => Err(EffectError::Disk {
            error: error.to_string(),
            operation: "stat".to_owned(),
            path: truncate_message(&graph_root.to_string_lossy()),
        }),
    }
}
