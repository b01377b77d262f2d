//! `skopeo-index audit`.

mod export;
mod objects;
mod prove;
mod read;
mod show;
mod verify;

use std::path::PathBuf;

use clap::{ArgGroup, Subcommand};

use super::exit::ExitStatus;
use super::options::Format;
use super::output::{self, CliError};
use skopeo_index_core::digest::Digest;

/// Check, show and export an audit log
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check chain, sequence and form, replay every fetch
    Verify {
        /// The log; may be left out with --proof
        #[arg(required_unless_present = "proof")]
        file: Option<PathBuf>,
        /// Rehash every object that was committed to this cache
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
        /// What `audit checkpoint` printed before: nothing was cut or changed since
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// What `audit prove` printed: its record is in the log of the checkpoint
        #[arg(long, value_name = "FILE", requires = "checkpoint", conflicts_with_all = ["file", "cache"])]
        proof: Option<PathBuf>,
        /// How it is printed
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// List the fetches that have ended
    ///
    /// Checks the log as `verify` does, and tells on stderr what isn't sound.
    Show(show::Args),
    /// Print how much there is and its root, to be kept elsewhere
    Checkpoint {
        /// The log
        file: PathBuf,
    },
    /// Print a proof that a record is in the log
    Prove {
        /// The log
        file: PathBuf,
        /// The record's number
        #[arg(long, value_name = "N")]
        seq: u64,
    },
    /// Print fetches as statements, a JSON document a line
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
        /// Where to; stdout without it
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    match &args.command {
        Command::Verify {
            file,
            cache,
            checkpoint,
            proof,
            format,
        } => match (proof, checkpoint.as_deref(), file) {
            (Some(proof), Some(checkpoint), _) => prove::check(proof, checkpoint, *format),
            (_, checkpoint, Some(file)) => verify::run(file, cache.as_deref(), checkpoint, *format),
            _ => Err(CliError::usage("say which log")),
        },
        Command::Show(args) => show::run(args),
        Command::Checkpoint { file } => {
            let checkpoint = read::sound(file)?.to_string();
            output::line(checkpoint.trim_end())?;
            Ok(ExitStatus::Done)
        }
        Command::Prove { file, seq } => prove::run(file, *seq),
        Command::Export {
            file,
            digest,
            seq,
            output,
            ..
        } => {
            // One of the three was given.
            let which = export::ExportFilter {
                digest: *digest,
                seq: *seq,
            };
            export::run(file, which, output.as_deref())
        }
    }
}
