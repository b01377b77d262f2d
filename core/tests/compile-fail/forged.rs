use skopeo_index_core::machine::{Inspected, ManifestBytes, Verified};

/// Verified by writing it down.
fn forge(inspected: Inspected<ManifestBytes>) -> Verified<ManifestBytes> {
    Verified { inspected }
}

fn main() {}
