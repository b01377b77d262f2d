//! `skopeo-index audit`.

mod checkpoint;
mod export;
mod proof;
mod prove;
mod show;
mod trust;
mod verify;

use std::path::PathBuf;

use clap::{ArgGroup, Subcommand};
use skopeo_index_core::digest::Digest;

pub(super) use self::trust::SigningArgs;
use super::exit::ExitStatus;
use super::output::CliError;

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
    Prove(prove::Args),
    Tiles(checkpoint::TilesArgs),
    /// Export fetches as in-toto statements, one JSON document per line
    #[command(group = ArgGroup::new("which").required(true))]
    Export {
        /// The log
        file: PathBuf,
        /// As in-toto Statement v1 with a SLSA verification summary
        #[arg(long, required = true)]
        in_toto: bool,
        /// The fetches of this digest
        #[arg(long, group = "which")]
        digest: Option<Digest>,
        /// The fetch that ended with this record
        #[arg(long, value_name = "N", group = "which")]
        seq: Option<u64>,
        /// All fetches
        #[arg(long, group = "which")]
        all: bool,
        /// Output file [default: stdout]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    match &args.subcommand {
        AuditCommand::Verify(args) => verify::run(args),
        AuditCommand::Show(args) => show::run(args),
        AuditCommand::Checkpoint(args) => checkpoint::checkpoint(args),
        AuditCommand::Keygen(args) => checkpoint::keygen(args),
        AuditCommand::Prove(args) => prove::run(args),
        AuditCommand::Tiles(args) => checkpoint::tiles(args),
        AuditCommand::Export {
            file,
            digest,
            seq,
            output,
            ..
        } => {
            let filter = export::ExportFilter {
                digest: *digest,
                seq: *seq,
            };
            export::run(file, filter, output.as_deref())
        }
    }
}
