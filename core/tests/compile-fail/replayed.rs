use skopeo_index_core::machine::{ContentInfo, Fetch, ManifestBytes};

/// What was replayed is not what was verified.
fn replay(replayed: Fetch<ContentInfo>) -> Fetch<ManifestBytes> {
    replayed
}

fn main() {}
