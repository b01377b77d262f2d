//! DSSE envelopes of statements (secure-systems-lab/dsse, protocol and envelope v1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The payload type of in-toto statements.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The bytes that are signed: no signed note begins like them, because an origin has no
/// spaces.
///
/// ```text
/// PAE = "DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload
/// ```
#[must_use]
pub fn dsse_message(payload: &[u8]) -> Vec<u8> {
    let (type_len, len) = (PAYLOAD_TYPE.len(), payload.len());
    let head = format!("DSSEv1 {type_len} {PAYLOAD_TYPE} {len} ");
    [head.as_bytes(), payload].concat()
}

/// Puts a payload and the signature of its [`dsse_message`] into an envelope.
#[must_use]
pub fn dsse_envelope(payload: &[u8], key_id: &str, signature: &[u8]) -> Value {
    json!({
        "payload": STANDARD.encode(payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{ "keyid": key_id, "sig": STANDARD.encode(signature) }],
    })
}
