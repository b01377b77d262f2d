//! Signed notes, c2sp.org/signed-note.
//!
//! ```text
//!  text, one line or more                    "The note text includes the final newline"
//!                                            a blank line, the last of the note
//!  — NAME BASE64(key id ‖ signature)         one line a signature
//! ```
//!
//! [`Note::parse`] checks the form alone. The text counts only after [`Note::verify`]: "The
//! text MUST be ignored unless the note is signed by a trusted key and the signature has
//! been verified."

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{KeyId, KeyName, VerifierKey, VerifierKeys};

/// Limit of a note in bytes: room for 16 post-quantum signatures of "nearly 5kB" each.
pub const MAX_NOTE_LEN: usize = 128 << 10;

/// Limit of a note's signatures: a log's and its witnesses'. "Verifiers […] MUST accept at
/// least up to 16 signatures."
pub const MAX_SIGNATURES: usize = 64;

/// "em dash (U+2014), space (U+0020)"
const SIGNATURE_PREFIX: &str = "— ";

/// Why bytes are not a signed note.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The note is longer than a note may be.
    #[error("a note has at most {MAX_NOTE_LEN} bytes, not {0}")]
    TooLong(usize),
    /// The note is not UTF-8.
    #[error("a note must be valid UTF-8")]
    NotUtf8,
    /// A line ends in CRLF.
    #[error("the note has CRLF line endings: expected LF")]
    CarriageReturn,
    /// The note has another control character than a newline.
    #[error("the note has the control character {}", .0.escape_unicode())]
    ControlCharacter(char),
    /// No blank line separates the text from signatures.
    #[error("the note has no blank line between its text and its signatures")]
    NoBlankLine,
    /// Nothing follows the blank line.
    #[error("the note has no signature lines")]
    NoSignatures,
    /// The last line has no newline.
    #[error("the note's last line has no newline")]
    NoFinalNewline,
    /// A line after the blank line is not a signature.
    #[error("signature line {0} of the note is not \"— NAME BASE64\"")]
    SignatureLine(usize),
    /// There are more signatures than a note may have.
    #[error("a note has at most {MAX_SIGNATURES} signatures")]
    TooManySignatures,
}

/// Why a note's text can't be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The signature of a known key does not verify.
    #[error("the signature of {0} is not valid")]
    Invalid(KeyName),
    /// No known key has signed the note.
    #[error("not signed by any of the given keys")]
    Unknown,
    /// The checkpoint is not signed at all.
    #[error("not signed")]
    Unsigned,
}

/// A signature, of whichever type its key has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: KeyName,
    /// Id of the key.
    pub id: KeyId,
    /// 64 bytes for Ed25519.
    pub signature: Vec<u8>,
}

/// A signed note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Parses a note. Nothing in it can be trusted yet.
    ///
    /// # Errors
    /// The first broken rule of the format.
    pub fn parse(note: &[u8]) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_LEN {
            return Err(NoteError::TooLong(note.len()));
        }
        let note = std::str::from_utf8(note).map_err(|_| NoteError::NotUtf8)?;
        check_characters(note)?;
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::NoBlankLine)?;
        if signatures.is_empty() {
            return Err(NoteError::NoSignatures);
        }
        let signatures = signatures
            .strip_suffix('\n')
            .ok_or(NoteError::NoFinalNewline)?;
        if signatures.split('\n').count() > MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        let lines = signatures.split('\n').zip(1..);
        let parse = |(line, n)| parse_signature(line).ok_or(NoteError::SignatureLine(n));
        Ok(Self {
            text: format!("{text}\n"),
            signatures: lines.map(parse).collect::<Result<_, _>>()?,
        })
    }

    /// Adds the first signature to a text.
    ///
    /// # Errors
    /// Where the result would not be a note.
    pub fn new(text: &str, signature: NoteSignature) -> Result<Self, NoteError> {
        if !text.ends_with('\n') {
            return Err(NoteError::NoFinalNewline);
        }
        let signatures = vec![signature];
        let text = text.to_owned();
        Self::parse(Self { text, signatures }.to_string().as_bytes())
    }

    /// The text, which is not trusted before [`Note::verify`].
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Verifies the signatures of known keys, and returns these keys. `is_valid` verifies a
    /// signature of a message with an Ed25519 public key (RFC 8032, section 5.1.7).
    ///
    /// # Errors
    /// Where the signature of a known key is not valid, or none is by a known key.
    pub fn verify<'k>(
        &self,
        keys: &'k VerifierKeys,
        is_valid: impl Fn(&[u8; 32], &[u8], &[u8; 64]) -> bool,
    ) -> Result<Vec<&'k VerifierKey>, SignatureError> {
        let mut signers: Vec<&VerifierKey> = Vec::new();
        for NoteSignature {
            name,
            id,
            signature,
        } in &self.signatures
        {
            // "Verifiers MUST ignore signatures from unknown keys"
            let Some(key) = keys.find(name, *id) else {
                continue;
            };
            let signature = signature.as_slice().try_into();
            let text = self.text.as_bytes();
            if !signature.is_ok_and(|signature| is_valid(key.public_key(), text, signature)) {
                return Err(SignatureError::Invalid(name.clone()));
            }
            if !signers.contains(&key) {
                signers.push(key);
            }
        }
        // "If no signature from a known key verifies successfully, clients MUST reject the
        // note."
        if signers.is_empty() {
            return Err(SignatureError::Unknown);
        }
        Ok(signers)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            let bytes = [&signature.id.0, signature.signature.as_slice()].concat();
            let base64 = STANDARD.encode(bytes);
            writeln!(f, "{SIGNATURE_PREFIX}{} {base64}", signature.name)?;
        }
        Ok(())
    }
}

/// Whether a text has a line that is meant as a signature.
pub(super) fn has_signature_line(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| line.starts_with(SIGNATURE_PREFIX.as_bytes()))
}

/// "MUST NOT contain any ASCII control characters (those below U+0020) other than newline"
pub(super) fn check_characters(text: &str) -> Result<(), NoteError> {
    match text.chars().find(|c| *c < ' ' && *c != '\n') {
        None => Ok(()),
        Some('\r') => Err(NoteError::CarriageReturn),
        Some(other) => Err(NoteError::ControlCharacter(other)),
    }
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, base64) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let bytes = STANDARD.decode(base64).ok()?;
    let (id, signature) = bytes.split_first_chunk()?;
    (!signature.is_empty()).then_some(NoteSignature {
        name: name.parse().ok()?,
        id: KeyId(*id),
        signature: signature.to_vec(),
    })
}
