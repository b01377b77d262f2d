//! What skopeo says where it fails.

use skopeo_index::machine::Trouble;
use skopeo_index::skopeo::failure::{classify, explain, fatal_message};
use skopeo_index::skopeo::{Exit, Ran};
use skopeo_index::text::{Escaped, quoted, without_credentials};

/// Whatever it says is explained, bounded, harmless to show, and without what
/// stands before the `@` of an address.
pub fn target(data: &[u8]) {
    let ran = Ran {
        exit: Exit::Status(1),
        stdout: Vec::new(),
        stderr: data.to_vec(),
    };
    let Trouble::Command { message, .. } = explain(&ran) else {
        panic!("a command that failed is a command's trouble")
    };
    crate::assert_harmless(&Escaped(&message).to_string().replace('\n', " "));
    let text = String::from_utf8_lossy(data);
    if let Some(message) = fatal_message(&text) {
        let _any = classify(&message);
    }
    let _any = classify(&text);
    crate::assert_harmless(&quoted(&text));
    assert_eq!(
        Escaped(&Escaped(&text).to_string().replace('\\', "/")).to_string(),
        Escaped(&text).to_string().replace('\\', "/")
    );
    let clean = without_credentials(&text);
    assert_eq!(without_credentials(&clean), clean, "{text:?}");
    let login = without_credentials(&format!("https://user:s3cr3t@host/{text}"));
    let told = |text: &str| text.matches("s3cr3t@host").count();
    assert!(told(&login) <= told(&text), "{login:?}");
}
