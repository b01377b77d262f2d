//! Which documents are indexes.

use skopeo_index_core::index::{Index, MAX_MANIFEST_SIZE};
use test_support::oracle::index::reject_reason;
use test_support::oracle::json::read;

/// A document is accepted exactly if the oracle accepts it.
pub fn target(data: &[u8]) {
    let oracle = read(data);
    let rejected = oracle.as_ref().map_or(Some("not JSON"), reject_reason);
    match Index::parse(data) {
        Ok(index) => {
            assert_eq!(rejected, None, "{}", String::from_utf8_lossy(data));
            assert!(data.len() <= MAX_MANIFEST_SIZE);
            let summary = index.summary();
            assert_eq!(summary.manifests as usize, index.manifests().len());
            summary
                .platforms
                .iter()
                .for_each(|platform| crate::assert_harmless(platform));
        }
        Err(reason) => {
            crate::assert_harmless(&reason.to_string());
            assert!(
                rejected.is_some() || data.len() > MAX_MANIFEST_SIZE,
                "{reason}: {}",
                String::from_utf8_lossy(data)
            );
        }
    }
}
