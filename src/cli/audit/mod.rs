//! `skopeo-index audit`.

mod checkpoint;
mod export;
mod proof;
mod prove;
mod rotate;
mod show;
mod trust;
mod verify;

use std::path::Path;

use clap::Subcommand;
use skopeo_index::audit_log::{OpenRuns, ReadError, read_lines};
use skopeo_index::units::Count;
use skopeo_index_core::audit::{Checkpoint, CompactRange, ParsedLine};

pub(super) use self::trust::SigningArgs;
use super::exit::ExitStatus;
use super::output::{self, CliError};

/// Verify, show and export an audit log
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    subcommand: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    Verify(verify::Args),
    /// List completed fetches
    ///
    /// Verifies the log as `verify` does, and reports on stderr what is wrong with it.
    Show(show::Args),
    Checkpoint(checkpoint::CheckpointArgs),
    Keygen(checkpoint::KeygenArgs),
    Rotate(rotate::Args),
    Prove(prove::Args),
    Tiles(checkpoint::TilesArgs),
    Export(export::Args),
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    match &args.subcommand {
        AuditCommand::Verify(args) => return verify::run(args),
        AuditCommand::Show(args) => return show::run(args),
        AuditCommand::Rotate(args) => rotate::run(args),
        AuditCommand::Checkpoint(args) => checkpoint::checkpoint(args),
        AuditCommand::Keygen(args) => checkpoint::keygen(args),
        AuditCommand::Prove(args) => prove::run(args),
        AuditCommand::Tiles(args) => checkpoint::tiles(args),
        AuditCommand::Export(args) => export::run(args),
    }?;
    Ok(ExitStatus::Success)
}

/// Says that fetches are left out, because the `run` records are in a log that was not given.
fn print_left_out(runs: &OpenRuns) {
    let count = runs.of_earlier_runs;
    if count > 0 {
        output::print_stderr(&format!(
            "left out {} of runs that began in a rotated log: give that one as well, before this \
             one",
            Count(count, "fetch")
        ));
    }
}

/// Passes the records of a checkpoint to `take`, and not those that another process appends.
fn read_records(
    log: &Path,
    checkpoint: &Checkpoint,
    mut take: impl FnMut(&ParsedLine) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut tree = CompactRange::default();
    read_lines(log, |line| {
        if tree.size() == checkpoint.size {
            return Ok(());
        }
        tree.push(line.leaf_hash());
        take(line)
    })?;
    if tree.root() != checkpoint.root {
        return Err(ReadError::Changed(log.to_owned()).into());
    }
    Ok(())
}
