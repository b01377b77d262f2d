//! Directories of container storages.

use std::path::Path;

use proptest::prelude::*;
use skopeo_index_core::request::{MAX_STORAGE_LOCATION_LEN, StorageLocation, Transport};

proptest! {
    #![proptest_config(crate::support::property::config(256, "request-storage-location.txt"))]

    #[test]
    fn location_is_one_or_two_absolute_paths_without_special_characters(text in "/?[-a-z0-9 ä./@=\\[\\]+:,\u{202e}\n]{0,12}") {
        let special = |c: char| c.is_control() || "[]:,\u{202e}".contains(c);
        let plain = |path: &str| {
            let dots = path.split('/').any(|part| part == "." || part == "..");
            path.starts_with('/') && path.chars().any(|c| c != '/') && !path.contains(special) && !dots
        };
        let expected = text.split('+').all(plain) && text.matches('+').count() <= 1;
        prop_assert_eq!(text.parse::<StorageLocation>().is_ok(), expected, "{:?}", text);
    }
}

#[test]
fn graph_root_is_the_path_before_the_run_root() {
    for (text, graph_root) in [("/a b", "/a b"), ("/a/b+/run/c", "/a/b")] {
        let location: StorageLocation = text.parse().expect("a location");
        assert_eq!(location.graph_root(), Path::new(graph_root));
        assert_eq!(location.as_str(), text);
    }
}

#[test]
fn location_longer_than_path_max_is_rejected() {
    let longest = format!("/{}", "x".repeat(MAX_STORAGE_LOCATION_LEN - 1));
    assert!(longest.parse::<StorageLocation>().is_ok());
    assert!(format!("{longest}x").parse::<StorageLocation>().is_err());
    assert!(
        format!("{longest}+{longest}")
            .parse::<StorageLocation>()
            .is_ok()
    );
    assert!(format!("/a+{longest}x").parse::<StorageLocation>().is_err());
}

#[test]
fn every_error_of_locations_and_transports_has_a_message() {
    let long = format!("/{}", "x".repeat(MAX_STORAGE_LOCATION_LEN));
    let texts = [
        "",
        "x",
        "//",
        "/x/../y",
        "/x:y",
        "/x+y",
        "/x+",
        "/x+/",
        "/x+/y+/z",
        "/x\u{1b}[31m",
        "/\u{202e}x",
        &long,
    ];
    let locations = crate::errors::<StorageLocation>(&texts).replace(&long, "/xxx…");
    let transports = crate::errors::<Transport>(&["", "dir", "docker\u{1b}[31m"]);
    insta::assert_snapshot!("error_messages", format!("{locations}\n{transports}"));
}
