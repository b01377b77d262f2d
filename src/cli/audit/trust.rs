//! Saved checkpoints, and the keys that they have to be signed with.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skopeo_index::os::{open_nonblocking, read_all};
use skopeo_index::signing::{SigningKey, SigningKeyError, is_valid_signature};
use skopeo_index_core::audit::{
    MAX_NOTE_LEN, MAX_PROOF_LEN, SavedCheckpoint, SignatureError, VerifierKey, VerifierKeys,
};
use skopeo_index_core::escape::Escaped;

use crate::cli::exclusive::ExclusiveOptions;
use crate::cli::exit::ExitStatus;
use crate::cli::output::{self, CliError};

/// Limit of a file of keys in bytes: some hundreds of them.
const MAX_KEYS_FILE: usize = 64 << 10;

/// Which checkpoints are trusted.
#[derive(Debug, clap::Args)]
pub(super) struct KeyArgs {
    /// Key that the checkpoint must be signed with, or a file of such keys, one per line;
    /// repeatable: one of them suffices
    #[arg(long = "key", value_name = "VKEY|FILE")]
    keys: Vec<String>,
}

impl KeyArgs {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn read(&self) -> Result<Trust, CliError> {
        if self.is_empty() {
            return Ok(Trust(None));
        }
        let mut keys = Vec::new();
        for text in &self.keys {
            match text.parse() {
                Ok(key) => keys.push(key),
                // What looks like a key is not tried as a file's name.
                Err(error) if text.contains('+') && !Path::new(text).exists() => {
                    return Err(CliError::usage(format!("--key {}: {error}", Escaped(text))));
                }
                Err(_) => keys.extend(read_keys(Path::new(text))?),
            }
        }
        let keys = VerifierKeys::new(keys);
        let keys = keys.map_err(|error| CliError::usage(format!("--key: {error}")))?;
        Ok(Trust(Some(keys)))
    }
}

fn read_keys(file: &Path) -> Result<Vec<VerifierKey>, CliError> {
    let text = String::from_utf8(read(file, MAX_KEYS_FILE)?);
    let text = text.map_err(|error| CliError::file(ExitStatus::Usage, file, error))?;
    VerifierKey::parse_list(&text).map_err(|(line, error)| {
        CliError::file(ExitStatus::Usage, file, format!("line {line}: {error}"))
    })
}

/// The keys of which one must have signed a checkpoint. Without keys, all checkpoints are
/// trusted: they are kept in a trusted place.
pub(super) struct Trust(Option<VerifierKeys>);

/// What is known of the signatures of a checkpoint that is used.
pub(super) enum SignatureCheck {
    /// Valid signatures of these keys are on it.
    SignedBy(Vec<String>),
    /// It has no signature by one of the keys.
    Refused(SignatureError),
    /// No key was given.
    NotChecked,
}

impl Trust {
    /// Checks the signatures of a checkpoint.
    pub(super) fn check(&self, checkpoint: &SavedCheckpoint) -> SignatureCheck {
        let Some(keys) = &self.0 else {
            return SignatureCheck::NotChecked;
        };
        match checkpoint.verify(keys, is_valid_signature) {
            Ok(signers) => {
                let names = signers.into_iter().map(|key| key.name().to_string());
                SignatureCheck::SignedBy(names.collect())
            }
            Err(error) => SignatureCheck::Refused(error),
        }
    }
}

impl SignatureCheck {
    pub(super) fn print(&self) -> Result<(), CliError> {
        match self {
            Self::SignedBy(names) => output::line(&format!(
                "checkpoint signed by {}",
                Escaped(&names.join(", "))
            )),
            // Reported as an error.
            Self::Refused(_) => Ok(()),
            Self::NotChecked => output::line("checkpoint signature not checked: no --key"),
        }
    }

    pub(super) fn json(&self) -> Value {
        match self {
            Self::SignedBy(names) => json!({ "checked": true, "signers": names }),
            Self::Refused(_) => json!({ "checked": true, "signers": [] }),
            Self::NotChecked => json!({ "checked": false }),
        }
    }
}

pub(super) fn read_checkpoint(file: &Path) -> Result<SavedCheckpoint, CliError> {
    SavedCheckpoint::parse(&read(file, MAX_NOTE_LEN)?)
        .map_err(|error| CliError::file(ExitStatus::Usage, file, Escaped(&error.to_string())))
}

/// Reads a proof, or a record, which is shorter.
pub(super) fn read_proof(file: &Path) -> Result<Vec<u8>, CliError> {
    read(file, MAX_PROOF_LEN)
}

fn read(file: &Path, max: usize) -> Result<Vec<u8>, CliError> {
    open_nonblocking(file)
        .and_then(|opened| read_all(opened, max, None))
        .map_err(|error| CliError::file(ExitStatus::Usage, file, error))
}

#[derive(Debug, clap::Args)]
pub(crate) struct SigningOptions {
    /// Secret key that the checkpoint is signed with, as `audit keygen` writes it
    #[arg(long, value_name = "FILE", env = "SKOPEO_INDEX_SIGNING_KEY")]
    signing_key: Option<PathBuf>,
}

/// The file of the key that checkpoints are signed with.
#[derive(Clone, Debug)]
pub(crate) enum SigningArgs {
    None,
    /// By the variable, which is for the commands that write a checkpoint.
    Variable(PathBuf),
    /// By the option: this command has to write a checkpoint.
    Option(PathBuf),
}

impl ExclusiveOptions for SigningArgs {
    type Options = SigningOptions;

    fn select(
        SigningOptions { signing_key }: SigningOptions,
        on_command_line: &dyn Fn(&str) -> bool,
    ) -> Result<Self, &'static str> {
        Ok(match signing_key {
            None => Self::None,
            Some(file) if on_command_line("signing_key") => Self::Option(file),
            Some(file) => Self::Variable(file),
        })
    }
}

impl SigningArgs {
    pub(crate) fn read(&self) -> Result<Option<SigningKey>, CliError> {
        match self {
            Self::None => Ok(None),
            Self::Variable(file) | Self::Option(file) => Ok(Some(SigningKey::read(file)?)),
        }
    }

    /// For a command that writes no checkpoint of its own.
    ///
    /// # Errors
    /// `conflict`, if the option was typed.
    pub(crate) fn reject_option(&self, conflict: &str) -> Result<(), CliError> {
        match self {
            Self::None | Self::Variable(_) => Ok(()),
            Self::Option(_) => Err(CliError::usage(conflict)),
        }
    }
}

impl From<SigningKeyError> for CliError {
    fn from(error: SigningKeyError) -> Self {
        let status = match &error {
            SigningKeyError::Key { .. } | SigningKeyError::Pem { .. } => ExitStatus::Usage,
            SigningKeyError::Io(_) => ExitStatus::Other,
        };
        Self::new(status, error.to_string())
    }
}
