//! `skopeo-index audit keygen`, `audit checkpoint` and `audit tiles`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use skopeo_index::audit_log::{TilesError, read_intact_log, sync_log, write_tiles};
use skopeo_index::signing::{SigningKey, SigningKeyError, sign_checkpoint};
use skopeo_index::units::Count;
use skopeo_index_core::audit::{Checkpoint, KeyName, SavedCheckpoint};

use super::trust::SigningArgs;
use crate::cli::exclusive::Exclusive;
use crate::cli::exit::ExitStatus;
use crate::cli::output::{self, CliError};

/// Create a key that checkpoints are signed with, and print its verifier key
///
/// The name should be the log's origin (see `fetch --origin`). Without --name, prints the
/// verifier key of an existing key.
#[derive(Debug, clap::Args)]
pub(super) struct KeygenArgs {
    /// File for the secret key, which must not exist with --name
    file: PathBuf,
    /// Name of the key, such as example.com/builds
    #[arg(long)]
    name: Option<KeyName>,
}

pub(super) fn keygen(args: &KeygenArgs) -> Result<(), CliError> {
    let key = match &args.name {
        Some(name) => SigningKey::create(name.clone(), &args.file)?,
        None => SigningKey::read(&args.file).map_err(|error| match error {
            SigningKeyError::Io(error) if error.is(ErrorKind::NotFound) => {
                CliError::usage(format!("{error}; to create a key, give it a --name"))
            }
            error => error.into(),
        })?,
    };
    output::line(&key.verifier_key().to_string())
}

/// Print the log's size and Merkle root, to store elsewhere
#[derive(Debug, clap::Args)]
pub(super) struct CheckpointArgs {
    /// The log
    file: PathBuf,
    #[command(flatten)]
    signing: Exclusive<SigningArgs>,
}

pub(super) fn checkpoint(args: &CheckpointArgs) -> Result<(), CliError> {
    let key = args.signing.0.read()?;
    let saved = sign(key.as_ref(), read_intact_log(&args.file, None)?, &args.file)?;
    output::bytes(saved.to_string().into_bytes())
}

/// Signs a checkpoint of a log, if there is a key.
pub(super) fn sign(
    key: Option<&SigningKey>,
    checkpoint: Checkpoint,
    log: &Path,
) -> Result<SavedCheckpoint, CliError> {
    if key.is_some() {
        sync_log(log)?;
    }
    sign_checkpoint(key, checkpoint).map_err(|error| CliError::other(error.to_string()))
}

/// Write the log as C2SP tlog-tiles, for a static web server
///
/// Adds what the log has more than the directory, and the checkpoint last. A directory with
/// tiles of another log is refused.
#[derive(Debug, clap::Args)]
pub(super) struct TilesArgs {
    /// The log
    file: PathBuf,
    /// Directory of the tiles
    dir: PathBuf,
    #[command(flatten)]
    signing: Exclusive<SigningArgs>,
}

pub(super) fn tiles(args: &TilesArgs) -> Result<(), CliError> {
    let key = args.signing.0.read()?;
    let checkpoint =
        write_tiles(&args.file, &args.dir, key.as_ref()).map_err(|error| match error {
            TilesError::Log(error) => error.into(),
            TilesError::LongLine(error) => CliError::file(ExitStatus::Other, &args.file, error),
            TilesError::Checkpoint(error) => CliError::usage(error.to_string()),
            error => CliError::other(error.to_string()),
        })?;
    let records = Count(checkpoint.size, "record");
    output::line(&format!(
        "{}: tiles of {records}",
        checkpoint.origin.as_str()
    ))
}
