//! What cache entries and states answer about themselves.

use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{CacheEntry, ManifestBytes, State};

#[test]
fn cache_entry_has_a_digest_only_if_it_is_a_file_of_bounded_size() {
    let content = b"{}".to_vec();
    let file = CacheEntry::File {
        content: ManifestBytes::from(content.clone()),
    };
    assert_eq!(file.digest(), Some(Digest::of(&content)));
    for entry in [
        CacheEntry::<ManifestBytes>::Absent,
        CacheEntry::Oversized { size: 1 },
        CacheEntry::NotAFile,
    ] {
        assert_eq!(entry.digest(), None);
    }
}

#[test]
fn state_is_displayed_by_its_name() {
    let names = State::ALL.iter().map(ToString::to_string);
    let names: Vec<String> = names.collect();
    let all = "Pending Staged Copied Inspected Verified Authenticated Committed Failed";
    assert_eq!(names.join(" "), all);
}
