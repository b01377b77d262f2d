//! Calls whose items come in an attached file, as many items may.

use skopeo_index_core::osbuild::{Call, ProtocolError};

/// The number of items of a `download` call without items, with an attached file.
fn download(attached: Result<Option<Vec<u8>>, &str>) -> Result<Option<usize>, ProtocolError> {
    let message = br#"{"type":"method","data":{"name":"download","args":{"cache":"/c"}}}"#;
    match Call::parse(message, || attached)? {
        Call::Download(download) => Ok(Some(download.items.iter().count())),
        Call::Copy(_) => Ok(None),
    }
}

#[test]
fn items_are_in_the_message_or_in_the_attached_file() {
    let items = br#"{"a":{},"b":{}}"#.to_vec();
    assert_eq!(download(Ok(Some(items))), Ok(Some(2)));
}

#[test]
fn download_without_items_is_a_protocol_error() {
    let missing = download(Ok(None)).expect_err("an error");
    assert_eq!(missing.to_string(), "list of items is missing");
    let not_an_object = download(Ok(Some(b"[]".to_vec()))).expect_err("an error");
    assert!(
        not_an_object.to_string().contains("list of items"),
        "{not_an_object}"
    );
    let unread = download(Err("it is a directory")).expect_err("an error");
    assert!(unread.to_string().contains("it is a directory"), "{unread}");
}
