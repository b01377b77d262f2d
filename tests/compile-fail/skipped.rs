use skopeo_index::machine::{Bytes, Copied, Verified};

/// Verified without having been inspected.
fn skip(copied: Copied<Bytes>) -> Verified<Bytes> {
    copied.into()
}

fn main() {}
