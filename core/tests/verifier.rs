//! Tests of `verifier`: command lines of verifiers, and their placeholders.
#![allow(clippy::expect_used, reason = "a test that can't continue fails")]

use proptest::prelude::*;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::verifier::{
    MAX_COMMAND_LEN, MAX_VERIFIERS, VerifierCommand, VerifierError, Verifiers,
};

fn command(words: &[&str]) -> Result<VerifierCommand, VerifierError> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    words.try_into()
}

fn request() -> Request {
    let tls_verify = TlsVerify::Unset;
    let name = "quay.io/app:1".parse().expect("a name");
    Request::new(name, Location::Docker { tls_verify }, Digest::of(b""))
}

#[test]
fn placeholders_are_replaced_in_every_argument() {
    let digest = Digest::of(b"");
    for (word, expected) in [
        ("{file}", "/f".to_owned()),
        ("{name}", "quay.io/app".to_owned()),
        ("{digest}", digest.to_string()),
        ("{reference}", format!("quay.io/app@{digest}")),
        (
            "--key={name}:{file}{file}",
            "--key=quay.io/app:/f/f".to_owned(),
        ),
        (
            "{}{ file }{File}{{name}}",
            "{}{ file }{File}{quay.io/app}".to_owned(),
        ),
        ("", String::new()),
    ] {
        let command = command(&["cosign", "verify", word]).expect("a command");
        let arguments = command.arguments(&request(), "/f".as_ref());
        assert_eq!(arguments, ["verify", &expected], "{word}");
    }
}

#[test]
fn inserted_text_is_not_searched_for_placeholders() {
    let command = command(&["v", "{file}"]).expect("a command");
    let arguments = command.arguments(&request(), "/{name}/{digest}".as_ref());
    assert_eq!(arguments, ["/{name}/{digest}"]);
}

#[test]
fn words_that_are_not_a_command_are_refused() {
    let unknown = |word: &str| VerifierError::UnknownPlaceholder(word.to_owned());
    let long = "x".repeat(MAX_COMMAND_LEN);
    for (words, expected) in [
        (&[][..], VerifierError::NoProgram),
        (&["", "a"], VerifierError::NoProgram),
        (
            &["{file}"],
            VerifierError::ProgramPlaceholder("{file}".to_owned()),
        ),
        (&["v", "{fil}"], unknown("{fil}")),
        (&["v", "{name}{image}"], unknown("{image}")),
        (&["v", &long], VerifierError::TooLong),
    ] {
        assert_eq!(command(words), Err(expected), "{words:?}");
    }
    assert!(command(&["v", &long[1..]]).is_ok());
}

#[test]
fn verifiers_are_at_most_as_many_as_a_record_holds() {
    let verifiers = |count| Verifiers::try_from(vec![command(&["v"]).expect("a command"); count]);
    let most = verifiers(MAX_VERIFIERS).expect("few enough");
    assert_eq!(usize::from(most.count()), MAX_VERIFIERS);
    assert!(most.get(most.count()).is_none());
    assert_eq!(verifiers(MAX_VERIFIERS + 1), Err(VerifierError::TooMany));
}

proptest! {
    #[test]
    fn command_of_any_words_has_as_many_arguments(words in prop::collection::vec("[-=a-z{} /\u{e9}]{0,12}", 0..5)) {
        if let Ok(command) = VerifierCommand::try_from(words.clone()) {
            let arguments = command.arguments(&request(), "/f".as_ref());
            prop_assert_eq!(arguments.len() + 1, words.len());
            for (argument, word) in arguments.iter().zip(&words[1..]) {
                let has_braces = word.contains('{');
                prop_assert!(argument == word.as_str() || has_braces);
            }
            let json = serde_json::to_string(&command).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<VerifierCommand>(&json).expect("a command"), command);
        }
    }
}
