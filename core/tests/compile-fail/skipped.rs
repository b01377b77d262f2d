use skopeo_index_core::machine::{Copied, ManifestBytes, Verified};

/// There is no way past Inspected.
fn skip(copied: Copied<ManifestBytes>) -> Verified<ManifestBytes> {
    copied.into()
}

fn main() {}
