//! `skopeo-index audit prove`.

use std::path::{Path, PathBuf};

use clap::ArgGroup;
use skopeo_index::audit_log::{ReadError, read_intact_log, read_lines};
use skopeo_index_core::audit::{
    Checkpoint, CompactRange, ConsistencyProof, InclusionProof, NodeHash, ParsedLine, PathBuilder,
};

use super::checkpoint::sign;
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

pub(super) fn run(args: &Args) -> Result<ExitStatus, CliError> {
    let key = args.signing.read()?;
    let earlier = args.from.as_deref().map(read_checkpoint).transpose()?;
    let earlier = earlier.as_ref().map(|saved| saved.checkpoint());
    let checkpoint = read_intact_log(&args.file, earlier)?;
    let signed = sign(key.as_ref(), checkpoint.clone(), &args.file)?;
    let proof = match (args.seq, earlier) {
        (Some(seq), _) if seq >= checkpoint.size => {
            let reason = format!("no record {seq}");
            return Err(CliError::file(ExitStatus::NotFound, &args.file, reason));
        }
        (Some(index), _) => InclusionProof {
            index,
            path: path(
                &args.file,
                &checkpoint,
                PathBuilder::inclusion(index, checkpoint.size),
            )?,
            checkpoint: signed,
        }
        .to_string(),
        (None, earlier) => {
            let old_size = earlier.map_or(0, |earlier| earlier.size);
            ConsistencyProof {
                old_size,
                path: path(
                    &args.file,
                    &checkpoint,
                    PathBuilder::consistency(old_size, checkpoint.size),
                )?,
                checkpoint: signed,
            }
            .to_string()
        }
    };
    output::bytes(proof.into_bytes())?;
    Ok(ExitStatus::Success)
}

/// Computes a path from the log as it was verified.
fn path(
    log: &Path,
    checkpoint: &Checkpoint,
    mut builder: PathBuilder,
) -> Result<Vec<NodeHash>, CliError> {
    let mut tree = CompactRange::default();
    read_lines(log, |line: &ParsedLine| {
        // Another process may append.
        if tree.size() < checkpoint.size {
            tree.push(line.leaf_hash());
            builder.push(line.leaf_hash());
        }
        Ok::<_, CliError>(())
    })?;
    if tree.root() != checkpoint.root {
        return Err(ReadError::Changed(log.to_owned()).into());
    }
    Ok(builder.into_path())
}
