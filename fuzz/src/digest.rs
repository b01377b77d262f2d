//! Digests: parsed strictly, and changed by every bit.

use skopeo_index_core::digest::Digest;

/// A text is a digest exactly if a plain second parser accepts it, and is written back
/// unchanged; a flipped bit gives another digest.
pub fn target(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        let plain = text.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64 && hex.chars().all(|c| "0123456789abcdef".contains(c))
        });
        match text.parse::<Digest>() {
            Ok(digest) => {
                assert!(plain, "{text:?}");
                assert_eq!(digest.to_string(), text);
                assert_eq!(format!("sha256:{}", digest.hex()), text);
            }
            Err(error) => {
                assert!(!plain, "{text:?}: {error}");
                crate::assert_harmless(&error.to_string());
            }
        }
    }
    let digest = Digest::of(data);
    assert_eq!(digest.to_string().parse(), Ok(digest));
    if let Some((last, rest)) = data.split_last() {
        assert_ne!(Digest::of(rest), digest);
        assert_ne!(Digest::of(&[rest, &[last ^ 1]].concat()), digest);
    }
}
