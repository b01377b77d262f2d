//! What a registry and its token server send.

use std::time::{Duration, SystemTime};

use skopeo_index_core::digest::Digest;
use skopeo_index_core::registry::{
    Challenge, MAX_RETRY_AFTER, MAX_TOKEN_LEN, Repository, Token, Url, retry_after,
};
use skopeo_index_core::request::ImageName;

/// What is accepted can be sent as it is: a URL, a request target and a header's value are
/// one line of printable ASCII. A token is asked for at the realm, for pulling from the
/// repository and nothing else. A delay is bounded.
pub fn target(data: &[u8]) {
    if let Ok(token) = Token::parse(data) {
        let header = token.authorization();
        let value = header.strip_prefix("Bearer ").expect("a bearer token");
        assert_word(value);
        assert!(value.len() <= MAX_TOKEN_LEN);
        assert!(token.lifetime() >= Duration::from_secs(60));
    }
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
    assert!(retry_after(text, now).is_none_or(|delay| delay <= MAX_RETRY_AFTER));
    if let Ok(url) = text.parse::<Url>() {
        let whole = url.to_string();
        assert_word(&whole);
        assert_eq!(whole.parse::<Url>().as_ref(), Ok(&url));
    }
    if let Ok(name) = text.parse::<ImageName>() {
        assert_repository(&Repository::of(&name));
    }
    match Challenge::parse_all(text.split('\n')) {
        Ok(challenges) => challenges.iter().for_each(assert_challenge),
        Err(error) => crate::assert_harmless(&error.to_string()),
    }
}

fn assert_word(text: &str) {
    assert!(!text.is_empty(), "empty");
    assert!(text.bytes().all(|b| b.is_ascii_graphic()), "{text:?}");
}

fn assert_repository(repository: &Repository) {
    let target = repository.manifest_path(Digest::of(b""));
    assert_word(&target);
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"/._-:".contains(&b);
    assert!(target.bytes().all(is_plain), "{target}");
    assert!(target.starts_with("/v2/") && target.contains("/manifests/sha256:"));
    assert!(!target.contains("//") && !target.contains(".."), "{target}");
    assert_word(repository.host());
    let again = repository.full_name().parse().expect("a full name");
    assert_eq!(&Repository::of(&again), repository);
}

fn assert_challenge(challenge: &Challenge) {
    let Challenge::Bearer(bearer) = challenge else {
        return;
    };
    let repository = Repository::of(&"h.io/a/b".parse().expect("a name"));
    let url = bearer.token_url(&repository).to_string();
    assert_word(&url);
    assert!(url.starts_with(&bearer.realm().to_string()), "{url}");
    assert!(url.ends_with("scope=repository%3Aa%2Fb%3Apull"), "{url}");
}
