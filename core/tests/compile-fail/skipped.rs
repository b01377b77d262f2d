use skopeo_index_core::machine::{Copied, ManifestBytes, Verified};

/// Verified without having been inspected.
fn skip(copied: Copied<ManifestBytes>) -> Verified<ManifestBytes> {
    copied.into()
}

fn main() {}
