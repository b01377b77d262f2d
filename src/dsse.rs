//! Signatures of DSSE envelopes. The core has the format, ring the cryptography.

use std::path::Path;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use skopeo_index_core::audit::{dsse_envelope, dsse_message};
use skopeo_index_core::digest::hex;

use crate::signing::{SigningKey, SigningKeyError, read_secret_file};

/// SubjectPublicKeyInfo of a P-256 key up to its point (RFC 5480, section 2): the
/// algorithm, the curve, the head of a bit string of 65 bytes.
const P256_SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The system gave no random bytes for a signature.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("cannot sign the statement: no random bytes from the system")]
pub struct NoRandomBytes;

/// A key that envelopes are signed with.
#[derive(Debug)]
pub enum EnvelopeKey {
    /// A key of checkpoints: signatures as in RFC 8032.
    Ed25519(SigningKey),
    /// A key of X.509: SHA-256, signatures in ASN.1 DER.
    EcdsaP256(EcdsaKeyPair),
}

impl EnvelopeKey {
    /// Reads a file as `audit keygen` writes it, or a PEM file with PKCS#8.
    ///
    /// # Errors
    /// Where it can't be read, or has no such key.
    pub fn read(path: &Path) -> Result<Self, SigningKeyError> {
        let content = read_secret_file(path)?;
        if !content.starts_with(b"-----BEGIN ") {
            return SigningKey::parse_file(path, &content).map(Self::Ed25519);
        }
        let key = PrivatePkcs8KeyDer::from_pem_slice(&content).ok();
        let pair = key.and_then(|key| {
            let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
            EcdsaKeyPair::from_pkcs8(algorithm, key.secret_pkcs8_der(), random).ok()
        });
        let path = path.to_owned();
        pair.map(Self::EcdsaP256)
            .ok_or(SigningKeyError::Pem { path })
    }

    /// The id of the public key: that of its notes for Ed25519, SHA-256 of the
    /// SubjectPublicKeyInfo for ECDSA.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Ed25519(key) => hex(&key.verifier_key().id().0),
            Self::EcdsaP256(pair) => {
                let spki = Sha256::new().chain_update(P256_SPKI_HEAD);
                hex(&spki.chain_update(pair.public_key()).finalize())
            }
        }
    }

    /// Puts an in-toto statement into a signed envelope.
    ///
    /// # Errors
    /// Where the system has no random bytes, which ECDSA takes.
    pub fn sign(&self, statement: &[u8]) -> Result<Value, NoRandomBytes> {
        let message = dsse_message(statement);
        let signature = match self {
            Self::Ed25519(key) => key.sign_message(&message),
            Self::EcdsaP256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), &message);
                signature.map_err(|_| NoRandomBytes)?.as_ref().to_vec()
            }
        };
        Ok(dsse_envelope(statement, &self.id(), &signature))
    }
}
