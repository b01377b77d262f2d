use skopeo_index::machine::{Bytes, Verified};

fn copied<T: Copy>(_: T) {}

/// One proof is one publishing.
fn copy(verified: Verified<Bytes>) {
    copied(verified);
}

fn main() {}
