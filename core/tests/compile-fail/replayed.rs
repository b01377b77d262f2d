use skopeo_index_core::machine::{ContentInfo, Fetch, ManifestBytes};

/// A replayed fetch is of another type than a verified one.
fn replay(replayed: Fetch<ContentInfo>) -> Fetch<ManifestBytes> {
    replayed
}

fn main() {}
