//! Messages of skopeo.

use skopeo_index_core::digest::Digest;
use skopeo_index_core::escape::{Escaped, quote};
use skopeo_index_core::machine::EffectError;
use skopeo_index_core::redact::Redactor;
use skopeo_index_core::request::{Location, Request, TlsVerify};
use skopeo_index_core::skopeo::stderr::{classify, classify_exit, classify_timeout, fatal_message};
use skopeo_index_core::skopeo::{CommandOutput, Exit, RegistryAnswer, SkopeoCommand};

/// Any stderr is classified and bounded, without control characters and without
/// credentials in URLs.
pub fn target(data: &[u8]) {
    let output = CommandOutput {
        exit: Exit::Status(1),
        stdout: Vec::new(),
        stderr: data.to_vec(),
    };
    let EffectError::Command { message, .. } = classify_exit(&output, &Redactor::default()) else {
        panic!("not a command error")
    };
    crate::assert_harmless(&Escaped(&message).to_string().replace('\n', " "));
    let _kind = classify_timeout(data);
    assert_answer_possible(data);
    let text = String::from_utf8_lossy(data);
    if let Some(message) = fatal_message(&text) {
        let _kind = classify(&message);
    }
    let _kind = classify(&text);
    crate::assert_harmless(&quote(&text));
    assert_eq!(
        Escaped(&Escaped(&text).to_string().replace('\\', "/")).to_string(),
        Escaped(&text).to_string().replace('\\', "/")
    );
    let redactor = Redactor::new(["s3cr3t".to_owned(), "p*".to_owned()]);
    let clean = redactor.redact(&text);
    assert_eq!(redactor.redact(&clean), clean, "{text:?}");
    assert!(!clean.contains("s3cr3t"), "{clean:?}");
    let login = Redactor::default().redact(&format!("https://user:s3cr3t@host/{text}"));
    let secrets = |text: &str| text.matches("s3cr3t@host").count();
    assert!(secrets(&login) <= secrets(&text), "{login:?}");
}

/// An answer is one that the log's verification accepts.
fn assert_answer_possible(stderr: &[u8]) {
    let Ok(name) = "localhost/app".parse() else {
        panic!("a name")
    };
    let tls_verify = TlsVerify::Unset;
    let request = Request::new(name, Location::Docker { tls_verify }, Digest::of(b""));
    let command = SkopeoCommand::InspectRaw(&request);
    if let Some(answer) = RegistryAnswer::of_command(&command, stderr) {
        assert!(answer.parse(request.location()).is_some(), "{answer:?}");
    }
}
