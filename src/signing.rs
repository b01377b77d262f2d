//! Ed25519 signatures of checkpoints. The core has the formats, ring the cryptography.

use std::io;
use std::path::{Path, PathBuf};

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use skopeo_index_core::audit::{
    Checkpoint, KeyError, KeyName, NoteSignature, SavedCheckpoint, SecretKey, VerifierKey,
};
use skopeo_index_core::escape::EscapedPath;

use crate::os::{
    PathContext, PathError, create_secret_file, open_nonblocking, random_bytes, read_all,
};

/// Limit of a file with a secret key in bytes: also of keys that can't be used (RSA), so that
/// the error says so.
const MAX_SECRET_FILE: usize = 16 << 10;

/// Why a file has no signing key.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The content is not a key.
    #[error("{}: {error}", EscapedPath(.path))]
    Key {
        /// The file.
        path: PathBuf,
        /// Why it is not one.
        error: KeyError,
    },
    /// A PEM file has no ECDSA P-256 key.
    #[error(
        "{}: not a secret ECDSA P-256 key in PKCS#8; create one with: openssl genpkey -algorithm \
         EC -pkeyopt ec_paramgen_curve:P-256; convert one that has another form with: openssl \
         pkcs8 -topk8 -nocrypt",
        EscapedPath(.path)
    )]
    Pem {
        /// The file.
        path: PathBuf,
    },
}

/// A key that checkpoints are signed with.
#[derive(Debug)]
pub struct SigningKey {
    pair: Ed25519KeyPair,
    verifier_key: VerifierKey,
}

impl SigningKey {
    /// Makes a key from a seed.
    ///
    /// # Errors
    /// Never for 32 bytes, which ring can't know.
    fn from_seed(name: KeyName, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Secret)?;
        let public_key = pair.public_key().as_ref().try_into();
        let public_key = public_key.map_err(|_| KeyError::Secret)?;
        let verifier_key = VerifierKey::new(name, public_key);
        Ok(Self { pair, verifier_key })
    }

    /// Reads a secret key's text.
    ///
    /// # Errors
    /// Where it is not a key, or its id is another key's.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let secret: SecretKey = text.parse()?;
        let key = Self::from_seed(secret.name, &secret.seed)?;
        if key.verifier_key.id() == secret.id {
            Ok(key)
        } else {
            Err(KeyError::Id)
        }
    }

    /// Reads a file as `create` writes it.
    ///
    /// # Errors
    /// Where it can't be read, or has no secret key.
    pub fn read(path: &Path) -> Result<Self, SigningKeyError> {
        Self::parse_file(path, &read_secret_file(path)?)
    }

    /// Parses the content of a file as `create` writes it.
    pub(crate) fn parse_file(path: &Path, content: &[u8]) -> Result<Self, SigningKeyError> {
        let text = str::from_utf8(content).map_err(|_| KeyError::Secret);
        let key = text.and_then(|text| Self::parse(text.strip_suffix('\n').unwrap_or(text)));
        key.map_err(|error| SigningKeyError::Key {
            path: path.to_owned(),
            error,
        })
    }

    /// Creates a key from the kernel's randomness, in a new file that only its owner can
    /// read.
    ///
    /// # Errors
    /// Where the file exists or can't be written.
    pub fn create(name: KeyName, path: &Path) -> Result<Self, SigningKeyError> {
        let seed: [u8; 32] = random_bytes().context("create", path)?;
        let key = Self::from_seed(name, &seed).map_err(|error| SigningKeyError::Key {
            path: path.to_owned(),
            error,
        })?;
        let secret = SecretKey {
            name: key.verifier_key.name().clone(),
            id: key.verifier_key.id(),
            seed,
        };
        let text = secret.to_secret_text() + "\n";
        create_secret_file(path, text.as_bytes()).context("create", path)?;
        Ok(key)
    }

    /// The public key, with its name.
    #[must_use]
    pub const fn verifier_key(&self) -> &VerifierKey {
        &self.verifier_key
    }

    /// The signature of a message, as RFC 8032 has it.
    pub(crate) fn sign_message(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

/// Reads a file with a secret key.
pub(crate) fn read_secret_file(path: &Path) -> Result<Vec<u8>, PathError> {
    let read = open_nonblocking(path).and_then(|file| read_all(file, MAX_SECRET_FILE, None));
    read.context("read", path)
}

/// Signs a checkpoint, if there is a key.
///
/// # Errors
/// Never for a checkpoint: it is a text that a note can have.
pub fn sign_checkpoint(
    key: Option<&SigningKey>,
    checkpoint: Checkpoint,
) -> io::Result<SavedCheckpoint> {
    let Some(key) = key else {
        return Ok(SavedCheckpoint::unsigned(checkpoint));
    };
    let signature = NoteSignature {
        name: key.verifier_key.name().clone(),
        id: key.verifier_key.id(),
        signature: key.sign_message(checkpoint.to_string().as_bytes()),
    };
    SavedCheckpoint::signed(checkpoint, signature).map_err(io::Error::other)
}

/// Whether an Ed25519 signature of a message is valid.
#[must_use]
pub fn is_valid_signature(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let key = UnparsedPublicKey::new(&ED25519, public_key);
    key.verify(message, signature).is_ok()
}
