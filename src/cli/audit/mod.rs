//! `skopeo-index audit`.

mod export;
mod prove;
mod rotate;
mod show;
mod verify;

use std::path::PathBuf;

use clap::{ArgGroup, Subcommand};
use skopeo_index::audit_log::read_intact_log;
use skopeo_index_core::digest::Digest;

use super::exit::ExitStatus;
use super::options::Format;
use super::output::{self, CliError};

/// Verify, show and export an audit log
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    subcommand: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Verify the hash chain, numbering and format, and replay every fetch
    Verify {
        /// The log, or several of which each continues the one before it; not needed with --proof
        #[arg(required_unless_present = "proof")]
        files: Vec<PathBuf>,
        /// Rehash every object that was committed to this cache
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
        /// Check against a saved checkpoint: nothing was removed or changed since
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// Check that the record of this proof is in the log of the checkpoint
        #[arg(long, value_name = "FILE", requires = "checkpoint", conflicts_with_all = ["files", "cache"])]
        proof: Option<PathBuf>,
        /// Output format
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// List completed fetches
    ///
    /// Verifies the log as `verify` does, and reports on stderr what is wrong with it.
    Show(show::Args),
    /// Print the log's size and Merkle root, to store elsewhere
    Checkpoint {
        /// The log
        file: PathBuf,
    },
    /// End a log and continue it in a new one
    ///
    /// The log is kept under another name; a new log, at the name of the old one, begins with
    /// its checkpoint. Programs that write to the log continue in the new one.
    Rotate {
        /// The log
        file: PathBuf,
        /// Name that the log is kept at, in its directory [default: the first free FILE.N]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Print a proof that a record is in the log
    Prove {
        /// The log
        file: PathBuf,
        /// Sequence number of the record
        #[arg(long, value_name = "N")]
        seq: u64,
    },
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
        AuditCommand::Verify {
            files,
            cache,
            checkpoint,
            proof,
            format,
        } => match (proof, checkpoint.as_deref()) {
            (Some(proof), Some(checkpoint)) => prove::check(proof, checkpoint, *format),
            (_, checkpoint) => verify::run(files, cache.as_deref(), checkpoint, *format),
        },
        AuditCommand::Rotate { file, to } => rotate::run(file, to.as_deref()),
        AuditCommand::Show(args) => show::run(args),
        AuditCommand::Checkpoint { file } => {
            let checkpoint = read_intact_log(file)?.to_string();
            output::line(checkpoint.trim_end())?;
            Ok(ExitStatus::Success)
        }
        AuditCommand::Prove { file, seq } => prove::run(file, *seq),
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
