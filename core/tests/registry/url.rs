//! URLs of token servers: what is accepted can be sent as it is.

use crate::support::property::config;
use proptest::prelude::*;
use skopeo_index_core::registry::{MAX_URL_LEN, Scheme, Url, UrlError};

#[test]
fn url_parts_are_those_of_the_text() {
    let url: Url = "HTTPS://auth.docker.io:443/token?a=b"
        .parse()
        .expect("a URL");
    assert_eq!(url.scheme(), Scheme::Https);
    assert_eq!(url.authority(), "auth.docker.io:443");
    assert_eq!(url.target(), "/token?a=b");
    let bare: Url = "http://h?q".parse().expect("a URL");
    assert_eq!((bare.scheme(), bare.target()), (Scheme::Http, "/?q"));
}

#[test]
fn url_outside_the_grammar_is_rejected() {
    let rows = [
        ("", UrlError::Scheme),
        ("token", UrlError::Scheme),
        ("ftp://h/", UrlError::Scheme),
        ("file:///etc/passwd", UrlError::Scheme),
        ("https:///token", UrlError::Authority),
        ("https://user:pw@h/", UrlError::Authority),
        ("https://h:/", UrlError::Authority),
        ("https://h:65536/", UrlError::Authority),
        ("https://[::1]/", UrlError::Authority),
        ("https://h#fragment", UrlError::Character),
        ("https://h/a b", UrlError::Character),
        ("https://h/a\r\nHost: x", UrlError::Character),
        ("https://h/\u{e9}", UrlError::Character),
        ("https://h/\"", UrlError::Character),
    ];
    for (text, error) in rows {
        assert_eq!(text.parse::<Url>(), Err(error), "{text:?}");
    }
}

#[test]
fn url_of_maximum_length_is_accepted() {
    let url = |length: usize| format!("https://h/{}", "a".repeat(length - 10)).parse::<Url>();
    assert!(url(MAX_URL_LEN).is_ok());
    assert_eq!(
        url(MAX_URL_LEN + 1),
        Err(UrlError::TooLong(MAX_URL_LEN + 1))
    );
}

proptest! {
    #![proptest_config(config(1000, "registry.txt"))]

    #[test]
    fn url_that_is_accepted_is_one_word(text in "https?://[a-z.:@0-9]{1,8}[/?# -~\u{0}-\u{ff}]{0,12}") {
        if let Ok(url) = text.parse::<Url>() {
            let whole = url.to_string();
            prop_assert!(whole.bytes().all(|b| b.is_ascii_graphic()), "{}", whole);
            prop_assert!(!url.authority().contains(['@', '/', '?', '#']));
            prop_assert_eq!(whole.parse::<Url>(), Ok(url));
        }
    }
}
