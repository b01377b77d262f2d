//! Digests.

use proptest::prelude::*;
use skopeo_index::digest::Digest;

proptest! {
    #![proptest_config(crate::regressions("proptest-regressions/digest.txt"))]

    #[test]
    fn what_is_shown_is_read_again(bytes: [u8; 32]) {
        let digest = Digest::from_bytes(bytes);
        prop_assert_eq!(digest.to_string().parse(), Ok(digest));
    }

    #[test]
    fn no_other_text_is_a_digest(text in "(sha256|sha512|SHA256|md5)?:?[0-9a-gA-F]{60,68}\n?") {
        let hex = text.strip_prefix("sha256:").unwrap_or("");
        let lower = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let well = hex.len() == 64 && hex.bytes().all(lower);
        prop_assert_eq!(text.parse::<Digest>().is_ok(), well);
    }

    #[test]
    fn any_text_is_refused_or_comes_back(text: String) {
        if let Ok(digest) = text.parse::<Digest>() {
            prop_assert_eq!(digest.to_string(), text);
        }
    }

    #[test]
    fn digests_are_equal_exactly_where_all_bytes_are(mut bytes: [u8; 32], at in 0..32_usize, bit in 0..8_u8) {
        let digest = Digest::from_bytes(bytes);
        prop_assert_eq!(digest, Digest::from_bytes(bytes));
        bytes[at] ^= 1_u8 << bit;
        prop_assert_ne!(digest, Digest::from_bytes(bytes));
    }

    #[test]
    fn a_changed_byte_has_another_digest(bytes: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
        prop_assume!(!bytes.is_empty());
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= 1_u8 << bit;
        prop_assert_ne!(Digest::of(&bytes), Digest::of(&changed));
    }
}

#[test]
fn the_digest_of_nothing_is_the_one_of_fips_180_4() {
    let nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Digest::of(b"").to_string(), nothing);
}

#[test]
fn json_has_digests_as_texts() {
    let digest = Digest::of(b"");
    let json = serde_json::to_string(&digest).expect("JSON");
    assert_eq!(json, format!("\"{digest}\""));
    assert_eq!(
        serde_json::from_str::<Digest>(&json).expect("a digest"),
        digest
    );
    assert!(serde_json::from_str::<Digest>("\"sha256:1\"").is_err());
}
