//! `skopeo-index audit prove`.

use std::path::PathBuf;

use clap::ArgGroup;
use skopeo_index::audit_log::read_intact_log;
use skopeo_index::units::Count;
use skopeo_index_core::audit::{ConsistencyProof, InclusionProof, PathBuilder, SavedCheckpoint};

use super::checkpoint::sign;
use super::read_records;
use super::trust::{SigningArgs, read_checkpoint};
use crate::cli::exclusive::Exclusive;
use crate::cli::exit::ExitStatus;
use crate::cli::output::{self, CliError};

/// Print a proof that a record is in the log, or that the log extends an earlier checkpoint
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").required(true))]
pub(super) struct Args {
    /// The log
    file: PathBuf,
    /// Sequence number of the record, for a C2SP tlog-proof
    #[arg(long, value_name = "N", group = "what")]
    seq: Option<u64>,
    /// Saved checkpoint that the proof of --seq is for, unchanged in it [default: a new one]
    #[arg(long, value_name = "CHECKPOINT", conflicts_with = "from")]
    checkpoint: Option<PathBuf>,
    /// Earlier checkpoint, for a consistency proof (RFC 6962)
    #[arg(long, value_name = "CHECKPOINT", group = "what")]
    from: Option<PathBuf>,
    #[command(flatten)]
    signing: Exclusive<SigningArgs>,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let key = match &args.checkpoint {
        Some(_) => {
            let conflict = "--signing-key and --checkpoint can't be combined: the proof has the \
                            checkpoint as it is";
            args.signing.0.reject_option(conflict)?;
            None
        }
        None => args.signing.0.read()?,
    };
    let saved = args.checkpoint.as_ref().or(args.from.as_ref());
    let saved = saved.map(|file| read_checkpoint(file)).transpose()?;
    let earlier = saved.as_ref().map(SavedCheckpoint::checkpoint);
    let old_size = earlier.map_or(0, |earlier| earlier.size);
    let present = read_intact_log(&args.file, earlier)?;
    let proven = match saved {
        Some(saved) if args.checkpoint.is_some() => saved,
        _ => sign(key.as_ref(), present, &args.file)?,
    };
    let checkpoint = proven.checkpoint();
    let mut builder = match args.seq {
        Some(seq) if seq >= checkpoint.size => {
            let records = Count(checkpoint.size, "record");
            let reason = format!("no record {seq} in the log of {records}");
            return Err(CliError::file(ExitStatus::NotFound, &args.file, reason));
        }
        Some(seq) => PathBuilder::inclusion(seq, checkpoint.size),
        None => PathBuilder::consistency(old_size, checkpoint.size),
    };
    read_records(&args.file, checkpoint, |line| {
        builder.push(line.leaf_hash());
        Ok(())
    })?;
    let (path, checkpoint) = (builder.into_path(), proven);
    let proof = match args.seq {
        Some(index) => InclusionProof {
            index,
            path,
            checkpoint,
        }
        .to_string(),
        None => ConsistencyProof {
            old_size,
            path,
            checkpoint,
        }
        .to_string(),
    };
    output::bytes(proof.into_bytes())
}
