//! Signed notes, checkpoints, proofs and keys.

use skopeo_index_core::audit::{
    Checkpoint, Note, Proof, SavedCheckpoint, SecretKey, VerifierKey, VerifierKeys,
};

/// What is accepted is written back unchanged, without a panic; without a valid signature,
/// no note verifies.
pub fn target(data: &[u8]) {
    match Note::parse(data) {
        Ok(note) => {
            assert_eq!(note.to_string().as_bytes(), data);
            assert!(note.text().ends_with('\n'));
        }
        Err(error) => crate::assert_harmless(&error.to_string()),
    }
    if let Ok(saved) = SavedCheckpoint::parse(data) {
        assert_eq!(saved.to_string().as_bytes(), data);
        let text = saved.checkpoint().to_string();
        assert!(data.starts_with(text.as_bytes()));
        assert_eq!(text.parse::<Checkpoint>().as_ref(), Ok(saved.checkpoint()));
    }
    if let Ok(proof) = Proof::parse(data) {
        assert_eq!(proof.to_string().as_bytes(), data);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(secret) = text.parse::<SecretKey>() {
        assert_eq!(secret.to_secret_text(), text);
    }
    // A key, and a note that claims to be signed with it.
    let (key, note) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(key) = key.parse::<VerifierKey>() {
        assert_eq!(Some(key.to_string().as_str()), text.lines().next());
        let keys = VerifierKeys::new([key]).expect("one key");
        if let Ok(note) = Note::parse(note.as_bytes()) {
            assert!(note.verify(&keys, |_, _, _| false).is_err());
        }
    }
}
