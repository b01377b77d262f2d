//! Tests of `digest`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't continue fails"
)]

mod support;

use proptest::prelude::*;
use skopeo_index_core::digest::{Digest, DigestError};

/// Digests with one common mistake.
fn near_miss() -> impl Strategy<Value = String> {
    let right = any::<[u8; 32]>().prop_map(|bytes| Digest::from_bytes(bytes).to_string());
    let at = 7..71_usize;
    (right, at, 0..14_u8).prop_filter_map("unchanged", |(right, at, sort)| {
        let (head, tail) = right.split_at(at);
        let (digit, rest) = tail.split_at(1);
        let wrong = match sort {
            0 => format!("{head}{}{rest}", digit.to_uppercase()),
            1 => format!("{head}{rest}"),
            2 => format!("{head}0{tail}"),
            3 => format!("{right}\n"),
            4 => format!(" {right}"),
            5 => format!("{right}\0"),
            6 => format!("{right}/../../x"),
            7 => right.replacen("sha256", "SHA256", 1),
            8 => right.replacen("sha256:", "sha512:", 1),
            9 => right.replacen(':', "", 1),
            10 => right.replacen(':', "::", 1),
            // Digits of other scripts, of two, three and four bytes: a length in
            // bytes or characters alone doesn't find them.
            11 => format!("{head}\u{661}{rest}"),
            12 => format!("{head}\u{ff11}{}", rest.get(2..).unwrap_or("")),
            _ => format!("{head}\u{1d7d8}{}", rest.get(3..).unwrap_or("")),
        };
        (wrong != right).then_some(wrong)
    })
}

proptest! {
    #![proptest_config(crate::support::property::config(256, "digest.txt"))]

    #[test]
    fn digest_round_trips_through_text(bytes: [u8; 32]) {
        let digest = Digest::from_bytes(bytes);
        prop_assert_eq!(digest.to_string().parse(), Ok(digest));
    }

    #[test]
    fn parse_accepts_only_sha256_and_64_lower_case_hex_digits(text in "(sha256|sha512|SHA256|md5)?:?[0-9a-gA-F]{60,68}\n?") {
        let hex = text.strip_prefix("sha256:").unwrap_or("");
        let lower = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let well = hex.len() == 64 && hex.bytes().all(lower);
        prop_assert_eq!(text.parse::<Digest>().is_ok(), well);
    }

    #[test]
    fn accepted_text_is_written_back_unchanged(text: String) {
        if let Ok(digest) = text.parse::<Digest>() {
            prop_assert_eq!(digest.to_string(), text);
        }
    }

    #[test]
    fn digests_are_equal_only_if_all_bytes_are(mut bytes: [u8; 32], at in 0..32_usize, bit in 0..8_u8) {
        let digest = Digest::from_bytes(bytes);
        prop_assert_eq!(digest, Digest::from_bytes(bytes));
        bytes[at] ^= 1_u8 << bit;
        prop_assert_ne!(digest, Digest::from_bytes(bytes));
    }

    #[test]
    fn changed_bit_changes_the_digest(bytes: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
        prop_assume!(!bytes.is_empty());
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= 1_u8 << bit;
        prop_assert_ne!(Digest::of(&bytes), Digest::of(&changed));
    }

    #[test]
    fn near_miss_is_rejected(wrong in near_miss()) {
        prop_assert!(wrong.parse::<Digest>().is_err(), "{:?}", wrong);
    }

    #[test]
    fn error_names_the_first_invalid_character(bytes: [u8; 32], at in 7..71_usize, second in 7..71_usize) {
        let mut text = Digest::from_bytes(bytes).to_string();
        for at in [at, second] {
            text.replace_range(at..=at, "g");
        }
        prop_assert_eq!(text.parse::<Digest>(), Err(DigestError::Character(at.min(second))));
    }

    #[test]
    fn raw_bytes_and_hex_match(bytes: [u8; 32]) {
        let digest = Digest::from_bytes(bytes);
        prop_assert_eq!(digest.as_bytes(), &bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(digest.hex(), hex);
    }

    #[test]
    fn digests_sort_like_their_texts(one: [u8; 32], two: [u8; 32]) {
        let (one, two) = (Digest::from_bytes(one), Digest::from_bytes(two));
        prop_assert_eq!(one.cmp(&two), one.to_string().cmp(&two.to_string()));
    }
}

#[test]
fn empty_input_has_the_digest_of_fips_180_4() {
    let expected = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Digest::of(b"").to_string(), expected);
    assert_eq!(expected.len(), Digest::TEXT_LEN);
}

#[test]
fn digest_is_a_string_in_json() {
    let digest = Digest::of(b"");
    let json = serde_json::to_string(&digest).expect("JSON");
    assert_eq!(json, format!("\"{digest}\""));
    assert_eq!(
        serde_json::from_str::<Digest>(&json).expect("a digest"),
        digest
    );
    assert!(serde_json::from_str::<Digest>("\"sha256:1\"").is_err());
}

#[test]
fn every_error_has_a_message() {
    let texts = [
        "",
        "sha512:00",
        "sha256:ab",
        &format!("sha256:{}G", "0".repeat(63)),
    ];
    let messages = texts.map(|text| match text.parse::<Digest>() {
        Ok(_) => panic!("{text} is accepted"),
        Err(error) => format!("{text}: {error}"),
    });
    insta::assert_snapshot!("error_messages", messages.join("\n"));
}
