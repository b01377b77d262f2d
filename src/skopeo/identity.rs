//! Identity of the skopeo binary.

use std::time::Duration;

use skopeo_index_core::audit::SkopeoIdentity;
use skopeo_index_core::escape::{json_text, truncate_message};
use skopeo_index_core::machine::EffectError;
use skopeo_index_core::skopeo::{SkopeoCommand, SkopeoOptions};

use super::{CommandRunner, Skopeo};
use crate::command::{hash_program, is_path};
use crate::os::CancelToken;

/// Timeout of `skopeo --version`.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Identifies the program that a runner runs. What can't be determined is left empty.
#[must_use]
pub fn identify(runner: &dyn CommandRunner, cancel: &CancelToken) -> SkopeoIdentity {
    let program = runner.program();
    // A name that was not found on `PATH` is not a file in the current directory.
    let path = is_path(program).then_some(program);
    let path = path.and_then(|program| std::path::absolute(program).ok());
    let version = version(runner, cancel).unwrap_or_default();
    SkopeoIdentity {
        sha256: path.as_ref().and_then(|it| hash_program(it, cancel).ok()),
        path: json_text(path.as_deref().unwrap_or(program)),
        version,
    }
}

/// What `skopeo --version` prints, truncated.
///
/// # Errors
/// Where the program can't be run to its end, or fails.
pub fn version(runner: &dyn CommandRunner, cancel: &CancelToken) -> Result<String, EffectError> {
    let skopeo = Skopeo {
        runner,
        options: &SkopeoOptions::default(),
        command_timeout: VERSION_TIMEOUT,
    };
    let version = skopeo.run(&SkopeoCommand::Version, None, cancel, &mut None)?;
    Ok(truncate_message(String::from_utf8_lossy(&version).trim()))
}
