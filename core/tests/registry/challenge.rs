//! Challenges in `WWW-Authenticate`, and the URL that answers one.

use crate::support::property::config;
use proptest::prelude::*;
use skopeo_index_core::registry::{
    BearerChallenge, Challenge, ChallengeError, MAX_CHALLENGE_LEN, UrlError,
};

use super::repository;

fn parse(header: &str) -> Result<Vec<Challenge>, ChallengeError> {
    Challenge::parse_all([header])
}

#[track_caller]
fn bearer(header: &str) -> BearerChallenge {
    match parse(header).expect("a challenge").pop() {
        Some(Challenge::Bearer(bearer)) => bearer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn challenge_of_docker_hub_is_bearer() {
    let bearer = bearer(
        "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",\
         scope=\"repository:library/x:pull\"",
    );
    assert_eq!(bearer.realm().to_string(), "https://auth.docker.io/token");
    assert_eq!(bearer.service(), Some("registry.docker.io"));
    assert_eq!(bearer.scope(), Some("repository:library/x:pull"));
}

#[test]
fn several_challenges_in_one_header_are_split() {
    let header =
        "Negotiate, NTLM abc==, Basic realm=\"a, b\" , Bearer realm=\"http://h/\" ,scope=x,";
    let challenges = parse(header).expect("challenges");
    assert!(
        matches!(&challenges[..], [Challenge::Basic, Challenge::Bearer(_)]),
        "{challenges:?}"
    );
}

#[test]
fn challenge_names_ignore_case() {
    assert_eq!(
        bearer("bEARER REALM=\"http://h/\"").realm().authority(),
        "h"
    );
}

#[test]
fn malformed_challenge_is_an_error() {
    let rows = [
        ("realm=\"x\"", ChallengeError::Syntax),
        ("Basic realm=\"x", ChallengeError::Syntax),
        ("Basic realm=\"x\\\"", ChallengeError::Syntax),
        ("Basic realm=\"x\" y", ChallengeError::Syntax),
        ("Basic realm=\"x\ny\"", ChallengeError::Syntax),
        ("Basic realm= ,=", ChallengeError::Syntax),
        // A token68, not a parameter.
        ("Bearer realm=", ChallengeError::NoRealm),
        ("Basic a b", ChallengeError::Syntax),
        ("\"Basic\"", ChallengeError::Syntax),
        ("Basic a=1, a=2", ChallengeError::Duplicate),
        ("Digest a=1, A=2", ChallengeError::Duplicate),
        ("Bearer", ChallengeError::NoRealm),
        ("Bearer service=x", ChallengeError::NoRealm),
        ("Bearer realm=x", ChallengeError::Realm(UrlError::Scheme)),
        (
            "Bearer realm=\"https://u:p@h/\"",
            ChallengeError::Realm(UrlError::Authority),
        ),
    ];
    for (header, error) in rows {
        assert_eq!(parse(header), Err(error), "{header}");
    }
}

#[test]
fn challenges_are_bounded_together() {
    let header = "x".repeat(MAX_CHALLENGE_LEN / 2);
    let half = header.as_str();
    assert_eq!(Challenge::parse_all([half, half]), Ok(Vec::new()));
    assert_eq!(
        Challenge::parse_all([half, half, "x"]),
        Err(ChallengeError::TooLong(MAX_CHALLENGE_LEN + 1))
    );
}

#[test]
fn token_url_asks_for_pull_only() {
    let url = |header: &str| bearer(header).token_url(&repository("x")).to_string();
    let scope = "scope=repository%3Alibrary%2Fx%3Apull";
    assert_eq!(
        url("Bearer realm=\"https://h/token\",service=\"a&b=c d\",scope=\"repository:y:push\""),
        format!("https://h/token?service=a%26b%3Dc%20d&{scope}")
    );
    assert_eq!(
        url("Bearer realm=\"https://h?account=a\",service=\"\""),
        format!("https://h/?account=a&{scope}")
    );
    assert_eq!(
        url("Bearer realm=\"https://h/?\""),
        format!("https://h/?{scope}")
    );
}

/// A parameter's value, and a way to write it.
fn value() -> impl Strategy<Value = (String, String)> {
    let token = "[a-z0-9!#$%&'*+.^_`|~-]{1,6}".prop_map(|text| (text.clone(), text));
    let character = (any::<bool>(), "[ -~\t\u{e9}]");
    let quoted = prop::collection::vec(character, 0..8).prop_map(|characters| {
        let escaped = characters.iter().map(|(escape, c)| {
            let must = matches!(c.as_str(), "\"" | "\\");
            if *escape || must {
                format!("\\{c}")
            } else {
                c.clone()
            }
        });
        let written = format!("\"{}\"", escaped.collect::<String>());
        (characters.into_iter().map(|(_, c)| c).collect(), written)
    });
    prop_oneof![token, quoted]
}

proptest! {
    #![proptest_config(config(1000, "registry.txt"))]

    #[test]
    fn written_challenges_are_read_back(
        services in prop::collection::vec((value(), value(), 0..4_usize), 1..5),
        comma in prop::sample::select(vec![",", " , ", ",\t", ", ,"]),
        equals in prop::sample::select(vec!["=", " = ", "\t="]),
        split in any::<bool>(),
    ) {
        let written: Vec<String> = services.iter().map(|((_, service), (_, other), kind)| {
            match kind {
                0 => "Basic".to_owned(),
                1 => format!("Basic realm{equals}{other}"),
                2 => format!("Custom  a{equals}{other}{comma}b{equals}{service}"),
                _ => format!(
                    "Bearer x{equals}{other}{comma}realm{equals}\"http://h/\"{comma}service{equals}{service}"
                ),
            }
        }).collect();
        let read = if split {
            Challenge::parse_all(written.iter().map(String::as_str))
        } else {
            parse(&written.join(comma))
        };
        let read = read.expect("challenges");
        let expected = services.iter().filter(|(_, _, kind)| *kind != 2);
        prop_assert_eq!(expected.clone().count(), read.len());
        for (((service, _), _, kind), challenge) in expected.zip(&read) {
            match challenge {
                Challenge::Basic => prop_assert!(*kind < 2),
                Challenge::Bearer(bearer) => {
                    prop_assert_eq!(*kind, 3);
                    prop_assert_eq!(bearer.service(), Some(service.as_str()));
                    let url = bearer.token_url(&repository("x")).to_string();
                    prop_assert!(url.bytes().all(|b| b.is_ascii_graphic()));
                    prop_assert_eq!(url.matches('&').count(), usize::from(!service.is_empty()));
                }
            }
        }
    }
}
