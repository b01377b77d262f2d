use skopeo_index_core::machine::{Authenticated, ManifestBytes, Verified};

/// Evidence can't be made by hand.
fn forge(verified: Verified<ManifestBytes>) -> Authenticated<ManifestBytes> {
    Authenticated { verified }
}

fn main() {}
