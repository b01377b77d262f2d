//! `skopeo-index --version`, in the long form.

use std::path::PathBuf;

use skopeo_index::skopeo::{CommandRunner, SkopeoBinary, version};
use skopeo_index_core::escape::{Escaped, EscapedPath};
use skopeo_index_core::machine::{EffectError, FailureKind};

use super::options::{DEFAULT_SKOPEO, cancel_token};
use super::output::CliError;

/// The commit that the program was built from, where that is known.
const COMMIT: Option<&str> = option_env!("SKOPEO_INDEX_COMMIT");

/// Name and version, the commit, the engines, and the skopeo that would run.
pub(super) fn long(name_and_version: &str) -> Result<String, CliError> {
    let commit = COMMIT.filter(|commit| !commit.is_empty());
    let chosen = std::env::var_os("SKOPEO_INDEX_SKOPEO").filter(|path| !path.is_empty());
    let program = chosen.map_or_else(|| DEFAULT_SKOPEO.into(), PathBuf::from);
    let binary = SkopeoBinary::new(program);
    let path = EscapedPath(binary.program());
    // It ends at its own timeout, or with this process.
    let skopeo = match version(&binary, &cancel_token(None)?) {
        Ok(version) => {
            let first = version.lines().next().unwrap_or_default();
            format!("{path}, {}", Escaped(first))
        }
        Err(EffectError::Command {
            kind: FailureKind::SkopeoNotFound,
            ..
        }) => format!("{path} not found"),
        Err(error) => format!("{path}: {error}"),
    };
    Ok(format!(
        "{name_and_version}\ncommit: {}\nengines: registry, skopeo\nskopeo: {skopeo}",
        commit.unwrap_or("unknown")
    ))
}
