use skopeo_index_core::machine::{Inspected, ManifestBytes, Verified};

/// Fields are private.
fn forge(inspected: Inspected<ManifestBytes>) -> Verified<ManifestBytes> {
    Verified { inspected }
}

fn main() {}
