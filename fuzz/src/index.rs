//! Which documents are indexes.

use skopeo_index_core::index::{Index, MAX_MANIFEST_SIZE};

use crate::doubt::doubt;
use crate::json::read;

/// What is taken for an index is what a slow second reader takes for one.
pub fn target(data: &[u8]) {
    let second = read(data);
    let doubt = second.as_ref().map_or(Some("not JSON"), doubt);
    match Index::parse(data) {
        Ok(index) => {
            assert_eq!(doubt, None, "{}", String::from_utf8_lossy(data));
            assert!(data.len() <= MAX_MANIFEST_SIZE);
            let summary = index.summary();
            assert_eq!(summary.manifests as usize, index.manifests().len());
            summary
                .platforms
                .iter()
                .for_each(|platform| crate::assert_harmless(platform));
        }
        Err(refusal) => {
            crate::assert_harmless(&refusal.to_string());
            assert!(
                doubt.is_some() || data.len() > MAX_MANIFEST_SIZE,
                "{refusal}: {}",
                String::from_utf8_lossy(data)
            );
        }
    }
}
