//! What skopeo says where it fails.

use skopeo_index_core::escape::{Escaped, quote, redact_credentials};
use skopeo_index_core::machine::EffectError;
use skopeo_index_core::skopeo::{CommandOutput, Exit};
use skopeo_index_core::skopeo::{classify, classify_exit, fatal_message};

/// Whatever it says is explained, bounded, harmless to show, and without what
/// stands before the `@` of an address.
pub fn target(data: &[u8]) {
    let ran = CommandOutput {
        exit: Exit::Status(1),
        stdout: Vec::new(),
        stderr: data.to_vec(),
    };
    let EffectError::Command { message, .. } = classify_exit(&ran) else {
        panic!("a command that failed is a command's trouble")
    };
    crate::assert_harmless(&Escaped(&message).to_string().replace('\n', " "));
    let text = String::from_utf8_lossy(data);
    if let Some(message) = fatal_message(&text) {
        let _any = classify(&message);
    }
    let _any = classify(&text);
    crate::assert_harmless(&quote(&text));
    assert_eq!(
        Escaped(&Escaped(&text).to_string().replace('\\', "/")).to_string(),
        Escaped(&text).to_string().replace('\\', "/")
    );
    let clean = redact_credentials(&text);
    assert_eq!(redact_credentials(&clean), clean, "{text:?}");
    let login = redact_credentials(&format!("https://user:s3cr3t@host/{text}"));
    let told = |text: &str| text.matches("s3cr3t@host").count();
    assert!(told(&login) <= told(&text), "{login:?}");
}
