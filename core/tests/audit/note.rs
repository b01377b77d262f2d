//! Signed notes and their keys. Ed25519 is the caller's: here a hash stands in for it, and
//! `tests/audit_cli/notes.rs` has the real one.

use proptest::prelude::*;
use skopeo_index_core::audit::{
    KeyError, KeyId, KeyName, MAX_NOTE_LEN, MAX_SIGNATURES, Note, NoteError, NoteSignature,
    SecretKey, SignatureError, VerifierKey, VerifierKeys,
};
use skopeo_index_core::digest::Digest;

/// A key and a note of C2SP's signed-note.
const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

fn key(name: &str, public_key: u8) -> VerifierKey {
    VerifierKey::new(name.parse().expect("a name"), [public_key; 32])
}

/// Stands in for Ed25519: two hashes of key and text.
pub(crate) fn fake_signature(public_key: &[u8; 32], text: &[u8]) -> [u8; 64] {
    let hash = |n| *Digest::of(&[&public_key[..], &[n], text].concat()).as_bytes();
    let bytes = [hash(0), hash(1)].concat();
    bytes.try_into().expect("64 bytes")
}

pub(crate) fn is_valid(public_key: &[u8; 32], text: &[u8], signature: &[u8; 64]) -> bool {
    fake_signature(public_key, text) == *signature
}

pub(crate) fn sign(key: &VerifierKey, text: &str) -> NoteSignature {
    NoteSignature {
        name: key.name().clone(),
        id: key.id(),
        signature: fake_signature(key.public_key(), text.as_bytes()).to_vec(),
    }
}

fn verify(note: &[u8], keys: &[VerifierKey]) -> Result<Vec<VerifierKey>, String> {
    let keys = VerifierKeys::new(keys.iter().cloned()).expect("keys");
    let note = Note::parse(note).map_err(|error| error.to_string())?;
    let signers = note.verify(&keys, is_valid);
    let signers = signers.map_err(|error| error.to_string())?;
    Ok(signers.into_iter().cloned().collect())
}

proptest! {
    #![proptest_config(crate::support::property::config(512, "audit-note.txt"))]

    #[test]
    fn accepted_note_is_written_back_unchanged(
        text in "[a-zé \n—]{0,20}\n",
        lines in prop::collection::vec("(— )?[a-z+ \r\u{a0}]{0,4} ?[A-Za-z0-9+/=]{0,12}\n?", 0..4),
    ) {
        let note = format!("{text}\n{}", lines.concat());
        if let Ok(parsed) = Note::parse(note.as_bytes()) {
            prop_assert_eq!(parsed.to_string(), note);
        }
    }

    #[test]
    fn signed_text_is_read_back_and_verifies(text in "[^\u{0}-\u{9}\u{b}-\u{1f}]{0,40}\n") {
        let key = key("example.com/a", 1);
        let note = Note::new(&text, sign(&key, &text)).expect("a note");
        prop_assert_eq!(note.text(), &text);
        let bytes = note.to_string();
        prop_assert_eq!(Note::parse(bytes.as_bytes()), Ok(note));
        prop_assert_eq!(verify(bytes.as_bytes(), std::slice::from_ref(&key)), Ok(vec![key]));
    }

    #[test]
    fn single_change_of_a_signed_note_is_refused(
        at: prop::sample::Index, byte: u8, change in 0..4_u8,
    ) {
        let key = key("example.com/a", 1);
        let text = "example.com/a\n21\nYO+E9qMX9lQeovm9Lz3vbXR1FWIBXEFYlzaFWGTzExM=\n";
        let note = Note::new(text, sign(&key, text)).expect("a note");
        let note = note.to_string().into_bytes();
        let mut changed = note.clone();
        let at = at.index(note.len());
        match change {
            0 => changed[at] = byte,
            1 => changed.insert(at, byte),
            2 => drop(changed.remove(at)),
            _ => changed.truncate(at),
        }
        if changed == note {
            prop_assert!(verify(&changed, &[key]).is_ok());
        } else {
            prop_assert!(verify(&changed, &[key]).is_err(), "{}", String::from_utf8_lossy(&changed));
        }
    }

    #[test]
    fn verifier_key_is_written_back_unchanged(name in "[^\\s+\\p{C}]{1,20}", bytes: [u8; 32]) {
        let key = VerifierKey::new(name.parse().expect("a name"), bytes);
        prop_assert_eq!(key.to_string().parse(), Ok(key.clone()));
        let secret = SecretKey { name: key.name().clone(), id: key.id(), seed: bytes };
        prop_assert_eq!(secret.to_secret_text().parse(), Ok(secret));
    }

    #[test]
    fn verifier_key_with_a_changed_character_is_refused(at: prop::sample::Index, to in "[a-zA-Z0-9+/=]") {
        let mut changed = EXAMPLE_KEY.to_owned();
        let at = at.index(changed.len());
        changed.replace_range(at..=at, &to);
        prop_assert_eq!(changed.parse::<VerifierKey>().is_ok(), changed == EXAMPLE_KEY);
    }
}

#[test]
fn malformed_note_has_an_error_of_its_own() {
    let line = "— a AAAAAAA=\n";
    let long = "x".repeat(MAX_NOTE_LEN);
    let many = |count| format!("text\n\n{}", line.repeat(count));
    let cases: [(&[u8], NoteError); 16] = [
        (b"", NoteError::NoBlankLine),
        (b"text\n\xe2\x80\x94 a AAAAAAA=\n", NoteError::NoBlankLine),
        (b"text\n\n", NoteError::NoSignatures),
        ("text\n\n— a AAAAAAA=".as_bytes(), NoteError::NoFinalNewline),
        (
            "text\r\n\r\n— a AAAAAAA=\r\n".as_bytes(),
            NoteError::CarriageReturn,
        ),
        (
            "text\n\n— a AAAAAAA=\r\n".as_bytes(),
            NoteError::CarriageReturn,
        ),
        (b"te\xff\n\n", NoteError::NotUtf8),
        (b"te\0\n\n", NoteError::ControlCharacter('\0')),
        (b"te\tx\n\n", NoteError::ControlCharacter('\t')),
        (b"text\n\nmore\n", NoteError::SignatureLine(1)),
        (
            "text\n\n— a AAAAAAA=\nmore\n".as_bytes(),
            NoteError::SignatureLine(2),
        ),
        ("text\n\n— a AAAA\n".as_bytes(), NoteError::SignatureLine(1)),
        (
            "text\n\n— a+b AAAAAAA=\n".as_bytes(),
            NoteError::SignatureLine(1),
        ),
        (
            "text\n\n— a  AAAAAAA=\n".as_bytes(),
            NoteError::SignatureLine(1),
        ),
        (
            &many(MAX_SIGNATURES + 1).into_bytes(),
            NoteError::TooManySignatures,
        ),
        (
            &format!("{long}\n").into_bytes(),
            NoteError::TooLong(MAX_NOTE_LEN + 1),
        ),
    ];
    for (note, error) in cases {
        assert_eq!(
            Note::parse(note),
            Err(error),
            "{:?}",
            String::from_utf8_lossy(note)
        );
    }
    assert!(Note::parse(many(MAX_SIGNATURES).as_bytes()).is_ok());
}

#[test]
fn text_of_a_note_ends_at_the_last_blank_line() {
    let note = Note::parse("a\n\nb\n\n— a AAAAAAA=\n".as_bytes()).expect("a note");
    assert_eq!(note.text(), "a\n\nb\n");
}

#[test]
fn signature_of_known_key_is_verified_and_of_unknown_key_ignored() {
    let (known, unknown) = (key("example.com/a", 1), key("example.com/a", 2));
    let text = "text\n";
    let lines = |signatures: &[NoteSignature]| {
        let line = |signature: &NoteSignature| {
            let note = Note::new(text, signature.clone())
                .expect("a note")
                .to_string();
            note[text.len() + 1..].to_owned()
        };
        let lines: String = signatures.iter().map(line).collect();
        format!("{text}\n{lines}")
    };
    let (good, other) = (sign(&known, text), sign(&unknown, text));
    let forged = sign(&known, "another text\n");
    let short = NoteSignature {
        signature: good.signature[..63].to_vec(),
        ..good.clone()
    };
    let renamed = NoteSignature {
        name: "example.com/b".parse().expect("a name"),
        ..good.clone()
    };
    let check = |signatures: &[NoteSignature], keys: &[VerifierKey]| {
        verify(lines(signatures).as_bytes(), keys)
    };
    let invalid = Err(SignatureError::Invalid(known.name().clone()).to_string());
    let not_known = Err(SignatureError::Unknown.to_string());
    let known_only = || Ok(vec![known.clone()]);
    let keys = [known.clone()];
    assert_eq!(check(&[other.clone(), good.clone()], &keys), known_only());
    assert_eq!(check(&[good.clone(), good.clone()], &keys), known_only());
    assert_eq!(check(std::slice::from_ref(&other), &keys), not_known);
    assert_eq!(check(&[renamed], &keys), not_known);
    assert_eq!(check(&[good.clone(), forged.clone()], &keys), invalid);
    assert_eq!(check(&[forged], &keys), invalid);
    assert_eq!(check(&[short], &keys), invalid);
    let both = [unknown.clone(), known.clone()];
    assert_eq!(
        check(&[good, other], &both),
        Ok(vec![known.clone(), unknown])
    );
}

#[test]
fn invalid_key_gives_the_reason() {
    let error = |text: &str| text.parse::<VerifierKey>().expect_err("not a key");
    let example: VerifierKey = EXAMPLE_KEY.parse().expect("a key");
    assert_eq!(example.name().as_str(), "example.com/foo");
    assert_eq!(example.id(), KeyId([0x53, 0x0d, 0x90, 0x3a]));
    assert_eq!(error(""), KeyError::Verifier);
    assert_eq!(error("a+530d903a"), KeyError::Verifier);
    assert_eq!(
        error(&EXAMPLE_KEY.replace("530d903a", "530D903A")),
        KeyError::Verifier
    );
    assert_eq!(
        error(&EXAMPLE_KEY.replace("530d903a", "530d903b")),
        KeyError::Id
    );
    assert_eq!(error(&EXAMPLE_KEY.replace("foo", "bar")), KeyError::Id);
    assert_eq!(
        error(&EXAMPLE_KEY.replace("example.com", "a b")),
        KeyError::Name
    );
    assert_eq!(
        error(&EXAMPLE_KEY.replace("+A", "+B")),
        KeyError::SignatureType(5)
    );
    for name in ["", "a b", "a\u{a0}b", "a+b", "a\nb", &"x".repeat(256)] {
        assert_eq!(name.parse::<KeyName>(), Err(KeyError::Name), "{name:?}");
    }
    assert_eq!(EXAMPLE_KEY.parse::<SecretKey>(), Err(KeyError::Secret));
}

#[test]
fn secret_key_is_not_shown_by_debug() {
    let name = "example.com/a".parse().expect("a name");
    let secret = SecretKey {
        name,
        id: KeyId([1; 4]),
        seed: [77; 32],
    };
    assert!(!format!("{secret:?}").contains("77"), "{secret:?}");
}

#[test]
fn keys_that_a_signature_cannot_tell_apart_are_refused() {
    let (one, same) = (key("a", 1), key("a", 1));
    assert!(VerifierKeys::new([one, same]).is_ok());
    assert_eq!(VerifierKeys::new([]).map(drop), Err(KeyError::NoKeys));
}

#[test]
fn list_of_keys_has_comments_and_names_the_wrong_line() {
    let list = format!("# log\n\n  {EXAMPLE_KEY}\r\n{EXAMPLE_KEY} \n");
    assert_eq!(VerifierKey::parse_list(&list).map(|keys| keys.len()), Ok(2));
    let wrong = format!("{EXAMPLE_KEY}\n\nx\n");
    assert_eq!(
        VerifierKey::parse_list(&wrong),
        Err((3, KeyError::Verifier))
    );
}
