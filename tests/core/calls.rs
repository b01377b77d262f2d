//! Calls whose items come in a file, as large ones may.

use skopeo_index::osbuild::ChannelError;
use skopeo_index_core::osbuild::{Call, ProtocolError};

/// A `download` without items, and what came along with it.
fn download(
    attached: Result<Option<Vec<u8>>, ChannelError>,
) -> Result<Option<usize>, ProtocolError> {
    let message = br#"{"type":"method","data":{"name":"download","args":{"cache":"/c"}}}"#;
    match Call::parse(message, || attached)? {
        Call::Download(download) => Ok(Some(download.items.0.len())),
        _ => Ok(None),
    }
}

#[test]
fn items_are_in_the_message_or_in_its_file() {
    let items = br#"{"a":{},"b":{}}"#.to_vec();
    assert_eq!(download(Ok(Some(items))), Ok(Some(2)));
}

#[test]
fn items_that_are_nowhere_are_told() {
    let nowhere = download(Ok(None)).expect_err("a refusal");
    assert_eq!(nowhere.to_string(), "the call has no items");
    let other = download(Ok(Some(b"[]".to_vec()))).expect_err("a refusal");
    assert!(other.to_string().starts_with("the items: "), "{other}");
    let unread = ChannelError::Descriptor(std::io::Error::other("it is a directory"));
    let unread = download(Err(unread)).expect_err("a refusal");
    assert!(unread.to_string().contains("it is a directory"), "{unread}");
}
