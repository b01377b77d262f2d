//! Container storages of this machine.

use std::io::ErrorKind;

use crate::machine::{Class, Trouble};
use crate::request::Source;
use crate::text::shortened;

/// Whether a source's storage is there, before skopeo is asked: it creates one
/// that isn't.
///
/// # Errors
/// [`Trouble`] where it isn't, or can't be seen.
pub fn storage_is_there(source: &Source) -> Result<(), Trouble> {
    let Source::ContainersStorage {
        location: Some(location),
    } = source
    else {
        return Ok(());
    };
    let missing = |what: &str| Trouble::Command {
        class: Class::NotFound,
        message: format!("there is no container storage at {location}{what}"),
    };
    match std::fs::metadata(location.as_path()) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(missing(": it is not a directory")),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(missing("")),
        Err(error) => Err(Trouble::Disk {
            doing: "look at".to_owned(),
            error: error.to_string(),
            path: shortened(location.as_str()),
        }),
    }
}
