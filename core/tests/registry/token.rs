//! Token documents.

use std::time::Duration;

use crate::support::property::config;
use proptest::prelude::*;
use serde_json::json;
use skopeo_index_core::registry::{MAX_TOKEN_DOCUMENT, MAX_TOKEN_LEN, Token, TokenError};

fn parse(document: &serde_json::Value) -> Result<Token, TokenError> {
    Token::parse(document.to_string().as_bytes())
}

#[track_caller]
fn header(document: &serde_json::Value) -> String {
    parse(document).expect("a token").authorization()
}

#[test]
fn token_precedes_access_token_unless_it_is_empty() {
    assert_eq!(header(&json!({"token": "a"})), "Bearer a");
    assert_eq!(header(&json!({"access_token": "b"})), "Bearer b");
    assert_eq!(
        header(&json!({"token": "a", "access_token": "b"})),
        "Bearer a"
    );
    assert_eq!(
        header(&json!({"token": "", "access_token": "b"})),
        "Bearer b"
    );
    assert_eq!(
        header(&json!({"token": null, "access_token": "b"})),
        "Bearer b"
    );
}

#[test]
fn token_lifetime_is_between_a_minute_and_a_day() {
    let lifetime = |expires: serde_json::Value| {
        let token = parse(&json!({"token": "a", "expires_in": expires}));
        token.expect("a token").lifetime().as_secs()
    };
    assert_eq!(lifetime(json!(null)), 60);
    assert_eq!(lifetime(json!(5)), 60);
    assert_eq!(lifetime(json!(-1)), 60);
    assert_eq!(lifetime(json!(300)), 300);
    assert_eq!(lifetime(json!(i64::MAX)), 24 * 3600);
    let token = parse(&json!({"token": "a"})).expect("a token");
    assert_eq!(token.lifetime(), Duration::from_secs(60));
}

#[test]
fn document_without_a_token_is_an_error() {
    let rows = [
        (json!({}), TokenError::Missing),
        (json!({"token": ""}), TokenError::Missing),
        (json!([]), TokenError::Json),
        (json!(["a", null, null]), TokenError::Json),
        (json!({"token": 1}), TokenError::Json),
        (json!({"token": "a", "expires_in": "60"}), TokenError::Json),
        (json!({"token": "a\r\nx: y"}), TokenError::Character),
        (json!({"token": "=="}), TokenError::Character),
        (json!({"token": "a=b"}), TokenError::Character),
    ];
    for (document, error) in rows {
        assert_eq!(parse(&document), Err(error), "{document}");
    }
    assert_eq!(Token::parse(b"<html>"), Err(TokenError::Json));
}

#[test]
fn token_and_document_are_bounded() {
    let token = |length| parse(&json!({"token": "a".repeat(length)}));
    assert!(token(MAX_TOKEN_LEN).is_ok());
    assert_eq!(
        token(MAX_TOKEN_LEN + 1),
        Err(TokenError::TooLong(MAX_TOKEN_LEN + 1))
    );
    let padded = |length: usize| {
        let mut document = json!({"token": "a"}).to_string().into_bytes();
        document.resize(length, b' ');
        Token::parse(&document)
    };
    assert!(padded(MAX_TOKEN_DOCUMENT).is_ok());
    assert_eq!(
        padded(MAX_TOKEN_DOCUMENT + 1),
        Err(TokenError::DocumentTooLong)
    );
}

#[test]
fn token_is_not_in_its_debug_output() {
    let token = parse(&json!({"token": "s3cr3t"})).expect("a token");
    assert!(!format!("{token:?}").contains("s3cr3t"));
}

proptest! {
    #![proptest_config(config(1000, "registry.txt"))]

    #[test]
    fn token_of_other_characters_is_rejected(text in "[ -~\u{0}-\u{1f}\u{e9}]{1,6}|[A-Za-z0-9._~+/-]{1,9}={0,2}") {
        let allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
        let body = text.find('=').map_or(text.as_str(), |at| &text[..at]);
        let padding = &text[body.len()..];
        let valid = !body.is_empty()
            && body.chars().all(|c| allowed.contains(c))
            && padding.chars().all(|c| c == '=');
        prop_assert_eq!(parse(&json!({"token": text})).is_ok(), valid);
    }
}
