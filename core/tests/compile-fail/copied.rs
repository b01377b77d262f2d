use skopeo_index_core::machine::{ManifestBytes, Verified};

fn copied<T: Copy>(_: T) {}

/// A verified fetch is published once.
fn copy(verified: Verified<ManifestBytes>) {
    copied(verified);
}

fn main() {}
