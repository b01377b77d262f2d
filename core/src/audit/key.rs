//! Keys of signed notes, in the text forms of c2sp.org/signed-note.
//!
//! ```text
//!  NAME+ID+BASE64(0x01 ‖ public key)              verifier key
//!  PRIVATE+KEY+NAME+ID+BASE64(0x01 ‖ seed)        secret key, as Go's sumdb/note has it
//!
//!  ID = SHA-256(NAME ‖ 0x0A ‖ 0x01 ‖ public key)[:4], in hexadecimal
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::digest::hex;

/// "`0x01` — Ed25519 signatures as specified by this document."
const ED25519: u8 = 0x01;

/// Limit of a key's name in bytes: that of an origin, which a name should be.
const MAX_KEY_NAME_LEN: usize = 255;

/// The start of a secret key.
const SECRET_PREFIX: &str = "PRIVATE+KEY+";

/// Why a text is not a key, or keys can't be used together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is empty, too long, or has a space, a plus sign or a control character.
    #[error(
        "invalid key name: expected at most {MAX_KEY_NAME_LEN} bytes without spaces and \"+\", \
         such as example.com/builds"
    )]
    Name,
    /// The text does not have the parts of a verifier key.
    #[error("not a verifier key: expected NAME+ID+BASE64")]
    Verifier,
    /// The text does not have the parts of a secret key.
    #[error("not a secret key: expected PRIVATE+KEY+NAME+ID+BASE64")]
    Secret,
    /// The key is for another signature type than Ed25519.
    #[error("unsupported signature type {0}: expected 1, Ed25519")]
    SignatureType(u8),
    /// The id is not that of name and key.
    #[error("the key's id does not belong to its name and key: it was changed or mistyped")]
    Id,
    /// No key was given.
    #[error("no verifier key was given")]
    NoKeys,
    /// Two keys have the same name and id.
    #[error("two different keys have the name and id of {0}")]
    Ambiguous(KeyName),
}

/// Name of a key: no Unicode spaces, no plus sign, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let is_refused = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if text.is_empty() || text.len() > MAX_KEY_NAME_LEN || text.contains(is_refused) {
            return Err(KeyError::Name);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Id of a key, which with its name tells it from other keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(pub [u8; 4]);

/// A public key that notes are verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    public_key: [u8; 32],
}

impl VerifierKey {
    /// Combines a name with an Ed25519 public key.
    #[must_use]
    pub fn new(name: KeyName, public_key: [u8; 32]) -> Self {
        let hash = Sha256::new()
            .chain_update(name.as_str())
            .chain_update([b'\n', ED25519])
            .chain_update(public_key)
            .finalize();
        let id = KeyId([hash[0], hash[1], hash[2], hash[3]]);
        Self {
            name,
            id,
            public_key,
        }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The Ed25519 public key.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// Parses a file of keys: one a line, with empty lines and `#` comments.
    ///
    /// # Errors
    /// The number of the first line that is not a key, from 1, and why.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, (usize, KeyError)> {
        let lines = text.lines().map(str::trim).zip(1..);
        let keys = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
        keys.map(|(line, number)| line.parse().map_err(|error| (number, error)))
            .collect()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, self.id, &self.public_key))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, public_key) = parse_key(text, KeyError::Verifier)?;
        let key = Self::new(name, public_key);
        if key.id == id {
            Ok(key)
        } else {
            Err(KeyError::Id)
        }
    }
}

/// The keys that a note may be signed with: at least one.
#[derive(Clone, Debug)]
pub struct VerifierKeys(Vec<VerifierKey>);

impl VerifierKeys {
    /// Collects keys; the same one may be given twice.
    ///
    /// # Errors
    /// Where no key is given, or two keys have the same name and id.
    pub fn new(keys: impl IntoIterator<Item = VerifierKey>) -> Result<Self, KeyError> {
        let mut known = Self(Vec::new());
        for key in keys {
            match known.find(&key.name, key.id) {
                Some(same) if *same == key => {}
                Some(_) => return Err(KeyError::Ambiguous(key.name)),
                None => known.0.push(key),
            }
        }
        if known.0.is_empty() {
            return Err(KeyError::NoKeys);
        }
        Ok(known)
    }

    /// The key with this name and id.
    pub(super) fn find(&self, name: &KeyName, id: KeyId) -> Option<&VerifierKey> {
        self.0.iter().find(|key| key.name == *name && key.id == id)
    }
}

/// An Ed25519 seed with the name and id of its key. [`KeyError::Id`] is the caller's to
/// report: the id follows from the public key, which takes Ed25519 to compute.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// The name.
    pub name: KeyName,
    /// The id of the public key.
    pub id: KeyId,
    /// RFC 8032, section 5.1.5: the private key.
    pub seed: [u8; 32],
}

impl SecretKey {
    /// The key's text, which is a secret.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        SECRET_PREFIX.to_owned() + &key_text(&self.name, self.id, &self.seed)
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let key = text.strip_prefix(SECRET_PREFIX).ok_or(KeyError::Secret)?;
        let (name, id, seed) = parse_key(key, KeyError::Secret)?;
        Ok(Self { name, id, seed })
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("name", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn key_text(name: &KeyName, KeyId(id): KeyId, key: &[u8; 32]) -> String {
    let typed = [&[ED25519], &key[..]].concat();
    format!("{name}+{}+{}", hex(&id), STANDARD.encode(typed))
}

/// The parts of `NAME+ID+BASE64`. Base64 may have plus signs, a name has none.
fn parse_key(text: &str, malformed: KeyError) -> Result<(KeyName, KeyId, [u8; 32]), KeyError> {
    let parts = || {
        let (name, rest) = text.split_once('+')?;
        let (id, key) = rest.split_once('+')?;
        let bytes = u32::from_str_radix(id, 16).ok()?.to_be_bytes();
        let key = STANDARD.decode(key).ok()?;
        let (signature_type, key) = key.split_first()?;
        // Also refuses digits in upper case.
        (hex(&bytes) == id).then(|| (name, KeyId(bytes), *signature_type, key.to_owned()))
    };
    match parts().ok_or(malformed.clone())? {
        (name, id, ED25519, key) => {
            let key = key.try_into().map_err(|_| malformed)?;
            Ok((name.parse()?, id, key))
        }
        (.., other, _) => Err(KeyError::SignatureType(other)),
    }
}
