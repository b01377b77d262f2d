//! Messages of an osbuild host.

use std::convert::Infallible;

use skopeo_index_core::escape::Escaped;
use skopeo_index_core::osbuild::{Call, parse_manifest};
use skopeo_index_core::request::Request;

/// Any message is a call, which is an object, or is answered with one harmless line; the
/// same for each of its items, and for a manifest. Bytes after the first newline are the attached file.
pub fn target(data: &[u8]) {
    if let Err(error) = parse_manifest(data) {
        crate::assert_harmless(&Escaped(&error.to_string()).to_string());
    }
    let at = data.iter().position(|byte| *byte == b'\n');
    let (message, attached) = match at {
        Some(at) => (&data[..at], Some(data[at + 1..].to_vec())),
        None => (data, None),
    };
    let items = match Call::parse(message, || Ok::<_, Infallible>(attached)) {
        Ok(Call::Download(download)) => download.items,
        Ok(Call::Copy(copy)) => copy.items,
        Err(error) => return crate::assert_harmless(&error.to_string()),
    };
    assert!(
        message.trim_ascii_start().starts_with(b"{"),
        "not an object"
    );
    for (key, item) in items.iter() {
        match Request::from_item(key, item) {
            Ok(request) => assert_eq!(request.digest().to_string(), key),
            Err(error) => crate::assert_harmless(&error.to_string()),
        }
    }
}
