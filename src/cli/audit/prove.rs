//! `skopeo-index audit prove`.

use std::path::PathBuf;

use clap::ArgGroup;
use skopeo_index::audit_log::read_intact_log;
use skopeo_index_core::audit::{ConsistencyProof, InclusionProof, PathBuilder};

use super::checkpoint::sign;
use super::read_records;
use super::trust::{SigningArgs, read_checkpoint};
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
    /// Earlier checkpoint, for a consistency proof (RFC 6962)
    #[arg(long, value_name = "CHECKPOINT", group = "what")]
    from: Option<PathBuf>,
    #[command(flatten)]
    signing: SigningArgs,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let key = args.signing.read()?;
    let earlier = args.from.as_deref().map(read_checkpoint).transpose()?;
    let earlier = earlier.as_ref().map(|saved| saved.checkpoint());
    let checkpoint = read_intact_log(&args.file, earlier)?;
    let signed = sign(key.as_ref(), checkpoint.clone(), &args.file)?;
    let old_size = earlier.map_or(0, |earlier| earlier.size);
    let mut builder = match args.seq {
        Some(seq) if seq >= checkpoint.size => {
            let reason = format!("no record {seq}");
            return Err(CliError::file(ExitStatus::NotFound, &args.file, reason));
        }
        Some(seq) => PathBuilder::inclusion(seq, checkpoint.size),
        None => PathBuilder::consistency(old_size, checkpoint.size),
    };
    read_records(&args.file, &checkpoint, |line| {
        builder.push(line.leaf_hash());
        Ok(())
    })?;
    let (path, checkpoint) = (builder.into_path(), signed);
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
