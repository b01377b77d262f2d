use skopeo_index_core::machine::{ManifestBytes, Verified};

fn copied<T: Copy>(_: T) {}

/// One proof is one publishing.
fn copy(verified: Verified<ManifestBytes>) {
    copied(verified);
}

fn main() {}
